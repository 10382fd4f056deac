import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import type { Decision, Forward, PoolSettings, Respond } from '../../src/decision.ts'
import { createForwarder } from '../../src/node/proxy.ts'
import { createNodeServer, type Limits, type NodeServer } from '../../src/node/server.ts'
import { createStaticFiles } from '../../src/node/static-files.ts'
import { createTunneler } from '../../src/node/tunneler.ts'
import type { RequestHead } from '../../src/protocol/head.ts'

/** Answers that say their code and nothing else. */
export function problem(code: string): Respond {
  const status = {
    bad_request: 400,
    not_found: 404,
    client_too_slow: 408,
    too_many_requests: 429,
    payload_too_large: 413,
    headers_too_large: 431,
  }[code]
  const upstream = { internal_error: 500, upstream_unavailable: 502, upstream_busy: 503, upstream_timeout: 504 }[code]
  return {
    kind: 'respond',
    status: status ?? upstream ?? 500,
    headers: ['Content-Type', 'application/problem+json', 'Cache-Control', 'no-store'],
    body: JSON.stringify({ code }),
  }
}

export function text(status: number, body: string, headers: string[] = []): Respond {
  return { kind: 'respond', status, headers: ['Content-Type', 'text/plain', ...headers], body }
}

const usual = { timeout: 5000, maxBody: 1e9, requestId: 'a-request', navigation: false }

/** Forwards as the guard would: the client's headers without those of this hop. */
export function forwardTo(upstream: string, head: RequestHead, change: Partial<Forward> = {}): Forward {
  const headers: string[] = []
  for (let i = 0; i < head.rawHeaders.length; i += 2) {
    const [name, value] = [head.rawHeaders[i] as string, head.rawHeaders[i + 1] as string]
    if (!/^(connection|keep-alive|upgrade|te|trailer|http2-settings)$/i.test(name)) headers.push(name, value)
  }
  const response = { allowSetCookie: [], dropCors: false, noStore: false, defaults: [], pageDefaults: [], add: [] }
  const { target: path } = head
  return { kind: 'forward', upstream, path, headers, response, ...usual, ...change }
}

export interface Carrier extends AsyncDisposable {
  readonly server: NodeServer
  readonly port: number
  readonly url: string
  /** Everything that was logged, but for debugging. */
  readonly logged: unknown[]
  readonly decided: string[]
  /** Of those, what is a fault of the gateway's own. */
  readonly faults: unknown[]
  /** Requests that are with the upstream. */
  forwarding(): number
}

export interface CarrierOptions {
  limits?: Partial<Limits>
  tls?: { cert: string; key: string }
  connections?: number
  pools?: PoolSettings[]
}

export async function startCarrier(
  decide: (head: RequestHead) => Decision | Promise<Decision>,
  { connections, pools = [], ...options }: CarrierOptions = {},
): Promise<Carrier> {
  const logged: unknown[] = []
  const decided: string[] = []
  const faults: unknown[] = []
  const note = (fields: unknown) => logged.push(fields)
  const unavailable = (code: string, _: Forward, retryAfter?: number): Respond => {
    const answer = problem(code)
    if (retryAfter !== undefined) answer.headers.push('Retry-After', String(retryAfter))
    return answer
  }
  const error = (fields: unknown) => faults.push(note(fields))
  const log = { error, warn: note, debug() {} } as never
  const forwarder = createForwarder({
    ...{ log, pools, unavailable },
    client: process.env.COATCHECK_TEST_CLIENT === 'undici' ? 'undici' : 'own',
    ...(connections !== undefined && { connections }),
  })
  const tunneler = createTunneler({ log, unavailable: problem })
  const server = createNodeServer({
    ...options,
    log,
    decide(head) {
      decided.push(`${head.method} ${head.target}`)
      return decide(head)
    },
    forward: forwarder.forward,
    tunnel: tunneler.tunnel,
    serveStatic: createStaticFiles({ notFound: () => problem('not_found') }),
    internalError: () => problem('internal_error'),
    framingError: problem,
  })
  const port = await server.listen('127.0.0.1', 0)
  return {
    server,
    port,
    url: `${options.tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`,
    logged,
    decided,
    faults,
    forwarding: forwarder.inFlight,
    async [Symbol.asyncDispose]() {
      await server.close({ graceMs: 0 })
      await forwarder.close()
    },
  }
}

export interface Upstream extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly server: Server
}

export async function startUpstream(handler: RequestListener): Promise<Upstream> {
  const server = createServer({ requestTimeout: 0 }, handler)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    server,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** A bare connection: what it was sent back so far, and when it ended. */
export interface Wire {
  readonly socket: Socket
  readonly received: string
  readonly closed: Promise<string>
  /** Resolves as soon as what was received matches. */
  until(pattern: RegExp): Promise<string>
}

export async function openWire(port: number, first = ''): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  const closed = new Promise<string>((resolve) => socket.once('close', () => resolve(received)))
  await once(socket, 'connect')
  if (first !== '') socket.write(first, 'latin1')
  return {
    socket,
    get received() {
      return received
    },
    closed,
    async until(pattern) {
      while (!pattern.test(received)) {
        if (socket.destroyed) throw new Error(`closed before ${pattern}: ${received}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
      }
      return received
    },
  }
}

export const statusLines = (received: string): string[] => received.match(/HTTP\/1\.1 \d{3}/g) ?? []

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A moment that the test chooses, where a pause would have to be long enough for every machine. */
export function gate(): { readonly opened: Promise<void>; open(): void } {
  let open = () => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  return { opened, open }
}

/** Waits until `check` holds; only a failing test waits as long as 15 seconds. */
export async function eventually(check: () => boolean): Promise<void> {
  for (const until = performance.now() + 15_000; !check() && performance.now() < until; ) await pause(10)
  if (!check()) throw new Error('it never came true')
}
