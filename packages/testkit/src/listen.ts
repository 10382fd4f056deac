import type { AddressInfo } from 'node:net'
import { createServer, type Server } from 'node:net'

/** What node:http and node:net servers have in common. */
type Listener = Pick<Server, 'listen' | 'close' | 'address' | 'once' | 'off' | 'listening'> & {
  closeAllConnections?(): void
}

/** Listens on loopback; resolves with the port. 0: any free one. */
export async function listen(server: Listener, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
  return (server.address() as AddressInfo).port
}

/** Stops listening and cuts every connection. */
export async function closeServer(server: Listener): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections?.()
  })
}

/** A port that was free a moment ago, for what must know its address before it listens. */
export async function reservePort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await closeServer(server)
  return port
}
