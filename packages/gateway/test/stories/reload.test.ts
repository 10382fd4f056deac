import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { connect as connectHttp2, type IncomingHttpHeaders } from 'node:http2'
import { Agent, get as httpsGet } from 'node:https'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { type ConfigInput, overlay } from '../../../testkit/src/config.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { certificate } from './certificates.ts'
import { openLine, openLines, spawnGateway, startGatewayProcess } from './gateway-process.ts'

/** The routes of the test, with one more. */
function routes(world: World, ...more: ConfigInput[]): ConfigInput {
  const { url } = world.upstream
  return {
    routes: [
      ...more,
      { path: '/api/*', upstream: url, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
      { path: '/*', static: './public', access: 'public' },
    ],
  }
}

const inPlace = (file: string, text: string) => {
  writeFileSync(`${file}.new`, text)
  renameSync(`${file}.new`, file)
}

test.each([1, 2])(
  'RL1 %i worker(s): the configuration is reloaded twenty times under load, and no request fails',
  async (workers) => {
    await using world = await createWorld({ store: 'lmdb' })
    await using gateway = await startGatewayProcess(world, { workers })
    const ada = await world.signedIn()
    const lines = workers === 1 ? [await openLine(world, gateway)] : await openLines(world, gateway)
    const statuses = new Map<number, number>()
    let going = true
    const load = lines.flatMap((line) =>
      ['/api/echo', '/api/download?bytes=200000', '/auth/session', '/'].map(async (path) => {
        while (going) {
          const { status } = await line.get(path, ada)
          statuses.set(status, (statuses.get(status) ?? 0) + 1)
        }
      }),
    )
    for (let i = 1; i <= 20; i++) {
      // Everything changes now and then: pools, sessions, the provider.
      gateway.configure(
        {
          ...routes(world, {
            path: `/api/v${i}/*`,
            upstream: world.upstream.url,
            access: 'authenticated',
            timeout: `${i}s`,
          }),
          session: { idle: `${30 + (i >> 2)}m` },
          providers: { corp: { claims: i % 5 === 0 ? ['name'] : [] } },
        },
        inPlace,
      )
      gateway.signal('SIGHUP')
      await gateway.until('sys_config_reloaded', i)
      await sleep(30)
    }
    going = false
    await Promise.all(load)
    expect([...statuses.keys()]).toEqual([200])
    expect(statuses.get(200)).toBeGreaterThan(50)
    expect(lines.map(({ connections }) => connections)).toEqual(lines.map(() => 1))
    expect(gateway.events('sys_config_refused')).toEqual([])
    for (const line of lines) line[Symbol.dispose]()
  },
  40_000,
)

test.each([1, 2])(
  'RL2 %i worker(s): a bad configuration is refused with all its errors, and so is one that needs a restart; the old one stays',
  async (workers) => {
    await using world = await createWorld({ store: 'lmdb' })
    await using gateway = await startGatewayProcess(world, { workers })
    using line = await openLine(world, gateway)
    expect((await line.get('/api/public/echo')).status).toBe(200)

    gateway.configure({ origin: 'http://app.example.com', routes: [], session: { idle: '1 fortnight' } })
    const { problems } = await gateway.until('sys_config_refused')
    expect(problems).toHaveLength(3)
    for (const path of ['origin', 'session.idle', 'routes'])
      expect(problems).toContainEqual(expect.stringContaining(`coatcheck.yaml:1: ${path}: `))

    gateway.configure({ listen: { port: 1 }, keys: { file: 'other.keys' }, workers: 3, ...routes(world) })
    const needs = await gateway.until('sys_config_refused', 2)
    expect(needs.restartNeeded).toEqual(['listen.port', 'workers', 'keys.file'])
    expect(needs.reason).toBe('restart needed for: listen.port, workers, keys.file')

    // Not even its good parts are taken.
    expect((await line.get('/api/public/echo')).status).toBe(200)
    gateway.configure(routes(world))
    expect(await gateway.until('sys_config_reloaded')).toMatchObject({ why: 'change', changed: ['routes'] })
    expect((await line.get('/api/public/echo')).status).toBe(401)
    expect(line.connections).toBe(1)
    expect(gateway.lines.at(-1)?.event).not.toBe('sys_crash')
  },
)

test('RL1 a change is noticed by itself, however the file is put in place: by rename, and through links as Kubernetes swaps them', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const at = (name: string) => join(world.folder, name)
  // config/coatcheck.yaml → ..data/coatcheck.yaml, ..data → ..1
  const mount = (version: string, token: string, text: string) => {
    mkdirSync(at(`config/..${version}`), { recursive: true })
    writeFileSync(at(`config/..${version}/coatcheck.yaml`), text)
    writeFileSync(at(`config/..${version}/token`), token, { mode: 0o600 })
    symlinkSync(`..${version}`, at('config/..next'))
    renameSync(at('config/..next'), at('config/..data'))
  }
  const { adminUrl } = world
  await using gateway = await startGatewayProcess(
    world,
    { admin: { token: { env: undefined, file: 'config/token' } } },
    (file, text) => {
      mount('1', 'first-token', text)
      rmSync(file)
      symlinkSync('config/..data/coatcheck.yaml', file)
      symlinkSync('..data/token', at('config/token'))
    },
  )
  using line = await openLine(world, gateway)
  const admin = async (token: string) =>
    (await fetch(`${adminUrl}/api/sessions`, { headers: { authorization: `Bearer ${token}` } })).status
  expect([await admin('first-token'), await admin('second-token')]).toEqual([200, 401])

  // Only the secret's text is another one.
  gateway.configure({}, (_, text) => mount('2', 'second-token', text))
  expect(await gateway.until('sys_config_reloaded')).toMatchObject({ changed: ['admin'] })
  expect([await admin('first-token'), await admin('second-token')]).toEqual([401, 200])

  gateway.configure(routes(world), (_, text) => mount('3', 'second-token', text))
  await gateway.until('sys_config_reloaded', 2)
  expect((await line.get('/api/public/echo')).status).toBe(401)

  // An editor puts a file in the place of the link.
  gateway.configure({}, inPlace)
  await gateway.until('sys_config_reloaded', 3)
  expect((await line.get('/api/public/echo')).status).toBe(200)

  // What only looks new is none, and no reason for a line in the log.
  execFileSync('touch', [gateway.file])
  gateway.configure(routes(world), inPlace)
  await gateway.until('sys_config_reloaded', 4)
  expect(gateway.events('sys_config_reloaded')).toHaveLength(4)
  expect(JSON.stringify(gateway.lines)).not.toMatch(/first-token|second-token/)
}, 30_000)

async function http2Status(url: string): Promise<number> {
  const { origin, host, pathname } = new URL(url)
  const session = connectHttp2(origin, { rejectUnauthorized: false })
  try {
    const request = session.request({ ':path': pathname, ':authority': host })
    const [headers] = (await once(request, 'response')) as [IncomingHttpHeaders]
    return Number(headers[':status'])
  } finally {
    session.destroy()
  }
}

test.each([1, 2])(
  'RL3 %i worker(s): a renewed certificate is shown to new connections, a broken pair to none; open connections go on',
  async (workers) => {
    await using world = await createWorld({ store: 'lmdb' })
    const [first, second] = [await certificate('first', 'server'), await certificate('second', 'server')]
    const files = { cert: join(world.folder, 'tls.crt'), key: join(world.folder, 'tls.key') }
    const put = ({ cert, key }: typeof first) => {
      inPlace(files.cert, cert)
      inPlace(files.key, key)
    }
    put(first)
    const origin = world.origin.replace('http:', 'https:')
    await using gateway = await startGatewayProcess(world, { origin, workers, listen: { tls: files } })
    const agent = new Agent({ keepAlive: true, maxSockets: 1, rejectUnauthorized: false })
    const name = (kept: boolean) =>
      new Promise<string>((resolve, reject) => {
        const options = { agent: kept ? agent : false, rejectUnauthorized: false } as const
        httpsGet(`${origin}/`, options, (answer) => {
          const shown = (answer.socket as TLSSocket).getPeerCertificate() as PeerCertificate
          answer.resume().on('end', () => resolve(String(shown.subject?.CN)))
        }).on('error', reject)
      })
    try {
      expect([await name(true), await name(false), await name(false)]).toEqual(['first', 'first', 'first'])
      expect(await http2Status(`${origin}/`)).toBe(200)
      put(second)
      await gateway.until('sys_config_reloaded')
      expect([await name(true), await name(false), await name(false)]).toEqual(['first', 'second', 'second'])
      // A TLS session that one worker began is resumed by any: they share the keys of tickets, the new ones as well.
      const address = { host: '127.0.0.1', port: Number(new URL(origin).port), rejectUnauthorized: false }
      const begun = connect({ ...address, maxVersion: 'TLSv1.2' })
      const [session] = (await once(begun, 'session')) as [Buffer]
      begun.destroy()
      for (let i = 0; i < 4; i++) {
        const resumed = connect({ ...address, maxVersion: 'TLSv1.2', session })
        await once(resumed, 'secureConnect')
        expect(resumed.isSessionReused()).toBe(true)
        resumed.destroy()
      }
      put({ cert: first.cert, key: second.key })
      await gateway.until('sys_config_refused')
      expect([await name(true), await name(false), await name(false)]).toEqual(['first', 'second', 'second'])
      put(first)
      await gateway.until('sys_config_reloaded', 2)
      expect(await name(false)).toBe('first')
    } finally {
      agent.destroy()
    }
  },
  30_000,
)

test('SIGHUP while the workers start ends nothing: what the file says then is in force once they are up', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await world.stopGateway()
  const file = join(world.folder, 'coatcheck.yaml')
  const first = { ...(JSON.parse(readFileSync(file, 'utf8')) as ConfigInput), workers: 2 }
  writeFileSync(file, JSON.stringify(first))
  await using gateway = spawnGateway(file)
  const children = `/proc/${gateway.pid}/task/${gateway.pid}/children`
  await expect.poll(() => readFileSync(children, 'utf8'), { interval: 5, timeout: 15_000 }).not.toBe('')
  writeFileSync(file, JSON.stringify(overlay(first, routes(world))))
  gateway.signal('SIGHUP')
  const { pid } = await Promise.race([
    gateway.until('workers_started'),
    gateway.ended.then((status) => Promise.reject(new Error(`it ended with ${status}`))),
  ])
  expect(pid).toBe(gateway.pid)
  await gateway.until('sys_config_reloaded')
  using line = await openLine(world, gateway)
  expect((await line.get('/api/public/echo')).status).toBe(401)
})
