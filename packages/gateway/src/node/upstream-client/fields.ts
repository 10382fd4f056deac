import type { RawHeaders } from '../../decision.ts'
import { refuse, UpstreamFault } from './contract.ts'

const TAB = 0x09
const LF = 0x0a
const CR = 0x0d
const SPACE = 0x20
const COLON = 0x3a

/** RFC 9110 §5.6.2 */
const tokenChars = new Uint8Array(256)
/** HTAB, SP, VCHAR and obs-text: no NUL, and no CR or LF that another reader would take for the end of a line. §5.5 */
const valueChars = new Uint8Array(256)
for (const c of "!#$%&'*+-.^_`|~") tokenChars[c.charCodeAt(0)] = 1
for (let c = 0; c < 256; c++) {
  if ((c >= 0x30 && c <= 0x39) || (c >= 0x41 && c <= 0x5a) || (c >= 0x61 && c <= 0x7a)) tokenChars[c] = 1
  if (c === TAB || (c >= SPACE && c !== 0x7f)) valueChars[c] = 1
}

/** More header lines than any honest answer has; each costs its reader work. */
const maxFields = 200

/**
 * Reads header lines (or trailers) from `at` up to and with the empty line that ends them. `text` is `bytes` in latin1: the
 * one is read byte by byte, the other cut. There must be an empty line in it.
 * Refused, since two readers may take it differently: a bare CR or LF, a line that begins with a blank (obs-fold), a blank
 * before the colon, a name that is no token, a value with control characters. @see RFC 9112 §5, §2.2
 */
export function readFields(bytes: Uint8Array, text: string, at: number): RawHeaders {
  const fields: RawHeaders = []
  let i = at
  while (bytes[i] !== CR) {
    const name = i
    while (tokenChars[bytes[i] as number] === 1) i++
    if (i === name || bytes[i] !== COLON) refuse('invalid header name')
    const colon = i
    do i++
    while (bytes[i] === SPACE || bytes[i] === TAB)
    const value = i
    while (valueChars[bytes[i] as number] === 1) i++
    if (bytes[i] !== CR || bytes[i + 1] !== LF) refuse('invalid character in a header value')
    // A tab stays: behind a length or a coding, where llhttp doesn't expect one, it is refused.
    let end = i
    while (end > value && bytes[end - 1] === SPACE) end--
    fields.push(text.slice(name, colon), text.slice(value, end))
    i += 2
    if (fields.length > 2 * maxFields) throw new UpstreamFault('UPSTREAM_OVERFLOW', 'too many header lines')
  }
  if (bytes[i + 1] !== LF) refuse('bare CR')
  return fields
}

/** Where the reason phrase that begins at `at` ends; -1 if no CRLF ends it. */
export function endOfPhrase(bytes: Uint8Array, at: number): number {
  let i = at
  while (valueChars[bytes[i] as number] === 1) i++
  return bytes[i] === CR && bytes[i + 1] === LF ? i : -1
}

/** Is it this name, in whatever letter case? `lower` is in lower case and of the same length. */
export function isName(name: string, lower: string): boolean {
  return name === lower || name.toLowerCase() === lower
}
