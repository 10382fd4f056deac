import type { Socket } from 'node:net'
import type { Server } from 'node:tls'

/**
 * The connections of a server whose TLS handshake is under way: Node tells of a connection, and later of the TLS socket over
 * it, but not which belongs to which. What both have is the client's address and port.
 */
export function createHandshakes(server: Server): { cut(): void } {
  const underWay = new Map<string, Socket>()
  server.on('connection', (socket: Socket) => {
    const client = clientOf(socket)
    underWay.set(client, socket)
    socket.once('close', () => {
      // The next connection from there may have begun.
      if (underWay.get(client) === socket) underWay.delete(client)
    })
  })
  server.prependListener('secureConnection', (socket) => underWay.delete(clientOf(socket)))
  return {
    cut() {
      for (const socket of underWay.values()) socket.destroy()
    },
  }
}

function clientOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
