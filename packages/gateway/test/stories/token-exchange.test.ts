import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { type ProviderRequest, providerPaths } from '../../../testkit/src/provider-api.ts'
import { type ExchangeRules, exchangeGrant } from '../../../testkit/src/token-exchange.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { expectTokenForProvenProxyOnly } from './asked-token.ts'
import { keyClient } from './client-key.ts'
import { openSocket, startSocketUpstream } from './sockets.ts'
import { ofProvider, verifyingUpstream } from './verifying-upstream.ts'

const minute = 60_000
const orders = { audience: 'orders', resource: 'https://orders.example.com/', scopes: ['read', 'write'], ttl: 300 }
const stock = { audience: 'stock', scopes: ['read'], ttl: 300 }

/** Two APIs at the provider, a route to each; `more` over the provider's rules. */
function exchangeWorld(rules: Partial<ExchangeRules> = {}, options: WorldOptions = {}): Promise<World> {
  const { config: more, provider, ...rest } = options
  return createWorld({
    ...rest,
    provider: { exchange: { targets: [orders, stock], ...rules }, ...provider },
    config: ({ upstream, ...addresses }) => ({
      session: { idle: '10h' },
      trustedProxies: ['127.0.0.1'],
      routes: [
        { path: '/orders/*', upstream, access: 'authenticated', credential: { exchange: { audience: 'orders' } } },
        {
          path: '/read/*',
          upstream,
          access: 'authenticated',
          credential: { exchange: { resource: 'https://orders.example.com/', scope: 'read' } },
        },
        { path: '/stock/*', upstream, access: 'authenticated', credential: { exchange: { audience: 'stock' } } },
        { path: '/unknown/*', upstream, access: 'authenticated', credential: { exchange: { audience: 'nobody' } } },
        { path: '/plain/*', upstream, access: 'authenticated', credential: 'access-token' },
        {
          path: '/asked/*',
          forwardAuth: true,
          access: 'authenticated',
          credential: { exchange: { audience: 'orders' } },
        },
        { path: '/*', static: './public', access: 'public' },
      ],
      ...(typeof more === 'function' ? more({ upstream, ...addresses }) : more),
    }),
  })
}

const exchangesOf = (world: World): ProviderRequest[] =>
  world.provider.at(providerPaths.token).filter(({ params }) => params.get('grant_type') === exchangeGrant)

const bearerOf = (world: World) =>
  world.upstream
    .last()
    .header('authorization')
    ?.replace(/^Bearer /, '') ?? ''

describe('PX7 a token of the provider for each upstream', () => {
  test('PX7 RFC 8693: two upstreams get two tokens, each refused by the other; neither gets the access token', async () => {
    await using world = await exchangeWorld()
    const forOrders = verifyingUpstream(world, '/orders/list', ofProvider(world, 'orders'))
    const forStock = verifyingUpstream(world, '/stock/list', ofProvider(world, 'stock'))
    const browser = await world.signedIn()
    expect((await browser.fetch('/orders/list')).json()).toEqual({ sub: 'ada' })
    expect((await browser.fetch('/stock/list')).json()).toEqual({ sub: 'ada' })
    await browser.fetch('/plain/echo')
    const accessToken = bearerOf(world)
    const [first = '', second = ''] = [...forOrders.tokens, ...forStock.tokens]
    expect(new Set([first, second, accessToken]).size).toBe(3)
    expect(forOrders.accepted[0]).toMatchObject({
      aud: 'orders',
      sub: 'ada',
      scope: 'read write',
      client_id: 'web-corp',
    })
    expect(forStock.accepted[0]).toMatchObject({ aud: 'stock', sub: 'ada', scope: 'read' })
    // Stolen at one upstream, a token is worth nothing at the other.
    for (const [path, token] of [
      ['/stock/list', first],
      ['/orders/list', second],
      ['/orders/list', accessToken],
    ]) {
      const answer = await fetch(world.upstream.url + path, { headers: { authorization: `Bearer ${token}` } })
      expect(answer.status).toBe(401)
    }
    const [asked] = exchangesOf(world)
    expect(Object.fromEntries(asked?.params ?? [])).toEqual({
      grant_type: exchangeGrant,
      subject_token: accessToken,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'orders',
    })
    expect(asked?.headers.authorization).toMatch(/^Basic /)
  })

  test('PX7 RFC 8707: a target by its address, and a narrower scope', async () => {
    await using world = await exchangeWorld()
    const api = verifyingUpstream(world, '/read/list', ofProvider(world, 'orders'))
    const browser = await world.signedIn()
    expect((await browser.fetch('/read/list')).status).toBe(200)
    expect(api.accepted[0]).toMatchObject({ aud: 'orders', scope: 'read' })
    expect(exchangesOf(world)[0]?.params.get('resource')).toBe('https://orders.example.com/')
  })

  test('PX7 fifty calls at once cost one exchange, and the next ones none', async () => {
    await using world = await exchangeWorld()
    const api = verifyingUpstream(world, '/orders/list', ofProvider(world, 'orders'))
    const browser = await world.signedIn()
    const undo = world.provider.delay(100, providerPaths.token)
    const answers = await Promise.all(Array.from({ length: 50 }, () => browser.fetch('/orders/list')))
    undo()
    expect(answers.map(({ status }) => status)).toEqual(new Array(50).fill(200))
    for (let at = 0; at < 5; at++) await browser.fetch('/orders/list')
    expect(exchangesOf(world)).toHaveLength(1)
    expect(new Set(api.tokens).size).toBe(1)
  })

  test('PX7 each user’s calls carry that user’s token, at the same time and over the same connections', async () => {
    await using world = await exchangeWorld()
    const names = ['ada', 'bob', 'eve']
    const browsers = await Promise.all(names.map((as) => world.signedIn({ as, browser: as })))
    await Promise.all(
      Array.from({ length: 60 }, (_, n) => browsers[n % 3]?.fetch(`/${n % 2 ? 'orders' : 'stock'}/echo?n=${n}`)),
    )
    expect(world.upstream.requests).toHaveLength(60)
    for (const request of world.upstream.requests) {
      const n = Number(request.target.split('=')[1])
      const claims = decodeJwt(request.header('authorization')?.replace(/^Bearer /, '') ?? '')
      expect(claims).toMatchObject({ sub: names[n % 3], aud: n % 2 ? 'orders' : 'stock' })
      expect(request.header('x-coatcheck-user')).toBe(names[n % 3])
    }
    expect(exchangesOf(world)).toHaveLength(6)
  })

  test('PX7 renewed ahead of its end behind a request, and at its end before one; the access token is renewed first', async () => {
    await using world = await exchangeWorld()
    const api = verifyingUpstream(world, '/orders/list', ofProvider(world, 'orders'))
    const browser = await world.signedIn()
    await browser.fetch('/orders/list')
    // 300 s: in its last tenth the request goes with the old one.
    world.clock.advance(275_000)
    expect((await browser.fetch('/orders/list')).status).toBe(200)
    await expect.poll(() => exchangesOf(world).length).toBe(2)
    expect(api.tokens[1]).toBe(api.tokens[0])
    await expect
      .poll(async () => (await browser.fetch('/orders/list')).status === 200 && api.tokens.at(-1))
      .not.toBe(api.tokens[0])
    // Now that one is over as well, and so is the access token, after 600 s.
    world.clock.advance(11 * minute)
    expect((await browser.fetch('/orders/list')).status).toBe(200)
    const grants = world.provider.at(providerPaths.token).map(({ params }) => params.get('grant_type'))
    expect(grants.slice(-2)).toEqual(['refresh_token', exchangeGrant])
    expect(api.refused).toEqual([])
  })

  test('PX7 a provider that does not say how long a token lives: it goes with the access token', async () => {
    await using world = await exchangeWorld({ silent: true })
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    world.clock.advance(6 * minute)
    await browser.fetch('/orders/echo')
    expect(exchangesOf(world)).toHaveLength(1)
    world.clock.advance(6 * minute)
    await browser.fetch('/orders/echo')
    expect(exchangesOf(world)).toHaveLength(2)
  })

  test('PX7 after sign-out nothing is left: the old cookie gets nothing, a new sign-in exchanges anew', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    const old = bearerOf(world)
    const thief = browser.saved()
    await browser.fetch('/auth/logout', { method: 'POST' })
    const before = world.upstream.requests.length
    for (const one of [browser, thief]) expect((await one.fetch('/orders/echo')).status).toBe(401)
    expect(world.upstream.requests).toHaveLength(before)
    await world.signedIn()
    await browser.fetch('/orders/echo')
    expect(bearerOf(world)).not.toBe(old)
    expect(exchangesOf(world)).toHaveLength(2)
  })

  test('PX7 another process on the same store has tokens of its own, and a session that ends there ends here', async () => {
    await using world = await exchangeWorld({}, { store: 'lmdb' })
    await using other = await world.anotherGateway()
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    await other.fetch(browser, '/orders/echo')
    // What the other one writes of the session costs no exchange here.
    world.clock.advance(2 * minute)
    await other.fetch(browser, '/orders/echo')
    await browser.fetch('/orders/echo')
    expect(exchangesOf(world)).toHaveLength(2)
    const headers = { origin: world.origin }
    const bye = await other.fetch(browser.saved(), '/auth/logout', { method: 'POST', headers })
    expect(bye.status).toBe(200)
    const before = world.upstream.requests.length
    expect((await browser.fetch('/orders/echo')).status).toBe(401)
    expect(world.upstream.requests).toHaveLength(before)
  })

  test('PX7 a refresh in another process: what was exchanged for the access token of before is used no more', async () => {
    await using world = await exchangeWorld({ silent: true }, { store: 'lmdb' })
    await using other = await world.anotherGateway()
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    const old = bearerOf(world)
    // The access token is over after ten minutes; the other process renews it. This one's token says nothing of an end.
    world.clock.advance(11 * minute)
    await other.fetch(browser, '/plain/echo')
    const renewed = bearerOf(world)
    await browser.fetch('/orders/echo')
    expect(bearerOf(world)).not.toBe(old)
    expect(
      exchangesOf(world)
        .map(({ params }) => params.get('subject_token'))
        .at(-1),
    ).toBe(renewed)
    const refreshes = world.provider
      .at(providerPaths.token)
      .filter(({ params }) => params.get('grant_type') === 'refresh_token')
    expect(refreshes).toHaveLength(1)
  })
})

describe('PX7 when the provider will not', () => {
  test('PX7 access_denied is 403, an unknown target 502; the reason is in the log, and no storm of requests follows', async () => {
    await using world = await exchangeWorld({ denied: new Set(['bob']) })
    const bob = await world.signedIn({ as: 'bob' })
    for (let at = 0; at < 5; at++) {
      expect((await bob.fetch('/orders/echo')).json()).toMatchObject({ status: 403, code: 'access_denied' })
      expect((await bob.fetch('/unknown/echo')).json()).toMatchObject({ status: 502, code: 'token_refused' })
    }
    expect(exchangesOf(world)).toHaveLength(2)
    expect(world.upstream.requests).toEqual([])
    const log = world.log.events('authn_token_exchange_failed')
    expect(log).toMatchObject([
      { outcome: 'denied', audience: 'orders', reason: expect.stringContaining('access_denied') },
      { outcome: 'refused', audience: 'nobody', reason: expect.stringContaining('invalid_target') },
    ])
    expect((await bob.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    world.clock.advance(11_000)
    await bob.fetch('/orders/echo')
    expect(exchangesOf(world)).toHaveLength(3)
  })

  test('PX7 an access token that the provider took back is renewed and exchanged once more, once', async () => {
    const over = new Set<string>()
    let all = false
    await using world = await exchangeWorld({ takenBack: (token) => all || over.has(token) })
    const browser = await world.signedIn()
    await browser.fetch('/plain/echo')
    over.add(bearerOf(world))
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    const grants = () => world.provider.at(providerPaths.token).map(({ params }) => params.get('grant_type'))
    expect(grants().slice(1)).toEqual([exchangeGrant, 'refresh_token', exchangeGrant])
    // Taken back again and again: 502, and the provider hears of it now and then only.
    all = true
    for (let at = 0; at < 4; at++) {
      world.clock.advance(12_000)
      const refused = await browser.fetch('/stock/echo')
      expect(refused.json()).toMatchObject({ status: 502, code: 'token_refused' })
    }
    expect(grants().filter((grant) => grant === 'refresh_token')).toHaveLength(2)
  })

  test('PX7 the provider is down: a token that is good goes on, then 503 with Retry-After, and nobody is signed out', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    const up = world.provider.failWith(503, providerPaths.token)
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    const fresh = await browser.fetch('/stock/echo')
    expect(fresh.json()).toMatchObject({ status: 503, code: 'provider_unavailable' })
    expect(Number(fresh.header('retry-after'))).toBeGreaterThan(0)
    world.clock.advance(6 * minute)
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ code: 'provider_unavailable' })
    up()
    await expect.poll(async () => (await browser.fetch('/stock/echo')).status).toBe(200)
    expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  })

  test('OU3 PX7 offline.reads: reading goes on with the last token, writing does not', async () => {
    await using world = await exchangeWorld({}, { config: { session: { idle: '10h', offline: { reads: '10m' } } } })
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    const token = bearerOf(world)
    world.provider.failWith(503, providerPaths.token)
    world.clock.advance(6 * minute)
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    expect(bearerOf(world)).toBe(token)
    expect((await browser.fetch('/orders/echo', { method: 'POST', body: 'x' })).status).toBe(503)
    world.clock.advance(10 * minute)
    expect((await browser.fetch('/orders/echo')).status).toBe(503)
  })

  test.each([
    ['an ID token in its place', { issued_token_type: 'urn:ietf:params:oauth:token-type:id_token' }],
    ['no word on what it is', { issued_token_type: undefined }],
    ['a token of another kind', { token_type: 'N_A' }],
    ['a token bound to a key that nobody showed', { token_type: 'DPoP' }],
  ])('PX7 an answer that is not what was asked for is not passed on: %s', async (_, twist) => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), ...twist }))
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ status: 502, code: 'token_refused' })
    expect(world.upstream.requests).toEqual([])
  })

  test.each([
    ['more than was asked for', 'read write', 502],
    ['nothing in common with it', 'admin', 502],
    ['what was asked for', 'read', 200],
    ['less', '', 200],
    ['no word', undefined, 200],
  ])('PX7 the scope of the answer is %s: %j is %i', async (_, scope, status) => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), scope }))
    const answer = await browser.fetch('/read/echo')
    expect([answer.status, world.upstream.requests.length]).toEqual([status, status === 200 ? 1 : 0])
    if (status === 200) return
    expect(answer.json()).toMatchObject({ code: 'token_refused' })
    expect(world.log.events('authn_token_exchange_failed')).toMatchObject([
      { reason: expect.stringContaining('scopes that were not asked for') },
    ])
    // A route that asks for no scope leaves that to the provider.
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
  })

  test('PX7 LG2 a provider that repeats the token in its complaint: it is in no line of the log and in no answer', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    await browser.fetch('/plain/echo')
    const token = bearerOf(world)
    const complaint = { error: 'invalid_target', error_description: `no target for ${token}` }
    world.provider.failAs(400, complaint, providerPaths.token)
    const answer = await browser.fetch('/orders/echo')
    expect(answer.json()).toMatchObject({ status: 502, code: 'token_refused' })
    expect(answer.text).not.toContain(token)
    expect(world.log.text()).not.toContain(token)
    expect(world.log.events('authn_token_exchange_failed')).toMatchObject([
      { reason: expect.stringContaining('invalid_target') },
    ])
  })

  test('PX7 a provider that became another one is not shown the access token of the one before', async () => {
    await using world = await exchangeWorld({}, { store: 'lmdb', providers: ['corp', 'partner'] })
    const browser = world.browser()
    await browser.signIn({ as: 'ada', provider: 'partner' })
    await world.stopGateway()
    await world.startGateway({ providers: { partner: { issuer: world.provider.issuer } } } as never)
    const before = world.provider.tokenRequests
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ status: 401, code: 'login_required' })
    // Nor the refresh token, once that is over.
    world.clock.advance(11 * minute)
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ status: 401, code: 'login_required' })
    expect(world.provider.tokenRequests).toBe(before)
    expect(world.upstream.requests).toEqual([])
  })

  test('PX7 a provider that hands back the token it was shown: the upstream gets no token for all the others', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    await browser.fetch('/plain/echo')
    const access_token = bearerOf(world)
    world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), access_token }))
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ code: 'token_refused' })
    expect(world.upstream.requests).toHaveLength(1)
  })
})

describe('PX7 wherever the request goes', () => {
  test('PX7 PX8 a token that the upstream refuses is renewed, and the request repeated once', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    const refused = new Set<string>()
    world.upstream.on('/orders/list', ({ request, response }) => {
      response.writeHead(refused.has(request.headers.authorization ?? '') ? 401 : 200).end()
    })
    await browser.fetch('/orders/list')
    refused.add(world.upstream.last().header('authorization') ?? '')
    const answers = await Promise.all(Array.from({ length: 10 }, () => browser.fetch('/orders/list')))
    expect(answers.map(({ status }) => status)).toEqual(new Array(10).fill(200))
    expect(exchangesOf(world)).toHaveLength(2)
  })

  test('PX7 PX8 an upstream that refuses every token: one renewal and one repetition, then its 401, and no storm', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    world.upstream.on('/orders/no', ({ response }) => void response.writeHead(401).end('mine'))
    for (let at = 0; at < 5; at++) {
      const answer = await browser.fetch('/orders/no')
      expect([answer.status, answer.text]).toEqual([401, 'mine'])
    }
    const grants = world.provider.at(providerPaths.token).map(({ params }) => params.get('grant_type'))
    expect(grants).toEqual(['authorization_code', exchangeGrant, 'refresh_token', exchangeGrant])
    expect(world.upstream.requests).toHaveLength(6)
  })

  test('PX7 PX10 the handshake of a WebSocket and an event stream carry the token', async () => {
    await using world = await exchangeWorld()
    const browser = await world.signedIn()
    const stream = await browser.fetch('/orders/sse?events=1')
    expect([stream.status, decodeJwt(bearerOf(world)).aud]).toEqual([200, 'orders'])
    await using sockets = await startSocketUpstream()
    await world.stopGateway()
    await world.startGateway({
      routes: [
        {
          path: '/live',
          upstream: sockets.url,
          access: 'authenticated',
          credential: { exchange: { audience: 'orders' } },
        },
        { path: '/*', static: './public', access: 'public' },
      ],
    })
    const again = await world.signedIn()
    using socket = await openSocket(world, again)
    const [handshake] = sockets.handshakes
    expect(decodeJwt(handshake?.headers.authorization?.slice(7) ?? '')).toMatchObject({ aud: 'orders', sub: 'ada' })
    expect(JSON.stringify(socket.answer.rawHeaders)).not.toMatch(jwtStart)
  })

  test('PX7 RB1 forward-auth: handed to a proxy that proves itself, and to nobody else', async () => {
    await using world = await exchangeWorld()
    await expectTokenForProvenProxyOnly(world)
  })

  test('PX7 AR1 with private_key_jwt the exchange carries an assertion of its own', async () => {
    const { client, config } = keyClient('P-256')
    await using world = await exchangeWorld({}, { ...(client && { client }), ...(config && { config }) })
    const browser = await world.signedIn()
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    const [asked] = exchangesOf(world)
    expect(asked?.headers.authorization).toBeUndefined()
    expect(decodeJwt(asked?.params.get('client_assertion') ?? '')).toMatchObject({
      iss: 'web-corp',
      aud: world.provider.issuer,
    })
  })

  test('PX7 AR1 with DPoP the exchange is proved, the new token is bound to the session’s key, and each request proves it', async () => {
    await using world = await exchangeWorld(
      {},
      {
        provider: { dpop: 'nonce' },
        config: { providers: { corp: { dpop: 'always' } } } as never,
      },
    )
    const browser = await world.signedIn()
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    const sent = world.upstream.last()
    const token = sent.header('authorization')?.replace(/^DPoP /, '') ?? ''
    const proof = decodeJwt(sent.header('dpop') ?? '')
    expect(decodeJwt(token)).toMatchObject({ aud: 'orders', cnf: { jkt: expect.any(String) } })
    expect(proof).toMatchObject({ htm: 'GET', htu: `${world.upstream.url}/orders/echo` })
    expect(exchangesOf(world).at(-1)?.headers.dpop).toEqual(expect.any(String))
    // A bearer token in its place is a downgrade.
    world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), token_type: 'Bearer' }))
    expect((await browser.fetch('/stock/echo')).json()).toMatchObject({ code: 'token_refused' })
  })

  test('PX3 PX7 canaries: none of the tokens is in any byte for the browser', async () => {
    await using world = await exchangeWorld({ denied: new Set(['bob']) })
    const browser = await world.signedIn()
    for (const path of [
      '/orders/echo',
      '/stock/set-cookie',
      '/orders/redirect',
      '/orders/status?code=401',
      '/unknown/echo',
      '/plain/cors',
      '/auth/session',
      '/auth/sessions',
      '/auth/jwks.json',
    ]) {
      await browser.fetch(path)
      await browser.fetch(path, { method: 'POST', body: 'x' })
      await browser.visit(path, { from: world.origin, follow: false })
    }
    await browser.fetch('/auth/logout', { method: 'POST' })
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    await bob.fetch('/orders/echo')
    expect([...world.provider.issuedTokens].filter((token) => token.startsWith('ey')).length).toBeGreaterThan(3)
    expect(findLeaks([...browser.seen, ...bob.seen], world.provider.issuedTokens)).toEqual([])
    for (const token of world.provider.issuedTokens) expect(world.log.text()).not.toContain(token)
  })
})
