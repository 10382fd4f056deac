import type { IncomingMessage, ServerResponse } from 'node:http'
import { constants, createServer, type Http2Session, type ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { Respond } from '../decision.ts'
import { connectionOf } from './connection.ts'
import { Http2Request, Http2Response } from './http2-message.ts'
import { respond } from './respond.ts'

export interface Http2Options {
  readonly headerBytes: number
  readonly headerCount: number
  /** Milliseconds that a connection without a request may last. */
  readonly keepAliveTimeout: number
  /** Milliseconds after which a stream that does not move is reset. */
  readonly stalledAfter: number
  /** A request whose head can be read: `rawHeaders` are as HTTP/1.1 would have them. */
  receive(request: IncomingMessage, response: ServerResponse, rawHeaders: readonly string[]): void
  framingError(code: 'bad_request' | 'headers_too_large'): Respond
}

export interface Http2 {
  /** Takes a TLS connection over that has agreed on `h2`. */
  accept(socket: Socket): void
  /** No new requests; those under way may finish. */
  close(): void
}

/** A body that comes more slowly than this, in bytes per look, is an attack or a dead line. */
const pittance = 1024

/**
 * HTTP/2 on top of the same carrier: a stream looks to it like a connection of HTTP/1.1 with one request. What HTTP/2
 * itself forbids, nghttp2 refuses below us: names in upper case, headers about the connection, pseudo-headers that are
 * doubled, late or unknown, a body of another length than announced. It also ends connections that flood us with SETTINGS, PING,
 * empty frames, CONTINUATION or RST_STREAM (CVE-2019-9511 to -9518, CVE-2023-44487, CVE-2024-27983).
 * @see RFC 9113
 */
export function createHttp2(options: Http2Options): Http2 {
  const { framingError, headerCount, keepAliveTimeout, stalledAfter } = options
  const sessions = new Map<Http2Session, Session>()

  const server = createServer({
    Http2ServerRequest: Http2Request,
    Http2ServerResponse: Http2Response,
    maxHeaderListPairs: headerCount + pseudoHeaders + 1,
    // What upstreams may send (64 KB), by nghttp2's generous estimate: it ends the whole connection for a head that is larger.
    maxSendHeaderBlockLength: 256 * 1024,
    // Of one connection, all its streams together; the unit is a megabyte.
    maxSessionMemory: 16,
    settings: { enablePush: false, maxConcurrentStreams: 100, maxHeaderListSize: options.headerBytes },
  })
  /** The one that is being taken over; its session begins meanwhile. */
  let accepting: Socket
  server.on('session', (session) => {
    sessions.set(session, { socket: accepting, streams: new Map(), idle: 0, ended: 0 })
    session.once('close', () => sessions.delete(session))
  })
  server.on('request', receive)
  // Decided first: a refused upload isn't sent at all. Whoever takes the body sends the 100 (`invite`).
  server.on('checkContinue', receive)
  // RFC 9110 §10.1.1
  server.on('checkExpectation', (request, response) => {
    if (prepare(request, response)) response.writeHead(417).end()
  })

  function receive(request: Http2Request, response: Http2Response): void {
    if (!prepare(request, response)) return
    const [like, answer] = asHttp1(request, response)
    if (request.rawHeaders.length > 2 * (headerCount + pseudoHeaders) || sizeOf(request) > options.headerBytes) {
      respond(like, answer, framingError('headers_too_large'))
      return
    }
    const rawHeaders = asHttp1Headers(request)
    if (rawHeaders === undefined) respond(like, answer, framingError('bad_request'))
    else options.receive(like, answer, rawHeaders)
  }

  /** False if the stream is gone already. */
  function prepare(request: Http2Request, response: Http2Response): boolean {
    const { stream } = request
    const { session } = stream
    const known = session && sessions.get(session)
    if (stream.destroyed || known === undefined) return false
    const connection = connectionOf(stream as unknown as Socket, session?.socket.remoteAddress)
    ;[connection.request, connection.response] = asHttp1(request, response)
    known.streams.set(stream, { request, received: 0, waiting: 0, for: 0 })
    stream.once('close', () => known.streams.delete(stream))
    stream.once('aborted', () => endIfClosed(stream))
    // The answer is complete and the request is not: nobody will read the rest. @see RFC 9113 §8.1
    stream.once('finish', () => {
      if (!request.complete) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR))
    })
    return true
  }

  /** As `watchForStalled`, for streams; and for connections without any, whatever else they send. */
  const look = Math.min(stalledAfter, 5_000)
  const looking = setInterval(() => {
    for (const [session, known] of sessions) {
      known.idle = known.streams.size === 0 ? known.idle + look : 0
      if (known.idle > 2 * keepAliveTimeout) known.socket.destroy()
      else if (known.idle > keepAliveTimeout) session.close()
      for (const [stream, seen] of known.streams) {
        seen.for += look
        endIfClosed(stream)
        if (seen.for >= stalledAfter && isStalled(stream, seen)) stream.close(constants.NGHTTP2_CANCEL)
      }
    }
  }, look)
  looking.unref()

  return {
    accept(socket) {
      accepting = socket
      server.emit('connection', socket)
    },
    close() {
      clearInterval(looking)
      for (const session of sessions.keys()) session.close()
      const ending = setInterval(() => {
        for (const [session, known] of sessions) {
          for (const stream of known.streams.keys()) endIfClosed(stream)
          // Whoever stopped in the middle of a head has a stream that nghttp2 alone knows of, and `close` waits for. Destroyed
          // after that, a session still writes what it has, and waits for the client to close as well.
          if (known.streams.size === 0) session.destroy()
          if (known.socket.writableFinished) known.ended += lookAgain
          if (known.ended > lingering) known.socket.destroy()
        }
        if (sessions.size === 0) clearInterval(ending)
      }, lookAgain)
      ending.unref()
    },
  }
}

/**
 * Reset without an error, a stream waits in Node for the rest of its answer to be read, which nobody does any more: it would
 * stay for ever, with its upstream request and, past the end of its connection, the session. Node tells of it ("aborted") only
 * where the answer was not complete.
 */
function endIfClosed(stream: ServerHttp2Stream): void {
  if (stream.closed && stream.rstCode === constants.NGHTTP2_NO_ERROR) stream.destroy()
}

interface Session {
  readonly socket: Socket
  readonly streams: Map<ServerHttp2Stream, Seen>
  /** Milliseconds without a stream. */
  idle: number
  /** Milliseconds since our side was closed, at a stop. */
  ended: number
}

/** How often to look for what is over at a stop, and how long its client has to close as well; milliseconds. */
const lookAgain = 50
const lingering = 1000

/** As the last whole interval left it. */
interface Seen {
  readonly request: Http2Request
  received: number
  waiting: number
  /** Milliseconds since then. */
  for: number
}

function isStalled(stream: ServerHttp2Stream, seen: Seen): boolean {
  const { request, received, waiting } = seen
  seen.for = 0
  seen.received = request.received
  seen.waiting = stream.writableLength
  // The answer has not moved since: what waits is what waited. (Bytes come in pieces, so equal lengths are no accident.)
  if (seen.waiting > 0 && seen.waiting === waiting) return true
  return !request.complete && !request.isPaused() && !stream.endAfterHeaders && request.received - received < pittance
}

/** :method, :scheme, :authority, :path */
const pseudoHeaders = 4

/** node:http2 announces `maxHeaderListSize` and does not keep to it. */
function sizeOf({ rawHeaders }: Http2Request): number {
  let size = 0
  for (const part of rawHeaders) size += part.length
  return size
}

/**
 * The head as HTTP/1.1 has it: Host for `:authority`, one Cookie line for its crumbs. Undefined for a head with two
 * answers to whom it is meant for. @see RFC 9113 §8.2.3, §8.3.1
 */
function asHttp1Headers({ rawHeaders, headers, scheme }: Http2Request): readonly string[] | undefined {
  const authority = headers[':authority']
  if (scheme !== 'https') return undefined
  const out: string[] = authority === undefined ? [] : ['host', authority]
  let cookie = ''
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    if (name.startsWith(':')) continue
    if (name === 'cookie') cookie += cookie === '' ? value : `; ${value}`
    else if (name === 'host' && authority !== undefined) {
      if (value !== authority) return undefined
    } else out.push(name, value)
  }
  if (cookie !== '') out.push('cookie', cookie)
  return out
}

/** The carrier uses of both only what they have in common. */
function asHttp1(request: Http2Request, response: Http2Response): [IncomingMessage, ServerResponse] {
  return [request as unknown as IncomingMessage, response as unknown as ServerResponse]
}
