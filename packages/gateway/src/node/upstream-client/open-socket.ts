import { connect, isIP, type Socket } from 'node:net'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { UpstreamFault } from './contract.ts'

export interface SocketListener {
  /** The connection stands; with TLS, the certificate was verified. */
  connected(): void
  /** `bytes` up to `length` is valid during the call only. @returns whether to go on reading */
  receive(length: number, bytes: Buffer): boolean
}

export type OpenSocket = (listener: SocketListener) => Socket

/** An idle connection behind a NAT that dropped it without a word is found out so. */
const usual = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 }

/** @throws for an origin that is no http or https URL, or TLS options that can't be used */
export function createOpener(origin: string, tls: ConnectionOptions = {}): { host: string; open: OpenSocket } {
  const url = new URL(origin)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') throw new TypeError('an upstream is http: or https:')
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  const port = Number(url.port || (secure ? 443 : 80))
  return { host: url.host, open: secure ? openTls(host, port, tls) : openPlain(host, port) }
}

/**
 * All sockets of a pool read into one buffer, from which each answer is read before the next one comes: no buffer is made,
 * zeroed and collected for each read.
 */
function openPlain(host: string, port: number): OpenSocket {
  const buffer = Buffer.allocUnsafeSlow(64 * 1024)
  return (listener) => {
    const callback = (length: number) => listener.receive(length, buffer)
    const socket = connect({ host, port, ...usual, onread: { buffer, callback } })
    socket.once('connect', () => listener.connected())
    return socket
  }
}

/** TLS decrypts, and hands over, also while another socket is being read: each piece is its own buffer. */
function openTls(host: string, port: number, tls: ConnectionOptions): OpenSocket {
  const servername = isIP(host) === 0 ? { servername: host } : {}
  return (listener) => {
    const socket = connectTls({
      minVersion: 'TLSv1.2',
      ...servername,
      ...tls,
      host,
      port,
      ALPNProtocols: ['http/1.1'],
      // Not to be turned off: whoever can answer in the upstream's place gets the user's token.
      rejectUnauthorized: true,
    })
    socket.setNoDelay(true).setKeepAlive(true, usual.keepAliveInitialDelay)
    socket.on('data', (chunk) => {
      if (!listener.receive(chunk.length, chunk)) socket.pause()
    })
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol === false || socket.alpnProtocol === 'http/1.1') listener.connected()
      else socket.destroy(new UpstreamFault('UPSTREAM_PROTOCOL', 'the upstream chose another protocol'))
    })
    return socket
  }
}
