import { randomInt } from 'node:crypto'
import { createServer, type Server } from 'node:net'
import { listen } from '../../gateway/src/demo/listen.ts'

export { listen }

/** What can be closed of node:http and node:net servers. */
type Listener = Pick<Server, 'close' | 'listening'> & {
  closeAllConnections?(): void
}

/** Stops listening and cuts every connection. */
export async function closeServer(server: Listener): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections?.()
  })
}

/** Ports that each of Vitest's workers has to itself: what one is about to listen on, no other may find free. */
const lane = 1000
const lanes = 22
const firstPort = 10_000 + lane * (Number(process.env.VITEST_POOL_ID ?? 0) % lanes)
/** The latest, oldest first: what is about to listen on one of them does so long before it leaves the list. */
const reserved = new Set<number>()
const longest = lane / 2

/**
 * A port that was free a moment ago, for what must know its address before it listens; none of the latest ones again. Drawn from below those that the system hands out by itself: one of these could be given to a connection of another
 * test in the meantime.
 */
export async function reservePort(): Promise<number> {
  for (let tries = 0; tries < 100; tries++) {
    const port = randomInt(firstPort, firstPort + lane)
    if (reserved.has(port)) continue
    reserved.add(port)
    if (reserved.size > longest) reserved.delete(reserved.values().next().value as number)
    const server = createServer()
    const free = await listen(server, port).then(
      () => true,
      () => false,
    )
    await closeServer(server)
    if (free) return port
  }
  throw new Error(`no free port from ${firstPort} on`)
}
