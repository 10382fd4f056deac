import { createHash } from 'node:crypto'
import { createServer, type RequestListener, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { checkIdToken } from '../../src/oidc/id-token.ts'
import { createHostileWorld, type HostileWorld, hurry } from './hostile-world.ts'

const minute = 60_000
const ours = clientOf('evil').clientId

interface Case {
  readonly name: string
  readonly twist: (at: { seconds: number; issuer: string; elsewhere: string }) => Partial<Twists>
  /** What the log must name. */
  readonly reason: RegExp
}

const claim =
  (claims: Record<string, unknown>): Case['twist'] =>
  () => ({ claims })

/** OpenID Connect Core §3.1.3.7, rule by rule, and what attackers do to JWTs. */
const cases: Case[] = [
  { name: 'iss of another', twist: claim({ iss: 'https://idp.example' }), reason: /"iss"/ },
  { name: 'iss with a slash more', twist: ({ issuer }) => ({ claims: { iss: `${issuer}/` } }), reason: /"iss"/ },
  { name: 'iss missing', twist: claim({ iss: undefined }), reason: /"iss"/ },
  { name: 'aud of another', twist: claim({ aud: 'other' }), reason: /"aud"/ },
  { name: 'aud that begins like ours', twist: claim({ aud: `${ours}x` }), reason: /"aud"/ },
  { name: 'aud missing', twist: claim({ aud: undefined }), reason: /"aud"/ },
  { name: 'aud empty', twist: claim({ aud: [] }), reason: /"aud"/ },
  { name: 'another aud beside ours', twist: claim({ aud: [ours, 'other'] }), reason: /aud/ },
  { name: 'another aud, azp ours', twist: claim({ aud: [ours, 'other'], azp: ours }), reason: /audience besides/ },
  { name: 'azp of another', twist: claim({ azp: 'other' }), reason: /azp/ },
  { name: 'azp of another, aud a list', twist: claim({ aud: [ours], azp: 'other' }), reason: /azp/ },
  { name: 'exp past', twist: ({ seconds }) => ({ claims: { exp: seconds - 60 } }), reason: /"exp"/ },
  { name: 'exp missing', twist: claim({ exp: undefined }), reason: /"exp"/ },
  { name: 'exp a text', twist: claim({ exp: '9999999999' }), reason: /"exp"/ },
  { name: 'nbf ahead', twist: ({ seconds }) => ({ claims: { nbf: seconds + 600 } }), reason: /"nbf"/ },
  { name: 'iat long ago', twist: ({ seconds }) => ({ claims: { iat: seconds - 3600 } }), reason: /iat/ },
  { name: 'iat ahead', twist: ({ seconds }) => ({ claims: { iat: seconds + 600 } }), reason: /iat/ },
  { name: 'iat missing', twist: claim({ iat: undefined }), reason: /"iat"/ },
  { name: 'nonce wrong', twist: claim({ nonce: 'wrong' }), reason: /"nonce"/ },
  { name: 'nonce missing', twist: claim({ nonce: undefined }), reason: /"nonce"/ },
  { name: 'nonce empty', twist: claim({ nonce: '' }), reason: /"nonce"/ },
  { name: 'nonce a list', twist: claim({ nonce: ['a'] }), reason: /"nonce"/ },
  { name: 'sub missing', twist: claim({ sub: undefined }), reason: /"sub"/ },
  { name: 'sub a number', twist: claim({ sub: 1 }), reason: /"sub"/ },
  { name: 'sub empty', twist: claim({ sub: '' }), reason: /sub/ },
  { name: 'sub endless', twist: claim({ sub: 'x'.repeat(256) }), reason: /sub/ },
  { name: 'auth_time a text', twist: claim({ auth_time: 'now' }), reason: /auth_time/ },
  { name: 'at_hash of another access token', twist: claim({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }), reason: /at_hash/ },
  { name: 'at_hash empty', twist: claim({ at_hash: '' }), reason: /at_hash/ },
  { name: 'at_hash a list', twist: claim({ at_hash: [] }), reason: /at_hash/ },
  { name: 'alg none', twist: () => ({ signature: 'none' }), reason: /alg/ },
  { name: 'alg NoNe', twist: () => ({ signature: 'none', header: { alg: 'NoNe' } }), reason: /alg/ },
  { name: 'HS256 by the client secret', twist: () => ({ signature: 'hs256-client-secret' }), reason: /alg/ },
  { name: 'HS256 by the public key', twist: () => ({ signature: 'hs256-public-key' }), reason: /alg/ },
  { name: 'signed by a stranger', twist: () => ({ signature: 'stranger' }), reason: /signature/ },
  { name: 'one bit changed', twist: () => ({ signature: 'flipped-bit' }), reason: /signature/ },
  { name: 'a key in the header', twist: () => ({ signature: 'embedded-jwk' }), reason: /signature/ },
  {
    name: 'jku and x5u of elsewhere',
    twist: ({ elsewhere }) => ({ signature: 'stranger', header: { jku: elsewhere, x5u: elsewhere, kid: 'elsewhere' } }),
    reason: /key/,
  },
  { name: 'unknown kid', twist: () => ({ header: { kid: 'unknown' } }), reason: /key/ },
  { name: 'critical header', twist: () => ({ header: { crit: ['b64'], b64: true } }), reason: /crit/ },
  { name: 'no ID token', twist: () => ({ noIdToken: true }), reason: /id_token/ },
]

/** A server of another one's, that counts what reaches it. */
async function startElsewhere(answer: RequestListener) {
  let requests = 0
  const server = createServer((request, response) => {
    requests++
    answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    get requests() {
      return requests
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function expectNoSession({ world }: HostileWorld, page: Page, status: number, code: string, what: string): void {
  expect(page.status, `${what}: ${page.text}`).toBe(status)
  expect(page.text, what).toContain(code)
  expect(
    page.headers('set-cookie').filter((line) => !line.includes('Max-Age=0')),
    what,
  ).toEqual([])
  expect(world.log.events('session_created'), what).toEqual([])
}

test('IT1 a wrong ID token never makes a session: the page tells nothing, the log tells why, UserInfo is not asked', async () => {
  await using elsewhere = await startElsewhere((_request, response) => response.end('{}'))
  await using hostile = await createHostileWorld()
  const { world, provider, clock } = hostile
  for (const { name, twist, reason } of cases) {
    const redeemed = provider.codesRedeemed
    const seconds = Math.floor(clock.now() / 1000)
    hostile.twist(twist({ seconds, issuer: provider.issuer, elsewhere: elsewhere.url }))
    const page = await hostile.signIn(name)
    expectNoSession(hostile, page, 400, 'login_failed', name)
    expect(provider.codesRedeemed, `${name}: the code was redeemed`).toBe(redeemed + 1)
    expect(world.browser(name).cookies(), name).toEqual([])
    expect(String(world.log.events('authn_login_fail').at(-1)?.reason), name).toMatch(reason)
    expect(findLeaks(world.browser(name).seen, provider.issuedTokens), name).toEqual([])
    expect(withoutRequestId(page.text), name).not.toMatch(/mallory|nonce|issuer|audience/)
  }
  expect(provider.userinfoRequests).toBe(0)
  expect(elsewhere.requests).toBe(0)
  expect(provider.issuedTokens.size).toBeGreaterThan(cases.length)
  const log = world.log.text()
  for (const token of provider.issuedTokens) {
    for (const part of token.split('.').filter((text) => text.length > 20)) expect(log.includes(part)).toBe(false)
  }

  hostile.twist({})
  expect((await hostile.signIn('honest')).status).toBe(200)
  expect((await world.browser('honest').fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'mallory' } })
})

test('IT1 clocks may differ a little: a token from 20 s ahead is fine', async () => {
  await using hostile = await createHostileWorld()
  const seconds = Math.floor(hostile.clock.now() / 1000)
  hostile.twist({ claims: { iat: seconds + 20, nbf: seconds + 20, auth_time: seconds + 20 } })
  expect((await hostile.signIn()).status).toBe(200)
  hostile.twist({ claims: { exp: seconds - 10 } })
  expect((await hostile.signIn()).status).toBe(200)
})

test('IT1 discovery that offers none and HS256 makes neither acceptable, and what it does not offer is refused', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  const metadata = { id_token_signing_alg_values_supported: ['none', 'HS256', 'RS256'] }
  for (const signature of ['none', 'hs256-client-secret', 'hs256-public-key'] as const) {
    hostile.twist({ metadata, signature })
    expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', signature)
  }
  await world.stopGateway()
  hostile.twist({ metadata: { id_token_signing_alg_values_supported: ['ES256'] } })
  await world.startGateway()
  expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', 'RS256 where only ES256 is offered')
})

test('IT1 a secret among the published keys verifies nothing', async () => {
  await using hostile = await createHostileWorld()
  const k = Buffer.from(clientOf('evil').clientSecret).toString('base64url')
  const jwks = { keys: [{ kty: 'oct', k, kid: 'honest-key', alg: 'HS256', use: 'sig' }] }
  hostile.twist({
    metadata: { id_token_signing_alg_values_supported: ['HS256', 'RS256'] },
    signature: 'hs256-client-secret',
    header: { kid: 'honest-key' },
    answer: { '/jwks': { status: 200, type: 'application/json', body: JSON.stringify(jwks) } },
  })
  expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', 'oct key')
})

test('IT1 a subject made of control characters and markup stays text: in the session, in headers to the API, in the log', async () => {
  await using hostile = await createHostileWorld()
  const sub = 'a\r\nX-Coatcheck-Roles: admin\0<script>é'
  hostile.twist({ claims: { sub }, userinfo: { sub } })
  expect((await hostile.signIn('user')).status).toBe(200)
  const browser = hostile.world.browser()
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ user: { sub } })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(hostile.world.upstream.last().header('x-coatcheck-roles')).toBe('')
  expect(hostile.world.upstream.last().header('x-coatcheck-user')).toMatch(/^[\x21-\x7e]+$/)
})

test('IT1 at_hash binds the access token, by the hash that the signature’s algorithm names', () => {
  const now = Date.now()
  const check = (alg: string, accessToken: string, digest: string) => {
    const hashed = createHash(digest).update('the access token').digest()
    const at_hash = hashed.subarray(0, hashed.length / 2).toString('base64url')
    const idToken = `${Buffer.from(JSON.stringify({ alg })).toString('base64url')}.e30.sig`
    const seconds = Math.floor(now / 1000)
    const claims = { iss: 'https://idp', sub: 'ada', aud: 'web', iat: seconds, exp: seconds + 60, at_hash }
    checkIdToken(claims, { idToken, accessToken, clientId: 'web', now })
  }
  const digests = {
    RS256: 'sha256',
    ES256: 'sha256',
    PS384: 'sha384',
    ES512: 'sha512',
    EdDSA: 'sha512',
    Ed25519: 'sha512',
  }
  for (const [alg, digest] of Object.entries(digests)) {
    expect(() => check(alg, 'the access token', digest), alg).not.toThrow()
    expect(() => check(alg, 'another access token', digest), alg).toThrow('at_hash')
    expect(() => check(alg, 'the access token', digest === 'sha256' ? 'sha512' : 'sha256'), alg).toThrow('at_hash')
  }
})

test('IT1 an ID token of an earlier sign-in of the same user is refused: its nonce is another sign-in’s', async () => {
  await using world = await createWorld()
  let first = ''
  const keep = world.provider.tamper('/token', (body) => {
    first = body
    return body
  })
  await world.browser().signIn({ as: 'ada' })
  keep()
  world.provider.tamper('/token', () => first)
  const page = await world.browser('other').signIn({ as: 'ada' })
  expect(page.status).toBe(400)
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('nonce')
})

test('IT3 UserInfo about another subject: it is discarded, and the sign-in fails', async () => {
  await using world = await createWorld({ config: { providers: { corp: { claims: ['name', 'picture'] } } } })
  const restore = world.provider.userinfoSub('bob')
  const page = await world.browser().signIn({ as: 'ada' })
  expect(page.status).toBe(400)
  expect(page.text).toContain('login_failed')
  expect(world.provider.userinfoRequests).toBe(1)
  expect(world.browser().cookies()).toEqual([])
  expect(world.log.events('session_created')).toEqual([])
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('sub')
  restore()
  expect((await world.browser().signIn({ as: 'ada' })).status).toBe(200)
})

test('IT3 UserInfo without a subject, with one that only looks alike, or signed by nobody we know, is refused', async () => {
  await using hostile = await createHostileWorld()
  const { provider } = hostile
  for (const sub of [undefined, '', 'Mallory', 'mallory ', ['mallory'], null]) {
    hostile.twist({ userinfo: { sub } })
    expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', `sub ${JSON.stringify(sub)}`)
  }
  const claims = { sub: 'mallory', email: 'victim@example.com' }
  const key = Buffer.from(clientOf('evil').clientSecret)
  const signed = await new SignJWT(claims)
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(provider.issuer)
    .setAudience(ours)
    .sign(key)
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${signed.split('.')[1]}.`
  for (const body of [signed, unsigned]) {
    hostile.twist({ answer: { '/userinfo': { status: 200, type: 'application/jwt', body } } })
    expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', 'signed UserInfo')
  }
})

test('IT3 SA1 UserInfo says who the user is, not how they signed in: an acr in the profile is no step-up', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  hostile.twist({
    userinfo: { acr: 'mfa', auth_time: 9_999_999_999, sid: 'of-another', iss: 'https://other', name: 'M' },
  })
  await hostile.signIn('user')
  const browser = world.browser()
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ user: { iss: provider.issuer, name: 'M' } })
  const page = await browser.visit('/auth/step-up?acr=mfa', { from: world.origin })
  expect(page.status).toBe(400)
  expect(page.text).toContain('login_failed')
  // The ID token says it: then it is so.
  hostile.twist({ claims: { acr: 'mfa' } })
  expect((await browser.visit('/auth/step-up?acr=mfa', { from: world.origin })).status).toBe(200)
})

test('IT4 the provider changes its keys between two sign-ins, or during one: the next one works at once', async () => {
  await using world = await createWorld()
  await world.signedIn({ browser: 'first' })
  expect(world.provider.jwksFetches).toBe(1)
  await world.signedIn({ browser: 'second' })
  expect(world.provider.jwksFetches, 'known keys are not asked for again').toBe(1)

  for (const keepOld of [true, false]) {
    await world.provider.rotateKeys({ keepOld })
    await world.signedIn({ browser: `between, old one kept: ${keepOld}` })
  }
  expect(world.provider.jwksFetches).toBe(3)

  const browser = world.browser('during')
  const callback = await browser.callbackFor({ as: 'ada' })
  await world.provider.rotateKeys()
  expect((await browser.visit(callback, { from: world.provider.issuer })).status).toBe(200)
  expect(world.provider.jwksFetches).toBe(4)
})

test('IT4 OU2 a crowd signs in the moment after a start, or a key rotation: all of them get in, for one request of the keys', async () => {
  await using world = await createWorld()
  const crowd = async (name: string) => {
    const browsers = Array.from({ length: 20 }, (_, at) => world.browser(`${name} ${at}`))
    const callbacks: string[] = []
    for (const browser of browsers) callbacks.push(await browser.callbackFor({ as: 'ada' }))
    return () =>
      Promise.all(browsers.map((browser, at) => browser.visit(callbacks[at] ?? '', { from: world.provider.issuer })))
  }
  const afterStart = await crowd('start')
  expect((await afterStart()).map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(world.provider.jwksFetches).toBe(1)

  const afterRotation = await crowd('rotation')
  await world.provider.rotateKeys()
  expect((await afterRotation()).map(({ status }) => status)).toEqual(Array(20).fill(200))
  expect(world.provider.jwksFetches).toBeLessThanOrEqual(3)
})

test('IT4 twenty sign-ins with invented kids cause at most six requests of the keys, and hold up nobody honest', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider, clock } = hostile
  for (let i = 0; i < 20; i++) {
    hostile.twist({ header: { kid: `invented-${i}` } })
    expectNoSession(hostile, await hostile.signIn(), 400, 'login_failed', `kid ${i}`)
  }
  expect(provider.jwksFetches).toBeLessThanOrEqual(6)
  const before = provider.jwksFetches
  hostile.twist({})
  expect((await hostile.signIn('honest')).status).toBe(200)
  expect(provider.jwksFetches).toBe(before)
  // The limit gives way with time, so that the next true rotation is seen.
  clock.advance(minute)
  hostile.twist({ header: { kid: 'invented again' } })
  await hostile.signIn()
  expect(provider.jwksFetches).toBe(before + 1)
  expect(world.log.events('session_created')).toHaveLength(1)
})

test('IT4 a key that the provider withdrew is refused once what we know of its keys is older than ten minutes', async () => {
  await using hostile = await createHostileWorld()
  const { provider, clock } = hostile
  expect((await hostile.signIn()).status).toBe(200)
  hostile.twist({ answer: { '/jwks': { status: 200, type: 'application/json', body: '{"keys":[]}' } } })
  clock.advance(9 * minute)
  expect((await hostile.signIn()).status).toBe(200)
  expect(provider.jwksFetches).toBe(1)
  clock.advance(minute)
  expect((await hostile.signIn()).status).toBe(400)
  expect(provider.jwksFetches).toBe(2)
})

test('IT4 OU1 keys that can not be read: the last known ones serve for an hour, then and at a first start it is 503', async () => {
  for (const body of ['<html>', '[]', '{"keys":"none"}', '{"keys":[null]}', 'null', '']) {
    await using hostile = await createHostileWorld()
    const answer = { '/jwks': { status: 200, type: 'application/json', body } }
    hostile.twist({ answer })
    expectNoSession(hostile, await hostile.signIn(), 503, 'provider_unavailable', body)
    hostile.twist({})
    expect((await hostile.signIn()).status, body).toBe(200)
    hostile.twist({ answer })
    hostile.clock.advance(59 * minute)
    expect((await hostile.signIn()).status, body).toBe(200)
    hostile.twist({ answer, signature: 'stranger' })
    expect((await hostile.signIn()).status, body).toBe(400)
    hostile.twist({ answer })
    hostile.clock.advance(minute)
    expect((await hostile.signIn()).status, body).toBe(503)
  }
})

/** What a token or discovery endpoint may answer when it is broken, taken over, or a login page of some proxy. */
const broken: Record<string, NonNullable<Twists['answer']>[string]> = {
  'HTML, 200': { status: 200, body: '<!doctype html><title>Please sign in to the proxy</title>' },
  'HTML that calls itself JSON': { status: 200, type: 'application/json', body: '<html>' },
  'nothing, 200': { status: 200, type: 'application/json', body: '' },
  'half of JSON': { status: 200, type: 'application/json', body: '{"access_token":"half' },
  'an error of its own, 500': { status: 500, body: '<h1>Internal error at /srv/idp</h1>' },
  'an HTML error, 404': { status: 404, body: '<h1>Not found</h1>' },
  'a bad gateway, 502': { status: 502, body: '' },
  'too busy, 429': { status: 429, type: 'application/json', body: '{"error":"slow_down"}' },
  'two megabytes': { status: 200, type: 'application/json', body: JSON.stringify({ pad: 'x'.repeat(2_000_000) }) },
}

test('OU1 a token endpoint that answers with what no working one sends: 503, no session, and the next sign-in is fine', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  for (const [name, answer] of Object.entries(broken)) {
    hostile.twist({ answer: { '/token': answer } })
    const page = await hostile.signIn('user')
    expect(page.status, `${name}: ${page.text}`).toBe(503)
    expect(page.text).toContain('provider_unavailable')
    expect(withoutRequestId(page.text)).not.toMatch(/srv|proxy/)
    expect(page.header('retry-after'), name).toMatch(/^\d+$/)
    expect(world.browser().cookies(), name).toEqual([])
    hostile.twist({})
    expect((await hostile.signIn('user')).status, `after ${name}`).toBe(200)
    await world.browser().fetch('/auth/logout', { method: 'POST' })
  }
})

test('OU1 a redirect of the token or UserInfo endpoint is not followed: secret, code and token go nowhere else', async () => {
  await using elsewhere = await startElsewhere((_request, response) => response.end('{}'))
  await using hostile = await createHostileWorld()
  for (const path of ['/token', '/userinfo']) {
    for (const status of [301, 302, 303, 307, 308]) {
      hostile.twist({ answer: { [path]: { status, body: '', headers: { location: elsewhere.url } } } })
      expectNoSession(hostile, await hostile.signIn(), 503, 'provider_unavailable', `${status} from ${path}`)
    }
  }
  expect(elsewhere.requests).toBe(0)
})

test('OU1 an answer that never ends, is slow, or unpacks to gigabytes holds nobody: 503 after the timeout', async () => {
  const spy = hurry()
  try {
    const timers: NodeJS.Timeout[] = []
    const drip = (response: ServerResponse) => {
      response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":"')
      timers.push(setInterval(() => response.write('x'), 20))
    }
    const bomb = gzipSync(Buffer.alloc(200_000_000, ' '), { level: 1 })
    await using elsewhere = await startElsewhere((request, response) => {
      if (request.url === '/drip') return drip(response)
      if (request.url === '/silent') return
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(bomb)
    })
    for (const path of ['drip', 'silent', 'bomb']) {
      await using hostile = await createHostileWorld()
      hostile.twist({ metadata: { token_endpoint: `${elsewhere.url}${path}` } })
      const began = performance.now()
      expectNoSession(hostile, await hostile.signIn(), 503, 'provider_unavailable', path)
      expect(performance.now() - began, path).toBeLessThan(9_000)
    }
    timers.forEach(clearInterval)
    expect(elsewhere.requests).toBe(3)
  } finally {
    spy.mockRestore()
  }
})

test('AR3 OU1 a discovery endpoint that answers with anything but its document: 503, nobody is sent anywhere, and it recovers', async () => {
  await using elsewhere = await startElsewhere((_request, response) => response.end('{}'))
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const path = '/.well-known/openid-configuration'
  const redirect = { status: 302, body: '', headers: { location: elsewhere.url } }
  const answers = Object.entries({
    ...broken,
    redirect,
    'JSON without an issuer': { status: 200, type: 'application/json', body: '{}' },
    'a list': { status: 200, type: 'application/json', body: '[]' },
  })
  for (const [name, answer] of answers) {
    await world.stopGateway()
    hostile.twist({ answer: { [path]: answer } })
    await world.startGateway()
    const page = await world.browser().visit('/auth/login', { from: world.origin, follow: false })
    expect(page.status, name).toBe(503)
    expect(page.location, name).toBeUndefined()
    expect(withoutRequestId(page.text), name).not.toMatch(/srv|proxy|localhost/)
    expect(world.browser().cookies(), name).toEqual([])
  }
  expect(elsewhere.requests).toBe(0)
  expect(provider.tokenRequests).toBe(0)
  hostile.twist({})
  await expect.poll(async () => (await hostile.signIn()).status, { interval: 300 }).toBe(200)
})
