import type { ResponseRules } from '../decision.ts'
import { isGatewayCookie } from './cookies.ts'
import { ruleOf } from './header-names.ts'

const Kind = { keep: 0, drop: 1, once: 2, setCookie: 3, connection: 4, cors: 5, caching: 6, nonce: 7 } as const
type Kind = (typeof Kind)[keyof typeof Kind]

interface NameRule {
  readonly lower: string
  readonly kind: Kind
}

const names: Record<Exclude<keyof typeof Kind, 'setCookie' | 'connection' | 'cors' | 'nonce'>, readonly string[]> = {
  keep: [
    ...['server', 'etag', 'last-modified', 'vary', 'content-encoding', 'location', 'link', 'www-authenticate'],
    ...['strict-transport-security', 'content-security-policy', 'x-content-type-options', 'referrer-policy'],
    ...['x-powered-by', 'content-language', 'accept-ranges', 'content-range', 'content-disposition', 'x-request-id'],
  ],
  once: ['content-length', 'content-type', 'date'],
  drop: [
    // hop-by-hop (RFC 9110 §7.6.1)
    ...['keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings'],
    // of the whole origin, which is the gateway's: sign-out, another way round us, device sessions (DBSC), old cookies
    ...['clear-site-data', 'alt-svc', 'set-cookie2', 'access-control-allow-credentials'],
    // of the whole origin too: reports on every request, sign-in's with its code among them, to a host of the upstream's
    // choice; a script in front of all paths; who is signed in here
    ...['nel', 'report-to', 'service-worker-allowed', 'login-status', 'set-login'],
    // orders to a proxy in front of us: read a file from its disk, fetch another address
    ...['x-accel-redirect', 'x-sendfile', 'x-sendfile2', 'x-lighttpd-send-file', 'x-lighttpd-send-tempfile'],
    ...['x-reproxy-url', 'x-litespeed-location', 'x-litespeed-cache-control', 'x-accel-charset', 'x-accel-limit-rate'],
  ],
  caching: ['cache-control', 'expires', 'pragma', 'age', 'surrogate-control', 'x-accel-expires', 'surrogate-key'],
}

const bySpelling = new Map<string, NameRule>()
for (const kind of ['keep', 'once', 'drop', 'caching'] as const) for (const name of names[kind]) add(name, Kind[kind])
add('set-cookie', Kind.setCookie)
add('connection', Kind.connection)
add('dpop-nonce', Kind.nonce)

function add(lower: string, kind: Kind): void {
  const rule = { lower, kind }
  bySpelling.set(lower, rule)
  bySpelling.set(
    lower.replace(/(?:^|-)[a-z]/g, (start) => start.toUpperCase()),
    rule,
  )
}

/**
 * The head of an upstream's answer (name, value, …; bytes read as latin1 by the caller) as the browser may see it.
 * Of caching headers ETag and Last-Modified stay beside no-store: nothing is stored that they could revive, and scripts
 * need them for If-Match. `DPoP-Nonce` is for the gateway, which makes the proofs. Access-Control-Allow-Credentials never passes: no other origin reads with the user's cookie.
 * @param flagged is told of each header that no upstream should send; it holds nothing of the header's value
 */
export function siftResponse(
  raw: readonly string[],
  rules: ResponseRules,
  flagged?: (reason: string) => void,
): string[] {
  const out: string[] = []
  const seen: string[] = []
  let connection = ''
  let isPage = false

  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] ?? ''
    const value = raw[i + 1] ?? ''
    const rule = bySpelling.get(name) ?? classify(name)
    if (rule === undefined || FORBIDDEN.test(value)) {
      flagged?.(rule === undefined ? 'invalid response header name' : `forbidden character in ${rule.lower}`)
      continue
    }
    const { lower, kind } = rule
    if (kind === Kind.drop || (kind === Kind.cors && rules.dropCors) || (kind === Kind.caching && rules.noStore))
      continue
    if (kind === Kind.connection) {
      connection += `,${value}`
      continue
    }
    if (kind === Kind.nonce) {
      rules.heardNonce?.(value)
      continue
    }
    if (kind === Kind.setCookie && !maySetCookie(value, rules.allowSetCookie)) continue
    if (kind === Kind.once && seen.includes(lower)) {
      flagged?.(`more than one ${lower}`)
      continue
    }
    if (kind !== Kind.setCookie && isAdded(lower, rules.add)) continue
    if (kind === Kind.once && lower === 'content-type') isPage = PAGE.test(value)
    seen.push(lower)
    out.push(name, value)
  }

  if (connection !== '' && !/^,(?:keep-alive|close)$/i.test(connection)) dropNominated(connection, out, seen)
  if (rules.noStore) {
    seen.push('cache-control')
    out.push('cache-control', 'no-store')
  }
  const { defaults, pageDefaults, add: added } = rules
  addMissing(defaults, added, { out, seen })
  if (isPage) addMissing(pageDefaults, added, { out, seen })
  for (let i = 0; i < added.length; i++) out.push(added[i] as string)
  return out
}

/**
 * The trailer fields (name, value, …) that a client may have: those that mean nothing to anybody but the two applications.
 * A client that merges trailers into the head must not find there what the sift of the head has dropped, or what came after
 * the checks that it would have decided. @see RFC 9110 §6.5.1
 */
export function siftTrailers(raw: readonly string[]): [string, string][] {
  const out: [string, string][] = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const rule = classify(name)
    if (rule === undefined || rule.kind !== Kind.keep || bySpelling.has(rule.lower)) continue
    const asRequest = ruleOf(rule.lower)
    if (asRequest.slot !== -1 || !asRequest.forward || HEAD_ONLY.test(rule.lower) || FORBIDDEN.test(value)) continue
    out.push([name, value])
  }
  return out
}

/** What a browser obeys, or a client judges a body by. */
const HEAD_ONLY =
  /^(?:content-(?!digest$)|sec-|cross-origin-|access-control-|if-|(?:permissions-policy|refresh|retry-after|x-frame-options)$)/

function addMissing(
  defaults: readonly string[],
  added: readonly string[],
  { out, seen }: { out: string[]; seen: readonly string[] },
): void {
  for (let i = 0; i < defaults.length; i += 2) {
    const name = defaults[i] as string
    if (!seen.includes(name) && !isAdded(name, added)) out.push(name, defaults[i + 1] as string)
  }
}

/** What a browser shows in a window or frame, and may run scripts in. */
const PAGE = /^\s*(?:text\/html|application\/xhtml\+xml|image\/svg\+xml|text\/xml|application\/xml)/i

/** A value that a browser, or a proxy on the way to it, would cut or split (RFC 9110 §5.5). */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/
/** RFC 9110 §5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/

function classify(name: string): NameRule | undefined {
  if (!TOKEN.test(name)) return undefined
  const lower = name.toLowerCase()
  const known = bySpelling.get(lower)
  if (known !== undefined) return known
  return { lower, kind: kindOf(lower) }
}

function kindOf(lower: string): Kind {
  if (lower.startsWith('access-control-')) return Kind.cors
  if (lower.endsWith('cdn-cache-control')) return Kind.caching
  if (lower.startsWith('x-coatcheck-') || lower.startsWith('proxy-')) return Kind.drop
  // Device Bound Session Credentials: an upstream could register, or end, the browser's bound session.
  if (lower.startsWith('sec-session-') || lower.startsWith('secure-session-')) return Kind.drop
  return Kind.keep
}

/**
 * Only a name on the list, spelt exactly so, and never one of ours in any letter case. A cookie without a name (no `=`, or
 * `=__Host-x=…`) is never allowed: browsers send it back as text that reads like another cookie.
 */
function maySetCookie(line: string, allowed: readonly string[]): boolean {
  if (allowed.length === 0) return false
  const end = line.indexOf(';')
  const pair = end === -1 ? line : line.slice(0, end)
  const equals = pair.indexOf('=')
  if (equals === -1) return false
  const name = pair.slice(0, equals).trim()
  return name !== '' && allowed.includes(name) && !isGatewayCookie(name)
}

/** `add` replaces what the upstream sent under the same name; Set-Cookie lines stand beside each other. */
function isAdded(lower: string, added: readonly string[]): boolean {
  for (let i = 0; i < added.length; i += 2) {
    const name = added[i] as string
    if (name.length === lower.length && name.toLowerCase() === lower) return true
  }
  return false
}

function dropNominated(connection: string, out: string[], seen: string[]): void {
  const nominated = new Set(connection.split(',').map((name) => name.trim().toLowerCase()))
  let end = 0
  for (let i = 0; i < out.length; i += 2) {
    const name = out[i] as string
    const lower = name.toLowerCase()
    if (nominated.has(lower)) {
      const at = seen.indexOf(lower)
      if (at !== -1) seen.splice(at, 1)
      continue
    }
    out[end++] = name
    out[end++] = out[i + 1] as string
  }
  out.length = end
}
