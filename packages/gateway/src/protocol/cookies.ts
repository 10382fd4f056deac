/**
 * Cookies of a browser, read and written as text. Nothing is decoded: a value is what stands between `=` and `;`.
 * @see RFC 6265bis §4.1.3 (prefixes), §5.6 (parsing), §5.8.3 (the Cookie header)
 */

/** Browsers take such a cookie only with Secure, Path=/ and no Domain: a sibling subdomain can't plant one. */
export type HostCookieName = `__Host-${string}`

/** The same cookie arrived more than once (cookie tossing): whichever one believed, an attacker may have set it. */
export const AMBIGUOUS: unique symbol = Symbol('ambiguous cookie')

const EQUALS = 0x3d
const SEMICOLON = 0x3b

/**
 * The value of the cookie `name`, or AMBIGUOUS when it came twice, with equal values too. Names are compared exactly
 * and only at the head of a pair: neither `=__Host-x=…` (a nameless cookie) nor `a=__Host-x=…` is `__Host-x`.
 */
export function readCookie(header: string | undefined, name: string): string | undefined | typeof AMBIGUOUS {
  if (header === undefined) return undefined
  let found: string | undefined
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, at + name.length)) {
    const equals = at + name.length
    if (header.charCodeAt(equals) !== EQUALS || !isPairStart(header, at)) continue
    if (found !== undefined) return AMBIGUOUS
    const end = header.indexOf(';', equals)
    found = trim(header, equals + 1, end === -1 ? header.length : end)
  }
  return found
}

/** The names that begin with `prefix`, in the order sent and as often as sent: a browser's open sign-ins. */
export function cookieNames(header: string | undefined, prefix: string): string[] {
  const names: string[] = []
  if (header === undefined || !header.includes(prefix)) return names
  for (let start = 0; start <= header.length; ) {
    const end = endOfPair(header, start)
    const equals = header.indexOf('=', start)
    if (equals !== -1 && equals < end) {
      const name = trim(header, start, equals)
      if (name.startsWith(prefix)) names.push(name)
    }
    start = end + 1
  }
  return names
}

/**
 * The Cookie header without the cookies whose name is `ours`; the others keep every byte. A pair that merely reads
 * like ours to a lax parser (`=__Host-x=…`, or a bare `__Host-x`) goes as well.
 */
export function withoutCookies(header: string, ours: (name: string) => boolean): string {
  let kept = ''
  let keptFrom = 0
  let cut = false
  for (let start = 0; start < header.length; ) {
    const end = endOfPair(header, start)
    if (ours(lenientName(header, start, end))) {
      if (start > keptFrom) kept += header.slice(keptFrom, start)
      keptFrom = end + 1
      cut = true
    }
    start = end + 1
  }
  if (!cut) return header
  if (keptFrom < header.length) kept += header.slice(keptFrom)
  return withoutLooseEnds(kept)
}

/**
 * A Set-Cookie line. Path=/, Secure and HttpOnly always, Domain never; `maxAge` in seconds, without it the cookie ends
 * with the browser.
 * @throws TypeError for a value outside cookie-octet, RangeError over 4096 bytes: browsers drop such a cookie in silence
 */
export function setCookie(cookie: {
  name: HostCookieName
  value: string
  sameSite: 'Strict' | 'Lax'
  maxAge?: number | undefined
}): string {
  if (!/^__Host-[A-Za-z0-9_-]+$/.test(cookie.name)) throw new TypeError('cookie name is not a plain __Host- name')
  if (!/^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/.test(cookie.value))
    throw new TypeError('forbidden character in a cookie')
  if (cookie.maxAge !== undefined && !Number.isSafeInteger(cookie.maxAge))
    throw new TypeError('maxAge is not whole seconds')
  const age = cookie.maxAge === undefined ? '' : `; Max-Age=${cookie.maxAge}`
  const line = `${cookie.name}=${cookie.value}; Path=/; Secure; HttpOnly; SameSite=${cookie.sameSite}${age}`
  if (line.length > 4096) throw new RangeError('cookie over 4096 bytes')
  return line
}

/** A Set-Cookie line that deletes the cookie. */
export function expireCookie(name: HostCookieName, sameSite: 'Strict' | 'Lax'): string {
  return setCookie({ name, value: '', sameSite, maxAge: 0 })
}

/**
 * Whether a name is one of the gateway's own. In any letter case: a browser that compares prefixes exactly would let a
 * subdomain set `__host-session`, and a server that ignores case would read it as ours.
 */
export function isGatewayCookie(name: string): boolean {
  return name.length > 7 && OURS.test(name)
}

const OURS = /^__Host-(?:(?:Http-)?session$|bound$|login-)/i

function isPairStart(header: string, at: number): boolean {
  let before = at - 1
  while (before >= 0 && isBlank(header.charCodeAt(before))) before--
  return before < 0 || header.charCodeAt(before) === SEMICOLON
}

function endOfPair(header: string, start: number): number {
  const end = header.indexOf(';', start)
  return end === -1 ? header.length : end
}

/** The name of a pair as the laxest reader would have it: blanks and leading `=` skipped. */
function lenientName(header: string, start: number, end: number): string {
  let from = start
  while (from < end && (isBlank(header.charCodeAt(from)) || header.charCodeAt(from) === EQUALS)) from++
  let to = from
  while (to < end && header.charCodeAt(to) !== EQUALS) to++
  return trim(header, from, to)
}

function trim(text: string, start: number, end: number): string {
  let from = start
  let to = end
  while (from < to && isBlank(text.charCodeAt(from))) from++
  while (to > from && isBlank(text.charCodeAt(to - 1))) to--
  return text.slice(from, to)
}

/** Cutting pairs leaves their separators at the ends. */
function withoutLooseEnds(header: string): string {
  let from = 0
  let to = header.length
  while (from < to && isLoose(header.charCodeAt(from))) from++
  while (to > from && isLoose(header.charCodeAt(to - 1))) to--
  return header.slice(from, to)
}

function isLoose(c: number): boolean {
  return c === SEMICOLON || isBlank(c)
}

function isBlank(c: number): boolean {
  return c === 0x20 || c === 0x09
}
