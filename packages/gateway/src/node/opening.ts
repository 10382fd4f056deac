import { createHash } from 'node:crypto'
import { type ClientRequest, type IncomingMessage, request as requestTo, type ServerResponse } from 'node:http'
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { LiveStream, StreamEnd, Tunnel as TunnelDecision } from '../decision.ts'
import { siftResponse } from '../protocol/sift-response.ts'
import { agreementProblem, handshakeHeaders } from '../protocol/websocket.ts'
import { type Abortable, type Connection, connectionOf } from './connection.ts'
import { respond } from './respond.ts'
import { failureOf } from './stream-end.ts'
import type { Tunnel } from './tunnel.ts'
import type { TunnelerOptions, TunnelFailure } from './tunneler.ts'
import type { Upgradable } from './upgrade.ts'

/** Bytes of a refusal's body that are passed on; a longer one is left out. */
const refusalLimit = 64 * 1024

export interface Parties {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly decision: TunnelDecision
  readonly upgradable: Upgradable
}

export interface Sockets {
  readonly client: Socket
  readonly upstream: Socket
}

export interface Terms extends Pick<TunnelDecision, 'ping' | 'idle'> {
  readonly release: () => void
}

/** Ties first the handshake, then the tunnel that came of it, to the session. */
interface Tied extends LiveStream {
  by: { end(why: StreamEnd): void }
}

/** A handshake on its way to the upstream. */
export class Opening implements Abortable {
  readonly #parties: Parties
  readonly #options: TunnelerOptions
  readonly #join: (sockets: Sockets, terms: Terms) => Tunnel
  readonly #tied: Tied
  readonly #connection: Connection
  #outgoing: ClientRequest | undefined
  #timer: NodeJS.Timeout | undefined
  #release: () => void = () => {}
  #over = false

  constructor(parties: Parties, options: TunnelerOptions, join: (sockets: Sockets, terms: Terms) => Tunnel) {
    this.#parties = parties
    this.#options = options
    this.#join = join
    this.#connection = connectionOf(parties.request.socket)
    this.#tied = tieTo(this)
  }

  start(): void {
    const { decision } = this.#parties
    const release = decision.live === undefined ? this.#release : decision.live(this.#tied)
    if (release === undefined) {
      this.#fail('too_many_streams')
      return
    }
    this.#release = release
    this.#connection.running.push(this)
    this.#timer = setTimeout(
      () => this.#fail('upstream_timeout', new Error('no answer to the handshake')),
      decision.timeout,
    )
    try {
      this.#outgoing = this.#ask(decision)
    } catch (error) {
      // node:http refuses to send such a head.
      this.#fail('upstream_unavailable', error as Error)
    }
  }

  #ask(decision: TunnelDecision): ClientRequest {
    const outgoing = handshakeWith(decision)
    outgoing.on('error', (error) => this.#fail('upstream_unavailable', error))
    outgoing.on('upgrade', (answer: IncomingMessage, socket: Socket, head: Buffer) =>
      this.#agreed(answer, socket, head),
    )
    outgoing.on('response', (answer) => this.#refused(answer))
    // A 101 that names no protocol; the other informational answers promise nothing.
    outgoing.on('information', ({ statusCode }) => {
      if (statusCode === 101) this.#fail('upstream_unavailable', new Error('a 101 without Upgrade'))
    })
    outgoing.end()
    return outgoing
  }

  clientGone(): void {
    this.#settle()
    this.#outgoing?.destroy()
    this.#release()
  }

  /** The session ends while the upstream still thinks. */
  end({ kind }: StreamEnd): void {
    this.#fail(failureOf[kind])
  }

  #agreed(answer: IncomingMessage, upstream: Socket, head: Buffer): void {
    const { decision, upgradable } = this.#parties
    if (this.#over) {
      upstream.destroy()
      return
    }
    const accept = createHash('sha1')
      .update(`${decision.offer.key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    const problem =
      answer.statusCode === 101
        ? agreementProblem(answer.rawHeaders, decision.offer, accept)
        : `status ${answer.statusCode} with an Upgrade`
    if (problem !== undefined || upgradable.early) {
      upstream.destroy()
      if (problem !== undefined) this.#fail('upstream_unavailable', new Error(problem))
      // Whatever it is, it was not sent to a WebSocket.
      else this.#fail('bad_request')
      return
    }
    this.#settle()
    const client = upgradable.take()
    const sifted = siftResponse(answer.rawHeaders, decision.response, this.#flagged)
    client.write(switchingHead(handshakeHeaders(sifted)), 'latin1')
    const { ping, idle } = decision
    const tunnel = this.#join({ client, upstream }, { ping, idle, release: this.#release })
    this.#tied.by = tunnel
    this.#connection.running.push(tunnel)
    // A WebSocket lives long: what its request was made of need not.
    this.#connection.request = undefined
    this.#connection.response = undefined
    tunnel.begin(head)
  }

  /** Any answer but a 101: no WebSocket. An upstream's refusal is its own affair and is passed on; a 200 is no answer to that. */
  #refused(answer: IncomingMessage): void {
    const { response, decision } = this.#parties
    const status = answer.statusCode ?? 0
    if (status < 300) {
      answer.destroy()
      this.#fail('upstream_unavailable', new Error(`status ${status} to a handshake`))
      return
    }
    const chunks: Buffer[] = []
    let size = 0
    answer.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= refusalLimit) chunks.push(chunk)
      else answer.destroy()
    })
    answer.on('error', () => {})
    answer.on('close', () => {
      if (this.#over) return
      this.#settle()
      this.#release()
      const whole = answer.complete && size <= refusalLimit
      const headers = withoutBody(siftResponse(answer.rawHeaders, decision.response, this.#flagged), whole)
      const body = whole ? Buffer.concat(chunks) : Buffer.alloc(0)
      response.writeHead(status, [...headers, 'Content-Length', String(body.length)])
      response.end(body)
    })
  }

  readonly #flagged = (reason: string): void => {
    this.#options.log.debug({ reason }, 'response header dropped')
  }

  #fail(code: TunnelFailure, error?: Error): void {
    if (this.#over) return
    const { request, response, decision } = this.#parties
    this.#settle()
    this.#release()
    this.#outgoing?.destroy()
    if (error !== undefined) {
      const { requestId, upstream } = decision
      this.#options.log.warn({ err: error, requestId, upstream }, 'upstream failed')
    }
    respond(request, response, this.#options.unavailable(code, decision), decision.response.add)
  }

  #settle(): void {
    this.#over = true
    clearTimeout(this.#timer)
    const { running } = this.#connection
    const at = running.indexOf(this)
    if (at !== -1) running.splice(at, 1)
  }
}

function tieTo(first: Tied['by']): Tied {
  const tied: Tied = { endless: true, by: first, end: (why) => tied.by.end(why) }
  return tied
}

/** One connection for each WebSocket, never from a pool: after a 101 it belongs to nobody else, and before it carries nothing. */
function handshakeWith(decision: TunnelDecision): ClientRequest {
  const { hostname, host, port, protocol } = new URL(decision.upstream)
  const address = hostname.replace(/^\[|\]$/g, '')
  const secure = protocol === 'wss:'
  const to = {
    host: address,
    port: Number(port || (secure ? 443 : 80)),
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 60_000,
    allowHalfOpen: true,
  }
  // An IP address is no server name. @see RFC 6066 §3
  const names = isIP(address) === 0 ? { servername: address } : {}
  return requestTo({
    method: 'GET',
    path: decision.path,
    headers: [...decision.headers, 'Host', host, 'Connection', 'Upgrade', 'Upgrade', 'websocket'],
    maxHeaderSize: 64 * 1024,
    setHost: false,
    createConnection: () =>
      secure ? connectTls({ ...to, ...names, ...strict, ALPNProtocols: ['http/1.1'] }) : connect(to),
  })
}

/** Said, so that no variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) says otherwise: the handshake carries the user's token. */
const strict = { rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const

function switchingHead(headers: readonly string[]): string {
  const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket']
  for (let i = 0; i < headers.length; i += 2) lines.push(`${headers[i]}: ${headers[i + 1]}`)
  return `${lines.join('\r\n')}\r\n\r\n`
}

/** Without the length, which is set afresh; and, where the body is left out, without what describes it. */
function withoutBody(headers: readonly string[], whole: boolean): string[] {
  const dropped = whole ? /^content-length$/i : /^content-(?:length|type|encoding)$/i
  return headers.filter((_, i) => !dropped.test(headers[i - (i % 2)] as string))
}
