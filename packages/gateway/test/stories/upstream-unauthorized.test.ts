import { describe, expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { wireUser } from './wire.ts'

const minute = 60_000

/** An upstream that takes only the tokens of this set, and says so as Salesforce does: 401, no challenge, a word of JSON. */
function pickyUpstream(world: World, path = '/data') {
  const refused = new Set<string>()
  let calls = 0
  world.upstream.on(path, ({ request, response }) => {
    calls++
    const bearer = request.headers.authorization ?? ''
    if (refused.has(bearer) || refused.has('all')) {
      response.writeHead(401, { 'content-type': 'application/json' }).end('[{"errorCode":"INVALID_SESSION_ID"}]')
    } else response.end(`${request.method} fine`)
  })
  return {
    /** The token that was sent last is worth nothing any more. */
    revoke: () => refused.add(world.upstream.last().header('authorization') ?? ''),
    revokeAll: () => refused.add('all'),
    allowAll: () => refused.clear(),
    get calls() {
      return calls
    },
  }
}

/** The provider says nothing of how long a token lives. */
const withoutExpiry = (world: World) =>
  world.provider.tamper('/token', (body) => JSON.stringify({ ...JSON.parse(body), expires_in: undefined }))

describe('PX8 a token that the upstream refuses', () => {
  test('PX8 one refresh, one retry, and the client sees the answer only; many at once share one refresh', async () => {
    await using world = await createWorld()
    withoutExpiry(world)
    const browser = await world.signedIn()
    const upstream = pickyUpstream(world)
    expect((await browser.fetch('/api/data')).text).toBe('GET fine')
    upstream.revoke()
    const before = world.provider.tokenRequests
    const answers = await Promise.all(Array.from({ length: 20 }, () => browser.fetch('/api/data?x=1')))
    expect(answers.map(({ status, text }) => [status, text])).toEqual(new Array(20).fill([200, 'GET fine']))
    expect(world.provider.tokenRequests - before).toBe(1)
    expect(world.upstream.last().target).toBe('/data?x=1')
    // The new token stays.
    const calls = upstream.calls
    expect((await browser.fetch('/api/data')).status).toBe(200)
    expect([upstream.calls - calls, world.provider.tokenRequests - before]).toEqual([1, 1])
    // And it will be over some day as well.
    world.clock.advance(30 * minute - 1000)
    upstream.revoke()
    expect((await browser.fetch('/api/data')).status).toBe(200)
    expect(world.provider.tokenRequests - before).toBe(2)
  })

  test.each([
    ['HEAD', undefined, 200, 2],
    ['OPTIONS', undefined, 200, 2],
    ['PUT', undefined, 200, 2],
    ['DELETE', undefined, 200, 2],
    ['POST', undefined, 401, 1],
    ['PATCH', undefined, 401, 1],
    ['PUT', 'a body', 401, 1],
    ['DELETE', 'a body', 401, 1],
    ['POST', 'a body', 401, 1],
  ])(
    'PX8 %s with body %j: %i after %i calls; what is not sent again finds a new token when its client sends it again',
    async (method, body, status, calls) => {
      await using world = await createWorld()
      const browser = await world.signedIn()
      const upstream = pickyUpstream(world)
      await browser.fetch('/api/data')
      upstream.revoke()
      const before = [upstream.calls, world.provider.tokenRequests] as const
      const send = () => browser.fetch('/api/data', { method, ...(body !== undefined && { body }) })
      const first = await send()
      expect([first.status, upstream.calls - before[0]]).toEqual([status, calls])
      if (status === 401) expect(first.text).toContain('INVALID_SESSION_ID')
      expect((await send()).status).toBe(200)
      expect(world.provider.tokenRequests - before[1]).toBe(1)
    },
  )

  test('PX8 an upstream that answers 401 to everything: its own answer, and no token request for each call', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    const upstream = pickyUpstream(world)
    upstream.revokeAll()
    const before = world.provider.tokenRequests
    for (let at = 0; at < 10; at++) {
      const page = await browser.fetch('/api/data')
      expect([page.status, page.text]).toEqual([401, '[{"errorCode":"INVALID_SESSION_ID"}]'])
    }
    expect((await browser.fetch('/api/data', { method: 'HEAD' })).status).toBe(401)
    expect(world.provider.tokenRequests - before).toBe(1)
    // One more after a minute, one more after two more: an upstream that recovers is not given up.
    world.clock.advance(minute)
    for (let at = 0; at < 3; at++) await browser.fetch('/api/data')
    expect(world.provider.tokenRequests - before).toBe(2)
    world.clock.advance(minute)
    await browser.fetch('/api/data')
    expect(world.provider.tokenRequests - before).toBe(2)
    world.clock.advance(minute)
    await browser.fetch('/api/data')
    expect(world.provider.tokenRequests - before).toBe(3)
    upstream.allowAll()
    expect((await browser.fetch('/api/data')).status).toBe(200)
  })

  test('PX8 one picky upstream costs the other nothing: each has its own patience', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/never/*', upstream, access: 'authenticated', credential: 'access-token' },
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    const browser = await world.signedIn()
    pickyUpstream(world, '/never/x').revokeAll()
    const good = pickyUpstream(world)
    for (let at = 0; at < 3; at++) expect((await browser.fetch('/never/x')).status).toBe(401)
    await browser.fetch('/api/data')
    good.revoke()
    expect((await browser.fetch('/api/data')).status).toBe(200)
  })

  test('PX8 the provider takes the session back: session_expired. It is down: 503, and nobody is signed out', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    const upstream = pickyUpstream(world)
    await browser.fetch('/api/data')
    upstream.revoke()
    const up = world.provider.failWith(500, '/token')
    const down = await browser.fetch('/api/data')
    expect(down.json()).toMatchObject({ status: 503, code: 'provider_unavailable' })
    expect(Number(down.header('retry-after'))).toBeGreaterThan(0)
    up()
    expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    world.provider.failAs(400, { error: 'invalid_grant' }, '/token')
    await expect
      .poll(async () => (await browser.fetch('/api/data')).json<{ code: string }>().code)
      .toBe('session_expired')
    expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  })

  test('PX8 without a credential, a refresh token, or a session the 401 is the client’s', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/public/*', upstream, stripPrefix: '/public', access: 'public' },
          { path: '/none/*', upstream, stripPrefix: '/none', access: 'authenticated' },
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    world.provider.tamper('/token', (body) => JSON.stringify({ ...JSON.parse(body), refresh_token: undefined }))
    const browser = await world.signedIn()
    pickyUpstream(world).revokeAll()
    const before = world.provider.tokenRequests
    for (const path of ['/public/data', '/none/data', '/api/data']) {
      expect([path, (await browser.fetch(path)).text]).toEqual([path, '[{"errorCode":"INVALID_SESSION_ID"}]'])
    }
    expect(world.provider.tokenRequests).toBe(before)
  })

  test('PX8 a client that leaves meanwhile is not served: no retry, no trace', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const upstream = pickyUpstream(world)
    await bob.call('/api/data')
    upstream.revoke()
    const undo = world.provider.delay(2_000, '/token')
    const before = world.provider.tokenRequests
    const gone = new AbortController()
    const call = world.browser('bob').fetch('/api/data', { signal: gone.signal })
    await expect.poll(() => world.provider.at('/token').length).toBeGreaterThan(before)
    gone.abort()
    await expect(call).rejects.toThrow()
    await expect.poll(() => world.upstream.open).toBe(0)
    undo()
    await expect.poll(() => world.provider.at('/token').at(-1)?.status).toBe(200)
    expect(upstream.calls).toBe(2)
    expect((await bob.call('/api/data')).statuses).toEqual([200])
    expect(world.provider.tokenRequests - before).toBe(1)
  })
})

/** A page on a route with `csrf: header`, which only a page of the application itself can open so. */
const asPage = { 'x-csrf': '1' }

describe('SA1 a stronger sign-in, asked for by the upstream', () => {
  const challenge = (world: World, value: string | string[]) =>
    world.upstream.on('/vault', ({ response }) => void response.writeHead(401, { 'www-authenticate': value }).end('no'))
  const asked = 'Bearer error="insufficient_user_authentication", error_description="x, y", '

  test('SA1 a script gets step_up_required, a page the step-up itself; no token is refreshed for it', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    const before = world.provider.tokenRequests
    challenge(world, `${asked}acr_values="mfa hwk", max_age="300"`)
    const script = await browser.fetch('/api/vault', { method: 'POST', body: 'x' })
    expect(script.json()).toMatchObject({
      code: 'step_up_required',
      stepUpUrl: '/auth/step-up?return_to=%2F&acr=mfa&max_age=300',
    })
    expect(script.header('www-authenticate')).toContain('acr_values="mfa", max_age="300"')
    const page = await browser.visit('/api/vault?a=1', { from: world.origin, follow: false, headers: asPage })
    expect(page.location).toBe(`${world.origin}/auth/step-up?return_to=%2Fapi%2Fvault%3Fa%3D1&acr=mfa&max_age=300`)
    expect(world.provider.tokenRequests).toBe(before)
  })

  test('SA1 the whole way: too old for the upstream, a fresh sign-in, and in', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    let signedInAt = world.clock.now()
    world.upstream.on('/vault', ({ response }) => {
      if (world.clock.now() - signedInAt < 5 * minute) response.end('gold')
      else response.writeHead(401, { 'www-authenticate': `${asked}max_age=300` }).end()
    })
    world.clock.advance(6 * minute)
    const login = await browser.visit('/api/vault', { from: world.origin, headers: asPage })
    expect(new URL(login.url).origin).toBe(world.provider.issuer)
    signedInAt = world.clock.now()
    await browser.submit(login, { button: 'ada' })
    expect((await browser.fetch('/api/vault')).text).toBe('gold')
  })

  test('SA1 an upstream that is not content with what it asked for: its 401, not a ring of redirects', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    for (const demand of ['max_age=300', 'error_uri="x"']) {
      challenge(world, asked + demand)
      const page = await browser.visit('/api/vault', { from: world.origin, follow: false, headers: asPage })
      expect([page.status, page.text]).toEqual([401, 'no'])
    }
  })

  test.each([
    ['another error', 'Bearer error="insufficient_scope", max_age="0"'],
    ['another scheme', 'Basic error="insufficient_user_authentication"'],
    ['two challenges in a line', `${asked}acr_values="mfa", DPoP algs="ES256"`],
    ['two challenges', [`${asked}acr_values="mfa"`, 'DPoP algs="ES256"']],
    ['a parameter twice', `${asked}acr_values="mfa", acr_values="pwd"`],
    ['an age that is none', `${asked}max_age="-1"`],
    ['an acr that leads elsewhere', `${asked}acr_values="a&return_to=//evil.test"`],
    ['an acr with a quote', `${asked}acr_values="a\\"b"`],
    ['a broken line', `${asked}acr_values="mfa`],
  ])('SA1 %s is passed on as it is', async (_, value) => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    challenge(world, value)
    const answer = await browser.fetch('/api/vault')
    expect([answer.status, answer.text]).toEqual([401, 'no'])
    expect(answer.header('www-authenticate')).toContain(Array.isArray(value) ? value[0] : value)
  })
})
