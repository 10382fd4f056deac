import { createServer } from 'node:net'

export const defaultPort = 8080

/** What was asked for must be free; the default gives way. */
export async function choosePort(wanted: number | undefined): Promise<number> {
  if (wanted === undefined) return nextFree(defaultPort)
  const free = await freePort(wanted)
  if (free === undefined) throw new Error(`port ${wanted} is taken; name another with --port, or 0 for any`)
  return free
}

/** The next free ports: cookies know no ports, but names of theirs do, so the same ones are taken at each start. */
export async function nextFreePorts(from: number, count: number): Promise<number[]> {
  const ports: number[] = []
  while (ports.length < count) ports.push(await nextFree((ports.at(-1) ?? from - 1) + 1))
  return ports
}

export async function nextFree(from: number): Promise<number> {
  for (let port = from; port < from + 100 && port <= 65_535; port++) {
    if ((await freePort(port)) !== undefined) return port
  }
  throw new Error(`no free port from ${from} on; name another with --port`)
}

/** The port if it can be had; 0 finds one. `localhost` may mean either family, so nobody else may sit on the other. */
async function freePort(port: number): Promise<number | undefined> {
  const found = await tryListening(port, '127.0.0.1')
  if (typeof found !== 'number') return undefined
  return (await tryListening(found, '::1')) === 'EADDRINUSE' ? undefined : found
}

function tryListening(port: number, host: string): Promise<number | string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'EUNKNOWN'))
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port))
    })
  })
}
