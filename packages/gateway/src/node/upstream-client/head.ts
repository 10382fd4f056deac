import type { RawHeaders } from '../../decision.ts'
import { refuse } from './contract.ts'
import { endOfPhrase, isName, readFields } from './fields.ts'

/** How the end of a body is found, if not by its length. */
export const Ends = { inChunks: -2, withConnection: -3 } as const

export interface ResponseHead {
  readonly status: number
  readonly statusText: string
  readonly headers: RawHeaders
  /** Bytes of the body, or one of `Ends`. */
  readonly body: number
  /** Both sides agree that the connection goes on, and it is certain where this answer ends. */
  readonly persistent: boolean
  /** Milliseconds that the connection may be kept unused; -1 if the upstream did not say. */
  readonly keepAlive: number
}

const SPACE = 0x20
const CR = 0x0d

/**
 * Reads a whole head from the beginning of `bytes`, up to `end` (behind the empty line).
 * @throws UpstreamFault
 * @see RFC 9112 §4 (status line), §6.3 (length of the body), §9.3 (persistence)
 */
export function readHead(bytes: Buffer, end: number, method: string): ResponseHead {
  const text = bytes.toString('latin1', 0, end)
  const minor = bytes[7]
  // 0.9 has no head, and 2.0 is never spoken in this form.
  if (!text.startsWith('HTTP/1.') || (minor !== 0x31 && minor !== 0x30) || bytes[8] !== SPACE)
    refuse('no HTTP/1 answer')
  const status = digit(bytes[9]) * 100 + digit(bytes[10]) * 10 + digit(bytes[11])
  if (status < 100) refuse('invalid status code')
  if (bytes[12] !== SPACE && bytes[12] !== CR) refuse('invalid status line')
  const phrase = bytes[12] === SPACE ? 13 : 12
  const line = endOfPhrase(bytes, phrase)
  if (line === -1) refuse('invalid status line')
  const headers = readFields(bytes, text, line + 2)
  return { status, statusText: text.slice(phrase, line), headers, ...framing({ status, method, minor, headers }) }
}

/** Could these bytes begin an answer? Others are refused before their head is complete. */
export function mayBegin(bytes: Buffer): boolean {
  const known = bytes.toString('latin1', 0, 7)
  return 'HTTP/1.'.startsWith(known)
}

function digit(byte: number | undefined): number {
  if (byte === undefined || byte < 0x30 || byte > 0x39) refuse('invalid status code')
  return byte - 0x30
}

interface Known {
  readonly status: number
  readonly method: string
  readonly minor: number
  readonly headers: RawHeaders
}

/**
 * Response splitting and desynchronisation live of answers whose end two readers find in different places. So: never both
 * Content-Length and Transfer-Encoding, never two lengths (equal ones included), no coding but `chunked`, none in HTTP/1.0.
 */
function framing({ status, method, minor, headers }: Known): Pick<ResponseHead, 'body' | 'persistent' | 'keepAlive'> {
  let length = -1
  let chunked = false
  let connection = ''
  let keepAlive = -1
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    // Most names need no closer look.
    if (name.length === 14 && isName(name, 'content-length')) {
      if (length !== -1) refuse('more than one content-length')
      length = readLength(headers[i + 1] as string)
    } else if (name.length === 17 && isName(name, 'transfer-encoding')) {
      if (chunked) refuse('more than one transfer-encoding')
      if ((headers[i + 1] as string).toLowerCase() !== 'chunked') refuse('transfer-encoding other than chunked')
      chunked = true
    } else if (name.length === 10) {
      if (isName(name, 'connection')) connection += `,${headers[i + 1]}`
      else if (isName(name, 'keep-alive')) keepAlive = readKeepAlive(headers[i + 1] as string)
    }
  }
  if (chunked && length !== -1) refuse('both content-length and transfer-encoding')
  if (chunked && minor === 0x30) refuse('transfer-encoding in HTTP/1.0')
  let persistent = agreed(connection, minor)
  let body = chunked ? Ends.inChunks : length
  if (method === 'HEAD' || status < 200 || status === 204 || status === 304) {
    if (method !== 'HEAD' && (chunked || length > 0)) {
      // RFC 9110 §8.6, RFC 9112 §6.1: where there is no body, none may be announced; only 304 may tell what 200 would have.
      if (status !== 304) refuse('a body announced where there is none')
      // It may come all the same: nothing behind this answer is certain.
      persistent = false
    }
    body = 0
  } else if (body === -1) {
    body = Ends.withConnection
    persistent = false
  }
  if (keepAlive === 0) persistent = false
  return { body, persistent, keepAlive }
}

/** Digits only: `+5`, `5,5`, `0x5` and the empty text are lengths to some and not to others. */
function readLength(value: string): number {
  // 15 digits are exact in a double.
  if (!/^[0-9]{1,15}$/.test(value)) refuse('content-length is not a number')
  return Number(value)
}

function agreed(connection: string, minor: number | undefined): boolean {
  if (connection === '') return minor === 0x31
  if (connection === ',keep-alive') return true
  // What could be meant as an end is one; what goes on must say so plainly.
  if (/(?:^|[,\s])close(?:[,\s]|$)/i.test(connection)) return false
  return minor === 0x31 || /, *keep-alive *(?:,|$)/i.test(connection)
}

/** For the upstream the time may be over a little earlier than for us; milliseconds. */
const margin = 2000
/** Nobody's promise is believed for longer; milliseconds. */
const longest = 600_000

function readKeepAlive(value: string): number {
  const seconds = /(?:^|[\s,;])timeout\s*=\s*"?([0-9]{1,9})/i.exec(value)?.[1]
  return seconds === undefined ? -1 : Math.min(Math.max(Number(seconds) * 1000 - margin, 0), longest)
}
