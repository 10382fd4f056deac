import type { AddressInfo, Server } from 'node:net'

/** What node:http and node:net servers have in common. */
type Listener = Pick<Server, 'listen' | 'address' | 'once' | 'off'>

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
