import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader, type JWK } from 'jose'
import { expect, test } from 'vitest'
import { type ProviderRequest, providerPaths } from '../../../testkit/src/provider-api.ts'
import type { UpstreamRequest } from '../../../testkit/src/upstream.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { audience, resourceServer } from './resource-server.ts'

const minute = 60_000
const bound = { resource: audience, dpop: 'offered', ttl: { accessToken: 600 } } as const
// All in the ID token: a token for an API does not open UserInfo.
const claims = ['name', 'email']
const config = (more: object = {}) => ({ providers: { corp: { dpop: 'always', claims, ...more } } })

const proofIn = (request: ProviderRequest | undefined) => String(request?.headers.dpop ?? '')
const keyIn = async (proof: string) => calculateJwkThumbprint(decodeProtectedHeader(proof).jwk as JWK)
const valuesOf = ({ rawHeaders }: UpstreamRequest, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)

test('AR1 with dpop: always the code, the tokens and every request to the upstream are bound to one key of the session', async () => {
  await using world = await createWorld({ provider: bound, config: config() })
  const api = resourceServer(world, '/bound')
  const browser = await world.signedIn()
  for (const path of ['/api/bound', '/api/bound?b=2&c=%2F', '/api/bound?b=2&c=%2F']) {
    expect((await browser.fetch(path)).text, path).toBe('{"ok":true}')
  }
  expect((await browser.fetch('/api/bound', { method: 'POST', body: 'x' })).text).toBe('{"ok":true}')

  const [asked] = world.provider.authorizations
  const [redeemed] = world.provider.at(providerPaths.token)
  const key = await keyIn(proofIn(redeemed))
  expect(asked?.get('dpop_jkt')).toBe(key)
  const proofs = world.upstream.requests.map((request) => valuesOf(request, 'dpop'))
  for (const [at, one] of proofs.entries()) {
    expect(one).toHaveLength(1)
    const proof = one[0] ?? ''
    expect(decodeProtectedHeader(proof)).toEqual({
      alg: 'ES256',
      typ: 'dpop+jwt',
      jwk: expect.not.objectContaining({ d: expect.anything() }),
    })
    expect(await keyIn(proof)).toBe(key)
    // The address as the upstream knows it, without the query.
    expect(decodeJwt(proof)).toMatchObject({ htu: `${world.upstream.url}/bound`, htm: at === 3 ? 'POST' : 'GET' })
    expect(valuesOf(world.upstream.requests[at] as UpstreamRequest, 'authorization')[0]).toMatch(/^DPoP ey/)
  }
  expect(new Set(proofs.flat().map((proof) => decodeJwt(proof).jti)).size).toBe(4)
  expect(api.accepted.map(({ cnf }) => cnf)).toEqual(new Array(4).fill({ jkt: key }))

  // The refreshed token is bound to the same key.
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/bound')).text).toBe('{"ok":true}')
  expect(await keyIn(proofIn(world.provider.at(providerPaths.token).at(-1)))).toBe(key)
  expect(api.accepted.at(-1)?.cnf).toEqual({ jkt: key })

  // Another session has another key: nothing links the two.
  const other = await world.signedIn({ browser: 'other' })
  expect((await other.fetch('/api/bound')).status).toBe(200)
  expect(api.accepted.at(-1)?.cnf).not.toEqual({ jkt: key })
})

test('AR2 with PAR the binding of the code travels in the pushed request', async () => {
  await using world = await createWorld({
    provider: { ...bound, par: 'required' },
    config: config({ authorizationParams: { prompt: 'consent' } }),
  })
  await world.signedIn()
  const [pushed] = world.provider.at(providerPaths.pushed)
  const [redeemed] = world.provider.at(providerPaths.token)
  expect(pushed?.params.get('dpop_jkt')).toBe(await keyIn(proofIn(redeemed)))
  expect(world.provider.authorizations[0]?.has('dpop_jkt')).toBe(false)
})

test('a provider that wants its nonce in each proof: asked once more, then remembered for all sessions; UserInfo and refresh too', async () => {
  await using world = await createWorld({
    provider: { ...bound, resource: undefined, dpop: 'nonce' } as never,
    config: config({ claims: ['name', 'nickname'] }),
  })
  const browser = await world.signedIn()
  expect(world.provider.at(providerPaths.token).map(({ status }) => status)).toEqual([400, 200])
  expect(world.provider.codesRedeemed).toBe(1)
  const userInfo = world.provider.at(providerPaths.userinfo)
  expect(userInfo.map(({ status }) => status)).toEqual([200])
  expect(userInfo[0]?.headers.authorization).toMatch(/^DPoP /)
  const nonces = [...world.provider.at(providerPaths.token), ...userInfo].map((one) => decodeJwt(proofIn(one)).nonce)
  expect(nonces).toEqual([undefined, expect.any(String), nonces[1]])

  await world.signedIn({ browser: 'second' })
  expect(world.provider.at(providerPaths.token).map(({ status }) => status)).toEqual([400, 200, 200])
  // Its nonces are good for minutes; an older one is answered with a newer one.
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.provider.at(providerPaths.token).map(({ status }) => status)).toEqual([400, 200, 200, 400, 200])
})

test('an upstream that wants its nonce: what it says is in the next proof, of every session, and never at the browser', async () => {
  await using world = await createWorld({ provider: bound, config: config() })
  const api = resourceServer(world, '/bound')
  const browser = await world.signedIn()
  const other = await world.signedIn({ browser: 'other', as: 'bob' })
  api.nonce = 'nonce-1'
  const first = await browser.fetch('/api/bound')
  expect(first.status).toBe(401)
  expect(first.header('dpop-nonce')).toBeUndefined()
  expect((await browser.fetch('/api/bound')).status).toBe(200)
  expect((await other.fetch('/api/bound')).status).toBe(200)
  api.nonce = 'nonce-2'
  expect((await other.fetch('/api/bound')).status).toBe(401)
  expect((await browser.fetch('/api/bound')).status).toBe(200)
  // What no nonce may look like goes into no proof.
  for (const nonce of ['x'.repeat(600), 'a"b', 'a b', 'a\\b']) {
    api.nonce = nonce
    await browser.fetch('/api/bound')
    await browser.fetch('/api/bound')
    const [proof = ''] = valuesOf(world.upstream.last(), 'dpop')
    expect(decodeJwt(proof).nonce).toBe('nonce-2')
  }
})

test('dpop: never, auto where the provider has none, and no setting at all: bearer tokens as ever', async () => {
  for (const [dpop, offered] of [
    ['never', 'offered'],
    [undefined, 'offered'],
    ['auto', undefined],
  ] as const) {
    await using world = await createWorld({
      provider: offered ? { dpop: offered } : {},
      config: { providers: { corp: { dpop } } },
    })
    const browser = await world.signedIn()
    await browser.fetch('/api/echo')
    const seen = world.upstream.last()
    expect([valuesOf(seen, 'authorization')[0]?.slice(0, 7), valuesOf(seen, 'dpop')]).toEqual(['Bearer ', []])
    expect(world.provider.authorizations[0]?.has('dpop_jkt')).toBe(false)
    expect(proofIn(world.provider.at(providerPaths.token)[0])).toBe('')
  }
})

test('dpop: auto where the provider lists ES256 binds tokens; an answer with a bearer token is taken as what it is', async () => {
  await using world = await createWorld({ provider: { dpop: 'offered' }, config: config({ dpop: 'auto' }) })
  const browser = await world.signedIn()
  await browser.fetch('/api/echo')
  expect(valuesOf(world.upstream.last(), 'authorization')[0]).toMatch(/^DPoP /)
  const undo = world.provider.tamper(providerPaths.token, (body) =>
    JSON.stringify({ ...JSON.parse(body), token_type: 'bearer' }),
  )
  const other = await world.signedIn({ browser: 'other' })
  undo()
  await other.fetch('/api/echo')
  expect(valuesOf(world.upstream.last(), 'authorization')[0]).toMatch(/^Bearer /)
  expect(valuesOf(world.upstream.last(), 'dpop')).toEqual([])
})

test('dpop: always refuses an unbound token: at sign-in nobody is signed in, at a refresh the session ends', async () => {
  await using world = await createWorld({ provider: bound, config: config() })
  const browser = await world.signedIn()
  world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), token_type: 'Bearer' }))
  const page = await world.browser('late').signIn({ as: 'bob' })
  expect([page.status, page.text.includes('login_failed')]).toEqual([400, true])
  expect(world.browser('late').cookies()).toEqual([])
  expect(world.log.text()).toContain('bound to no key')
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).json()).toMatchObject({ status: 401, code: 'session_expired' })
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('AR1 a token_type other than Bearer and DPoP is refused, and so is DPoP for a key that was never shown', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  for (const token_type of ['mac', 'N_A', 'DPoP', '', 7, undefined]) {
    const undo = world.provider.tamper(providerPaths.token, (body) =>
      JSON.stringify({ ...JSON.parse(body), token_type }),
    )
    const page = await world.browser(`with ${token_type}`).signIn({ as: 'ada' })
    undo()
    expect([token_type, page.status, page.text.includes('login_failed')]).toEqual([token_type, 400, true])
    expect(world.browser(`with ${token_type}`).cookies()).toEqual([])
  }
  const browser = await world.signedIn()
  world.clock.advance(11 * minute)
  world.provider.tamper(providerPaths.token, (body) => JSON.stringify({ ...JSON.parse(body), token_type: 'mac' }))
  expect((await browser.fetch('/api/echo')).status).toBe(401)
  expect(world.upstream.requests).toEqual([])
})

test('PX3 a DPoP header of the client’s own reaches no upstream; the ID token stays a bearer token', async () => {
  await using world = await createWorld({
    provider: bound,
    config: ({ upstream }) => ({
      ...config(),
      routes: [
        { path: '/bound/*', upstream, access: 'authenticated', credential: 'access-token' },
        { path: '/id/*', upstream, access: 'authenticated', credential: 'id-token' },
        { path: '/none/*', upstream, access: 'authenticated' },
        { path: '/open/*', upstream, access: 'public' },
        { path: '/', static: './public', access: 'public' },
      ],
    }),
  })
  const browser = await world.signedIn()
  for (const [path, proofs, scheme] of [
    ['/bound/echo', 1, 'DPoP'],
    ['/id/echo', 0, 'Bearer'],
    ['/none/echo', 0, undefined],
    ['/open/echo', 0, undefined],
  ] as const) {
    for (const name of ['DPoP', 'dpop', 'Dpop']) {
      await browser.fetch(path, { headers: { [name]: 'forged' } })
      const seen = world.upstream.last()
      const values = valuesOf(seen, 'dpop')
      expect([path, values.length, values.includes('forged')]).toEqual([path, proofs, false])
      expect([path, valuesOf(seen, 'authorization')[0]?.split(' ')[0]]).toEqual([path, scheme])
    }
  }
})

test('binding that is switched on for running sessions begins with their next refresh; switched off, likewise', async () => {
  await using world = await createWorld({
    provider: bound,
    store: 'lmdb',
    config: { providers: { corp: { claims } } },
  })
  const browser = await world.signedIn()
  const scheme = async () => {
    expect((await browser.fetch('/api/echo')).status).toBe(200)
    return valuesOf(world.upstream.last(), 'authorization')[0]?.split(' ')[0]
  }
  expect(await scheme()).toBe('Bearer')
  await world.stopGateway()
  await world.startGateway(config())
  expect(await scheme()).toBe('Bearer')
  world.clock.advance(11 * minute)
  expect(await scheme()).toBe('DPoP')
  await world.stopGateway()
  await world.startGateway()
  expect(await scheme()).toBe('DPoP')
  world.clock.advance(11 * minute)
  expect(await scheme()).toBe('Bearer')
})

test('the key of a sign-in on its way fits into its cookie, also beside the longest return address', async () => {
  await using world = await createWorld({ provider: bound, config: config() })
  const returnTo = `/${'x'.repeat(1023)}`
  const browser = world.browser()
  await browser.visit(`/auth/login?return_to=${returnTo}`, { from: world.origin, follow: false })
  const [cookie] = browser.cookies()
  // Browsers take 4096 bytes of name, value and attributes. @see RFC 6265 §6.1
  expect(cookie?.toString().length).toBeLessThan(2600)
  const page = await world.browser('other').signIn({ as: 'ada', returnTo })
  expect(page.url).toBe(`${world.origin}${returnTo}`)
})
