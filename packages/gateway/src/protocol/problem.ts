import type { Respond } from '../decision.ts'
import { type ErrorCode, errors } from '../errors.ts'
import { errorPage } from './page.ts'

export interface ProblemOptions {
  /** In place of the hint of the error table. */
  readonly advice?: string
  /** Added to the document, such as `loginUrl`. The standard members can't be replaced. */
  readonly members?: Readonly<Record<string, string>>
  /** Shown to the client and findable in the log. */
  readonly requestId?: string
  /** name, value, …: Allow, WWW-Authenticate, Set-Cookie. */
  readonly headers?: readonly string[]
}

/**
 * An error for a script: code and hint, never the cause. `type` is a stable name, not an address: nothing need be online.
 * @see RFC 9457
 */
export function problemResponse(code: ErrorCode, options: ProblemOptions = {}): Respond {
  const { status, title, hint } = errors[code]
  const standard = { type: `urn:coatcheck:error:${code}`, title, status, code, detail: options.advice ?? hint }
  const document = {
    ...standard,
    ...(options.requestId !== undefined && { requestId: options.requestId }),
    ...options.members,
    ...standard,
  }
  const headers = [...HEADERS, ...(options.headers ?? [])]
  if (options.requestId !== undefined) headers.push('X-Request-Id', options.requestId)
  return { kind: 'respond', status, headers, body: JSON.stringify(document) }
}

/** A page for a navigation, a problem document for everything else. */
export function errorResponse(
  code: ErrorCode,
  options: ProblemOptions & {
    readonly html: boolean
    /** Local path of a link that tries again. */
    readonly retryHref?: string
    /** Local path that the page opens by itself at once. */
    readonly refresh?: string
  },
): Respond {
  return options.html ? errorPage(code, options) : problemResponse(code, options)
}

/** An error is about one request: kept by no cache, read by no other site, sniffed as nothing else. */
const HEADERS = [
  ...['Content-Type', 'application/problem+json'],
  ...['Cache-Control', 'no-store'],
  ...['X-Content-Type-Options', 'nosniff'],
  ...['Content-Security-Policy', "default-src 'none'; frame-ancestors 'none'"],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
]
