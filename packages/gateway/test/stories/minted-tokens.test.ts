import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  compactDecrypt,
  createRemoteJWKSet,
  decodeJwt,
  decodeProtectedHeader,
  type JSONWebKeySet,
  jwtVerify,
} from 'jose'
import { describe, expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { rotateKeyFile } from '../../src/session/key-rotation.ts'
import { expectTokenForProvenProxyOnly } from './asked-token.ts'
import { openSocket, startSocketUpstream } from './sockets.ts'
import { ofGateway, verifyingUpstream } from './verifying-upstream.ts'

const minute = 60_000

/** Two APIs, a route to each. */
function mintWorld({ config: more, ...options }: WorldOptions = {}): Promise<World> {
  return createWorld({
    ...options,
    config: ({ upstream, ...addresses }) => ({
      session: { idle: '10h' },
      trustedProxies: ['127.0.0.1'],
      routes: [
        { path: '/orders/*', upstream, access: 'authenticated', credential: { mint: { audience: 'orders' } } },
        {
          path: '/stock/*',
          upstream,
          access: 'authenticated',
          credential: { mint: { audience: 'stock', ttl: '5m', claims: ['roles', 'groups', 'scope'] } },
        },
        { path: '/asked/*', forwardAuth: true, access: 'authenticated', credential: { mint: { audience: 'orders' } } },
        { path: '/*', static: './public', access: 'public' },
      ],
      ...(typeof more === 'function' ? more({ upstream, ...addresses }) : more),
    }),
  })
}

const bearerOf = (world: World) =>
  world.upstream
    .last()
    .header('authorization')
    ?.replace(/^Bearer /, '') ?? ''
const jwksOf = async (world: World) => (await (await fetch(`${world.origin}/auth/jwks.json`)).json()) as JSONWebKeySet

describe('PX7 a token of the gateway for each upstream', () => {
  test('PX7 RFC 9068: signed for one audience, checked by the published keys; the other upstream refuses it', async () => {
    await using world = await mintWorld()
    const orders = verifyingUpstream(world, '/orders/list', ofGateway(world, 'orders'))
    const stock = verifyingUpstream(world, '/stock/list', ofGateway(world, 'stock'))
    const browser = await world.signedIn()
    expect((await browser.fetch('/orders/list')).json()).toEqual({ sub: 'ada' })
    expect((await browser.fetch('/stock/list')).json()).toEqual({ sub: 'ada' })
    const now = Math.floor(world.clock.now() / 1000)
    const session = world.log.events('session_created')[0]?.session
    const said = {
      iss: `${world.origin}/auth`,
      sub: 'ada',
      sub_id: { format: 'iss_sub', iss: world.provider.issuer, sub: 'ada' },
      client_id: 'web-corp',
      auth_time: expect.any(Number),
      sid: session,
      iat: now,
      jti: expect.stringMatching(/^[\w-]{22}$/),
      roles: ['admin', 'member'],
    }
    expect(orders.accepted).toEqual([{ ...said, aud: 'orders', exp: now + 60 }])
    const scope = 'openid profile email offline_access'
    expect(stock.accepted).toEqual([{ ...said, aud: 'stock', exp: now + 300, groups: ['ops', 'staff'], scope }])
    expect(decodeProtectedHeader(orders.tokens[0] ?? '')).toEqual({
      alg: 'ES256',
      typ: 'at+jwt',
      kid: (await jwksOf(world)).keys[0]?.kid,
    })
    for (const [path, token] of [
      ['/stock/list', orders.tokens[0]],
      ['/orders/list', stock.tokens[0]],
    ]) {
      const answer = await fetch(`${world.upstream.url}${path}`, { headers: { authorization: `Bearer ${token}` } })
      expect(answer.status).toBe(401)
    }
  })

  test('PX7 any service checks it with a library and three lines; a token of the provider is not taken for one', async () => {
    await using world = await mintWorld()
    const browser = await world.signedIn()
    await browser.fetch('/orders/echo')
    const keys = createRemoteJWKSet(new URL(`${world.origin}/auth/jwks.json`))
    const checks = { issuer: `${world.origin}/auth`, audience: 'orders', typ: 'at+jwt', algorithms: ['ES256'] }
    expect((await jwtVerify(bearerOf(world), keys, checks)).payload.sub).toBe('ada')
    await expect(jwtVerify(bearerOf(world), keys, { ...checks, audience: 'stock' })).rejects.toThrow('"aud"')
    for (const token of [...world.provider.issuedTokens].filter((one) => one.startsWith('ey'))) {
      await expect(jwtVerify(token, keys, checks)).rejects.toThrow()
    }
  })

  test('PX7 one token serves many calls, and is made anew before it ends and when the user changes', async () => {
    await using world = await mintWorld()
    const orders = verifyingUpstream(world, '/orders/list', ofGateway(world, 'orders'))
    const browser = await world.signedIn()
    await Promise.all(Array.from({ length: 50 }, () => browser.fetch('/orders/list')))
    expect(new Set(orders.tokens).size).toBe(1)
    // No upstream ever sees one with less than ten seconds to live.
    for (let at = 0; at < 30; at++) {
      world.clock.advance(7_000)
      await browser.fetch('/orders/list')
      expect((orders.accepted.at(-1)?.exp ?? 0) * 1000 - world.clock.now()).toBeGreaterThanOrEqual(9_000)
    }
    expect(orders.refused).toEqual([])
    expect(new Set(orders.tokens).size).toBeGreaterThan(3)
  })

  test('PX7 each user’s calls carry that user’s token, and a changed role is in the next one', async () => {
    await using world = await mintWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/orders/*', upstream, access: 'authenticated', credential: { mint: { audience: 'orders' } } },
          { path: '/plain/*', upstream, access: 'authenticated', credential: 'access-token' },
          { path: '/*', static: './public', access: 'public' },
        ],
      }),
    })
    const names = ['ada', 'bob', 'eve']
    const browsers = await Promise.all(names.map((as) => world.signedIn({ as, browser: as })))
    await Promise.all(Array.from({ length: 60 }, (_, n) => browsers[n % 3]?.fetch(`/orders/echo?n=${n}`)))
    for (const request of world.upstream.requests) {
      const claims = decodeJwt(request.header('authorization')?.replace(/^Bearer /, '') ?? '')
      expect(claims.sub).toBe(names[Number(request.target.split('=')[1]) % 3])
    }
    const ada = world.provider.users.find(({ sub }) => sub === 'ada')
    if (ada) ada.groups = ['staff']
    world.clock.advance(10 * minute)
    await browsers[0]?.fetch('/plain/echo')
    await browsers[0]?.fetch('/orders/echo')
    expect(decodeJwt(bearerOf(world))).toMatchObject({ sub: 'ada', roles: ['member'] })
  })

  test('PX7 two providers with users of the same name: two subjects, and neither can be taken for the other', async () => {
    await using world = await mintWorld({ providers: ['corp', 'partner'] })
    const subjects: unknown[] = []
    for (const provider of ['corp', 'partner']) {
      const browser = world.browser(provider)
      await browser.signIn({ as: 'ada', provider })
      await browser.fetch('/orders/echo')
      const { sub, sub_id } = decodeJwt(bearerOf(world))
      const { issuer } = world.providerNamed(provider)
      expect([sub, sub_id]).toEqual([`${issuer}#ada`, { format: 'iss_sub', iss: issuer, sub: 'ada' }])
      subjects.push(sub)
    }
    expect(new Set(subjects).size).toBe(2)
  })

  test('PX7 a provider that became another one: its name in the configuration makes nobody the user of that name there', async () => {
    await using world = await mintWorld({ store: 'lmdb', providers: ['corp', 'partner'] })
    const browser = world.browser()
    await browser.signIn({ as: 'ada', provider: 'partner' })
    expect((await browser.fetch('/orders/echo')).status).toBe(200)
    const before = world.upstream.requests.length
    await world.stopGateway()
    const issuer = { issuer: world.providerNamed('corp').issuer }
    await world.startGateway({ providers: { partner: issuer } } as never)
    expect((await browser.fetch('/orders/echo')).json()).toMatchObject({ status: 401, code: 'login_required' })
    expect(world.upstream.requests).toHaveLength(before)
  })

  test('PX7 no token outlives the session by its times; after sign-out none is made', async () => {
    await using world = await mintWorld({ config: { session: { idle: '1h', absolute: '1h' } } })
    const browser = await world.signedIn()
    const begun = world.clock.now()
    await browser.fetch('/stock/echo')
    world.clock.advance(58 * minute)
    expect((await browser.fetch('/stock/echo')).status).toBe(200)
    expect(decodeJwt(bearerOf(world)).exp).toBe(Math.floor((begun + 60 * minute) / 1000))
    const thief = browser.saved()
    await browser.fetch('/auth/logout', { method: 'POST' })
    const before = world.upstream.requests.length
    for (const one of [browser, thief]) expect((await one.fetch('/stock/echo')).status).toBe(401)
    expect(world.upstream.requests).toHaveLength(before)
  })

  test('PX7 OU1 the provider is down, and its tokens are over: minting goes on for as long as the session does', async () => {
    await using world = await mintWorld()
    const orders = verifyingUpstream(world, '/orders/list', ofGateway(world, 'orders'))
    const browser = await world.signedIn()
    await world.provider.down()
    for (let at = 0; at < 10; at++) {
      world.clock.advance(20 * minute)
      expect((await browser.fetch('/orders/list')).status).toBe(200)
    }
    expect(orders.refused).toEqual([])
    await world.provider.up()
  })

  test('PX7 an upstream that refuses a minted token: its own 401, and no request to the provider', async () => {
    await using world = await mintWorld()
    const browser = await world.signedIn()
    const before = world.provider.tokenRequests
    world.upstream.on('/orders/no', ({ response }) => void response.writeHead(401).end('mine'))
    const answer = await browser.fetch('/orders/no')
    expect([answer.status, answer.text, world.provider.tokenRequests]).toEqual([401, 'mine', before])
  })
})

describe('PX7 the keys', () => {
  test('PX7 /auth/jwks.json: public keys for anybody who asks for them, to be kept for five minutes', async () => {
    await using world = await mintWorld()
    const answer = await fetch(`${world.origin}/auth/jwks.json`)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/jwk-set+json'])
    expect(answer.headers.get('cache-control')).toBe('public, max-age=300')
    expect([answer.headers.get('set-cookie'), answer.headers.get('access-control-allow-origin')]).toEqual([null, null])
    expect(await answer.json()).toEqual({
      keys: [
        {
          kty: 'EC',
          crv: 'P-256',
          use: 'sig',
          alg: 'ES256',
          kid: expect.any(String),
          x: expect.stringMatching(/^[\w-]{43}$/),
          y: expect.stringMatching(/^[\w-]{43}$/),
        },
      ],
    })
    expect((await fetch(`${world.origin}/auth/jwks.json`, { method: 'POST' })).status).toBe(405)
  })

  test('PX7 rotation: a service that keeps the keys for as long as it may loses no request', async () => {
    await using world = await mintWorld()
    const services = [0, 1, 2].map((at) => verifyingUpstream(world, `/stock/list${at}`, ofGateway(world, 'stock')))
    const browser = await world.signedIn()
    const kids = new Set<unknown>()
    for (let at = 0; at < 90; at++) {
      // At 20 minutes, and again while the first new key does not sign yet.
      if (at === 20 || at === 25) rotateKeyFile(join(world.folder, 'coatcheck.keys'), { now: world.clock.now() })
      expect((await browser.fetch(`/stock/list${at % 3}`)).status).toBe(200)
      kids.add(decodeProtectedHeader(bearerOf(world)).kid)
      world.clock.advance(minute)
    }
    expect(services.flatMap(({ refused }) => refused)).toEqual([])
    expect(kids.size).toBe(3)
    for (const { keyRequests } of services) expect(keyRequests).toBeLessThan(20)
    expect((await jwksOf(world)).keys.map(({ kid }) => kid)).toEqual([[...kids].at(-1)])
  })

  test('PX7 a ring that others may have seen: tokens signed by its keys are refused as soon as a service reads the keys', async () => {
    await using world = await mintWorld()
    const orders = verifyingUpstream(world, '/orders/list', ofGateway(world, 'orders'))
    const browser = await world.signedIn()
    await browser.fetch('/orders/list')
    const [stolen] = orders.tokens
    rotateKeyFile(join(world.folder, 'coatcheck.keys'), { now: world.clock.now(), withdraw: true })
    world.clock.advance(5 * minute)
    // Nobody was signed out, and the next token is of the new key.
    expect((await browser.fetch('/orders/list')).status).toBe(200)
    const { keys } = await jwksOf(world)
    expect(keys.map(({ kid }) => kid)).toEqual([decodeProtectedHeader(bearerOf(world)).kid])
    const answer = await fetch(`${world.upstream.url}/orders/list`, { headers: { authorization: `Bearer ${stolen}` } })
    expect([answer.status, orders.refused.at(-1)]).toEqual([401, expect.stringContaining('JWKSNoMatchingKey')])
  })

  test('PX7 a token that is still held is not sent once its key was withdrawn: no upstream refuses a user for that', async () => {
    await using world = await mintWorld()
    const stock = verifyingUpstream(world, '/stock/list', ofGateway(world, 'stock'))
    const browser = await world.signedIn()
    await browser.fetch('/stock/list')
    rotateKeyFile(join(world.folder, 'coatcheck.keys'), { now: world.clock.now(), withdraw: true })
    // The token would be good for five minutes; a service that starts now knows the new key only.
    world.clock.advance(2_000)
    const started = verifyingUpstream(world, '/stock/started', ofGateway(world, 'stock'))
    expect((await browser.fetch('/stock/started')).status).toBe(200)
    expect([started.refused, new Set([...stock.tokens, ...started.tokens]).size]).toEqual([[], 2])
  })

  test('PX7 several gateways on one ring sign with one key, also after a restart and with a ring from before', async () => {
    // As an earlier version wrote it: nothing in it says a word of signing.
    const ring = { version: 1, keys: [{ id: 'old-one', createdAt: '2025-01-01T00:00:00.000Z', key: 'k'.repeat(43) }] }
    await using world = await mintWorld({
      store: 'lmdb',
      beforeStart: ({ folder }) => writeFileSync(join(folder, 'coatcheck.keys'), JSON.stringify(ring), { mode: 0o600 }),
    })
    await using other = await world.anotherGateway()
    const browser = await world.signedIn()
    const orders = verifyingUpstream(world, '/orders/list', ofGateway(world, 'orders'))
    const before = await jwksOf(world)
    expect(before.keys.map(({ kid }) => kid)).toEqual(['old-one'])
    expect((await other.fetch(browser, '/orders/list')).status).toBe(200)
    expect((await browser.fetch('/orders/list')).status).toBe(200)
    await world.stopGateway()
    await world.startGateway()
    expect(await jwksOf(world)).toEqual(before)
    expect((await browser.fetch('/orders/list')).status).toBe(200)
    expect(orders.refused).toEqual([])
  })
})

describe('PX7 encrypted for its reader', () => {
  const recipients: [string, () => { publicKey: KeyObject; privateKey: KeyObject }, string][] = [
    ['P-256', () => generateKeyPairSync('ec', { namedCurve: 'P-256' }), 'ECDH-ES+A256KW'],
    ['X25519', () => generateKeyPairSync('x25519'), 'ECDH-ES+A256KW'],
    ['RSA', () => generateKeyPairSync('rsa', { modulusLength: 2048 }), 'RSA-OAEP-256'],
  ]
  test.each(recipients)(
    'PX7 a signed token in a JWE for a key on %s: read by its holder, and by nobody else',
    async (_, make, alg) => {
      const { publicKey, privateKey } = make()
      await using world = await createWorld({
        beforeStart: ({ folder }) =>
          writeFileSync(
            join(folder, 'orders.jwk'),
            JSON.stringify({ ...publicKey.export({ format: 'jwk' }), kid: 'e1' }),
          ),
        config: ({ upstream }) => ({
          routes: [
            {
              path: '/orders/*',
              upstream,
              access: 'authenticated',
              credential: { mint: { audience: 'orders', encryptTo: { file: 'orders.jwk' } } },
            },
            { path: '/plain/*', upstream, access: 'authenticated', credential: { mint: { audience: 'orders' } } },
            { path: '/*', static: './public', access: 'public' },
          ],
        }),
      })
      const expected = { ...ofGateway(world, 'orders'), decryptWith: privateKey }
      const orders = verifyingUpstream(world, '/orders/list', expected)
      const browser = await world.signedIn()
      expect((await browser.fetch('/orders/list')).json()).toEqual({ sub: 'ada' })
      expect((await browser.fetch('/orders/list')).status).toBe(200)
      expect(new Set(orders.tokens).size).toBe(1)
      const [token = ''] = orders.tokens
      expect(decodeProtectedHeader(token)).toMatchObject({ alg, enc: 'A256GCM', cty: 'JWT', kid: 'e1' })
      await expect(compactDecrypt(token, make().privateKey)).rejects.toThrow()
      // The route beside it, for the same audience, has its own in the clear.
      await browser.fetch('/plain/list')
      expect(decodeJwt(bearerOf(world)).aud).toBe('orders')
    },
  )
})

describe('PX7 wherever the request goes', () => {
  test('PX7 RB1 forward-auth: handed to a proxy that proves itself, and to nobody else', async () => {
    await using world = await mintWorld()
    await expectTokenForProvenProxyOnly(world)
  })

  test('PX7 PX10 the handshake of a WebSocket and an event stream carry the token', async () => {
    await using sockets = await startSocketUpstream()
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          {
            path: '/live',
            upstream: sockets.url,
            access: 'authenticated',
            credential: { mint: { audience: 'live' } },
          },
          { path: '/orders/*', upstream, access: 'authenticated', credential: { mint: { audience: 'orders' } } },
          { path: '/*', static: './public', access: 'public' },
        ],
      }),
    })
    const browser = await world.signedIn()
    using socket = await openSocket(world, browser)
    const [handshake] = sockets.handshakes
    expect(decodeJwt(handshake?.headers.authorization?.slice(7) ?? '')).toMatchObject({ aud: 'live', sub: 'ada' })
    expect(JSON.stringify(socket.answer.rawHeaders)).not.toMatch(jwtStart)
    await browser.fetch('/orders/sse?events=1')
    expect(decodeJwt(bearerOf(world))).toMatchObject({ aud: 'orders', sub: 'ada' })
  })

  test('PX3 PX7 canaries: no minted token, session id or cookie secret is where it does not belong', async () => {
    await using world = await mintWorld()
    const browser = await world.signedIn()
    const paths = ['/orders/echo', '/stock/set-cookie', '/orders/redirect', '/orders/status?code=401', '/stock/cors']
    for (const path of [...paths, '/auth/session', '/auth/sessions', '/auth/jwks.json', '/nowhere']) {
      await browser.fetch(path)
      await browser.fetch(path, { method: 'POST', body: 'x' })
      await browser.visit(path, { from: world.origin, follow: false })
    }
    const minted = new Set(
      world.upstream.requests.map((request) => request.header('authorization')?.replace(/^Bearer /, '') ?? ''),
    )
    expect(minted.size).toBeGreaterThan(1)
    expect(findLeaks(browser.seen, minted)).toEqual([])
    for (const token of minted) expect(world.log.text()).not.toContain(token)
    const [, id = '', , secret = ''] = browser.saved().cookies()[0]?.value.split('.') ?? []
    expect([id.length, secret.length]).toEqual([22, 43])
    for (const token of minted) {
      for (const part of [id, secret]) expect(JSON.stringify(decodeJwt(token))).not.toContain(part)
    }
  })
})
