import type { Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'node:net'
import { type Connection, closeAfter, isIdle } from './connection.ts'

export interface DrainOptions {
  readonly connections: ReadonlySet<Connection>
  /** All sockets, those in the middle of a TLS handshake included. */
  readonly sockets: ReadonlySet<Socket>
  /** Nothing was promised on those: whoever stops in the middle of a handshake must not hold up ours. */
  readonly handshakes: { cut(): void } | undefined
  readonly graceMs: number
}

/** How often to look for connections that have become idle, in milliseconds. */
const look = 50

/** Its last answer may still lie in the kernel: closing at once would cost the client that, should it send on. */
function endGently(connection: Connection): void {
  if (connection.socket.writableEnded) return
  closeAfter(connection)
  connection.socket.destroySoon()
}

/** Stops accepting, lets what is in flight finish, and cuts the rest after the grace. Resolves when all is closed. */
export async function drain(server: HttpServer, options: DrainOptions): Promise<void> {
  const { connections, sockets, handshakes, graceMs } = options
  // Not http.Server's close: it destroys connections whose answer is ended but not flushed.
  const closed = new Promise<void>((resolve) => Server.prototype.close.call(server, () => resolve()))
  const endIdle = () => {
    // Again and again: some were accepted in the moment before.
    handshakes?.cut()
    for (const connection of connections) {
      if (isIdle(connection)) endGently(connection)
      // Not to be taken for the last one only by its header: what follows it is no request. @see RFC 9112 §9.6
      else if (connection.response?.headersSent === false) closeAfter(connection, connection.response)
    }
  }
  endIdle()
  const looking = setInterval(endIdle, look)
  const cut = setTimeout(() => {
    for (const { socket } of connections) socket.destroy()
    for (const socket of sockets) socket.destroy()
  }, graceMs)
  await closed
  clearInterval(looking)
  clearTimeout(cut)
  // Now there is nothing left to destroy; this ends node:http's own timer.
  server.close(() => {})
}
