import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Respond } from '../decision.ts'
import { closeAfter, connectionOf, hasUnreadBody } from './connection.ts'
import { framingOf } from './lean-request.ts'

/** A refused body up to this size is read and forgotten, and the connection lives on. */
const drained = 64 * 1024

/** Writes an answer in one piece. `extra` headers are added where the answer has none of that name. */
export function respond(
  request: IncomingMessage,
  response: ServerResponse,
  answer: Respond,
  extra: readonly string[] = [],
): void {
  // Half an answer can't be taken back; a cut connection is the only honest end.
  if (response.headersSent) {
    response.destroy()
    return
  }
  // Nobody is there any more, and node:http reports such a write as an error that would end the process.
  if (response.destroyed || request.socket.destroyed) return
  if (mustClose(request, answer)) closeAfter(connectionOf(request.socket), response)
  const bodiless = answer.status === 204 || answer.status === 304
  const length = bodiless ? [] : ['Content-Length', String(Buffer.byteLength(answer.body))]
  response.writeHead(answer.status, [...answer.headers, ...missing(extra, answer.headers), ...length])
  response.end(bodiless ? '' : answer.body)
}

function missing(extra: readonly string[], own: readonly string[]): readonly string[] {
  if (extra.length === 0) return extra
  const names = new Set(own.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()))
  return extra.filter((_, i) => !names.has((extra[i - (i % 2)] as string).toLowerCase()))
}

/**
 * Request smuggling: bytes that we and another reader would split differently must never be read as a next request. A 400
 * says that we did not understand the message, so nothing after it can be trusted; the same holds for a body whose end we
 * have not seen, and for one that may or may not follow an unanswered `Expect: 100-continue`. 408 says that we wait no longer.
 */
function mustClose(request: IncomingMessage, answer: Respond): boolean {
  if (answer.status === 400 || answer.status === 408) return true
  if (!hasUnreadBody(request)) return false
  const { 'content-length': length, expect } = framingOf(request)
  return length === undefined || Number(length) > drained || expect !== undefined
}
