/**
 * The request-target, read once and in one way. A target that two parsers could read differently (the gateway, the
 * upstream, a cache between them) is refused, never repaired: whoever repairs routes one path and forwards another.
 * What is accepted has exactly one spelling of every unreserved character, so a route made of unreserved characters
 * can't be reached, or stepped round, under a second name.
 * @see RFC 9112 §3.2 (request-target) · RFC 3986 §2.1–2.4, §6.2.2 (escapes, normalisation)
 */
export type Target =
  | { kind: 'target'; path: string; query: string }
  /** Absolute-form: the guard compares scheme and authority (both in lower case) with its own origin. */
  | { kind: 'absolute'; scheme: string; authority: string; path: string; query: string }
  | { kind: 'refused'; reason: string }

const MAX_LENGTH = 8192

/** What may stand raw in a path, by char code: RFC 3986 pchar without `;`, and `[ ] |`, which browsers leave raw. */
const plain = new Uint8Array(128)
/** ALPHA DIGIT - . _ ~ */
const unreserved = new Uint8Array(128)
/** Value of a hex digit, either case; -1 for anything else. */
const hex = new Int8Array(128).fill(-1)

const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789'
for (const c of `${LETTERS_AND_DIGITS}-._~`) unreserved[c.charCodeAt(0)] = plain[c.charCodeAt(0)] = 1
for (const c of "!$&'()*+,=:@[]|") plain[c.charCodeAt(0)] = 1
for (let i = 0; i < 10; i++) hex[0x30 + i] = i
for (let i = 10; i < 16; i++) hex[0x41 + i - 10] = hex[0x61 + i - 10] = i

const SLASH = 0x2f
const QUESTION = 0x3f
const PERCENT = 0x25
const DOT = 0x2e

/** Reads a request-target as it stood on the wire. `query` is empty or begins with `?`. Never throws. */
export function readTarget(target: string): Target {
  if (target.length > MAX_LENGTH) return refused('target longer than 8 KB')
  if (target.charCodeAt(0) !== SLASH) return readAbsolute(target)
  const end = endOfPath(target, 0)
  if (typeof end === 'string') return refused(end)
  return { kind: 'target', path: end === target.length ? target : target.slice(0, end), query: target.slice(end) }
}

/** RFC 9112 §3.2.2. Userinfo is refused: `http://app.example.com@evil` has two readings. */
function readAbsolute(target: string): Target {
  const match = /^(https?):\/\/([^/?#]*)/i.exec(target)
  if (!match) return refused(target === '' ? 'empty target' : 'target does not begin with /')
  const [prefix, scheme = '', authority = ''] = match
  if (!/^[a-z0-9.:[\]-]+$/i.test(authority)) return refused('authority is not a plain host')
  if (target.charCodeAt(prefix.length) !== SLASH) return refused('absolute target without a path')
  const end = endOfPath(target, prefix.length)
  if (typeof end === 'string') return refused(end)
  return {
    kind: 'absolute',
    scheme: scheme.toLowerCase(),
    authority: authority.toLowerCase(),
    path: target.slice(prefix.length, end),
    query: target.slice(end),
  }
}

/** Where the path that begins at `start` ends and the query (checked too) begins; or why the target is refused. */
function endOfPath(target: string, start: number): number | string {
  const length = target.length
  let segment = start + 1
  let i = segment
  for (; i < length; i++) {
    const c = target.charCodeAt(i)
    if (plain[c] === 1) continue
    if (c === SLASH) {
      // `//evil` is another host to a browser, and merged by some servers, kept by others.
      if (i === segment) return 'empty path segment (//)'
      if (isDots(target, segment, i)) return 'dot segment'
      segment = i + 1
    } else if (c === PERCENT) {
      const next = afterEscape(target, i)
      if (typeof next === 'string') return next
      i = next - 1
    } else if (c === QUESTION) {
      break
    } else {
      return refusedInPath(c)
    }
  }
  if (isDots(target, segment, i)) return 'dot segment'
  for (let q = i; q < length; q++) {
    const c = target.charCodeAt(q)
    if (c <= 0x20 || c >= 0x7f || c === 0x23) return refusedInQuery(c)
  }
  return i
}

/** `.` or `..`, which RFC 3986 §5.2.4 removes: `/api/../admin`. Encoded dots never come this far. */
function isDots(target: string, start: number, end: number): boolean {
  const length = end - start
  if (length === 0 || length > 2 || target.charCodeAt(start) !== DOT) return false
  return length === 1 || target.charCodeAt(start + 1) === DOT
}

/** The index after the escape (or UTF-8 sequence of escapes) that begins at `i`; or why it is refused. */
function afterEscape(target: string, i: number): number | string {
  const byte = escapedByte(target, i)
  if (byte < 0) return 'malformed percent escape'
  if (byte >= 0x80) return afterUtf8(target, i, byte)
  // `%61dmin` is `/admin` to the upstream and not to a route table.
  if (unreserved[byte] === 1) return 'percent-encoded letter, digit, dot, dash, underscore or tilde'
  if (byte < 0x20 || byte === 0x7f) return 'percent-encoded control character'
  if (byte === SLASH || byte === 0x5c) return 'percent-encoded slash or backslash'
  if (byte === 0x3b) return 'percent-encoded semicolon'
  // `%252f` becomes `%2f` behind the first server that decodes, and `/` behind the second.
  if (byte === PERCENT && hexAt(target, i + 3) >= 0 && hexAt(target, i + 4) >= 0) return 'double percent-encoding'
  return i + 3
}

/** RFC 3629 §4: overlong forms (`%c0%ae` is a dot to a lax decoder), surrogates and cut sequences are refused. */
function afterUtf8(target: string, start: number, lead: number): number | string {
  const more =
    lead >= 0xc2 && lead <= 0xdf ? 1 : lead >= 0xe0 && lead <= 0xef ? 2 : lead >= 0xf0 && lead <= 0xf4 ? 3 : 0
  if (more === 0) return NOT_UTF8
  let low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80
  let high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf
  let i = start + 3
  for (let k = 0; k < more; k++, i += 3) {
    const byte = target.charCodeAt(i) === PERCENT ? escapedByte(target, i) : -1
    if (byte < low || byte > high) return NOT_UTF8
    low = 0x80
    high = 0xbf
  }
  return i
}

const NOT_UTF8 = 'percent escapes that are not UTF-8'

function escapedByte(target: string, i: number): number {
  const high = hexAt(target, i + 1)
  const low = hexAt(target, i + 2)
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

function hexAt(target: string, i: number): number {
  return hex[target.charCodeAt(i)] ?? -1
}

function refusedInPath(c: number): string {
  if (c === 0x5c) return 'backslash in the path'
  if (c === 0x3b) return 'semicolon in the path' // path parameters: `/admin;x` and `/..;/` (Tomcat, Spring)
  return refusedInQuery(c)
}

function refusedInQuery(c: number): string {
  if (c === 0x23) return 'fragment in the target' // GHSA-pxq7-h93f-9jrg
  if (c < 0x20 || c === 0x7f) return 'control character in the target'
  if (c === 0x20) return 'space in the target'
  if (c >= 0x80) return 'non-ASCII character in the target'
  return 'character that must be percent-encoded in a path'
}

function refused(reason: string): Target {
  return { kind: 'refused', reason }
}
