import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Page } from '../../../testkit/src/page.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { openSocket, refusalOf } from './sockets.ts'

const second = 1000
const minute = 60 * second

/** A session cookie as the gateway could have issued it. */
function guess(): string {
  return `__Host-Http-session=v1.${randomBytes(16).toString('base64url')}.1.${randomBytes(32).toString('base64url')}`
}

/** A call by script with a cookie of its own making, from an address that the proxy in front names. */
function send(world: World, path: string, options: { cookie?: string; from?: string; headers?: object } = {}) {
  const { cookie, from = '203.0.113.7', headers } = options
  return world.browser('raw').fetch(path, {
    headers: { 'x-forwarded-for': from, ...(cookie !== undefined && { cookie }), ...(headers as object) },
  })
}

async function guessUntilThrottled(world: World, from?: string): Promise<Page> {
  for (let i = 0; i < 50; i++) {
    const answer = await send(world, '/api/echo', { cookie: guess(), ...(from !== undefined && { from }) })
    expect([i, answer.status]).toEqual([i, 401])
  }
  return await send(world, '/api/echo', { cookie: guess(), ...(from !== undefined && { from }) })
}

async function metric(world: World, series: string): Promise<number> {
  const headers = { authorization: `Bearer ${world.adminToken}` }
  const text = await (await fetch(`${world.adminUrl}/metrics`, { headers })).text()
  const line = text.split('\n').find((one) => one.startsWith(`coatcheck_${series} `))
  return Number(line?.split(' ').at(-1) ?? Number.NaN)
}

const behindProxy = { trustedProxies: ['127.0.0.1'] }

describe('guessing of session ids', () => {
  test('MO2 50 random ids from one address: one alert, and the next is 429 with Retry-After until a minute has passed', async () => {
    await using world = await createWorld({ config: behindProxy })
    const answer = await guessUntilThrottled(world)
    expect([answer.status, answer.json().code]).toEqual([429, 'too_many_requests'])
    expect(answer.header('content-type')).toBe('application/problem+json')
    expect(answer.header('retry-after')).toBe('60')
    for (let i = 0; i < 60; i++) expect((await send(world, '/api/echo', { cookie: guess() })).status).toBe(429)
    const alerts = world.log.events('session_guessing')
    expect(alerts).toEqual([expect.objectContaining({ level: 'error', network: '203.0.113.7' })])
    expect(await metric(world, 'alerts_total{event="session_guessing"}')).toBe(1)
    world.clock.advance(59 * second)
    expect((await send(world, '/api/echo', { cookie: guess() })).header('retry-after')).toBe('1')
    world.clock.advance(second)
    expect((await guessUntilThrottled(world)).status).toBe(429)
    expect(world.log.events('session_guessing')).toHaveLength(2)
  })

  test('MO2 a wrong secret of a real session, and a cookie that we can not have issued, are misses too', async () => {
    await using world = await createWorld({ config: behindProxy })
    const ada = await world.signedIn()
    const own = ada.cookies()[0]?.cookieString() ?? ''
    const wrong = () => own.slice(0, -43) + randomBytes(32).toString('base64url')
    for (let i = 0; i < 25; i++) {
      expect((await send(world, '/api/echo', { cookie: wrong() })).status).toBe(401)
      expect((await send(world, '/api/echo', { cookie: '__Host-Http-session=admin' })).status).toBe(401)
    }
    for (const cookie of [wrong(), '__Host-Http-session=x', guess()])
      expect((await send(world, '/api/echo', { cookie })).status).toBe(429)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  })

  test('MO2 neighbours at the same address go on: sessions known here or only to the store, public pages, sign-in and sign-out', async () => {
    await using world = await createWorld({ store: 'lmdb' })
    const ada = await world.signedIn({ browser: 'ada' })
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    // A process that has opened none of the sessions yet.
    await world.stopGateway()
    await world.startGateway()
    expect((await ada.fetch('/api/echo')).status).toBe(200)
    const guesser = world.browser('guesser')
    for (let i = 0; i < 50; i++) await guesser.fetch('/api/echo', { headers: { cookie: guess() } })
    expect((await guesser.fetch('/api/echo', { headers: { cookie: guess() } })).status).toBe(429)
    expect((await ada.fetch('/api/echo')).status).toBe(200)
    expect((await bob.fetch('/api/echo')).status).toBe(200)
    expect((await bob.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    const nobody = world.browser('nobody')
    expect((await nobody.visit('/')).status).toBe(200)
    expect((await nobody.fetch('/api/public/echo')).status).toBe(200)
    expect((await nobody.fetch('/api/echo')).status).toBe(401)
    // With a cookie of long ago: the page says so and leads to sign-in, which works.
    const headers = { cookie: guess() }
    const page = await world.browser('returning').visit('/api/echo?page=2', { headers, follow: false })
    expect([page.status, page.header('content-type')]).toEqual([429, 'text/html; charset=utf-8'])
    expect(page.text).toContain('href="/auth/login?return_to=%2Fapi%2Fecho%3Fpage%3D2"')
    expect((await world.browser('x').visit('/auth/login', { headers, from: world.origin, follow: false })).status).toBe(
      303,
    )
    expect((await world.browser('y').fetch('/auth/logout', { method: 'POST', headers })).status).toBe(200)
    expect((await world.signedIn({ browser: 'carol' })).cookies()).toHaveLength(1)
  })

  test('MO2 an ended or expired session is no guess, however often its cookie comes', async () => {
    await using world = await createWorld({ config: behindProxy })
    const ada = await world.signedIn()
    const ended = ada.cookies()[0]?.cookieString() ?? ''
    await ada.fetch('/auth/logout', { method: 'POST' })
    for (let i = 0; i < 60; i++) {
      const answer = await send(world, '/api/echo', { cookie: ended })
      expect([answer.status, answer.json().code]).toEqual([401, 'session_expired'])
    }
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const expired = bob.cookies()[0]?.cookieString() ?? ''
    world.clock.advance(31 * minute)
    for (let i = 0; i < 60; i++) {
      const answer = await send(world, '/api/echo', { cookie: expired })
      expect([answer.status, answer.json().code]).toEqual([401, 'session_expired'])
    }
    expect(world.log.events('session_guessing')).toEqual([])
  })

  test('MO2 every endpoint that tells a session from none counts, and none tells more when throttled', async () => {
    await using world = await createWorld({ config: behindProxy })
    const asked = ['/auth/session', '/auth/sessions', '/auth/events', '/api/echo']
    for (const [at, path] of asked.entries()) {
      const from = `203.0.113.${at}`
      for (let i = 0; i < 50; i++) expect((await send(world, path, { cookie: guess(), from })).status).not.toBe(429)
      for (const other of asked)
        expect([path, other, (await send(world, other, { cookie: guess(), from })).status]).toEqual([path, other, 429])
    }
    const from = '203.0.113.99'
    for (let i = 0; i < 50; i++)
      await world.browser('raw').fetch('/auth/logout', {
        method: 'POST',
        headers: { 'x-forwarded-for': from, cookie: guess() },
      })
    expect((await send(world, '/api/echo', { cookie: guess(), from })).status).toBe(429)
  })

  test('PX9 MO2 the address is the one that trusted proxies vouch for; all of an IPv6 /64 is one', async () => {
    await using world = await createWorld({ config: behindProxy })
    for (let i = 0; i < 50; i++) await send(world, '/api/echo', { cookie: guess(), from: `2001:db8:1:2::${i}` })
    const from = (address: string) => send(world, '/api/echo', { cookie: guess(), from: address })
    expect((await from('2001:db8:1:2:ffff::1')).status).toBe(429)
    expect((await from('2001:db8:1:3::1')).status).toBe(401)
    // What the client itself put there is not believed.
    expect((await from('198.51.100.1, 2001:db8:1:2::9')).status).toBe(429)
    expect(world.log.events('session_guessing')[0]).toMatchObject({ network: '2001:db8:1:2::/64' })

    await using direct = await createWorld()
    for (let i = 0; i < 50; i++) await send(direct, '/api/echo', { cookie: guess(), from: `203.0.113.${i}` })
    expect((await send(direct, '/api/echo', { cookie: guess(), from: '198.51.100.1' })).status).toBe(429)
  })

  test('MO2 forward-auth answers 429 by the address of the original', async () => {
    await using world = await createWorld({
      config: {
        ...behindProxy,
        routes: [
          { path: '/app/*', forwardAuth: true, access: 'authenticated', limit: { requests: 2 } },
          { path: '/*', static: './public', access: 'public' },
        ],
      },
    })
    const question = {
      'sec-coatcheck-forward': '1',
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/app/x',
      'x-forwarded-host': new URL(world.origin).host,
      'x-forwarded-proto': 'http',
    }
    const ask = (from: string, cookie = guess()) => send(world, '/auth/forward', { cookie, from, headers: question })
    for (let i = 0; i < 50; i++) expect((await ask('203.0.113.7')).status).toBe(401)
    const throttled = await ask('203.0.113.7')
    expect([throttled.status, throttled.header('retry-after')]).toEqual([429, '60'])
    expect(throttled.json()).toMatchObject({ status: 429, code: 'too_many_requests' })
    expect((await ask('203.0.113.8')).status).toBe(401)
    const own = (await world.signedIn()).cookies()[0]?.cookieString()
    const answers = [await ask('203.0.113.7', own), await ask('203.0.113.7', own), await ask('203.0.113.7', own)]
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 429])
  })
})

describe('own endpoints', () => {
  test('sign-ins are limited by address: 429 before anything is done, a page with a link to try again, an alert', async () => {
    await using world = await createWorld({
      config: { ...behindProxy, limits: { signIn: { requests: 6, per: '1m' } } },
    })
    const visit = (path: string, from: string) =>
      world.browser(from).visit(path, { from: world.origin, headers: { 'x-forwarded-for': from }, follow: false })
    const paths = ['/auth/login', '/auth/step-up?acr=mfa', '/auth/callback/corp?code=x&state=y']
    for (const path of [...paths, ...paths]) expect((await visit(path, '203.0.113.7')).status).not.toBe(429)
    const page = await visit('/auth/login?return_to=/a', '203.0.113.7')
    expect([page.status, page.header('retry-after')]).toEqual([429, '10'])
    expect(page.text).toContain('href="/auth/login?return_to=/a"')
    expect(page.headers('set-cookie')).toEqual([])
    for (const path of paths) expect((await visit(path, '203.0.113.7')).status).toBe(429)
    expect((await visit('/auth/login', '203.0.113.8')).status).toBe(303)
    expect(world.log.events('excess_rate_limit_exceeded')).toEqual([
      expect.objectContaining({ level: 'warn', limit: 'sign-in', network: '203.0.113.7' }),
    ])
    expect(await metric(world, 'limits_exceeded_total{limit="sign-in"}')).toBe(1)
    world.clock.advance(10 * second)
    expect((await visit('/auth/login', '203.0.113.7')).status).toBe(303)
    expect((await visit('/auth/login', '203.0.113.7')).status).toBe(429)
  })

  test('FX3 a page of another site can not use up the sign-ins of those who look at it: its images and frames are not counted', async () => {
    await using world = await createWorld({ config: { limits: { signIn: { requests: 4, per: '1m' } } } })
    const loaded = async (path: string, site: string, mode: string, dest: string) => {
      const { host, port } = new URL(world.origin)
      const metadata = `Sec-Fetch-Site: ${site}\r\nSec-Fetch-Mode: ${mode}\r\nSec-Fetch-Dest: ${dest}\r\n`
      const head = `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n${metadata}Connection: close\r\n\r\n`
      return statusesOf(await rawRequest(Number(port), head))[0]
    }
    for (const path of ['/auth/login', '/auth/step-up?acr=mfa', '/auth/callback/corp?code=x&state=y'])
      for (const site of ['cross-site', 'same-site']) {
        expect(await loaded(path, site, 'no-cors', 'image')).toBe(path.includes('callback') ? 400 : 403)
        expect(await loaded(path, site, 'navigate', 'iframe')).toBe(path.includes('callback') ? 400 : 403)
      }
    expect((await world.signedIn()).cookies()).toHaveLength(1)
    for (let i = 0; i < 4; i++) await loaded('/auth/login', 'cross-site', 'navigate', 'document')
    expect(await loaded('/auth/login', 'cross-site', 'navigate', 'document')).toBe(429)
  })

  test('`limits: off` limits nothing', async () => {
    await using world = await createWorld({ config: { limits: 'off' } })
    for (let i = 0; i < 60; i++)
      expect((await world.browser('raw').fetch('/api/echo', { headers: { cookie: guess() } })).status).toBe(401)
    for (let i = 0; i < 310; i++)
      expect((await fetch(`${world.origin}/auth/callback/corp?state=x&code=y`)).status).toBe(400)
    await using usual = await createWorld()
    const statuses: number[] = []
    for (let i = 0; i < 310; i++)
      statuses.push((await fetch(`${usual.origin}/auth/callback/corp?state=x&code=y`)).status)
    expect([statuses.indexOf(429), statuses.filter((status) => status === 429).length]).toEqual([300, 10])
  })
})

describe('routes', () => {
  const limited = (upstream: string) => [
    { path: '/open/*', upstream, stripPrefix: '/open', access: 'public', limit: { requests: 3, per: '30s' } },
    { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', limit: { requests: 4 } },
    { path: '/free/*', upstream, stripPrefix: '/free', access: 'authenticated' },
    { path: '/live', upstream: upstream.replace('http', 'ws'), access: 'public', limit: { requests: 1 } },
    { path: '/start/*', static: './public', access: 'public' },
    { path: '/*', static: './public', access: 'public', limit: { requests: 2 } },
  ]

  test('a limit counts by session: another browser, another route and no session are not touched; nothing reaches the upstream', async () => {
    await using world = await createWorld({ config: ({ upstream }) => ({ ...behindProxy, routes: limited(upstream) }) })
    const ada = await world.signedIn({ browser: 'ada', returnTo: '/start/' })
    const again = await world.signedIn({ browser: 'again', returnTo: '/start/' })
    for (let i = 0; i < 10; i++) expect((await world.browser('nobody').fetch('/api/echo')).status).toBe(401)
    const calls = async (browser: typeof ada, path: string, count: number) => {
      const statuses: number[] = []
      for (let i = 0; i < count; i++)
        // Each from another address: it is the session that counts.
        statuses.push((await browser.fetch(path, { headers: { 'x-forwarded-for': `203.0.113.${i}` } })).status)
      return statuses
    }
    expect(await calls(ada, '/api/echo', 6)).toEqual([200, 200, 200, 200, 429, 429])
    const reached = world.upstream.requests.length
    const refused = await ada.fetch('/api/echo')
    expect([refused.status, refused.json().code, refused.header('retry-after')]).toEqual([
      429,
      'too_many_requests',
      '15',
    ])
    expect(world.upstream.requests).toHaveLength(reached)
    expect(await calls(ada, '/free/echo', 6)).toEqual([200, 200, 200, 200, 200, 200])
    expect(await calls(again, '/api/echo', 1)).toEqual([200])
    const [line, ...more] = world.log.events('excess_rate_limit_exceeded')
    expect(more).toEqual([])
    expect(line).toMatchObject({ limit: 'route /api/*', session: expect.stringMatching(/^[\w-]{22}$/) })
    expect(ada.cookies()[0]?.value).not.toContain(line?.session)
    // A new cookie value is the same session.
    world.clock.advance(15 * minute + second)
    expect(await calls(ada, '/api/echo', 5)).toEqual([200, 200, 200, 200, 429])
    expect(ada.seen.some(({ rawHeaders }) => rawHeaders.includes('Set-Cookie'))).toBe(true)
    expect(await calls(ada, '/api/echo', 1)).toEqual([429])
  })

  test('a limit of a public route counts by address, on files and WebSockets too', async () => {
    await using world = await createWorld({ config: ({ upstream }) => ({ ...behindProxy, routes: limited(upstream) }) })
    const statuses = async (path: string, count: number, from: string) => {
      const all: number[] = []
      for (let i = 0; i < count; i++) all.push((await send(world, path, { from })).status)
      return all
    }
    expect(await statuses('/open/echo', 4, '203.0.113.7')).toEqual([200, 200, 200, 429])
    expect(await statuses('/open/echo', 1, '203.0.113.8')).toEqual([200])
    expect(await statuses('/index.html', 3, '203.0.113.7')).toEqual([200, 200, 429])
    const page = await world
      .browser('window')
      .visit('/open/echo?x=<', { headers: { 'x-forwarded-for': '203.0.113.7' }, follow: false })
    expect([page.status, page.header('retry-after')]).toEqual([429, '10'])
    const handshake = () => refusalOf(openSocket(world, world.browser('nobody')))
    expect([(await handshake()).status, (await handshake()).status]).toEqual([502, 429])
    world.clock.advance(10 * second)
    expect(await statuses('/open/echo', 2, '203.0.113.7')).toEqual([200, 429])
  })
})
