import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { Server as TlsServer } from 'node:tls'
import type { Logger } from 'pino'
import type { Decision, Endpoint, Forward, Look, Outcome, Respond, Sent, ServeStatic, Tunnel } from '../decision.ts'
import type { RequestHead } from '../protocol/head.ts'
import { type Beginning, ClientGone, declaredLength, invite, readBeginning, readBody } from './body.ts'
import { type Connection, closeAfter, connectionOf, ignore, isIdle, limitPipelining } from './connection.ts'
import { drain } from './drain.ts'
import { stream } from './event-stream.ts'
import { createHandshakes } from './handshakes.ts'
import { createHttp2, type Http2 } from './http2.ts'
import { framingOf } from './lean-request.ts'
import { createRequestIds } from './request-id.ts'
import { respond } from './respond.ts'
import { watchForStalled } from './stalled.ts'
import { answerUnreadable } from './unreadable.ts'
import { responseFor, UpgradableRequest } from './upgrade.ts'

/** Times in milliseconds. */
export interface Limits {
  /** All headers of a request together. */
  readonly headerBytes: number
  readonly headerCount: number
  /** Until the head of a request is complete, from the connection's first moment on. */
  readonly headersTimeout: number
  /** Longer than the 60 s of common load balancers, which would else write into a connection that we just closed. */
  readonly keepAliveTimeout: number
  /** A client that sends less than 1 KB of its body, or reads nothing of its answer, for this long is cut off. */
  readonly stalledAfter: number
}

const defaults: Limits = {
  headerBytes: 16 * 1024,
  headerCount: 100,
  headersTimeout: 15_000,
  keepAliveTimeout: 65_000,
  stalledAfter: 60_000,
}

export interface TlsTexts {
  readonly cert: string
  readonly key: string
  /** What session tickets are sealed with (48 bytes): the same for processes that share a listener, so that any resumes. */
  readonly ticketKeys?: Buffer | undefined
}

export interface NodeServerOptions {
  /** Synchronous on the hot path. */
  decide(head: RequestHead): Decision | Promise<Decision>
  forward(request: IncomingMessage, response: ServerResponse, decision: Forward, beginning?: Beginning): void
  tunnel(request: IncomingMessage, response: ServerResponse, decision: Tunnel): void
  serveStatic(request: IncomingMessage, response: ServerResponse, decision: ServeStatic): void
  /** The answer to a fault, whose cause is in the log under this id. */
  internalError(requestId: string): Respond
  /** The answer to what can't be read as a request, or is too large. */
  framingError(code: 'bad_request' | 'headers_too_large' | 'payload_too_large'): Respond
  readonly log: Pick<Logger, 'error' | 'debug'>
  /** PEM texts. Without it the server speaks plain HTTP. */
  readonly tls?: TlsTexts
  readonly limits?: Partial<Limits>
  readonly requestId?: () => string
  /** Where decisions are counted. */
  readonly decisions?: Record<Outcome['kind'], number>
}

export interface NodeServer {
  /** @returns the port, which matters where `port` is 0 */
  listen(host: string, port: number): Promise<number>
  /**
   * New connections get this certificate; those that are open go on.
   * @throws Error for texts that are none, and where the server speaks plain HTTP
   */
  renewTls(tls: TlsTexts): void
  /** Requests that are being received or answered now. */
  inFlight(): number
  /** Stops accepting, lets requests in flight finish, and cuts what is left after `graceMs`. Resolves when all is done. */
  close(options: { graceMs: number }): Promise<void>
}

/** The carrier on Node: receives requests, has them decided, and carries the decisions out. It decides nothing. */
export function createNodeServer(options: NodeServerOptions): NodeServer {
  const { decide, log, framingError } = options
  const requestId = options.requestId ?? createRequestIds()
  const limits = { ...defaults, ...options.limits }
  const decisions = options.decisions ?? { forward: 0, respond: 0, static: 0, endpoint: 0, tunnel: 0 }
  const connections = new Set<Connection>()
  /** Those in the middle of a TLS handshake included. */
  const sockets = new Set<Socket>()
  let draining = false

  function receive(request: IncomingMessage, response: ServerResponse): void {
    const connection = connectionOf(request.socket)
    if (connection.closing) {
      ignore(connection, request)
      return
    }
    limitPipelining(connection, response)
    connection.request = request
    connection.response = response
    // The last one: what follows an answer that says `close` is never a request, and its client may send it again elsewhere.
    if (draining) closeAfter(connection, response)
    // The parser forgets what it read together with such a request, and would begin the next one in its middle.
    const framing = framingOf(request)
    if (framing.upgrade !== undefined) closeAfter(connection, response)
    // node:http would drop the surplus silently: another reader of the request would then see other headers than we do.
    if (request.rawHeaders.length > 2 * limits.headerCount) {
      closeAfter(connection, response)
      respond(request, response, framingError('headers_too_large'))
      return
    }
    // RFC 9112 §3.2
    if (framing.host === undefined || isForeignVersion(request)) {
      respond(request, response, framingError('bad_request'))
      return
    }
    proceed(request, response, {
      method: request.method as string,
      target: request.url as string,
      rawHeaders: request.rawHeaders,
      strictlyParsed: true,
      peer: connection.peer,
    })
  }

  function proceed(request: IncomingMessage, response: ServerResponse, head: RequestHead): void {
    try {
      const decision = decide(head)
      if (decision instanceof Promise) decideLater(request, response, decision)
      else carryOut(request, response, decision)
    } catch (error) {
      fault(request, response, error)
    }
  }

  async function decideLater(request: IncomingMessage, response: ServerResponse, later: Promise<Decision>) {
    try {
      const decision = await later
      if (!request.socket.destroyed) carryOut(request, response, decision)
    } catch (error) {
      fault(request, response, error)
    }
  }

  function carryOut(request: IncomingMessage, response: ServerResponse, decision: Decision): void {
    if (decision.kind === 'look') void look(request, response, decision)
    else finish(request, response, decision)
  }

  async function look(request: IncomingMessage, response: ServerResponse, { bytes, decide: decideBy }: Look) {
    try {
      invite(request, response)
      const beginning = await readBeginning(request, bytes)
      const text = beginning.bytes.toString('latin1', 0, bytes)
      const outcome = await decideBy({ text, whole: beginning.whole && beginning.bytes.length <= bytes })
      if (request.socket.destroyed) return
      // What still comes is read and forgotten, so that the client can read our answer.
      if (outcome.kind !== 'forward') request.resume()
      finish(request, response, outcome, beginning)
    } catch (error) {
      if (error instanceof ClientGone) return
      request.resume()
      fault(request, response, error)
    }
  }

  function finish(request: IncomingMessage, response: ServerResponse, decision: Outcome, beginning?: Beginning): void {
    decisions[decision.kind]++
    if (decision.kind === 'endpoint') {
      void runEndpoint(request, response, decision)
      return
    }
    if (decision.kind === 'tunnel') {
      options.tunnel(request, response, decision)
      return
    }
    whenSent(response, decision, () => {
      if (decision.kind === 'forward') options.forward(request, response, decision, beginning)
      else if (decision.kind === 'static') options.serveStatic(request, response, decision)
      else respond(request, response, decision)
    })
  }

  async function runEndpoint(request: IncomingMessage, response: ServerResponse, endpoint: Endpoint) {
    try {
      const length = declaredLength(request)
      const tooLarge = length > endpoint.maxBody && length !== Number.POSITIVE_INFINITY
      if (!tooLarge) invite(request, response)
      const body = tooLarge ? undefined : await readBody(request, endpoint.maxBody)
      const answer = body === undefined ? framingError('payload_too_large') : await endpoint.run(body)
      if (answer.kind === 'streaming') stream(request, response, answer)
      else whenSent(response, answer, () => respond(request, response, answer))
    } catch (error) {
      if (!(error instanceof ClientGone)) fault(request, response, error)
    }
  }

  function fault(request: IncomingMessage, response: ServerResponse, error: unknown): void {
    const id = requestId()
    log.error({ err: error, requestId: id }, 'request failed')
    try {
      respond(request, response, options.internalError(id))
    } catch (second) {
      log.error({ err: second, requestId: id }, 'the answer to a fault failed')
      response.destroy()
    }
  }

  /** node:https goes on as it is for all who don't agree on `h2` in the handshake (ALPN). */
  function serveHttp2(server: Server): Http2 {
    const http2 = createHttp2({
      ...limits,
      framingError,
      receive: (request, response, rawHeaders) =>
        proceed(request, response, {
          method: request.method as string,
          target: request.url as string,
          rawHeaders,
          peer: connectionOf(request.socket).peer,
        }),
    })
    const serveHttp1 = server.listeners('secureConnection') as ((socket: Socket) => void)[]
    server.removeAllListeners('secureConnection')
    server.on('secureConnection', (socket: Socket) => {
      if (speaksHttp2(socket)) http2.accept(socket)
      else for (const serve of serveHttp1) serve.call(server, socket)
    })
    return http2
  }

  const settings = {
    IncomingMessage: UpgradableRequest,
    insecureHTTPParser: false,
    maxHeaderSize: limits.headerBytes,
    headersTimeout: limits.headersTimeout,
    // Off: it would cut long uploads. `watchForStalled` cuts those that don't move.
    requestTimeout: 0,
    keepAliveTimeout: limits.keepAliveTimeout,
    connectionsCheckingInterval: Math.min(5000, limits.headersTimeout),
    // The same rule is kept by `receive`, with an answer that says what is wrong.
    requireHostHeader: false,
    noDelay: true,
    // Finds the dead ends of quiet event streams.
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
  }
  const { tls } = options
  const server =
    tls === undefined
      ? createServer(settings)
      : createTlsServer({
          ...settings,
          ...secureContext(tls),
          ALPNProtocols: ['h2', 'http/1.1'],
          handshakeTimeout: 10_000,
        })
  // 0: keep them all, so that `receive` can count. The bytes are limited.
  server.maxHeadersCount = 0

  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  const http2 = tls === undefined ? undefined : serveHttp2(server)
  const handshakes = server instanceof TlsServer ? createHandshakes(server) : undefined
  server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
    if (speaksHttp2(socket)) return
    const connection = connectionOf(socket)
    connections.add(connection)
    socket.once('close', () => connections.delete(connection))
  })
  server.on('request', receive)
  // Decided first: a refused upload isn't sent at all. Whoever takes the body sends the 100 (`invite`).
  server.on('checkContinue', receive)
  server.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    const { closing, response } = connectionOf(request.socket)
    // Behind a request that is still being answered, the tunnel would begin in the middle of that answer. Behind the last one of
    // its connection it is no request. In both cases node:http may hold an answer to what came before (also for a moment after
    // that is written): one more on the same socket is a fault that ends the process.
    const busy = response !== undefined && (response.socket !== null || !response.writableFinished)
    if (closing || busy) {
      socket.destroy()
      return
    }
    try {
      receive(request, responseFor(request, socket, head))
    } catch (error) {
      // Thrown on, it would end the process, and with it what everybody else is waiting for.
      log.error({ err: error, requestId: requestId() }, 'an upgrade failed')
      socket.destroy()
    }
  })
  answerUnreadable(server, { framingError, report: (code, peer) => log.debug({ code, peer }, 'unreadable request') })
  const stopWatching = watchForStalled(connections, limits.stalledAfter)

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.removeListener('error', reject)
          server.on('error', (err) => log.error({ err }, 'the listener failed'))
          resolve((server.address() as AddressInfo).port)
        })
      }),
    renewTls(texts) {
      if (!(server instanceof TlsServer)) throw new Error('the listener speaks plain HTTP')
      server.setSecureContext(secureContext(texts))
    },
    inFlight() {
      let busy = 0
      for (const connection of connections) if (!isIdle(connection)) busy++
      return busy
    },
    async close({ graceMs }) {
      draining = true
      http2?.close()
      await drain(server, { connections, sockets, handshakes, graceMs })
      stopWatching()
    },
  }
}

function secureContext({ cert, key, ticketKeys }: TlsTexts) {
  return { cert, key, minVersion: 'TLSv1.2' as const, ...(ticketKeys && { ticketKeys }) }
}

/**
 * The parser reads `HTTP/0.9` and `HTTP/2.0` on a request line as well, which nobody speaks in this form; and chunks in
 * HTTP/1.0, which a proxy of that age in front of us would take for the next request. @see RFC 9112 §2.3, §6.1
 */
function isForeignVersion(request: IncomingMessage): boolean {
  const { httpVersion } = request
  return httpVersion !== '1.1' && (httpVersion !== '1.0' || framingOf(request)['transfer-encoding'] !== undefined)
}

function speaksHttp2(socket: Socket): boolean {
  return 'alpnProtocol' in socket && socket.alpnProtocol === 'h2'
}

/** The listener hears of this answer only: if writing it fails, another one takes its place. */
function whenSent(response: ServerResponse, { sent }: { sent?: Sent }, write: () => void): void {
  if (sent === undefined) {
    write()
    return
  }
  response.once('finish', sent)
  try {
    write()
  } catch (error) {
    response.removeListener('finish', sent)
    throw error
  }
}
