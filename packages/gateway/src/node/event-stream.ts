import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Streaming } from '../decision.ts'
import { connectionOf, whenOver } from './connection.ts'
import { respond } from './respond.ts'

/** A comment this often, in milliseconds: proxies on the way cut what is silent, and a dead client shows. */
const beat = 25_000
/** Bytes that may wait for a client that reads nothing. Events are few and small: more is no slow reader but none. */
const maxWaiting = 64 * 1024

/** Carries out an answer that comes piece by piece. */
export function stream(request: IncomingMessage, response: ServerResponse, answer: Streaming): void {
  let waiting = ''
  let ended = false
  let begun = false
  const heart = setInterval(() => sink.write(':\n\n'), beat)
  heart.unref()
  const sink = {
    write(text: string) {
      if (ended) return
      if (!begun) waiting += text
      else if (response.writableLength > maxWaiting) response.destroy()
      else response.write(text)
    },
    end() {
      ended = true
      clearInterval(heart)
      if (begun) response.end()
    },
  }
  const opened = answer.open(sink)
  if (typeof opened !== 'function') {
    clearInterval(heart)
    respond(request, response, opened)
    return
  }
  whenOver(connectionOf(request.socket), response, () => {
    sink.end()
    opened()
  })
  begun = true
  response.writeHead(200, answer.headers)
  if (ended) response.end(waiting)
  else response.write(waiting)
}
