import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Respond } from '../decision.ts'
import { type Connection, closeAfter, connectionOf, ignore } from './connection.ts'
import { respond } from './respond.ts'

export interface UnreadableOptions {
  framingError(code: 'bad_request' | 'headers_too_large'): Respond
  report(code: string | undefined, peer: string): void
}

/** Answers what never becomes a request: it can't be read, comes too slowly, or wants what we don't do. */
export function answerUnreadable(server: Server, { framingError, report }: UnreadableOptions): void {
  /** @see https://nodejs.org/api/http.html#event-clienterror */
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const connection = connectionOf(socket)
    report(error.code, connection.peer)
    const gone = !socket.writable || error.code === 'ECONNRESET' || error.code === 'HPE_INVALID_EOF_STATE'
    // Bytes behind the last request of its connection are no request, and no reason to lose its answer. RFC 9112 §9.6
    const behind =
      error.code === 'HPE_CLOSED_CONNECTION' || (connection.closing && connection.request?.complete === true)
    if (behind && !gone) closeAfter(connection, connection.response)
    else if (gone || !mayAnswer(connection)) socket.destroy()
    else if (error.code === 'ERR_HTTP_REQUEST_TIMEOUT') write(connection, empty(408))
    else if (error.code === 'HPE_HEADER_OVERFLOW') write(connection, framingError('headers_too_large'))
    else write(connection, framingError('bad_request'))
  })

  // We are no forward proxy: CONNECT never reaches the guard.
  server.on('connect', (request: IncomingMessage, socket: Socket) => {
    socket.on('error', () => socket.destroy())
    const connection = connectionOf(request.socket)
    if (mayAnswer(connection)) write(connection, framingError('bad_request'))
    else socket.destroy()
  })

  // RFC 9110 §10.1.1
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    const connection = connectionOf(request.socket)
    if (connection.closing) {
      ignore(connection, request)
      return
    }
    connection.request = request
    connection.response = response
    closeAfter(connection, response)
    respond(request, response, empty(417))
  })
}

/** Not if it would be taken for the answer to an earlier request, or land in the middle of one. */
function mayAnswer({ closing, request, response }: Connection): boolean {
  if (closing) return false
  if (response === undefined || response.writableFinished) return true
  return request?.complete === false && response.socket !== null && !response.headersSent
}

/** Writes to the bare socket: node:http has no response for it. */
function write(connection: Connection, answer: Respond): void {
  const lines = [`HTTP/1.1 ${answer.status} ${STATUS_CODES[answer.status]}`]
  for (let i = 0; i < answer.headers.length; i += 2) lines.push(`${answer.headers[i]}: ${answer.headers[i + 1]}`)
  lines.push(`Content-Length: ${Buffer.byteLength(answer.body)}`, 'Connection: close', '', answer.body)
  closeAfter(connection)
  connection.socket.write(lines.join('\r\n'))
  connection.socket.destroySoon()
}

function empty(status: number): Respond {
  return { kind: 'respond', status, headers: [], body: '' }
}
