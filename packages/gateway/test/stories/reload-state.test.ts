import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import { startUpstream } from '../../../testkit/src/upstream.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { createSignalsWorld } from './signals-world.ts'
import { liveWorld, openSocket, openStream, startSocketUpstream } from './sockets.ts'

const api = (upstream: string, keys: ConfigInput = {}): ConfigInput => ({
  ...{ path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
  ...keys,
})

async function count(world: World, series: string): Promise<number> {
  const headers = { authorization: `Bearer ${world.adminToken}` }
  const text = await (await fetch(`${world.adminUrl}/metrics`, { headers })).text()
  return Number(
    text
      .split('\n')
      .find((line) => line.startsWith(`${series} `))
      ?.slice(series.length + 1),
  )
}

test('RL4 a request under way finishes under the old configuration; its upstream is closed when it is idle', async () => {
  await using other = await startUpstream()
  await using world = await createWorld()
  const ada = await world.signedIn()
  const slow = ada.fetch('/api/slow?ms=1500')
  await expect.poll(() => world.upstream.open).toBe(1)
  await world.reloadGateway({ routes: [api(other.url)] })
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  expect(other.requests).toHaveLength(1)
  expect((await ada.fetch('/')).status).toBe(404)
  expect((await slow).status).toBe(200)
  expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/slow?ms=1500'])
  await expect.poll(() => world.upstream.connections(), { timeout: 4_000 }).toBe(0)
  expect(await other.connections()).toBe(1)
})

test('RL4 counters, what is known of the provider and the sessions survive a reload', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({ routes: [api(upstream), { path: '/*', static: './public', access: 'public' }] }),
  })
  const ada = await world.signedIn()
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  const forwarded = 'coatcheck_requests_total{outcome="forward"}'
  expect(await count(world, forwarded)).toBe(1)
  await world.reloadGateway({ session: { idle: '20m' } })
  await world.reloadGateway({ routes: [api(world.upstream.url)] })
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  expect(await count(world, forwarded)).toBe(2)
  expect(await count(world, 'coatcheck_sessions_created_total')).toBe(1)
  expect(world.provider.discoveryFetches).toBe(1)

  // Other settings make another client, which asks for itself.
  await world.reloadGateway({ providers: { corp: { scope: 'openid profile offline_access' } } })
  await expect.poll(() => world.provider.discoveryFetches).toBe(2)
  expect((await world.signedIn({ browser: 'bob', as: 'bob' })).cookies()).toHaveLength(1)
  expect(world.provider.authorizations.at(-1)?.get('scope')).toBe('openid profile offline_access')
  expect(await count(world, 'coatcheck_sign_ins_total{provider="corp",result="success"}')).toBe(2)
})

test('RL4 a WebSocket goes on over reloads, and ends when its route admits its session no more, or is gone', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    routes: [{ path: '/staff', upstream: upstream.url, access: 'authenticated' }],
  })
  const ada = await world.signedIn()
  const [live, staff] = [await openSocket(world, ada), await openSocket(world, ada, '/staff')]
  const stream = await openStream(ada, '/api/sse')
  const nobody = { roles: ['nobody'] }
  const first = [{ path: '/live', upstream: upstream.url, access: 'authenticated' }, api(world.upstream.url)] as const
  await world.reloadGateway({ routes: [...first, { path: '/staff', upstream: upstream.url, access: 'authenticated' }] })
  live.socket.send('over a reload')
  await expect.poll(() => live.messages).toEqual(['over a reload'])
  expect(staff.isClosed).toBe(false)

  await world.reloadGateway({ routes: [...first, { path: '/staff', upstream: upstream.url, access: nobody }] })
  expect(await staff.closed).toEqual({ code: 4403, reason: 'access_denied' })

  // The event stream's route is gone; the WebSocket is decided anew, by other session times besides.
  await world.reloadGateway({ session: { idle: '20m' }, routes: [first[0]] })
  await expect.poll(() => stream.end).toBe('cut')
  const seen = live.messages.length
  live.socket.send('still here')
  await expect.poll(() => live.messages.length).toBe(seen + 1)

  // And its session's end is noticed by whoever watches it now.
  expect((await ada.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect(await live.closed).toEqual({ code: 4401, reason: 'session_expired' })
})

test('RL4 a stream that is decided before a reload and begins after it is judged by the new routes', async () => {
  await using world = await createWorld()
  let answer: () => void = () => {}
  world.upstream.on('/late', async ({ response }) => {
    await new Promise<void>((resolve) => {
      answer = resolve
    })
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write('data: secret\n\n')
  })
  const ada = await world.signedIn()
  const opening = openStream(ada, '/api/late')
  await expect.poll(() => world.upstream.open).toBe(1)
  await world.reloadGateway({ routes: [api(world.upstream.url, { access: { roles: ['nobody'] } })] })
  answer()
  const stream = await opening.catch(() => undefined)
  await expect.poll(() => stream?.end ?? 'cut').toBe('cut')
  expect((await ada.fetch('/api/echo')).status).toBe(403)
})

test('RL4 a configuration that can not be put in force changes nothing', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const { config } = world
  const readFile = () => {
    throw new Error('the disk is gone')
  }
  const tls = { cert: '/none.crt', key: '/none.key' }
  const next = { ...config, routes: [], listen: { ...config.listen, tls } }
  await expect(world.gateway.reload({ config: next, readFile })).rejects.toThrow('the disk is gone')
  expect((await ada.fetch('/api/echo')).status).toBe(200)
})

test('RL4 MO2 what was counted against a limit stays counted', async () => {
  await using world = await createWorld({ config: { limits: { signIn: { requests: 2, per: '1m' } } } })
  const signIn = async () => (await world.browser().visit('/auth/login', { follow: false })).status
  expect([await signIn(), await signIn(), await signIn()]).toEqual([303, 303, 429])
  await world.reloadGateway({ session: { idle: '20m' } })
  expect(await signIn()).toBe(429)
  await world.reloadGateway({ limits: { signIn: { requests: 3, per: '1m' } } })
  expect(await signIn()).toBe(303)
})

test('RL4 a configuration that nothing is done under any more is let go of, however many there were', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const configurations: WeakRef<object>[] = []
  for (let minutes = 21; minutes <= 26; minutes++) {
    await world.reloadGateway({ session: { idle: `${minutes}m` } })
    configurations.push(new WeakRef(world.config))
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  }
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const kept = () => {
    collectGarbage()
    return configurations.slice(0, -2).filter((one) => one.deref() !== undefined).length
  }
  await expect.poll(kept, { timeout: 5_000, interval: 50 }).toBe(0)
})

test('RL4 Shared Signals are polled as the new configuration says', async () => {
  await using given = await createSignalsWorld({
    signals: ({ transmitter }) => ({
      poll: { url: transmitter.pollUrl, token: { file: 'poll.secret' }, interval: '1s' },
    }),
  })
  const { transmitter, world } = given
  await expect.poll(() => transmitter.polls.length, { timeout: 10_000 }).toBeGreaterThan(0)
  await world.reloadGateway({ signals: undefined })
  const { length } = transmitter.polls
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  expect(transmitter.polls).toHaveLength(length)
  await world.reloadGateway({})
  await expect.poll(() => transmitter.polls.length, { timeout: 10_000 }).toBeGreaterThan(length)
})
