import type { RawHeaders } from '../decision.ts'

/** What the head of an upstream's answer says of its body. */
export interface AnswerFraming {
  /** Bytes; -1 if it does not say. */
  length: number
  /** It goes on until somebody ends it. */
  endless: boolean
}

/** One for all answers, which costs nothing: it is looked at before the next one is read. */
const framing: AnswerFraming = { length: -1, endless: false }

/**
 * Undefined for a transfer coding other than `chunked`: taken off by the client or not, the body would be another one than its
 * head says. A second length, or both framings, do not get past the client. @see RFC 9112 §6.1
 */
export function framingOfAnswer(headers: RawHeaders, status: number): Readonly<AnswerFraming> | undefined {
  let coded = false
  let typed = false
  let length = -1
  framing.length = -1
  framing.endless = false
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string
    if (name.length === 14 && name.toLowerCase() === 'content-length') length = i
    else if (name.length === 12 && name.toLowerCase() === 'content-type') {
      // Of two the client gets the first: see `once` in sift-response.ts.
      if (!typed) framing.endless = EVENT_STREAM.test(headers[i + 1] as string)
      typed = true
    } else if (name.length === 17 && name.toLowerCase() === 'transfer-encoding') {
      if (coded || headers[i + 1]?.toLowerCase() !== 'chunked') return undefined
      coded = true
    }
  }
  if (length === -1) return framing
  // A 204 has no body, and a length of one would be believed by somebody. @see RFC 9110 §8.6
  if (status === 204) headers.splice(length, 2)
  else framing.length = Number(headers[length + 1])
  return framing
}

/** Types have no letter case. @see RFC 9110 §8.3.1 */
const EVENT_STREAM = /^text\/event-stream(?:[\s;]|$)/i
