import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { framingOf } from './lean-request.ts'

/** Something that runs for a client and must end when the client is gone. */
export interface Abortable {
  clientGone(): void
}

/** What the carrier remembers about one client connection. One object per connection, none per request. */
export interface Connection {
  readonly socket: Socket
  /** The peer's address; an IPv4 client of a dual-stack listener is written as IPv4. */
  readonly peer: string
  /** The newest request, and its answer. Earlier ones are complete or, when pipelined, still being answered in order. */
  request: IncomingMessage | undefined
  response: ServerResponse | undefined
  /** Set with the last answer: whatever arrives after it is never taken for a request. */
  closing: boolean
  /** Pipelined requests whose answers wait for an earlier one. */
  behind: number
  /** Requests that came after the last one that is answered. */
  ignored: number
  /** Usually none or one; more with pipelining. */
  readonly running: Abortable[]
  /** As the last look for stalled connections found them. */
  seenRequest: IncomingMessage | undefined
  seenRead: number
  seenWaiting: number
  seenWritten: number
}

const kConnection = Symbol('coatcheck.connection')
type Marked = Socket & { [kConnection]?: Connection }

/** The memory of a socket; made at its first use. A stream of HTTP/2 has one as well, and the address of its connection. */
export function connectionOf(socket: Socket, address?: string): Connection {
  return (socket as Marked)[kConnection] ?? remember(socket, address ?? socket.remoteAddress ?? '')
}

function remember(socket: Marked, address: string): Connection {
  const connection: Connection = {
    socket,
    peer: address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address,
    request: undefined,
    response: undefined,
    closing: false,
    behind: 0,
    ignored: 0,
    running: [],
    seenRequest: undefined,
    seenRead: 0,
    seenWaiting: 0,
    seenWritten: 0,
  }
  socket[kConnection] = connection
  // Node tells a response of its client's end only if it is first in line, so pipelined ones would run on.
  socket.once('close', () => {
    for (const task of connection.running.splice(0)) task.clientGone()
  })
  return connection
}

/** Once: the answer is over, or its client gone. (Of one that waits behind others Node says nothing then.) */
export function whenOver({ running }: Connection, response: ServerResponse, tell: () => void): void {
  const task = { clientGone: tell }
  running.push(task)
  response.once('close', () => {
    const at = running.indexOf(task)
    if (at === -1) return
    running.splice(at, 1)
    tell()
  })
}

/** Nothing is being answered, and nothing is being received. */
export function isIdle(connection: Connection): boolean {
  const { request, response, running } = connection
  if (running.length > 0) return false
  return response === undefined || (response.writableFinished && request?.complete === true)
}

/** Does the request carry a body? @see RFC 9112 §6.3 */
export function hasBody(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = framingOf(request)
  return coding !== undefined || (length !== undefined && length !== '0')
}

/** Is there body still to come? (A request without one isn't `complete` either, at the moment Node hands it out.) */
export function hasUnreadBody(request: IncomingMessage): boolean {
  return !request.complete && hasBody(request)
}

/** As many requests of a connection at once as HTTP/2 may have streams. */
const maxBehind = 100
const maxIgnored = 1000

/**
 * Answers go out in order, and node:http reads on meanwhile, however many requests wait: behind one slow answer a single
 * client could heap up as many as it likes, each of them on its way to an upstream. Beyond a number that nobody comes to in good
 * faith, the connection serves no more, and its client sends what was not answered elsewhere. @see RFC 9112 §9.3.2
 */
export function limitPipelining(connection: Connection, response: ServerResponse): void {
  const before = connection.response
  if (connection.behind === 0 && (before === undefined || before.writableEnded)) return
  if (++connection.behind >= maxBehind) closeAfter(connection, response)
  response.once('close', () => connection.behind--)
}

/**
 * What follows the last request is never a request (smuggling), but node:http keeps an answer for each, and the request with its
 * head by that. Its body is read and forgotten: unread bytes at the end would cost the client the answers before it.
 */
export function ignore(connection: Connection, request: IncomingMessage): void {
  request.resume()
  request.rawHeaders.length = 0
  if (++connection.ignored > maxIgnored) connection.socket.destroy()
}

/** How long a refused upload may go on before its connection is cut. */
const lingering = 1000

/**
 * `response` becomes the last answer of its connection. After it we send FIN, then read and forget for a moment: closing a
 * socket with unread bytes makes TCP send RST, and the client would lose the answer. @see RFC 9112 §9.6
 */
export function closeAfter(connection: Connection, response?: ServerResponse): void {
  if (response !== undefined) response.shouldKeepAlive = false
  if (connection.closing) return
  connection.closing = true
  const { socket } = connection
  // node:http calls this when the last answer is flushed; its own version closes at once.
  socket.destroySoon = () => {
    socket.end()
    const timer = setTimeout(() => socket.destroy(), lingering)
    timer.unref()
    socket.once('close', () => clearTimeout(timer))
  }
}
