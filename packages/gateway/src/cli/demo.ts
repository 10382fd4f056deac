import { randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, relative, resolve } from 'node:path'
import { pino } from 'pino'
import { createSampleApi, serve } from '../demo/api.ts'
import { asPublicClient, createBeforePage } from '../demo/app.ts'
import { type Certificate, createCertificate } from '../demo/certificate.ts'
import { beforeClient, createDemoConfig, gatewayClient, rolesOf, sampleUsers } from '../demo/config.ts'
import { startDevelopmentProvider } from '../demo/provider.ts'
import { createLog } from '../log.ts'
import { startGateway } from '../start.ts'
import { exit, type Io, readOptions } from './options.ts'
import { untilStopped } from './until-stopped.ts'

const defaultPort = 8080

export const command = {
  name: 'demo',
  summary: 'Everything at work in one process: provider, gateway, sample app and API, and a page to compare with.',
  options: {
    https: { type: 'boolean', help: 'with a self-signed certificate, made at start' },
    port: {
      type: 'string',
      value: 'N',
      help: `the port of the app; 0 takes any (default: ${defaultPort}, or the next free)`,
    },
    data: { type: 'string', value: 'DIR', default: 'data/demo', help: 'where sessions, key ring and log are kept' },
  },
} as const

/** `coatcheck demo`: 0 after SIGTERM or SIGINT, 1 when it can't start, 2 for wrong usage. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const parsed = readOptions(command, args, io)
  if ('status' in parsed) return parsed.status
  const { https = false, port: wanted, data } = parsed.values
  if (wanted !== undefined && !(/^\d{1,5}$/.test(wanted) && Number(wanted) <= 65_535)) {
    io.stderr.write(`coatcheck demo: --port is a number from 0 to 65535, not ${JSON.stringify(wanted.slice(0, 40))}\n`)
    return exit.usage
  }
  let demo: Demo
  try {
    demo = await start({ https, port: wanted === undefined ? undefined : Number(wanted), data: resolve(io.cwd, data) })
  } catch (error) {
    io.stderr.write(`coatcheck demo: ${error instanceof Error ? error.message : String(error)}\n`)
    return exit.failed
  }
  io.stdout.write(describe(demo, { cwd: io.cwd, portWanted: wanted === undefined ? defaultPort : undefined }))
  await untilStopped()
  await demo.close()
  return exit.ok
}

interface Demo {
  readonly origin: string
  readonly port: number
  readonly before: string
  readonly issuer: string
  readonly data: string
  readonly certificate: Certificate | undefined
  close(): Promise<void>
}

async function start(options: { https: boolean; port: number | undefined; data: string }): Promise<Demo> {
  const { https, data } = options
  const port = await choosePort(options.port)
  const beforePort = await nextFree(port + 1)
  const providerPort = await nextFree(beforePort + 1)
  const certificate = https ? await createCertificate() : undefined
  const scheme = https ? 'https' : 'http'
  const origin = `${scheme}://localhost:${port}`
  const before = `${scheme}://localhost:${beforePort}`
  mkdirSync(data, { recursive: true, mode: 0o700 })

  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const clients = [gatewayClient(origin, secret()), beforeClient(before, secret())] as const
    const provider = await startDevelopmentProvider({
      // The same site as the pages, so that a silent sign-in in a frame can work: in the page where it does harm.
      issuerHost: 'localhost',
      port: providerPort,
      clients,
      users: sampleUsers,
      around: asPublicClient({ client: clients[1], origin: before }),
    })
    closers.push(() => provider.close())

    const about = { before, users: sampleUsers.map((user) => ({ name: user.name, roles: rolesOf(user) })) }
    const sampleApi = createSampleApi({ users: sampleUsers, about })
    const api = await serve(sampleApi)
    closers.push(api.close)

    const { issuer } = provider
    const { clientId } = clients[1]
    const page = createBeforePage({ origin: before, demo: origin, issuer, clientId, api: sampleApi })
    closers.push((await serve(page, { port: beforePort, tls: certificate })).close)

    const at = { origin, port, before, issuer, api: `http://127.0.0.1:${api.port}` }
    const config = createDemoConfig(at, { data, clientSecret: clients[0].clientSecret, tls: certificate })
    const file = pino.destination({ dest: join(data, 'coatcheck.log'), sync: true, mode: 0o600 })
    const gateway = await startGateway({ config, log: createLog({ level: 'info', destination: file }) })
    closers.push(() => gateway.close({ graceMs: 1000 }))
    return { origin, port, before, issuer, data, certificate, close }
  } catch (error) {
    await close()
    throw error
  }
}

function describe(demo: Demo, { cwd, portWanted }: { cwd: string; portWanted: number | undefined }): string {
  const { certificate } = demo
  const width = Math.max(...sampleUsers.map(({ name }) => name.length)) + 3
  const users = sampleUsers.map((user) => `${user.name.padEnd(width)}${rolesOf(user).join(', ')}`)
  const folder = relative(cwd, demo.data)
  const rows: [string, ...string[]][] = [
    ['Open', demo.origin],
    ['Sign in as', ...users, '(one click, no password)'],
    ['Compare with', `${demo.before}  the same app, its tokens in localStorage`],
    ['Provider', demo.issuer],
    ['Data', `${folder.startsWith('..') ? demo.data : folder}  sessions (sealed), key ring, log`],
    ['Stop', 'Ctrl+C'],
  ]
  if (certificate) {
    rows.splice(1, 0, [
      'Certificate',
      'self-signed: the browser will warn, once for each address. Go on if this is what it shows:',
      `SHA-256 ${certificate.fingerprint}`,
      `Chromium accepts it with --ignore-certificate-errors-spki-list=${certificate.spki}`,
    ])
  }
  const note = portWanted === undefined || portWanted === demo.port ? '' : `  Port ${portWanted} is taken.\n`
  const lines = rows.flatMap(([name, ...texts]) =>
    texts.map((text, i) => `  ${(i === 0 ? name : '').padEnd(14)}${text}\n`),
  )
  return `\nCoatcheck demo\n\n${note}${lines.join('')}\n`
}

/** What was asked for must be free; the default gives way. */
async function choosePort(wanted: number | undefined): Promise<number> {
  if (wanted === undefined) return nextFree(defaultPort)
  const free = await freePort(wanted)
  if (free === undefined) throw new Error(`port ${wanted} is taken; name another with --port, or 0 for any`)
  return free
}

async function nextFree(from: number): Promise<number> {
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

function secret(): string {
  return randomBytes(24).toString('base64url')
}
