import { withoutCookies } from './cookies.ts'
import { invalidName, ruleOf, SLOTS, Slot } from './header-names.ts'

/** The head of a request after one pass: what the guard reads, what an upstream may see, and why it is refused. */
export interface SiftedRequest {
  /** Why the head is refused (400); no text of the client's is in it. */
  readonly problem: string | undefined
  /** name, value, … for an upstream, without Host, credential, forwarding and trace headers: those the guard sets. */
  readonly forward: string[]
  readonly host: string | undefined
  /** The whole Cookie value as received, the gateway's own cookies included. */
  readonly cookie: string | undefined
  readonly csrf: string | undefined
  readonly csrfToken: string | undefined
  readonly origin: string | undefined
  readonly secFetchSite: string | undefined
  readonly secFetchMode: string | undefined
  readonly secFetchDest: string | undefined
  readonly secPurpose: string | undefined
  readonly accept: string | undefined
  readonly contentType: string | undefined
  readonly contentLength: string | undefined
  readonly transferEncoding: string | undefined
  /** X-Forwarded-*: to be believed from trusted proxies only. Several lines are joined by `, `. */
  readonly forwardedFor: string | undefined
  readonly forwardedProto: string | undefined
  readonly forwardedHost: string | undefined
  readonly userAgent: string | undefined
  readonly acceptLanguage: string | undefined
  readonly referer: string | undefined
  /** Well-formed, or undefined (W3C Trace Context §3.2); `tracestate` only beside a well-formed traceparent. */
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
  readonly upgrade: string | undefined
  readonly expect: string | undefined
}

/**
 * Sifts raw header lines (name, value, …) in one pass. `ours` says whether a cookie name is the gateway's.
 * `strictlyParsed`: see RequestHead.
 * A carrier of HTTP/2 or 3 joins Cookie crumbs by `; ` first (RFC 9113 §8.2.3); over HTTP/1.1 two are an ambiguity.
 */
export function siftRequest(
  rawHeaders: readonly string[],
  ours: (cookieName: string) => boolean,
  strictlyParsed = false,
): SiftedRequest {
  const values = new Array<string | undefined>(SLOTS).fill(undefined)
  const forward: string[] = []
  let problem: string | undefined

  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    const value = rawHeaders[i + 1] ?? ''
    const rule = ruleOf(name)
    if (!strictlyParsed && FORBIDDEN.test(value)) problem ??= 'forbidden character in a header value'
    if (rule.slot !== -1) {
      const before = values[rule.slot]
      if (before === undefined) values[rule.slot] = value
      else if (rule.once) problem ??= `more than one ${name.toLowerCase()} header`
      else values[rule.slot] = `${before}, ${value}`
    } else if (rule === invalidName) {
      problem ??= 'invalid header name'
    }
    if (rule.forward) forward.push(name, value)
  }

  const connection = values[Slot.connection]
  if (connection !== undefined && !isUsualConnection(connection)) problem ??= applyConnection(connection, forward)
  problem ??= framingProblem(values[Slot.contentLength], values[Slot.transferEncoding])

  const cookie = values[Slot.cookie]
  if (cookie !== undefined) {
    const theirs = withoutCookies(cookie, ours)
    if (theirs !== '') forward.push('cookie', theirs)
  }

  const traceparent = validTraceparent(values[Slot.traceparent])
  return {
    problem,
    forward,
    host: values[Slot.host],
    cookie,
    csrf: values[Slot.csrf],
    csrfToken: values[Slot.csrfToken],
    origin: values[Slot.origin],
    secFetchSite: values[Slot.secFetchSite],
    secFetchMode: values[Slot.secFetchMode],
    secFetchDest: values[Slot.secFetchDest],
    secPurpose: values[Slot.secPurpose],
    accept: values[Slot.accept],
    contentType: values[Slot.contentType],
    contentLength: values[Slot.contentLength],
    transferEncoding: values[Slot.transferEncoding],
    forwardedFor: values[Slot.forwardedFor],
    forwardedProto: values[Slot.forwardedProto],
    forwardedHost: values[Slot.forwardedHost],
    userAgent: values[Slot.userAgent],
    acceptLanguage: values[Slot.acceptLanguage],
    referer: values[Slot.referer],
    traceparent,
    tracestate: traceparent === undefined ? undefined : values[Slot.tracestate],
    upgrade: values[Slot.upgrade],
    expect: values[Slot.expect],
  }
}

/** Anything but HTAB, visible ASCII, space and obs-text: CR, LF and NUL split or cut a head (RFC 9110 §5.5). */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/

/** Request smuggling: a body that two servers could measure differently. @see RFC 9112 §6.1, §6.3 · PX6 */
function framingProblem(contentLength: string | undefined, transferEncoding: string | undefined): string | undefined {
  if (transferEncoding !== undefined) {
    if (contentLength !== undefined) return 'both content-length and transfer-encoding'
    if (transferEncoding !== 'chunked') return 'transfer-encoding other than chunked'
  }
  if (contentLength !== undefined && !/^[0-9]{1,15}$/.test(contentLength)) return 'content-length is not a number'
  return undefined
}

function isUsualConnection(value: string): boolean {
  return value === 'keep-alive' || value === 'close' || value === 'Upgrade' || value === 'keep-alive, Upgrade'
}

/**
 * Takes the nominated headers out of `forward` (RFC 9110 §7.6.1). Nominating one that the gateway reads, sets or strips
 * is hop-by-hop abuse: it asks a proxy to drop, say, Authorization or Cookie behind the check. The request is refused.
 */
function applyConnection(value: string, forward: string[]): string | undefined {
  const nominated = new Set<string>()
  for (const part of value.split(',')) {
    const name = part.trim()
    if (name === '') continue
    const rule = ruleOf(name)
    if (rule === invalidName) return 'invalid connection header'
    if (rule.hop) continue
    if (rule.slot !== -1 || !rule.forward) return 'connection header nominates an end-to-end header'
    nominated.add(name.toLowerCase())
  }
  if (nominated.size === 0) return undefined
  let end = 0
  for (let i = 0; i < forward.length; i += 2) {
    const name = forward[i] ?? ''
    if (nominated.has(name.toLowerCase())) continue
    forward[end++] = name
    forward[end++] = forward[i + 1] ?? ''
  }
  forward.length = end
  return undefined
}

/** @see W3C Trace Context §3.2.2: version 00, no all-zero ids. Two of them (joined by a comma) are not well-formed. */
function validTraceparent(value: string | undefined): string | undefined {
  return value !== undefined && /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/.test(value)
    ? value
    : undefined
}
