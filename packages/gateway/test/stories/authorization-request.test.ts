import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { newPendingLogin } from '../../src/oidc/pending-login.ts'
import { createProviderClient } from '../../src/oidc/provider-client.ts'
import { createHostileWorld } from './hostile-world.ts'

/** The parameters of the authorization request that a fresh sign-in makes, without going there. */
async function authorizationRequest(world: World, query = '', browser = 'user'): Promise<URLSearchParams> {
  const page = await world.browser(browser).visit(`/auth/login${query}`, { from: world.origin, follow: false })
  expect(page.status, page.text).toBe(303)
  return new URL(page.location ?? '').searchParams
}

test('AR1 a sign-in is a code request with PKCE S256, redeemed by a client that proves itself', async () => {
  await using world = await createWorld()
  await world.signedIn()
  const [asked] = world.provider.authorizations
  const [redeemed] = world.provider.at('/token')
  expect(Object.fromEntries(asked ?? [])).toEqual({
    response_type: 'code',
    client_id: 'web-corp',
    redirect_uri: `${world.origin}/auth/callback/corp`,
    scope: 'openid profile email offline_access',
    state: expect.any(String),
    nonce: expect.any(String),
    code_challenge: expect.any(String),
    code_challenge_method: 'S256',
  })
  const verifier = redeemed?.params.get('code_verifier') ?? ''
  expect(createHash('sha256').update(verifier).digest('base64url')).toBe(asked?.get('code_challenge'))
  expect(redeemed?.params.get('redirect_uri')).toBe(`${world.origin}/auth/callback/corp`)
  const { clientId, clientSecret } = clientOf('corp')
  expect(redeemed?.headers.authorization).toBe(`Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`)
  expect(redeemed?.params.has('client_secret')).toBe(false)
})

test('AR1 state, nonce and challenge: at least 128 bits each, fresh for each sign-in, unrelated to each other', async () => {
  await using world = await createWorld()
  const requests: URLSearchParams[] = []
  for (let i = 0; i < 60; i++) requests.push(await authorizationRequest(world, '', `browser ${i}`))
  for (const name of ['state', 'nonce', 'code_challenge']) {
    const values = requests.map((request) => request.get(name) ?? '')
    expect(new Set(values).size, name).toBe(values.length)
    // 22 characters of base64url that all vary are 132 bits. A counter or a time would leave most of them alike.
    const varied = [...(values[0] ?? '')].filter((_, at) => new Set(values.map((value) => value[at])).size > 20)
    expect(varied.length, `${name}: characters that vary`).toBeGreaterThanOrEqual(22)
  }
  for (const request of requests) {
    expect(request.get('nonce')).not.toBe(request.get('state')?.slice(-43))
    expect(request.get('code_challenge')).not.toBe(request.get('nonce'))
  }
})

test('AR1 verifier and nonce never reach the browser in the clear, and the cookie that holds them is opaque', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  const cookie = browser.cookies().find(({ key }) => key.startsWith('__Host-login-'))
  await browser.visit(callback, { from: world.provider.issuer })
  const verifier = world.provider.at('/token')[0]?.params.get('code_verifier') ?? 'none'
  expect(verifier).toMatch(/^[\w-]{43}$/)
  for (const { url, rawHeaders, body } of browser.seen) {
    expect(`${url} ${rawHeaders.join(' ')} ${body}`).not.toContain(verifier)
  }
  const sealed = Buffer.from(cookie?.value.split('.').at(-1) ?? '', 'base64url').toString('latin1')
  expect(sealed).not.toContain(verifier)
  expect(sealed).not.toContain('returnTo')
})

test('AR1 a provider that does not mention S256, or mentions only plain, gets S256 all the same', async () => {
  for (const methods of [undefined, ['plain']]) {
    await using hostile = await createHostileWorld()
    hostile.twist({ metadata: { code_challenge_methods_supported: methods } })
    expect((await hostile.signIn('user')).status).toBe(200)
    const asked = hostile.world.browser().seen.find(({ url }) => url.includes('/authorize?'))
    expect(new URL(asked?.url ?? '').searchParams.get('code_challenge_method')).toBe('S256')
  }
})

test('AR1 a client secret with every awkward character is form-encoded as RFC 6749 §2.3.1 asks, and works', async () => {
  const secret = 'a:b%20+c&d=e/ü"\\ f'
  await using hostile = await createHostileWorld({
    secret,
    config: ({ folder }) => {
      writeFileSync(join(folder, 'secret'), secret)
      return { providers: { evil: { clientSecret: { env: undefined, file: 'secret' } } } }
    },
  })
  expect((await hostile.signIn()).status).toBe(200)
  expect(hostile.provider.codesRedeemed).toBe(1)
})

test('AR1 client_secret_post: the secret goes in the form, and then not in the header', async () => {
  await using world = await createWorld({ config: { providers: { corp: { clientAuth: 'client_secret_post' } } } })
  const page = await world.browser().signIn({ as: 'ada' })
  const [redeemed] = world.provider.at('/token')
  expect(redeemed?.params.get('client_id')).toBe('web-corp')
  expect(redeemed?.params.get('client_secret')).toBe(clientOf('corp').clientSecret)
  expect(redeemed?.headers.authorization).toBeUndefined()
  expect(page.status).toBe(200)
})

test('AR3 discovery that names another issuer, by one character even: no sign-in starts, 503, and the log says why', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const claimed = [`${provider.issuer}/`, provider.issuer.replace('http:', 'https:'), provider.issuer.toUpperCase(), '']
  for (const discoveryIssuer of claimed) {
    await world.stopGateway()
    hostile.twist({ discoveryIssuer })
    await world.startGateway()
    const page = await hostile.signIn('user')
    expect(page.status, discoveryIssuer).toBe(503)
    expect(page.url).toContain(world.origin)
    expect(page.text).toContain('provider_unavailable')
    expect(page.text).not.toContain(provider.issuer)
    expect(world.browser().cookies()).toEqual([])
  }
  expect(String(world.log.events('provider_unavailable').at(-1)?.reason)).toContain('issuer')
  expect(provider.tokenRequests).toBe(0)

  hostile.twist({})
  await expect.poll(async () => (await hostile.signIn('user')).status, { interval: 300 }).toBe(200)
})

test('AR3 discovery without a usable authorization endpoint is a broken provider: nobody is sent anywhere', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  for (const authorization_endpoint of [
    undefined,
    'no address',
    'javascript:alert(1)',
    'data:text/html,x',
    '//evil/a',
  ]) {
    await world.stopGateway()
    hostile.twist({ metadata: { authorization_endpoint } })
    await world.startGateway()
    const page = await world.browser().visit('/auth/login', { from: world.origin, follow: false })
    expect(page.status, String(authorization_endpoint)).toBe(503)
    expect(page.location).toBeUndefined()
    expect(world.browser().cookies()).toEqual([])
  }
})

test('AR3 an https issuer whose discovery leads to plain http: neither browser, code, secret nor key request goes there', async () => {
  const issuer = 'https://idp.example'
  const honest = {
    issuer,
    authorization_endpoint: `${issuer}/authorize`,
    token_endpoint: `${issuer}/token`,
    jwks_uri: `${issuer}/jwks`,
    end_session_endpoint: `${issuer}/logout`,
    response_types_supported: ['code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
  }
  const asked: string[] = []
  await using world = await createWorld()
  const config = world.config.providers.corp
  if (!config) throw new Error('no corp')
  const clientWith = (metadata: object) =>
    createProviderClient({
      name: 'corp',
      config: { ...config, issuer },
      redirectUri: 'https://app.example/auth/callback/corp',
      decidingClaims: [],
      now: Date.now,
      onStale: () => {},
      send: async (url) => {
        asked.push(url)
        return Response.json(url.includes('well-known') ? { ...honest, ...metadata } : {})
      },
    })
  const login = newPendingLogin({
    provider: 'corp',
    returnTo: '/',
    silent: false,
    previous: undefined,
    now: Date.now(),
  })
  const down = (url: string) => url.replace('https:', 'http:')
  const front = clientWith({ authorization_endpoint: down(honest.authorization_endpoint) })
  await expect(front.authorizationUrl(login, { loginHint: undefined })).rejects.toThrow('authorization_endpoint')
  const out = clientWith({ end_session_endpoint: down(honest.end_session_endpoint) })
  await expect(out.logoutUrl({ returnTo: '/', state: 's', hint: 'h', idToken: 't' })).rejects.toThrow('end_session')
  const back = clientWith({ token_endpoint: down(honest.token_endpoint) })
  const checked = await back.checkCallback(new URLSearchParams({ code: 'c', state: login.state }), login)
  await expect(back.redeem(checked)).rejects.toThrow()
  expect(asked.filter((url) => url.startsWith('http:'))).toEqual([])
  expect((await clientWith({}).authorizationUrl(login, { loginHint: undefined })).protocol).toBe('https:')
})

test('AR4 minimal scopes: without configuration no more than openid profile email, else exactly what is configured', async () => {
  await using world = await createWorld({ config: { providers: { corp: { scope: undefined } } } })
  expect((await authorizationRequest(world)).get('scope')).toBe('openid profile email')
  await world.stopGateway()
  await world.startGateway({ providers: { corp: { scope: 'openid api:read' } } })
  expect((await authorizationRequest(world)).get('scope')).toBe('openid api:read')
})

test('AR1 authorizationParams of the configuration add, and can not weaken: what is ours is refused there, and wins anyway', async () => {
  await using world = await createWorld({
    config: { providers: { corp: { authorizationParams: { audience: 'https://api.example', prompt: 'login' } } } },
  })
  const asked = await authorizationRequest(world)
  expect(asked.get('audience')).toBe('https://api.example')
  expect(asked.get('prompt')).toBe('login')
  expect((await authorizationRequest(world, '?silent=1')).get('prompt')).toBe('none')

  const hostile = {
    response_type: 'code token',
    response_mode: 'fragment',
    client_id: 'other',
    redirect_uri: 'https://evil.example/',
    scope: 'openid everything',
    state: 'fixed',
    nonce: 'fixed',
    code_challenge: 'fixed',
    code_challenge_method: 'plain',
    request_uri: 'https://evil.example/request',
  }
  await world.stopGateway()
  for (const [name, value] of Object.entries(hostile)) {
    const config = { providers: { corp: { authorizationParams: { [name]: value } } } }
    await expect(world.startGateway(config), name).rejects.toThrow(name)
  }
  await world.startGateway()

  // Past the configuration's check too.
  const config = world.config.providers.corp
  if (!config) throw new Error('no corp')
  const client = createProviderClient({
    name: 'corp',
    config: { ...config, authorizationParams: hostile },
    redirectUri: `${world.origin}/auth/callback/corp`,
    decidingClaims: [],
    now: world.clock.now,
    onStale: () => {},
  })
  const now = world.clock.now()
  const login = newPendingLogin({ provider: 'corp', returnTo: '/', silent: false, previous: undefined, now })
  const { searchParams } = await client.authorizationUrl(login, { loginHint: 'x' })
  expect(searchParams.get('response_type')).toBe('code')
  expect(searchParams.get('client_id')).toBe('web-corp')
  expect(searchParams.get('redirect_uri')).toBe(`${world.origin}/auth/callback/corp`)
  expect(searchParams.get('scope')).toBe(config.scope)
  expect(searchParams.get('state')).toBe(login.state)
  expect(searchParams.get('nonce')).toBe(login.nonce)
  expect(searchParams.get('code_challenge')).toMatch(/^[\w-]{43}$/)
  expect(searchParams.get('code_challenge_method')).toBe('S256')
  for (const name of searchParams.keys()) expect(searchParams.getAll(name), name).toHaveLength(1)
})

test('login_hint travels to the provider as it is, and smuggles no parameter along', async () => {
  await using world = await createWorld()
  const hint = 'ada@example.com&prompt=none&scope=openid+all#x'
  const asked = await authorizationRequest(world, `?login_hint=${encodeURIComponent(hint)}`)
  expect(asked.get('login_hint')).toBe(hint)
  expect(asked.has('prompt')).toBe(false)
  expect(asked.getAll('scope')).toEqual(['openid profile email offline_access'])
})

test('silent=1 without a session at the provider lands on return_to, signed out and without an error; with one, signed in', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const silent = () => browser.visit('/auth/login?silent=1&return_to=/quiet', { from: world.origin })
  const before = await silent()
  expect(before.url).toBe(`${world.origin}/quiet`)
  expect(before.status).toBe(200)
  expect(world.provider.authorizations.at(-1)?.get('prompt')).toBe('none')
  expect(browser.cookies()).toEqual([])
  expect(world.provider.tokenRequests).toBe(0)

  await browser.signIn({ as: 'ada' })
  await browser.fetch('/auth/logout', { method: 'POST' })
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  const after = await silent()
  expect(after.url).toBe(`${world.origin}/quiet`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
})

test('silent=1 that finds nobody at the provider leaves the session that the browser has alone', async () => {
  await using world = await createWorld({ provider: { ttl: { session: 1 } } })
  const browser = await world.signedIn()
  world.clock.advance(5000)
  const page = await browser.visit('/auth/login?silent=1&return_to=/quiet', { from: world.origin })
  expect(page.url).toBe(`${world.origin}/quiet`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('a provider that is not configured, or a parameter given twice: 400, and nothing begins', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  for (const query of [
    'provider=nobody',
    'provider=',
    'provider=__proto__',
    'provider=constructor',
    'provider=CORP',
    'provider=corp&provider=corp',
    'return_to=/a&return_to=/b',
    'return_to=/a&return%5Fto=/b',
    'login_hint=a&login_hint=b',
    'silent=0&silent=1',
  ]) {
    const page = await browser.visit(`/auth/login?${query}`, { from: world.origin, follow: false })
    expect(page.status, query).toBe(400)
    expect(page.header('content-type')).toContain('text/html')
    expect(page.text).toContain('bad_request')
  }
  expect(browser.cookies()).toEqual([])
  expect(world.provider.authorizations).toEqual([])
})
