import * as client from 'openid-client'
import { expect, test } from 'vitest'
import { Browser } from '../src/browser.ts'
import { findLeaks } from '../src/canaries.ts'
import { startTestProvider, type TestProviderOptions } from '../src/provider.ts'
import { providerPaths, type TestProvider } from '../src/provider-api.ts'
import { credentials, startPlainRp } from './plain-rp.ts'

async function setup(options: TestProviderOptions = {}, scope = 'openid profile email offline_access') {
  let provider: TestProvider | undefined
  const rp = await startPlainRp(async (redirectUri) => {
    const postLogoutRedirectUris = [new URL('/', redirectUri).href]
    const clients = [{ ...credentials, redirectUris: [redirectUri], postLogoutRedirectUris }]
    provider = await startTestProvider({ clients, ...options })
    return provider.issuer
  }, scope)
  if (!provider) throw new Error('unreachable')
  const running = provider
  const browser = new Browser({ base: rp.url })
  const dispose = async () => {
    await rp[Symbol.asyncDispose]()
    await running.close()
  }
  return { provider: running, rp, browser, [Symbol.asyncDispose]: dispose }
}

type Tokens = { access_token: string; refresh_token: string; id_token: string }

function claimsIn(idToken: string): Record<string, unknown> {
  return JSON.parse(Buffer.from(idToken.split('.')[1] ?? '', 'base64url').toString())
}

test('a scripted browser signs in at the provider through its own page', async () => {
  await using world = await setup()
  const { browser, provider } = world
  const form = await browser.startLogin({ loginPath: '/login' })
  expect(form.status).toBe(200)
  expect(form.title).toBe('Sign in')
  expect(form.text).toContain('Ada Lovelace')
  expect(form.header('content-security-policy')).toContain(`form-action 'self' ${world.rp.url}`)

  const done = await browser.submit(form, { button: 'ada' })
  expect(done.url).toContain('/callback?code=')
  const tokens = done.json<Tokens>()
  expect(claimsIn(tokens.id_token)).toMatchObject({ sub: 'ada', groups: ['ops', 'staff'], email: 'ada@example.com' })
  expect(provider.issuedTokens).toEqual(new Set([tokens.access_token, tokens.refresh_token, tokens.id_token]))
  expect(provider.issuedCodes).toEqual(new Set([new URL(done.url).searchParams.get('code')]))
  expect(provider.codesRedeemed).toBe(1)
  expect(provider.authorizations[0]?.get('code_challenge_method')).toBe('S256')
  expect(provider.jwksFetches).toBe(0)
  expect(findLeaks(browser.seen, provider.issuedTokens).length).toBeGreaterThan(0) // this RP shows them
})

test('the second sign-in needs no form, and a cancelled one comes back as access_denied', async () => {
  await using world = await setup()
  const { browser } = world
  await browser.signIn({ as: 'ada', loginPath: '/login' })
  expect((await browser.startLogin({ loginPath: '/login' })).url).toContain('/callback?code=')

  const other = new Browser({ base: world.rp.url })
  const page = await other.startLogin({ loginPath: '/login' })
  const cancelled = await other.submit(page, { button: '1' })
  expect(cancelled.url).toContain('error=access_denied')
})

test('refresh tokens rotate, and a change of groups shows at once', async () => {
  await using world = await setup()
  const { browser, provider, rp } = world
  const tokens = (await browser.signIn({ as: 'bob', loginPath: '/login' })).json<Tokens>()
  const bob = provider.users.find((user) => user.sub === 'bob')
  if (bob) bob.groups = ['admins']
  const next = await client.refreshTokenGrant(rp.config, tokens.refresh_token)
  expect(next.refresh_token).not.toBe(tokens.refresh_token)
  expect(claimsIn(next.id_token ?? '')).toMatchObject({ groups: ['admins'] })
  expect(provider.issuedTokens.size).toBe(6)
  await expect(client.refreshTokenGrant(rp.config, tokens.refresh_token)).rejects.toThrow()
})

test('without offline_access there is no refresh token', async () => {
  await using world = await setup({}, 'openid')
  const page = await world.browser.signIn({ as: 'ada', loginPath: '/login' })
  expect(page.json()).not.toHaveProperty('refresh_token')
})

test('knobs: down and up, delay, failure, tampering, another sub, new keys', async () => {
  await using world = await setup()
  const { browser, provider, rp } = world
  const { access_token } = (await browser.signIn({ as: 'ada', loginPath: '/login' })).json<Tokens>()
  const userinfo = () => client.fetchUserInfo(rp.config, access_token, client.skipSubjectCheck)
  const kid = async () => {
    const answer = await fetch(`${provider.issuer}/jwks`)
    return ((await answer.json()) as { keys: { kid: string }[] }).keys[0]?.kid
  }

  await provider.down()
  await expect(userinfo()).rejects.toThrow()
  await provider.up()
  expect(await userinfo()).toMatchObject({ sub: 'ada' })

  const heal = provider.failWith(503, providerPaths.userinfo)
  await expect(userinfo()).rejects.toThrow()
  heal()
  const honest = provider.userinfoSub('eve')
  expect(await userinfo()).toMatchObject({ sub: 'eve' })
  honest()
  provider.tamper(providerPaths.userinfo, (body) => body.replace('Ada Lovelace', 'Ada Tampered'))
  expect(await userinfo()).toMatchObject({ sub: 'ada', name: 'Ada Tampered' })

  const faster = provider.delay(150, providerPaths.jwks)
  const before = performance.now()
  const first = await kid()
  expect(performance.now() - before).toBeGreaterThan(140)
  faster()
  await provider.rotateKeys()
  expect(await kid()).not.toBe(first)
  expect(await userinfo()).toMatchObject({ sub: 'ada' }) // tokens outlive the keys
  expect(provider.userinfoRequests).toBe(5) // the one while it was down is not there
  expect(provider.jwksFetches).toBe(2)
})

test('sign-out that names the user needs no question; otherwise the provider asks', async () => {
  await using world = await setup()
  const { browser, provider, rp } = world
  await browser.signIn({ as: 'ada', loginPath: '/login' })
  const end = (hint: string) =>
    `${provider.issuer}/session/end?client_id=plain&post_logout_redirect_uri=${rp.url}/&state=s1&logout_hint=${hint}`
  const asked = await browser.visit(end('bob'), { from: rp.url })
  expect(asked.title).toBe('Sign out')

  const done = await browser.visit(end('ada'), { from: rp.url })
  expect(done.url).toBe(`${rp.url}/?state=s1`)
  expect((await browser.startLogin({ loginPath: '/login' })).title).toBe('Sign in')
})

test('the provider lives by the clock that it is given', async () => {
  let shift = 0
  await using world = await setup({ now: () => 1_900_000_000_000 + shift })
  const page = await world.browser.visit('/login', { from: world.rp.url })
  const callback = await world.browser.submit(page, {
    button: 'ada',
    stopBefore: (url) => url.pathname === '/callback',
  })
  shift = 120_000
  await expect(world.rp.redeem(callback.location ?? '')).rejects.toMatchObject({ error: 'invalid_grant' })
})

test('access tokens are JWTs for an audience where a resource is set', async () => {
  await using world = await setup({ resource: 'https://api.example.com' })
  const tokens = (await world.browser.signIn({ as: 'ada', loginPath: '/login' })).json<Tokens>()
  expect(claimsIn(tokens.access_token)).toMatchObject({ aud: 'https://api.example.com', sub: 'ada' })
})

test('a user with a password is asked for it', async () => {
  const users = [{ sub: 'pat', name: 'Pat', email: 'pat@example.com', groups: [], password: 'hunter2' }]
  await using world = await setup({ users })
  const wrong = await world.browser.signIn({ as: 'pat', password: 'guess', loginPath: '/login' })
  expect(wrong.status).toBe(401)
  const right = await world.browser.submit(wrong, { button: 'pat', fields: { password: 'hunter2' } })
  expect(right.url).toContain('/callback?code=')
})
