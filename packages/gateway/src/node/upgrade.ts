import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { LeanRequest } from './lean-request.ts'

/**
 * node:http asks a request whether it wants another protocol, once its head is read, and then hands the bare connection out;
 * once anybody listens for upgrades it does so for all of them, `Upgrade: h2c` with a body included, whose body is lost then. This
 * request wants one only where it is a WebSocket handshake without a body; all others stay requests, and the Upgrade is ignored.
 * What such a head is worth the guard decides.
 */
export class UpgradableRequest extends LeanRequest {
  declare declared: unknown

  get upgrade(): boolean {
    return this.declared === true && (this.method === 'CONNECT' || isHandshake(this))
  }

  set upgrade(value: unknown) {
    this.declared = value
  }
}

function isHandshake({ method, httpVersion, framing }: LeanRequest): boolean {
  return (
    method === 'GET' &&
    httpVersion === '1.1' &&
    framing.upgrade?.toLowerCase() === 'websocket' &&
    framing['content-length'] === undefined &&
    framing['transfer-encoding'] === undefined
  )
}

/** A connection that node:http has let go, while its request is being answered. */
export interface Upgradable {
  /** The client sent something before it was answered. */
  readonly early: boolean
  /** Takes the connection away from the response. */
  take(): Socket
}

const kUpgradable = Symbol('coatcheck.upgradable')
type Marked = ServerResponse & { [kUpgradable]?: Upgradable }

/** Undefined for a response of an ordinary request. */
export function upgradableOf(response: ServerResponse): Upgradable | undefined {
  return (response as Marked)[kUpgradable]
}

/**
 * A response for a request whose connection node:http has let go: it can be answered like any other, and is then the last of its
 * connection. What the client sends meanwhile is no request: it must wait for the answer before it speaks the new protocol.
 * @see RFC 6455 §4.1
 */
export function responseFor(request: IncomingMessage, stream: Duplex, head: Buffer): ServerResponse {
  const socket = stream as Socket
  const response: Marked = new ServerResponse(request)
  let early = head.length > 0
  const listeners = {
    drain: () => response.emit('drain'),
    data: () => {
      early = true
    },
    // Half a connection is as good as none, as it is for requests.
    end: () => socket.end(),
  }
  const release = () => {
    for (const [name, listener] of Object.entries(listeners)) socket.removeListener(name, listener)
    response.detachSocket(socket)
  }
  for (const [name, listener] of Object.entries(listeners)) socket.on(name, listener)
  socket.on('error', () => socket.destroy())
  response.assignSocket(socket)
  response.once('finish', () => {
    response.detachSocket(socket)
    socket.destroySoon()
  })
  response[kUpgradable] = {
    get early() {
      return early
    },
    take() {
      release()
      return socket
    },
  }
  return response
}
