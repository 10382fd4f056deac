import type { Server as HttpServer } from 'node:http'
import { Server, type Socket } from 'node:net'
import { type Connection, isIdle } from './connection.ts'

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

/** Stops accepting, lets what is in flight finish, and cuts the rest after the grace. Resolves when all is closed. */
export async function drain(server: HttpServer, options: DrainOptions): Promise<void> {
  const { connections, sockets, handshakes, graceMs } = options
  // Not http.Server's close: it destroys connections whose answer is ended but not flushed.
  const closed = new Promise<void>((resolve) => Server.prototype.close.call(server, () => resolve()))
  const endIdle = () => {
    // Again and again: some were accepted in the moment before.
    handshakes?.cut()
    for (const connection of connections) {
      if (isIdle(connection)) connection.socket.destroy()
      else if (connection.response?.headersSent === false) connection.response.shouldKeepAlive = false
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
