import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { change, liveWorld, openStream, startSocketUpstream } from './sockets.ts'

/** The page's EventSource: what was said to it, as `event data`. */
async function openEvents(browser: Browser, path = '/auth/events') {
  const stream = await openStream(browser, path)
  return {
    stream,
    get events() {
      return [...stream.text.matchAll(/event: (.+)\ndata: (.+)\n\n/g)].map(([, event, data]) => [
        event,
        JSON.parse(data ?? '') as Record<string, unknown>,
      ])
    },
  }
}

const iso = (world: World, milliseconds: number) => new Date(world.clock.now() + milliseconds).toISOString()
const minute = 60_000

test('LO1 the page hears that its session ended, and why; then the stream is over, and opening it again is 401', async () => {
  await using world = await createWorld()
  await using second = await world.anotherGateway()
  const ada = await world.signedIn()
  const page = await openEvents(ada)
  expect(page.stream.status).toBe(200)
  await expect.poll(() => page.stream.text).toContain('retry: ')
  // On the other gateway, with a copy of the cookie.
  expect(
    (await second.fetch(ada.saved(), '/auth/logout', { method: 'POST', headers: { origin: world.origin } })).status,
  ).toBe(200)
  await expect.poll(() => page.stream.end).toBe('whole')
  expect(page.events).toEqual([['ended', { reason: 'logout' }]])
  const again = await ada.fetch('/auth/events')
  expect([again.status, again.json<{ code: string }>().code]).toEqual([401, 'session_expired'])
})

test('TO1 `expiring` comes ahead of the idle end, `extended` when the user went on, and listening keeps nothing alive', async () => {
  await using world = await createWorld({
    config: { session: { idle: '20m', absolute: '1h', streams: { notice: '3m' } } },
  })
  const ada = await world.signedIn()
  const page = await openEvents(ada)
  world.clock.advance(16 * minute)
  await expect.poll(() => page.stream.text.length).toBeGreaterThan(0)
  world.clock.advance(minute)
  const times = (idle: number, absolute: number) => ({
    idleExpiresAt: iso(world, idle * minute),
    expiresAt: iso(world, absolute * minute),
  })
  await expect.poll(() => page.events).toEqual([['expiring', times(3, 43)]])
  // Coming back to listen is no activity.
  const second = await openEvents(ada)
  await expect.poll(() => second.events).toEqual([['expiring', times(3, 43)]])
  expect((await ada.fetch('/auth/session', { method: 'POST' })).status).toBe(200)
  await expect.poll(() => page.events.at(-1)).toEqual(['extended', times(20, 43)])
  for (let minutes = 17; minutes < 57; minutes += 10) {
    await ada.fetch('/api/echo')
    world.clock.advance(10 * minute)
  }
  // The absolute end is announced as well, whatever the activity.
  await ada.fetch('/api/echo')
  await expect.poll(() => page.events.at(-1)).toEqual(['expiring', times(3, 3)])
  world.clock.advance(3 * minute)
  await expect
    .poll(() => [page.events.at(-1), second.events.at(-1)])
    .toEqual([
      ['ended', { reason: 'absolute' }],
      ['ended', { reason: 'absolute' }],
    ])
})

test('RB2 `roles` and `step-up`: the page hears at once what its session may no longer do', async () => {
  await using upstream = await startSocketUpstream()
  await using world = await liveWorld(upstream, {
    routes: [
      { path: '/pay/*', upstream: 'http://127.0.0.1:1', access: { acr: ['mfa'], maxAge: '5m' } },
      { path: '/ops/*', upstream: 'http://127.0.0.1:1', access: { roles: ['admin'], maxAge: '1h' } },
    ],
  })
  const ada = await world.signedIn()
  await change(world, ada, { acr: 'mfa', authenticatedAt: world.clock.now() })
  const page = await openEvents(ada)
  await expect.poll(() => page.stream.text).toContain('retry')
  world.clock.advance(5 * minute + 1000)
  const stepUp = {
    path: '/pay/*',
    acr: 'mfa',
    maxAge: 300,
    stepUpUrl: '/auth/step-up?return_to=%2F&acr=mfa&max_age=300',
  }
  await expect.poll(() => page.events).toEqual([['step-up', stepUp]])
  await change(world, ada, { roles: ['member'] })
  await expect.poll(() => page.events.at(-1)).toEqual(['roles', { roles: ['member'] }])
  // Signed in anew, and aged again: said again.
  await change(world, ada, { authenticatedAt: world.clock.now() })
  await new Promise((resolve) => setTimeout(resolve, 600))
  world.clock.advance(5 * minute + 1000)
  await expect.poll(() => page.events.at(-1)).toEqual(['step-up', stepUp])
  expect(page.events).toHaveLength(3)
  page.stream.abort()
})

test('CS1 /auth/events answers a page of the own origin only, and nobody who is not signed in', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const refused: Record<string, Record<string, string>> = {
    'another site': { 'sec-fetch-site': 'cross-site', origin: 'https://evil.example' },
    'another site, without CORS': { 'sec-fetch-site': 'cross-site' },
    'a sister site': { 'sec-fetch-site': 'same-site', origin: 'http://localhost:1' },
    'the address bar': { 'sec-fetch-site': 'none' },
    'a foreign Origin beside own metadata': { 'sec-fetch-site': 'same-origin', origin: 'https://evil.example' },
    'an opaque origin': { 'sec-fetch-site': 'same-origin', origin: 'null' },
  }
  for (const [what, headers] of Object.entries(refused)) {
    const answer = await ada.fetch('/auth/events', { headers: { accept: 'text/event-stream', ...headers } })
    expect([what, answer.status, answer.json<{ code: string }>().code]).toEqual([what, 403, 'csrf_rejected'])
  }
  const stranger = await world.browser('stranger').fetch('/auth/events')
  expect([stranger.status, stranger.json<{ code: string }>().code]).toEqual([401, 'login_required'])
  expect((await ada.fetch('/auth/events', { method: 'POST' })).status).toBe(405)
  const head = await ada.fetch('/auth/events', { method: 'HEAD' })
  expect([head.status, head.header('content-type'), head.header('cache-control')]).toEqual([
    200,
    'text/event-stream',
    'no-store',
  ])
  // EventSource sends no header of the application's.
  const events = await ada.stream('/auth/events', { csrf: false, headers: { accept: 'text/event-stream' } })
  expect(events.status).toBe(200)
  events.abort()
})

test('PX10 peers 14: events of an upstream are neither kept back nor cut by a time-out, beside /auth/events of the same page', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/feed/*', upstream, stripPrefix: '/feed', access: 'authenticated', timeout: '1s' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const ada = await world.signedIn()
  let say: (text: string) => void = () => {}
  world.upstream.on('/quiet', ({ response }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders()
    say = (text) => response.write(text)
  })
  const own = await openEvents(ada)
  const feed = await openStream(ada, '/feed/quiet')
  expect(feed.status).toBe(200)
  say('data: one\n\n')
  await expect.poll(() => feed.text).toBe('data: one\n\n')
  await new Promise((resolve) => setTimeout(resolve, 1500))
  say('data: two\n\n')
  await expect.poll(() => feed.text).toBe('data: one\n\ndata: two\n\n')
  expect([feed.end, own.stream.end]).toEqual(['open', 'open'])
  feed.abort()
  own.stream.abort()
  // Whoever listened is gone: nothing is held for it.
  await expect.poll(() => world.upstream.open).toBe(0)
})
