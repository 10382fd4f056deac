import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { providerPaths } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const offered = { provider: { par: 'offered' } } as const
// oidc-provider grants offline_access only with it, as OpenID Connect Core §11 asks.
const config = (more: object = {}) => ({ providers: { corp: { authorizationParams: { prompt: 'consent' }, ...more } } })

/** Where a fresh sign-in would send the browser. */
async function start(world: World, query = '') {
  return await world.browser().visit(`/auth/login${query}`, { from: world.origin, follow: false })
}

const carriedBy = (location: string | undefined) => [...new URL(location ?? '').searchParams.keys()].sort()

test('AR2 where the provider takes pushed requests, the browser carries client_id and request_uri and nothing else', async () => {
  await using world = await createWorld({ ...offered, config: config() })
  const browser = await world.signedIn({ returnTo: '/welcome' })
  const [pushed] = world.provider.at(providerPaths.pushed)
  expect(Object.fromEntries(pushed?.params ?? [])).toEqual({
    response_type: 'code',
    client_id: 'web-corp',
    redirect_uri: `${world.origin}/auth/callback/corp`,
    scope: 'openid profile email offline_access',
    state: expect.any(String),
    nonce: expect.any(String),
    code_challenge: expect.any(String),
    code_challenge_method: 'S256',
    prompt: 'consent',
  })
  const { clientId, clientSecret } = clientOf('corp')
  expect(pushed?.headers.authorization).toBe(`Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`)
  const [asked] = world.provider.authorizations
  expect(Object.fromEntries(asked ?? [])).toEqual({ client_id: 'web-corp', request_uri: expect.any(String) })
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
  // What was asked for came to the browser in no form: not as address, header or body. State comes with the callback.
  for (const name of ['nonce', 'code_challenge']) {
    const value = pushed?.params.get(name) ?? 'none'
    for (const { url, rawHeaders, body } of browser.seen) {
      expect(`${url} ${rawHeaders.join(' ')} ${body}`, `${name} in ${url}`).not.toContain(value)
    }
  }
})

test('AR2 step-up, silent sign-in and login_hint go the same way', async () => {
  await using world = await createWorld({ ...offered, config: config() })
  const browser = await world.signedIn()
  const last = () => world.provider.at(providerPaths.pushed).at(-1)?.params
  const stepUp = await browser.visit('/auth/step-up?max_age=60&acr=mfa', { from: world.origin, follow: false })
  expect(carriedBy(stepUp.location)).toEqual(['client_id', 'request_uri'])
  expect([last()?.get('max_age'), last()?.get('acr_values')]).toEqual(['60', 'mfa'])
  const silent = await browser.visit('/auth/login?silent=1', { from: world.origin, follow: false })
  expect(carriedBy(silent.location)).toEqual(['client_id', 'request_uri'])
  expect(last()?.get('prompt')).toBe('none')
  const hinted = await start(world, '?login_hint=ada%40example.com')
  expect(carriedBy(hinted.location)).toEqual(['client_id', 'request_uri'])
  expect(last()?.get('login_hint')).toBe('ada@example.com')
  const before = await browser.visit('/auth/login?silent=1&return_to=/quiet', { from: world.origin })
  expect(before.url).toBe(`${world.origin}/quiet`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('AR2 a provider that takes nothing but pushed requests is used without any setting', async () => {
  await using world = await createWorld({ provider: { par: 'required' } })
  await world.signedIn()
  expect(world.provider.at(providerPaths.pushed)).toHaveLength(1)
})

test('par: never leaves the request in the address, and auto does where the provider has no PAR', async () => {
  await using never = await createWorld({ ...offered, config: config({ par: 'never' }) })
  await never.signedIn()
  expect(never.provider.at(providerPaths.pushed)).toEqual([])
  expect(never.provider.authorizations[0]?.get('code_challenge_method')).toBe('S256')
  await using none = await createWorld()
  await none.signedIn()
  expect(none.provider.authorizations[0]?.has('request_uri')).toBe(false)
})

test('AR2 par: always at a provider without PAR: nobody is sent off with the request in the clear, and the log says what to write', async () => {
  await using world = await createWorld({ config: config({ par: 'always' }) })
  const page = await start(world)
  expect(page.status).toBe(503)
  expect(page.location).toBeUndefined()
  expect(world.browser().cookies()).toEqual([])
  expect(world.provider.authorizations).toEqual([])
  expect(String(world.log.events('provider_unavailable').at(-1)?.reason)).toContain('write par: auto')
})

test('AR2 discovery that requires PAR and names no endpoint, as after tampering, ends the sign-in instead of weakening it', async () => {
  await using world = await createWorld()
  world.provider.tamper(providerPaths.discovery, (body) =>
    JSON.stringify({ ...JSON.parse(body), require_pushed_authorization_requests: true }),
  )
  await world.stopGateway()
  await world.startGateway()
  expect((await start(world)).status).toBe(503)
  expect(world.provider.authorizations).toEqual([])
})

test('a pushed request that the provider refuses is login_failed; one that it can not take now is provider_unavailable', async () => {
  await using world = await createWorld({ ...offered, config: config() })
  const refusals = [
    [() => world.provider.failAs(400, { error: 'invalid_scope' }, providerPaths.pushed), 400, 'login_failed'],
    [() => world.provider.failAs(401, { error: 'invalid_client' }, providerPaths.pushed), 400, 'login_failed'],
    [() => world.provider.failAs(429, { error: 'slow_down' }, providerPaths.pushed), 503, 'provider_unavailable'],
    [() => world.provider.failWith(404, providerPaths.pushed), 503, 'provider_unavailable'],
    [() => world.provider.failWith(500, providerPaths.pushed), 503, 'provider_unavailable'],
    [() => world.provider.tamper(providerPaths.pushed, () => '<html>'), 503, 'provider_unavailable'],
    [() => world.provider.tamper(providerPaths.pushed, () => '{"expires_in":60}'), 400, 'login_failed'],
  ] as const
  for (const [fail, status, code] of refusals) {
    const undo = fail()
    const page = await start(world)
    undo()
    expect([page.status, page.text.includes(code), page.location], fail.toString()).toEqual([status, true, undefined])
    expect(world.browser().cookies()).toEqual([])
  }
  expect(world.log.text()).toContain('the provider answered invalid_scope')
  expect((await world.browser().signIn({ as: 'ada' })).status).toBe(200)
})

test('OU1 a provider that is down for pushed requests is left alone after a few, and sign-ins are back with it', async () => {
  await using world = await createWorld({ ...offered, config: config() })
  await world.signedIn()
  const before = world.provider.at(providerPaths.pushed).length
  const undo = world.provider.failWith(500, providerPaths.pushed)
  for (let at = 0; at < 20; at++) expect((await start(world)).status).toBe(503)
  expect(world.provider.at(providerPaths.pushed).length - before).toBeLessThanOrEqual(4)
  undo()
  await expect.poll(async () => (await start(world)).status, { interval: 100 }).toBe(303)
})
