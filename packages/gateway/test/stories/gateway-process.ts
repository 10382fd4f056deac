import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Agent, request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { type ConfigInput, environmentOf, overlay } from '../../../testkit/src/config.ts'
import type { LogLine } from '../../../testkit/src/log.ts'
import type { World } from '../../../testkit/src/world.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

/** Milliseconds within which a process of a loaded machine does what it is asked to. */
const patience = { timeout: 20_000, interval: 20 }

/** The gateway of a world, as an operator runs it: `coatcheck start`, with its workers. */
export interface GatewayProcess extends AsyncDisposable {
  readonly pid: number
  /** What it wrote to its log so far. */
  readonly lines: readonly LogLine[]
  events(name: string): LogLine[]
  /** Resolves when the log has so many lines of an event; with the last of them. */
  until(event: string, count?: number): Promise<LogLine>
  /** Process ids of the workers that run now, by the log. */
  readonly workers: readonly number[]
  readonly errors: string
  signal(name: NodeJS.Signals): void
  /** The exit status, or the signal, once all of its processes are gone. */
  readonly ended: Promise<number | string>
  readonly file: string
  /** Changes the file, laid over what it said at first; the way of writing is the test's. */
  configure(change: ConfigInput, write?: (file: string, text: string) => void): void
}

/** In place of the world's own gateway, in the same folder and on the same ports. */
export async function startGatewayProcess(
  world: World,
  change: ConfigInput = {},
  write: (file: string, text: string) => void = writeFileSync,
): Promise<GatewayProcess> {
  await world.stopGateway()
  const file = join(world.folder, 'coatcheck.yaml')
  const first = overlay(JSON.parse(readFileSync(file, 'utf8')) as ConfigInput, change)
  write(file, JSON.stringify(first))
  const gateway = spawnGateway(file)
  try {
    const failed = gateway.ended.then((status) => Promise.reject(new Error(`it ended with ${status}`)))
    failed.catch(() => {})
    await Promise.race([gateway.until(Number(first.workers ?? 1) > 1 ? 'workers_started' : 'started'), failed])
  } catch (error) {
    await gateway[Symbol.asyncDispose]()
    throw new Error(`it did not start: ${gateway.errors}`, { cause: error })
  }
  return Object.assign(gateway, {
    configure: (next: ConfigInput, how: typeof write = writeFileSync) =>
      how(file, JSON.stringify(overlay(first, next))),
  })
}

/** `coatcheck start` on a file, come what may. */
export function spawnGateway(file: string): Omit<GatewayProcess, 'configure'> {
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const child = spawn(process.execPath, [main, 'start', '-c', file], {
    env: { PATH: process.env.PATH, ...environmentOf(['corp']) },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: LogLine[] = []
  let rest = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = (rest + String(chunk)).split('\n')
    rest = parts.pop() ?? ''
    lines.push(...parts.map((line) => JSON.parse(line) as LogLine))
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += String(chunk)
  })
  // Its workers hold the same pipes: they are closed when all are gone.
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string)
  // A test that runs out of time never comes to its `await using`.
  const kill = () => void child.kill('SIGKILL')
  process.once('exit', kill)
  void ended.then(() => process.removeListener('exit', kill))
  const events = (name: string) => lines.filter(({ event }) => event === name)
  return {
    pid: child.pid ?? 0,
    file,
    lines,
    events,
    get errors() {
      return errors
    },
    get workers() {
      const running = new Map<unknown, number>()
      for (const { event, worker, pid } of lines) if (event === 'started' && worker) running.set(worker, Number(pid))
      return [...running.values()]
    },
    ended,
    signal: (name) => void child.kill(name),
    async until(event, count = 1) {
      await expect.poll(() => events(event).length, patience).toBeGreaterThanOrEqual(count)
      return events(event).at(-1) as LogLine
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** One kept-alive connection of a script of the application: all of it is served by one worker. */
export interface Line extends Disposable {
  /** Process id of the worker at the other end; asked by a refused request, whose id is in the log. */
  readonly pid: number
  get(path: string, browser?: Browser, headers?: Record<string, string>): Promise<LineAnswer>
  /** How many connections it took; 1 as long as none was lost. */
  readonly connections: number
}

export interface LineAnswer {
  readonly status: number
  readonly headers: NodeJS.Dict<string | string[]>
  readonly body: string
}

export async function openLine(world: World, gateway: Pick<GatewayProcess, 'lines'>): Promise<Line> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const sockets = new Set<unknown>()
  const get: Line['get'] = (path, browser, headers = {}) =>
    new Promise((resolve, reject) => {
      const cookie = browser?.cookies().map((one) => one.cookieString()) ?? []
      const { host, port } = new URL(world.origin)
      const sent = httpRequest(
        {
          ...{ agent, host: '127.0.0.1', port, path },
          headers: { host, 'x-csrf': '1', ...(cookie.length > 0 && { cookie: cookie.join('; ') }), ...headers },
        },
        async (answer) => {
          try {
            const chunks: Buffer[] = []
            for await (const chunk of answer) chunks.push(chunk as Buffer)
            const body = Buffer.concat(chunks).toString()
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body })
          } catch (error) {
            reject(error)
          }
        },
      )
      sent.on('socket', (socket) => sockets.add(socket))
      sent.on('error', reject)
      sent.end()
    })
  const { headers } = await get('/api/echo', undefined, { 'x-csrf': '0' })
  const id = headers['x-request-id']
  const found = () => gateway.lines.find(({ requestId }) => requestId !== undefined && requestId === id)
  await expect.poll(found, patience).toBeDefined()
  return {
    pid: Number(found()?.pid),
    get,
    get connections() {
      return sockets.size
    },
    [Symbol.dispose]: () => agent.destroy(),
  }
}

/** A line to each worker. */
export async function openLines(world: World, gateway: GatewayProcess): Promise<readonly Line[]> {
  const lines = new Map<number, Line>()
  for (let tries = 0; tries < 50 && lines.size < gateway.workers.length; tries++) {
    const line = await openLine(world, gateway)
    if (lines.has(line.pid)) line[Symbol.dispose]()
    else lines.set(line.pid, line)
  }
  expect([...lines.keys()].sort()).toEqual([...gateway.workers].sort())
  return [...lines.values()]
}
