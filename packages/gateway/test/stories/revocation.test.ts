import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const minute = 60_000
const path = '/token/revocation'

const asked = (world: World) => world.provider.at(path)
const revoked = (world: World) => asked(world).filter(({ status }) => status === 200)
const tokensRevoked = (world: World) => revoked(world).map(({ params }) => params.get('token'))
const signOut = (browser: Browser) => browser.fetch('/auth/logout', { method: 'POST' })

/** Signed in, and opened by the gateway. */
async function present(world: World, browser: string, as = 'ada'): Promise<Browser> {
  const user = await world.signedIn({ browser, as })
  expect((await user.fetch('/api/echo')).status).toBe(200)
  return user
}

test('LO4 sign-out revokes the refresh token at the provider, by the client’s own authentication; no token is logged', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  expect((await signOut(browser)).status).toBe(200)
  await expect.poll(() => world.log.events('authn_token_revoked')).toHaveLength(1)
  const [request] = revoked(world)
  expect(request?.params.get('token_type_hint')).toBe('refresh_token')
  expect(world.provider.issuedTokens).toContain(request?.params.get('token'))
  const { clientId, clientSecret } = clientOf('corp')
  const basic = Buffer.from(`${clientId}:${clientSecret}`).toString('base64')
  expect(request?.headers.authorization).toBe(`Basic ${basic}`)
  expect(world.log.events('authn_token_revoked')).toMatchObject([{ provider: 'corp', type: 'refresh_token' }])
  const [ended] = world.log.events('session_ended')
  expect(world.log.events('authn_token_revoked')[0]?.session).toBe(ended?.session)
  for (const token of world.provider.issuedTokens) expect(world.log.text()).not.toContain(token)
  expect(await world.store.outbox.count()).toBe(0)
})

test('LO4 sign-out does not wait for the revocation', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const undo = world.provider.delay(1_000, path)
  expect((await signOut(browser)).status).toBe(200)
  expect(asked(world).filter(({ status }) => status !== 0)).toEqual([])
  await expect.poll(() => revoked(world)).toHaveLength(1)
  undo()
})

test('LO4 with the provider down the token waits, sealed, survives a restart, and is revoked when the provider is back', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  await world.provider.down()
  expect((await signOut(browser)).status).toBe(200)
  await expect.poll(() => world.log.events('authn_token_revocation_queued')).toHaveLength(1)
  expect(await world.store.outbox.count()).toBe(1)
  await world.stopGateway()
  const file = readFileSync(join(world.folder, 'data', 'sessions', 'data.mdb'), 'latin1')
  for (const token of world.provider.issuedTokens) expect(file).not.toContain(token)

  await world.startGateway()
  world.clock.advance(minute)
  await world.provider.up()
  await expect
    .poll(async () => {
      world.clock.advance(1_000)
      return revoked(world).length
    })
    .toBe(1)
  await expect.poll(() => world.store.outbox.count()).toBe(0)
  expect(world.log.events('authn_token_revoked')).toMatchObject([{ provider: 'corp' }])
  for (const token of world.provider.issuedTokens) expect(world.log.text()).not.toContain(token)
})

test('LO4 a gateway that is stopped while it asks leaves the rest to its successor', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const undo = world.provider.delay(60_000, path)
  await signOut(browser)
  await expect.poll(() => asked(world)).toHaveLength(1)
  await world.stopGateway()
  undo()
  await world.startGateway()
  expect(await world.store.outbox.count()).toBe(1)
  await expect.poll(() => revoked(world)).toHaveLength(1)
  await expect.poll(() => world.store.outbox.count()).toBe(0)
})

test('LO4 two gateways on one store ask once for what waits', async () => {
  await using world = await createWorld()
  await using _second = await world.anotherGateway()
  const users = await Promise.all(['one', 'two', 'three'].map((name) => present(world, name)))
  const undo = world.provider.failWith(500, path)
  for (const user of users) await signOut(user)
  await expect.poll(() => world.store.outbox.count()).toBe(3)
  undo()
  await expect
    .poll(async () => {
      // By small steps: a lease must not run out while its holder asks.
      world.clock.advance(1_000)
      return await world.store.outbox.count()
    })
    .toBe(0)
  const tokens = tokensRevoked(world)
  expect(tokens).toHaveLength(3)
  expect(new Set(tokens).size).toBe(3)
})

test('LO4 after a day in vain a token is given up, and that is an error in the log', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.provider.failWith(500, path)
  await signOut(browser)
  await expect.poll(() => world.store.outbox.count()).toBe(1)
  world.clock.advance(23 * 60 * minute)
  await expect.poll(() => world.log.events('authn_token_revocation_failed')).toHaveLength(1)
  expect(world.log.events('authn_token_revocation_abandoned')).toEqual([])
  world.clock.advance(60 * minute)
  await expect.poll(() => world.log.events('authn_token_revocation_abandoned')).toHaveLength(1)
  expect(world.log.events('authn_token_revocation_abandoned')).toMatchObject([{ level: 'error', provider: 'corp' }])
  expect(await world.store.outbox.count()).toBe(0)
})

test.each([
  ['unsupported_token_type', 'authn_token_revocation_refused'],
  ['invalid_request', 'authn_token_revocation_refused'],
  ['invalid_token', 'authn_token_revoked'],
])('LO4 the provider answers 400 %s: it is not asked again', async (error, event) => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.provider.failAs(400, { error, error_description: 'the token "abc" is not one' }, path)
  await signOut(browser)
  await expect.poll(() => world.log.events(event)).toHaveLength(1)
  expect(await world.store.outbox.count()).toBe(0)
  expect(asked(world)).toHaveLength(1)
  expect(world.log.text()).not.toContain('"abc"')
})

test('LO4 a wrong secret of ours is no reason to forget the token: it waits until that is put right', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const undo = world.provider.failAs(401, { error: 'invalid_client' }, path)
  await signOut(browser)
  await expect.poll(() => world.store.outbox.count()).toBe(1)
  undo()
  world.clock.advance(minute)
  await expect.poll(() => revoked(world)).toHaveLength(1)
})

test('LO4 logout: { revoke: false } asks for nothing', async () => {
  await using world = await createWorld({ config: { providers: { corp: { logout: { revoke: false } } } } })
  const browser = await world.signedIn()
  await signOut(browser)
  await expect.poll(() => world.log.events('session_ended')).toHaveLength(1)
  expect((await browser.visit('/')).status).toBe(200)
  expect(asked(world)).toEqual([])
  expect(await world.store.outbox.count()).toBe(0)
})

test('LO4 without a refresh token the access token is revoked', async () => {
  await using world = await createWorld({ config: { providers: { corp: { scope: 'openid profile email' } } } })
  const browser = await world.signedIn()
  await signOut(browser)
  await expect.poll(() => revoked(world)).toHaveLength(1)
  expect(revoked(world)[0]?.params.get('token_type_hint')).toBe('access_token')
})

test('LO4 every end of an opened session revokes: the others, everywhere, the limit, idle time, a copied cookie, another user', async () => {
  await using world = await createWorld({
    config: { session: { rotate: '5m', grace: '30s', perUser: { max: 3, action: 'evict-oldest' } } },
  })
  const expectRevoked = async (count: number, what: string) => {
    await expect.poll(() => new Set(tokensRevoked(world)).size).toBe(count)
    expect(tokensRevoked(world), what).toHaveLength(count)
  }
  const desk = await present(world, 'desk')
  await present(world, 'phone')
  await desk.fetch('/auth/sessions?others=1', { method: 'DELETE' })
  await expectRevoked(1, 'ended by the user elsewhere')

  await present(world, 'phone2')
  await desk.fetch('/auth/logout?everywhere=1', { method: 'POST' })
  await expectRevoked(3, 'everywhere')

  for (const name of ['a', 'b', 'c', 'd']) {
    await present(world, name)
    world.clock.advance(1_000)
  }
  await expectRevoked(4, 'one session too many')

  const shared = await present(world, 'shared', 'bob')
  expect((await shared.visit(`${world.provider.issuer}/session/end?logout_hint=bob`)).status).toBeLessThan(400)
  await shared.signIn({ as: 'eve' })
  await expectRevoked(5, 'replaced by another user')

  await shared.fetch('/api/echo')
  const thief = shared.saved()
  world.clock.advance(6 * minute)
  await shared.fetch('/api/echo')
  await shared.fetch('/api/echo')
  world.clock.advance(minute)
  expect((await thief.fetch('/api/echo')).status).toBe(401)
  await expectRevoked(6, 'a copied cookie')

  const idle = await present(world, 'idle', 'bob')
  world.clock.advance(31 * minute)
  expect((await idle.fetch('/api/echo')).status).toBe(401)
  await expectRevoked(7, 'idle')
})

test('LO4 signing in again, or stepping up, does not revoke the new tokens with the old ones: those go when the new session ends', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await present(world, 'user')
  await browser.signIn({ as: 'ada' })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.log.events('session_ended')).toMatchObject([{ reason: 'replaced' }])
  world.clock.advance(11 * minute)
  // The provider has both sign-ins on one grant, and a revoked refresh token takes its grant along.
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(asked(world)).toEqual([])
  await signOut(browser)
  await expect.poll(() => revoked(world)).toHaveLength(2)
  expect(new Set(tokensRevoked(world)).size).toBe(2)
})

test('LO4 a step-up that fails leaves the session and its tokens as they were', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await present(world, 'user')
  const stepUp = async (as: string) => {
    const login = await browser.visit('/auth/step-up?acr=mfa&max_age=0', { from: world.origin })
    return await browser.submit(login, { button: as })
  }
  expect((await stepUp('ada')).text).toContain('login_failed')
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(asked(world)).toEqual([])
  // What another user's sign-in brought has no use, and no part in the session.
  expect((await stepUp('bob')).text).toContain('login_failed')
  await expect.poll(() => revoked(world)).toHaveLength(1)
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('LO4 a refresh that comes back after sign-out leaves no token alive', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await present(world, 'user')
  world.clock.advance(11 * minute)
  // The refresh is answered before the provider hears of the sign-out, which would have taken its grant.
  const undos = [world.provider.delay(1_500, '/token'), world.provider.delay(3_500, path)]
  const refreshing = browser.saved().fetch('/api/echo')
  await expect.poll(() => world.provider.at('/token').filter(({ status }) => status === 0)).toHaveLength(1)
  await signOut(browser)
  expect((await refreshing).status).toBe(401)
  for (const undo of undos) undo()
  expect(world.provider.at('/token').filter(({ status }) => status === 200)).toHaveLength(2)
  await expect.poll(() => revoked(world)).toHaveLength(2)
  expect(new Set(tokensRevoked(world)).size).toBe(2)
})

test('LO4 a sign-in that is turned away for its number leaves no token alive', async () => {
  await using world = await createWorld({ config: { session: { perUser: { max: 1, action: 'refuse' } } } })
  const first = await present(world, 'first')
  expect((await world.browser('second').signIn({ as: 'ada' })).status).toBe(403)
  await expect.poll(() => revoked(world)).toHaveLength(1)
  expect((await first.fetch('/api/echo')).status).toBe(200)
})

/** A world whose provider has a revocation endpoint that answers as the test says. */
async function revokingWorld(answer: () => { status: number; headers?: Record<string, string> }) {
  const { clientId, clientSecret } = clientOf('evil')
  const provider = await startHostileProvider({ clientId, clientSecret })
  const forms: URLSearchParams[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    forms.push(new URLSearchParams(body))
    const { status, headers } = answer()
    response.writeHead(status, headers).end()
  })
  const endpoint = `http://localhost:${await listen(server)}/revoke`
  provider.twist.metadata = { revocation_endpoint: endpoint }
  const world = await createWorld({ providers: [], issuers: { evil: provider.issuer } })
  async function signIn(name: string) {
    const user = world.browser(name)
    const start = await user.visit('/auth/login', { from: world.origin, follow: false })
    await user.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })
    expect((await user.fetch('/api/echo')).status).toBe(200)
    return user
  }
  return {
    world,
    provider,
    forms,
    signIn,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await provider.close()
      await closeServer(server)
    },
  }
}

test('LO4 503 with Retry-After: nobody asks again before, not for another token either', async () => {
  let status = 503
  await using given = await revokingWorld(() => ({ status, headers: { 'retry-after': '600' } }))
  const { world, forms } = given
  const [one, two] = [await given.signIn('one'), await given.signIn('two')]
  await signOut(one)
  await expect.poll(() => world.store.outbox.count()).toBe(1)
  await signOut(two)
  await expect.poll(() => world.store.outbox.count()).toBe(2)
  expect(forms).toHaveLength(1)
  status = 200
  world.clock.advance(599_000)
  expect(await world.store.outbox.take(10, world.clock.now())).toEqual([])
  world.clock.advance(1_000)
  await expect.poll(() => world.store.outbox.count()).toBe(0)
  expect(new Set(forms.map((form) => form.get('token'))).size).toBe(2)
})

test('LO4 a revocation endpoint that redirects is not followed with token and secret', async () => {
  await using given = await revokingWorld(() => ({ status: 307, headers: { location: 'http://127.0.0.1:1/steal' } }))
  const { world, forms } = given
  await signOut(await given.signIn('one'))
  await expect.poll(() => world.log.events('authn_token_revocation_refused')).toHaveLength(1)
  expect(forms).toHaveLength(1)
})

test('LO4 a provider without a revocation endpoint is asked nothing, and nothing waits for it', async () => {
  await using given = await revokingWorld(() => ({ status: 200 }))
  const { world, provider, forms } = given
  provider.twist.metadata = {}
  await signOut(await given.signIn('one'))
  await expect.poll(() => world.log.events('session_ended')).toHaveLength(1)
  expect(await world.store.outbox.count()).toBe(0)
  expect(forms).toEqual([])
  expect(world.log.lines.filter(({ event }) => event?.startsWith('authn_token_revo'))).toEqual([])
})

test('LO4 a new sign-in that is another one at the provider too (another sid) revokes the old tokens at once; the same sid waits', async () => {
  await using given = await revokingWorld(() => ({ status: 200 }))
  const { world, provider, forms } = given
  provider.twist.claims = { sid: 'one' }
  await given.signIn('user')
  await given.signIn('user')
  expect(world.log.events('session_ended')).toHaveLength(1)
  provider.twist.claims = { sid: 'two' }
  await given.signIn('user')
  expect(world.log.events('session_ended')).toHaveLength(2)
  // Its own refresh token, and the one that it had inherited from the session before.
  await expect.poll(() => world.log.events('authn_token_revoked')).toHaveLength(2)
  expect(forms).toHaveLength(2)
})
