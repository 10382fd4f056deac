import { randomBytes } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { readBody, send } from '../../../testkit/src/transport.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { type GatewayProcess, openLine, openLines, spawnGateway, startGatewayProcess } from './gateway-process.ts'
import { liveWorld, openSocket, startSocketUpstream } from './sockets.ts'

const two = { workers: 2 } as const

async function worldOfWorkers(): Promise<World> {
  return await createWorld({ store: 'lmdb' })
}

async function metricsOf(world: World, adminUrl: string): Promise<(series: string) => number | undefined> {
  const response = await fetch(`${adminUrl}/metrics`, { headers: { authorization: `Bearer ${world.adminToken}` } })
  expect(response.status).toBe(200)
  const text = await response.text()
  return (series) => {
    const line = text.split('\n').find((one) => one.startsWith(`${series} `))
    return line === undefined ? undefined : Number(line.slice(series.length + 1))
  }
}

test('WK1 a sign-in begun at one worker is completed at another, and every worker knows the session', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  expect(new Set(gateway.workers).size).toBe(2)
  expect(gateway.workers).not.toContain(gateway.pid)
  const [one, other] = await openLines(world, gateway)
  if (!one || !other) throw new Error('there are two')
  try {
    const ada = world.browser()
    const callback = await ada.callbackFor({ as: 'ada' })
    // Each request of the browser was a connection of its own, dealt out in turn: the last one went to either.
    const answer = await ada.visit(callback)
    expect(answer.status).toBe(200)
    const signedInBy = (await gateway.until('authn_login_success')).pid
    expect(gateway.workers).toContain(signedInBy)
    for (const line of [one, other]) {
      const session = await line.get('/auth/session', ada)
      expect(JSON.parse(session.body)).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
      expect((await line.get('/api/echo', ada)).status).toBe(200)
    }
    expect([one.connections, other.connections]).toEqual([1, 1])

    // The login that one worker began, shown to the other with the browser's cookie of it.
    const bob = world.browser('bob')
    const begun = await one.get('/auth/login', undefined, {
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    })
    expect(begun.status).toBe(303)
    const cookie = String(begun.headers['set-cookie']).split(';')[0] ?? ''
    expect(cookie).toMatch(/^__Host-login-/)
    const consent = await bob.visit(String(begun.headers.location), { stopBefore: isCallback })
    const back = await bob.submit(consent, { button: 'bob', stopBefore: isCallback })
    const { pathname, search } = new URL(back.location ?? '')
    const done = await other.get(pathname + search, undefined, { cookie, 'sec-fetch-mode': 'navigate' })
    expect(done.status).toBe(303)
    expect(String(done.headers['set-cookie'])).toContain('__Host-Http-session=')
    expect((await gateway.until('authn_login_success', 2)).pid).toBe(other.pid)
  } finally {
    for (const line of [one, other]) line[Symbol.dispose]()
  }
})

const isCallback = ({ pathname }: URL) => pathname.startsWith('/auth/callback/')

test('WK2 a worker that is killed under load is replaced: no session is lost, and only its own connections break', async () => {
  await using world = await worldOfWorkers()
  const { adminUrl } = world
  // As many sign-ins of one user as there is time for: none may push another out.
  const session = { perUser: { max: 1000 } }
  await using gateway = await startGatewayProcess(world, { ...two, session })
  const users = await Promise.all(
    Array.from({ length: 6 }, (_, i) => world.signedIn({ browser: `user${i}`, as: i % 2 ? 'ada' : 'bob' })),
  )
  const [victim, survivor] = await openLines(world, gateway)
  if (!victim || !survivor) throw new Error('there are two')
  const missing = 'coatcheck_refusals_total{code="not_found"}'
  for (let i = 0; i < 3; i++) expect((await victim.get('/auth/nothing')).status).toBe(404)
  const before = await metricsOf(world, adminUrl)
  expect(before('coatcheck_workers')).toBe(2)
  expect(before(missing)).toBe(3)

  const statuses: number[] = []
  let going = true
  const load = (async () => {
    while (going) statuses.push((await survivor.get('/api/echo', users[statuses.length % 6])).status)
  })()
  // Sign-ins, each request on a connection of its own: those that were answered must last.
  const acknowledged: Browser[] = []
  const signIns = (async () => {
    for (let i = 0; going; i++) {
      const user = await world.signedIn({ browser: `late${i}`, as: 'ada' }).catch(() => undefined)
      if (user) acknowledged.push(user)
    }
  })()
  await expect.poll(() => acknowledged.length, { timeout: 10_000 }).toBeGreaterThan(0)
  // Dies with a request under way: that one breaks.
  const broken = expect(victim.get('/api/slow?ms=5000', users[0])).rejects.toThrow()
  await expect.poll(() => world.upstream.requests.some(({ target }) => target.startsWith('/slow'))).toBe(true)
  process.kill(victim.pid, 'SIGKILL')
  await broken
  const crash = await gateway.until('sys_crash')
  expect(crash).toMatchObject({ workerPid: victim.pid, signal: 'SIGKILL', level: 'error' })
  await expect.poll(() => gateway.workers.includes(victim.pid), { timeout: 15_000 }).toBe(false)
  await sleep(100)
  going = false
  await Promise.all([load, signIns])
  expect(gateway.events('session_ended')).toEqual([])
  expect(new Set(statuses)).toEqual(new Set([200]))
  expect(survivor.connections).toBe(1)

  for (const line of await openLines(world, gateway)) {
    for (const user of [...users, ...acknowledged]) expect((await line.get('/api/echo', user)).status).toBe(200)
    line[Symbol.dispose]()
  }
  // What the dead one had counted by the last scrape stays counted: a sum that falls looks like a reset.
  const after = await metricsOf(world, adminUrl)
  expect(after('coatcheck_workers')).toBe(2)
  expect(after('coatcheck_worker_crashes_total')).toBe(1)
  expect(after(missing)).toBe(3)
  survivor[Symbol.dispose]()
  victim[Symbol.dispose]()
}, 30_000)

test('WK2 workers that are killed while connections are dealt out: some of these break, and none hangs', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  let going = true
  const outcomes = { answered: 0, broken: 0, hung: 0 }
  const load = Array.from({ length: 8 }, async () => {
    while (going) {
      const signal = AbortSignal.timeout(8_000)
      const outcome = send({ url: new URL(world.origin), method: 'GET', headers: {}, signal }).then(readBody)
      await outcome.then(
        () => outcomes.answered++,
        () => (signal.aborted ? outcomes.hung++ : outcomes.broken++),
      )
    }
  })
  for (let count = 1; count <= 4; count++) {
    const before = outcomes.answered
    await expect.poll(() => outcomes.answered, { timeout: 10_000, interval: 5 }).toBeGreaterThan(before + 50)
    process.kill(gateway.workers[count % 2] ?? 0, 'SIGKILL')
    await gateway.until('sys_crash', count)
    await gateway.until('started', 2 + count)
  }
  going = false
  await Promise.all(load)
  expect(outcomes.hung).toBe(0)
  expect(outcomes.answered).toBeGreaterThan(200)
}, 60_000)

test('WK3 LO1 a sign-out at one worker closes the WebSockets that others hold, within a second', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { store: 'lmdb' })
  const { url } = world.gateway
  await using gateway = await startGatewayProcess(world, two)
  const ada = await world.signedIn()
  const sockets = await Promise.all(Array.from({ length: 8 }, () => openSocket(world, ada, '/live', { at: url })))
  const started = performance.now()
  expect((await ada.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect(await Promise.all(sockets.map(({ closed }) => closed))).toEqual(
    sockets.map(() => ({ code: 4401, reason: 'session_expired' })),
  )
  // "Within one second" on an idle machine; a loaded one gets more.
  expect(performance.now() - started).toBeLessThan(5_000)
  await expect
    .poll(() => new Set(gateway.events('streams_ended').map(({ pid }) => pid)))
    .toEqual(new Set(gateway.workers))
  const ended = gateway.events('streams_ended').reduce((sum, { streams }) => sum + Number(streams), 0)
  expect(ended).toBe(8)
})

test('WK3 LG1 the admin listener is one: its metrics are of all workers, its sessions can be listed and ended', async () => {
  await using world = await worldOfWorkers()
  const { adminUrl } = world
  await using gateway = await startGatewayProcess(world, two)
  const ada = await world.signedIn()
  const lines = await openLines(world, gateway)
  const before = await metricsOf(world, adminUrl)
  for (const line of lines) for (let i = 0; i < 5; i++) expect((await line.get('/api/echo', ada)).status).toBe(200)
  const asked = await Promise.all(Array.from({ length: 4 }, () => metricsOf(world, adminUrl)))
  for (const of of asked) {
    const forwarded = 'coatcheck_requests_total{outcome="forward"}'
    expect((of(forwarded) ?? 0) - (before(forwarded) ?? 0)).toBe(10)
    expect(of('coatcheck_token_revocation_queue_length')).toBe(0)
    expect(of('process_start_time_seconds')).toBeLessThan(Date.now() / 1000)
  }
  for (let i = 0; i < 4; i++) {
    expect((await fetch(`${adminUrl}/healthz`)).status).toBe(200)
    expect((await fetch(`${adminUrl}/readyz`)).status).toBe(200)
  }
  const headers = { authorization: `Bearer ${world.adminToken}` }
  const list = (await (await fetch(`${adminUrl}/api/sessions`, { headers })).json()) as { sessions: unknown[] }
  expect(list.sessions).toHaveLength(1)
  const ended = await fetch(`${adminUrl}/api/sessions?user=ada`, { method: 'DELETE', headers })
  expect(await ended.json()).toEqual({ ended: 1 })
  for (const line of lines) {
    expect((await line.get('/api/echo', ada)).status).toBe(401)
    line[Symbol.dispose]()
  }
})

test('WK3 LO4 wherever a session is ended, the worker that has it opened revokes its tokens at the provider', async () => {
  await using world = await worldOfWorkers()
  const { adminUrl } = world
  await using gateway = await startGatewayProcess(world, two)
  const [line, other] = await openLines(world, gateway)
  if (!line || !other) throw new Error('there are two')
  const headers = { authorization: `Bearer ${world.adminToken}` }
  for (let i = 1; i <= 4; i++) {
    const ada = await world.signedIn({ browser: `ada${i}` })
    expect((await line.get('/api/echo', ada)).status).toBe(200)
    // On a connection of its own; those to the admin listener are dealt out in turn as well.
    const url = new URL(`${adminUrl}/api/sessions?user=ada`)
    const ended = await readBody(await send({ url, method: 'DELETE', headers }))
    expect(JSON.parse(ended.toString())).toEqual({ ended: 1 })
    await gateway.until('authn_token_revoked', i)
  }
  const ends = new Set(gateway.events('session_ended').map(({ pid }) => pid))
  expect(ends).toContain(other.pid)
  expect(new Set(gateway.events('authn_token_revoked').map(({ pid }) => pid))).toEqual(new Set([line.pid]))
  for (const one of [line, other]) one[Symbol.dispose]()
})

test('WK2 SIGTERM: all workers drain, a slow answer is finished, and all of it exits 0; what comes later is turned away', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  const ada = await world.signedIn()
  const lines = await openLines(world, gateway)
  const slow = lines.map((line) => line.get('/api/slow?ms=800', ada))
  await expect.poll(() => world.upstream.open).toBe(2)
  gateway.signal('SIGTERM')
  // As a terminal or systemd does, to all of the group.
  for (const pid of gateway.workers) process.kill(pid, 'SIGTERM')
  expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200])
  expect(await gateway.ended).toBe(0)
  expect(gateway.lines.at(-1)).toMatchObject({ event: 'stopped', pid: gateway.pid })
  expect(gateway.events('sys_crash')).toEqual([])
  await expect(fetch(world.origin)).rejects.toThrow()
  for (const line of lines) line[Symbol.dispose]()
})

test('WK2 a second signal ends everything at once; and workers whose primary was killed end by themselves', async () => {
  await using world = await worldOfWorkers()
  for (const end of ['second', 'kill'] as const) {
    await using gateway = await startGatewayProcess(world, two)
    const ada = await world.signedIn({ browser: end })
    using line = await openLine(world, gateway)
    const cut = expect(line.get('/api/hang', ada)).rejects.toThrow()
    await expect.poll(() => world.upstream.open).toBe(1)
    if (end === 'kill') gateway.signal('SIGKILL')
    else {
      gateway.signal('SIGTERM')
      await gateway.until('stopped') // of the worker that has nothing to do
      gateway.signal('SIGTERM')
    }
    await cut
    // Told by the end of its output, which workers hold open as long as they live.
    expect(await gateway.ended).toBe(end === 'kill' ? 'SIGKILL' : 'SIGTERM')
  }
})

test('WK2 a worker that ends on SIGTERM of its own is replaced; one that crashes in a loop is replaced ever more slowly', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  const [first] = gateway.workers
  process.kill(first ?? 0, 'SIGTERM')
  expect(await gateway.until('worker_ended')).toMatchObject({ workerPid: first, code: 0 })
  const crashes: GatewayProcess['lines'][number][] = []
  for (let count = 1; count <= 3; count++) {
    await expect.poll(() => gateway.workers[0], { timeout: 15_000 }).not.toBe(crashes.at(-1)?.workerPid ?? first)
    process.kill(gateway.workers[0] ?? 0, 'SIGKILL')
    crashes.push(await gateway.until('sys_crash', count))
  }
  expect(crashes.map(({ pause }) => pause)).toEqual([250, 500, 1000])
  expect((await fetch(`${world.origin}/`)).status).toBe(200)
})

test('WK2 what keeps a worker from starting is said once, with exit 1; nothing is left running', async () => {
  await using world = await worldOfWorkers()
  await world.stopGateway()
  const file = join(world.folder, 'two.yaml')
  const { port } = new URL(world.upstream.url)
  const taken = {
    origin: `http://127.0.0.1:${port}`,
    listen: { port: Number(port) },
    workers: 2,
    providers: { corp: { issuer: world.provider.issuer, clientId: 'x', clientSecret: { env: 'SECRET_OF_CORP' } } },
    routes: [{ path: '/x', upstream: 'http://127.0.0.1:1', access: 'public' }],
  }
  writeFileSync(file, JSON.stringify(taken))
  await using gateway = spawnGateway(file)
  expect(await gateway.ended).toBe(1)
  expect(gateway.errors.trim().split('\n')).toHaveLength(1)
  expect(gateway.errors).toContain('EADDRINUSE')
  expect(gateway.events('sys_crash')).toEqual([])
})

test('WK2 SIGTERM to all of the group while workers start is no failure: exit 0', async () => {
  await using world = await worldOfWorkers()
  await world.stopGateway()
  const file = join(world.folder, 'coatcheck.yaml')
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), ...two }))
  await using gateway = spawnGateway(file)
  const children = () =>
    readFileSync(`/proc/${gateway.pid}/task/${gateway.pid}/children`, 'utf8').split(' ').filter(Boolean)
  // The first one serves, and the second begins.
  await gateway.until('started')
  await expect.poll(() => children().length, { timeout: 10_000, interval: 1 }).toBe(2)
  gateway.signal('SIGTERM')
  for (const pid of children()) process.kill(Number(pid), 'SIGTERM')
  expect(await gateway.ended).toBe(0)
  expect(gateway.errors).toBe('')
})

test('WK2 where no worker can start any more, it is tried five times, and all of it ends with exit 1', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  // Those that run have read it.
  writeFileSync(join(world.folder, 'coatcheck.keys'), '{}')
  for (const pid of gateway.workers) process.kill(pid, 'SIGKILL')
  expect(await gateway.ended).toBe(1)
  expect(gateway.events('worker_failed').at(-1)?.reason).toContain('not a key ring')
  expect(gateway.events('workers_gave_up')).toHaveLength(1)
}, 120_000)

test('MO2 who guesses over connections to several workers is heard no more than 50 times in all', async () => {
  await using world = await worldOfWorkers()
  await using gateway = await startGatewayProcess(world, two)
  const lines = await openLines(world, gateway)
  try {
    const text = (bytes: number) => randomBytes(bytes).toString('base64url')
    const guess = () => ({ cookie: `__Host-Http-session=v1.${text(16)}.1.${text(32)}` })
    const answers = await Promise.all(
      lines.map(async (line) => {
        const statuses: number[] = []
        for (let i = 0; i < 60; i++) statuses.push((await line.get('/api/echo', undefined, guess())).status)
        return statuses
      }),
    )
    const heard = answers.flat().filter((status) => status === 401)
    const refused = answers.flat().filter((status) => status === 429)
    expect(heard.length + refused.length).toBe(120)
    expect(heard.length).toBeLessThanOrEqual(50)
    for (const each of answers) expect(each.at(-1)).toBe(429)
  } finally {
    for (const line of lines) line[Symbol.dispose]()
  }
})
