import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { get as httpGet, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import type { World } from '../../../testkit/src/world.ts'
import type { SessionStore } from '../../src/session/store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { startSecondProcess } from './second-gateway.ts'
import { change, idOf, liveWorld, openSocket, openStream, refusalOf, startSocketUpstream } from './sockets.ts'

test('LO1 peers 9: sign-out closes the WebSockets and event streams of that session, here and on another gateway, and of no other', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream)
  await using second = await world.anotherGateway()
  const desk = await world.signedIn({ browser: 'desk' })
  const phone = await world.signedIn({ browser: 'phone' })
  const here = await openSocket(world, desk)
  const there = await openSocket(world, desk, '/live', { at: second.gateway.url })
  const events = await openStream(desk, '/api/sse')
  using other = await openSocket(world, phone)
  using otherThere = await openSocket(world, phone, '/live', { at: second.gateway.url })
  const otherEvents = await openStream(phone, '/api/sse')
  await expect
    .poll(() => [events.text, otherEvents.text])
    .toEqual([expect.stringContaining('event 2'), expect.stringContaining('event 2')])

  const started = performance.now()
  expect((await desk.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect(await here.closed).toEqual({ code: 4401, reason: 'session_expired' })
  expect(await there.closed).toEqual({ code: 4401, reason: 'session_expired' })
  await expect.poll(() => events.end).toBe('cut')
  // "Within one second" on an idle machine; a loaded one gets more.
  expect(performance.now() - started).toBeLessThan(5_000)

  for (const socket of [other, otherThere]) {
    socket.socket.send('still here')
    await expect.poll(() => socket.messages).toEqual(['still here'])
  }
  const seen = otherEvents.text.length
  await expect.poll(() => otherEvents.text.length).toBeGreaterThan(seen)
  otherEvents.abort()
  await expect.poll(() => upstream.open.size).toBe(2)
  await expect.poll(() => world.upstream.open).toBe(0)
  expect((await refusalOf(openSocket(world, desk))).status).toBe(401)
  expect(world.log.lines).toContainEqual(
    expect.objectContaining({ event: 'streams_ended', streams: 2, reason: 'logout' }),
  )
})

test('LO1 peers 9: back-channel logout closes what the provider’s session has open', async () => {
  const { clientId, clientSecret } = clientOf('corp')
  await using provider = await startHostileProvider({ clientId, clientSecret })
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  provider.publish({ ...(await exportJWK(publicKey)), kid: 'logout', alg: 'RS256', use: 'sig' })
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { providers: [], issuers: { corp: provider.issuer } })
  const signIn = async (name: string, sid: string) => {
    provider.twist.claims = { sid }
    const browser = world.browser(name)
    const start = await browser.visit('/auth/login', { from: world.origin, follow: false })
    await browser.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })
    return browser
  }
  const ended = await openSocket(world, await signIn('desk', 'one'))
  using other = await openSocket(world, await signIn('phone', 'two'))
  const seconds = Math.floor(world.clock.now() / 1000)
  const token = await new SignJWT({ sid: 'one', events: { 'http://schemas.openid.net/event/backchannel-logout': {} } })
    .setProtectedHeader({ alg: 'RS256', kid: 'logout', typ: 'logout+jwt' })
    .setIssuer(provider.issuer)
    .setAudience(clientId)
    .setIssuedAt(seconds)
    .setExpirationTime(seconds + 120)
    .setJti('a-logout')
    .sign(privateKey)
  const answer = await world.browser('provider').fetch('/auth/backchannel-logout/corp', {
    method: 'POST',
    csrf: false,
    body: new URLSearchParams({ logout_token: token }),
  })
  expect(answer.status).toBe(200)
  expect(await ended.closed).toEqual({ code: 4401, reason: 'session_expired' })
  other.socket.send('still here')
  await expect.poll(() => other.messages).toEqual(['still here'])
})

test('LO1 peers 9: sign-out closes what another process has open for the session, over the embedded store', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { store: 'lmdb' })
  await using process = await startSecondProcess(world)
  const [ada, bob] = [await world.signedIn(), await world.signedIn({ browser: 'bob', as: 'bob' })]
  const live = await openSocket(world, ada, '/live', { at: process.url })
  const other = await openSocket(world, bob, '/live', { at: process.url })
  const events = await openStream(ada, '/auth/events', { at: process.url })
  await expect.poll(() => events.text).toContain('retry')
  expect((await ada.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect(await live.closed).toEqual({ code: 4401, reason: 'session_expired' })
  await expect.poll(() => events.end).toBe('whole')
  expect(events.text).toContain('event: ended\ndata: {"reason":"logout"}\n\n')
  other.socket.send('still here')
  await expect.poll(() => other.messages).toEqual(['still here'])
  // A stop of that process waits for nobody.
  expect(await process.stop()).toBe(0)
  expect(await other.closed).toEqual({ code: 1001, reason: 'going_away' })
}, 30_000)

describe('every end of a session closes what it has open', () => {
  const ends: Record<string, (world: World, browser: Browser) => Promise<unknown>> = {
    'the user ends it from another device': async (world) => {
      const other = await world.signedIn({ browser: 'another device' })
      return other.fetch('/auth/sessions?others=1', { method: 'DELETE' })
    },
    'the absolute end': async (world) => world.clock.advance(12 * 3_600_000),
    'idle: messages are no activity': async (world) => world.clock.advance(30 * 60_000),
    'a copy of its cookie': async (world, browser) => {
      const copy = browser.saved()
      world.clock.advance(16 * 60_000)
      await browser.fetch('/api/echo')
      await browser.fetch('/api/echo')
      world.clock.advance(60_000)
      return copy.fetch('/api/echo')
    },
  }

  test.each(Object.entries(ends))('LO1 %s', async (_, end) => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await world.signedIn()
    const live = await openSocket(world, ada)
    const events = await openStream(ada, '/api/sse')
    live.socket.send('busy')
    await expect.poll(() => [live.messages.length, events.text.length > 0]).toEqual([1, true])
    await end(world, ada)
    expect(await live.closed).toEqual({ code: 4401, reason: 'session_expired' })
    await expect.poll(() => events.end).toBe('cut')
    await expect.poll(() => [upstream.open.size, world.upstream.open]).toEqual([0, 0])
    expect((await ada.fetch('/api/echo')).status).toBe(401)
  })
})

test('TO1 a WebSocket keeps no session alive; a route with extendIdle does, up to the absolute end', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    session: { idle: '10m', absolute: '1h' },
    routes: [{ path: '/watch', upstream: upstream.url, access: 'authenticated', streams: { extendIdle: true } }],
  })
  const [ada, bob] = [await world.signedIn(), await world.signedIn({ browser: 'bob', as: 'bob' })]
  const live = await openSocket(world, ada)
  const watch = await openSocket(world, bob, '/watch')
  const versionOf = (browser: Browser) => world.store.peek?.(idOf(browser)) as number
  for (let minutes = 2; minutes < 10; minutes += 2) {
    const before = versionOf(bob)
    world.clock.advance(2 * 60_000)
    live.socket.send('hello')
    await expect.poll(() => versionOf(bob)).toBeGreaterThan(before)
  }
  expect(live.isClosed).toBe(false)
  world.clock.advance(2 * 60_000)
  expect((await live.closed).code).toBe(4401)
  expect(watch.isClosed).toBe(false)
  for (let minutes = 10; minutes < 58; minutes += 6) {
    const before = versionOf(bob)
    world.clock.advance(6 * 60_000)
    await expect.poll(() => versionOf(bob)).toBeGreaterThan(before)
  }
  expect(watch.isClosed).toBe(false)
  world.clock.advance(2 * 60_000)
  expect((await watch.closed).code).toBe(4401)
})

test('LO1 other requests of the session keep its WebSocket open', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { session: { idle: '10m' } })
  const ada = await world.signedIn()
  using live = await openSocket(world, ada)
  for (let i = 1; i < 5; i++) {
    world.clock.advance(6 * 60_000)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
    live.socket.send(`${i}`)
    await expect.poll(() => live.messages.at(-1)).toBe(`${i}`)
  }
  expect(live.isClosed).toBe(false)
})

test('RB2 who loses the role loses the WebSocket and the event stream that need it, and keeps what needs none', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    live: { access: { roles: ['admin'] } },
    routes: (api) => [
      { path: '/lounge', upstream: upstream.url, access: 'authenticated' },
      { path: '/ops/*', upstream: api, stripPrefix: '/ops', access: { roles: ['admin'] } },
    ],
  })
  const ada = await world.signedIn()
  const events = await openStream(ada, '/ops/sse')
  const harmless = await openStream(ada, '/api/sse')
  const ops = await openSocket(world, ada)
  using lounge = await openSocket(world, ada, '/lounge')
  await change(world, ada, { roles: ['member'] })
  expect(await ops.closed).toEqual({ code: 4403, reason: 'access_denied' })
  await expect.poll(() => events.end).toBe('cut')
  expect(harmless.end).toBe('open')
  harmless.abort()
  lounge.socket.send('fine')
  await expect.poll(() => lounge.messages).toEqual(['fine'])
})

test('a WebSocket whose route wants a recent sign-in ends when the sign-in is no longer recent', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { live: { access: { maxAge: '5m' } } })
  const live = await openSocket(world, await world.signedIn())
  world.clock.advance(5 * 60_000)
  live.socket.send('still')
  await expect.poll(() => live.messages).toEqual(['still'])
  world.clock.advance(1_000)
  expect(await live.closed).toEqual({ code: 4403, reason: 'step_up_required' })
})

test('LO1 an ordinary download in flight is cut and does not look whole; an answer that had not begun becomes 401', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream)
  const ada = await world.signedIn()
  world.upstream.on('/report', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/csv' }).write('a;b\n')
  })
  const report = await openStream(ada, '/api/report')
  const slow = ada.fetch('/api/hang')
  await expect.poll(() => world.upstream.open).toBe(2)
  // Long enough to count as long.
  await new Promise((resolve) => setTimeout(resolve, 700))
  await ada.saved().fetch('/auth/logout', { method: 'POST' })
  await expect.poll(() => report.end).toBe('cut')
  const answer = await slow
  expect([answer.status, answer.json<{ code: string }>().code]).toEqual([401, 'session_expired'])
  await expect.poll(() => world.upstream.open).toBe(0)
})

test('LO1 a large file that is read slowly is cut at the sign-out, too', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    routes: [{ path: '/files/*', static: './public', access: 'authenticated' }],
  })
  const size = 64 * 1024 * 1024
  writeFileSync(join(world.folder, 'public', 'large.bin'), Buffer.alloc(size))
  const ada = await world.signedIn()
  const cookie = ada
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')
  const headers = { cookie, 'x-csrf': '1', 'sec-fetch-site': 'same-origin' }
  const asked = httpGet(`${world.origin}/files/large.bin`, { headers, agent: false })
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  expect(answer.statusCode).toBe(200)
  // Long enough to count as long.
  await new Promise((resolve) => setTimeout(resolve, 700))
  await ada.saved().fetch('/auth/logout', { method: 'POST' })
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  let received = 0
  answer.on('data', (piece: Buffer) => {
    received += piece.length
  })
  await new Promise((resolve) => answer.on('error', () => {}).once('close', resolve))
  expect([answer.complete, received < size]).toEqual([false, true])
})

test('a session may have so many streams open and no more; one that is closed makes room, and others have their own', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { session: { streams: { max: 3 } } })
  const ada = await world.signedIn()
  const first = await openSocket(world, ada)
  using _second = await openSocket(world, ada)
  const events = await openStream(ada, '/api/sse')
  const refused = await refusalOf(openSocket(world, ada))
  expect([refused.status, refused.code]).toEqual([429, 'too_many_streams'])
  const more = await ada.fetch('/api/sse')
  expect([more.status, more.json<{ code: string }>().code]).toEqual([429, 'too_many_streams'])
  expect((await ada.fetch('/auth/events')).status).toBe(429)
  expect((await ada.fetch('/api/slow?ms=900')).status).toBe(200)
  using _other = await openSocket(world, await world.signedIn({ browser: 'phone' }))
  first.socket.close()
  await first.closed
  await expect.poll(async () => (await openSocket(world, ada).catch(() => undefined))?.messages).toEqual([])
  events.abort()
  expect(world.log.lines.filter(({ event }) => event === 'streams_refused')).not.toEqual([])
})

test('LO1 a store that can’t say at once whether a session is still the same is asked again and again', async () => {
  const clock = new FakeClock(Date.now())
  const { peek: _, ...store } = createMemoryStore({ now: clock.now })
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { clock, store })
  await using second = await world.anotherGateway()
  const ada = await world.signedIn()
  const live = await openSocket(world, ada)
  await second.fetch(ada, '/auth/logout', { method: 'POST', headers: { origin: world.origin } })
  expect(await live.closed).toEqual({ code: 4401, reason: 'session_expired' })
})

test('a store that can’t be read closes no stream at once, and every stream in the end', async () => {
  const clock = new FakeClock(Date.now())
  const memory = createMemoryStore({ now: clock.now })
  let down = false
  const store = new Proxy(memory, {
    get(target, name: keyof SessionStore) {
      if (down && (name === 'peek' || name === 'get'))
        return () => {
          throw new Error('the store is down')
        }
      return target[name]
    },
  })
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, { clock, store })
  const live = await openSocket(world, await world.signedIn())
  const says = async (text: string) => {
    live.socket.send(text)
    await expect.poll(() => live.messages.at(-1)).toBe(text)
  }
  const outages = () => world.log.lines.filter(({ event }) => event === 'store_unavailable').length
  down = true
  await expect.poll(outages).toBe(1)
  clock.advance(14_000)
  // Two looks at least.
  await new Promise((resolve) => setTimeout(resolve, 700))
  await says('through a hiccup')
  down = false
  await new Promise((resolve) => setTimeout(resolve, 600))
  down = true
  clock.advance(2_000)
  await expect.poll(outages).toBe(2)
  await says('the count begins again')
  clock.advance(15_000)
  expect(await live.closed).toEqual({ code: 1013, reason: 'store_unavailable' })
})

test('a gateway that stops says so on every WebSocket, public ones too, and waits for no event stream', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    routes: (api) => [
      { path: '/open', upstream: upstream.url, access: 'public' },
      { path: '/news/*', upstream: api, stripPrefix: '/news', access: 'public' },
    ],
  })
  const ada = await world.signedIn()
  const sockets = [await openSocket(world, ada), await openSocket(world, ada, '/open')]
  const news = await openStream(world.browser('nobody'), '/news/sse')
  const events = await openStream(ada, '/api/sse')
  const own = await openStream(ada, '/auth/events')
  await expect.poll(() => [events, own, news].map(({ text }) => text.length > 0)).toEqual([true, true, true])
  const started = performance.now()
  await world.gateway.close({ graceMs: 60_000 })
  expect(performance.now() - started).toBeLessThan(20_000)
  for (const socket of sockets) expect(await socket.closed).toEqual({ code: 1001, reason: 'going_away' })
  await expect.poll(() => [events.end, own.end, news.end]).toEqual(['cut', 'whole', 'cut'])
  expect(own.text).not.toContain('ended')
})
