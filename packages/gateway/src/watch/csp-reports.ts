import type { Respond } from '../decision.ts'
import type { EndpointHandler } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { createTokenBucket } from '../oidc/token-bucket.ts'
import { noContent } from '../protocol/json-response.ts'
import { printable } from '../protocol/printable.ts'
import type { Services } from '../services.ts'

/**
 * `POST /auth/csp-reports`: browsers tell what the policy of a page stopped. Each report is one line of the log, a sign of
 * injected script or of a policy that is too strict.
 *
 * Anybody can send them, so nothing depends on them: few fields are kept, made printable; reports about pages of other origins
 * and what comes too fast are dropped in silence. Addresses lose query and fragment, where codes and tokens stand; samples
 * of scripts are not kept at all. @see CSP Level 3 §5.3 · Reporting API §2.2 · CWE-117
 */
export function createCspReports({ config, log, now }: Pick<Services, 'config' | 'log' | 'now'>): EndpointHandler {
  const allowed = createTokenBucket(burst, interval, now)

  return async ({ fields, body, requestId, address }): Promise<Respond> => {
    const violations = violationsIn(fields.contentType, body)
    for (const violation of violations.slice(0, most)) {
      const reason = isAbout(violation.page, config.origin) ? (allowed() ? undefined : 'rate') : 'foreign'
      if (reason === undefined) log.warn({ event: 'csp_violation', requestId, address, ...shown(violation) })
      else log.debug({ event: 'csp_report_dropped', requestId, reason })
    }
    return noContent()
  }
}

/** Of one request. Browsers collect for up to a minute. */
const most = 20
/** At once, and then one each so many milliseconds: an open tab with a broken script can report without end. */
const burst = 60
const interval = 1000

/** As it came: nothing of it is checked. */
interface Violation {
  readonly page: unknown
  readonly directive: unknown
  readonly blocked: unknown
  readonly source: unknown
  readonly line: unknown
  readonly column: unknown
  readonly disposition: unknown
}

function violationsIn(contentType: string | undefined, body: Uint8Array): Violation[] {
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (type !== 'application/reports+json' && type !== 'application/csp-report')
    throw new Refusal('bad_request', { cause: 'neither application/reports+json nor application/csp-report' })
  const document = parse(body)
  if (type === 'application/csp-report') {
    const report = membersOf(membersOf(document)['csp-report'])
    return [
      {
        page: report['document-uri'],
        directive: report['effective-directive'] ?? report['violated-directive'],
        blocked: report['blocked-uri'],
        source: report['source-file'],
        line: report['line-number'],
        column: report['column-number'],
        disposition: report.disposition,
      },
    ]
  }
  return (Array.isArray(document) ? document : [])
    .map(membersOf)
    .filter(({ type }) => type === 'csp-violation')
    .map(({ body: report }) => membersOf(report))
    .map((report) => ({
      page: report.documentURL,
      directive: report.effectiveDirective,
      blocked: report.blockedURL,
      source: report.sourceFile,
      line: report.lineNumber,
      column: report.columnNumber,
      disposition: report.disposition,
    }))
}

function parse(body: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    // What a parser says of a text quotes it.
    throw new Refusal('bad_request', { cause: 'the report is not JSON' })
  }
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}

function isAbout(page: unknown, origin: string): boolean {
  return typeof page === 'string' && URL.canParse(page) && new URL(page).origin === origin
}

function shown({ page, directive, blocked, source, line, column, disposition }: Violation) {
  return {
    directive: directiveOf(directive),
    blocked: placeOf(blocked),
    page: placeOf(page),
    source: placeOf(source),
    line: numberOf(line),
    column: numberOf(column),
    disposition: disposition === 'report' ? 'report' : 'enforce',
  }
}

/** A label of a metric as well: only what browsers know. An older browser sends the whole directive. */
function directiveOf(value: unknown): string {
  const name = typeof value === 'string' ? (value.trim().split(/\s/, 1)[0]?.toLowerCase() ?? '') : ''
  return DIRECTIVES.has(name) ? name : 'other'
}

/** Scheme, host and path of an address; of what is no page, the scheme alone (a `data:` address is its content). */
function placeOf(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  if (!URL.canParse(value)) return /^[a-z-]{1,32}$/.test(value) ? value : 'unreadable'
  const { protocol, origin, pathname } = new URL(value)
  return protocol === 'https:' || protocol === 'http:' ? printable(origin + pathname, 256) : printable(protocol, 32)
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** CSP Level 3 §6 and its extensions. */
const DIRECTIVES: ReadonlySet<string> = new Set([
  ...['default-src', 'script-src', 'script-src-elem', 'script-src-attr', 'style-src', 'style-src-elem'],
  ...['style-src-attr', 'img-src', 'font-src', 'connect-src', 'media-src', 'object-src', 'frame-src', 'child-src'],
  ...['worker-src', 'manifest-src', 'fenced-frame-src', 'base-uri', 'form-action', 'frame-ancestors'],
  ...['require-trusted-types-for', 'trusted-types', 'sandbox'],
])
