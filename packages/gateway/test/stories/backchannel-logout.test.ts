import { createServer } from 'node:http'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const event = 'http://schemas.openid.net/event/backchannel-logout'
const endpoint = '/auth/backchannel-logout/evil'

/** A world with a provider whose key the test holds, so that it can make any logout token. */
async function logoutWorld(config: object = {}, store: 'memory' | 'lmdb' = 'memory') {
  const { clientId, clientSecret } = clientOf('evil')
  const provider = await startHostileProvider({ clientId, clientSecret })
  const { publicKey, privateKey } = await generateKeyPair('RS256')
  const jwk = { ...(await exportJWK(publicKey)), kid: 'logout', alg: 'RS256', use: 'sig' }
  provider.publish(jwk)
  const world = await createWorld({ providers: [], issuers: { evil: provider.issuer }, config: config as never, store })
  let count = 0
  const seconds = () => Math.floor(world.clock.now() / 1000)
  const honest = () => ({
    iss: provider.issuer,
    aud: clientId,
    iat: seconds(),
    exp: seconds() + 120,
    jti: `token-${++count}`,
    sub: 'mallory',
    sid: 'session-1',
    events: { [event]: {} },
  })
  async function token(claims: object = {}, header: object = {}): Promise<string> {
    const all = Object.fromEntries(
      Object.entries({ ...honest(), ...claims }).filter(([, value]) => value !== undefined),
    )
    return await new SignJWT(all)
      .setProtectedHeader({ alg: 'RS256', kid: 'logout', typ: 'logout+jwt', ...header })
      .sign(privateKey)
  }
  /** Claims as they are written, whatever a serialiser would make of them. */
  async function sign(claims: string): Promise<string> {
    const part = (text: string) => Buffer.from(text).toString('base64url')
    const input = `${part('{"alg":"RS256","kid":"logout","typ":"logout+jwt"}')}.${part(claims)}`
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', privateKey, Buffer.from(input))
    return `${input}.${Buffer.from(signature).toString('base64url')}`
  }
  return {
    world,
    provider,
    token,
    sign,
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await provider.close()
    },
  }
}

type LogoutWorld = Awaited<ReturnType<typeof logoutWorld>>

async function signIn({ world, provider }: LogoutWorld, browser: string, sid: string, sub = 'mallory') {
  provider.twist.claims = { sid, sub }
  provider.twist.userinfo = { sub }
  const user = world.browser(browser)
  const start = await user.visit('/auth/login', { from: world.origin, follow: false })
  await user.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })
  expect((await user.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  return user
}

/** As a server would: no cookies, no browser headers. */
const post = (world: World, body: string | URLSearchParams, headers: Record<string, string> = {}) =>
  fetch(world.origin + endpoint, { method: 'POST', body, headers })
const send = (world: World, token: string) => post(world, new URLSearchParams({ logout_token: token }))

test('BL1 peers 7: the provider ends one sign-in by sid, or all of a user’s by sub; 200, no-store, also when it is over already', async () => {
  await using given = await logoutWorld()
  const { world, token } = given
  const desk = await signIn(given, 'desk', 'session-1')
  const phone = await signIn(given, 'phone', 'session-2')
  const other = await signIn(given, 'other', 'session-3', 'bob')
  const answer = await send(world, await token())
  expect(answer.status).toBe(200)
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect((await desk.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
  expect((await phone.fetch('/api/echo')).status).toBe(200)
  expect((await send(world, await token())).status).toBe(200)
  expect((await send(world, await token({ sid: undefined }))).status).toBe(200)
  expect((await phone.fetch('/api/echo')).status).toBe(401)
  expect((await other.fetch('/api/echo')).status).toBe(200)
  expect(world.log.events('session_ended').every((line) => line.reason === 'provider-logout')).toBe(true)
})

test('BL2 BL3 BL4 BL5 BL6 peers: every rule of the logout token; a token that breaks one is 400, is logged, and ends nothing', async () => {
  await using given = await logoutWorld()
  const { world, token, provider } = given
  const user = await signIn(given, 'user', 'session-1')
  const now = Math.floor(world.clock.now() / 1000)
  const stranger = await generateKeyPair('RS256')
  const secret = Buffer.from(clientOf('evil').clientSecret.padEnd(32, '0'))
  const unsigned = `${Buffer.from('{"alg":"none","typ":"logout+jwt"}').toString('base64url')}.${(await token()).split('.')[1]}.`
  const forged = (alg: string, key: Parameters<SignJWT['sign']>[0]) =>
    new SignJWT({
      iss: provider.issuer,
      aud: clientOf('evil').clientId,
      iat: now,
      exp: now + 60,
      jti: alg,
      sid: 'session-1',
      events: { [event]: {} },
    })
      .setProtectedHeader({ alg, kid: 'logout', typ: 'logout+jwt' })
      .sign(key)
  const broken: Record<string, string> = {
    'alg none': unsigned,
    'an HMAC with the client secret': await forged('HS256', secret),
    'a stranger’s key': await forged('RS256', stranger.privateKey),
    'another issuer': await token({ iss: 'https://evil.test' }),
    'another audience': await token({ aud: 'somebody' }),
    'no iat': await token({ iat: undefined }),
    'iat long ago': await token({ iat: now - 3600 }),
    'iat to come': await token({ iat: now + 3600 }),
    'no exp': await token({ exp: undefined }),
    'exp passed': await token({ exp: now - 120 }),
    'no jti': await token({ jti: undefined }),
    'jti no text': await token({ jti: 7 }),
    'neither sub nor sid': await token({ sub: undefined, sid: undefined }),
    'no events': await token({ events: undefined }),
    'another event': await token({ events: { 'http://example.com/other': {} } }),
    'event no object': await token({ events: { [event]: true } }),
    'events a list': await token({ events: [event] }),
    nonce: await token({ nonce: 'n' }),
    'nonce null': await token({ nonce: null }),
    'typ of another token': await token({}, { typ: 'at+jwt' }),
    'no typ': await token({}, { typ: undefined }),
    'no JWT at all': 'abc',
    'cut short': (await token()).slice(0, -4),
  }
  for (const [why, value] of Object.entries(broken)) {
    const answer = await send(world, value)
    expect(answer.status, why).toBe(400)
    expect(answer.headers.get('cache-control')).toBe('no-store')
    expect(await answer.json()).toMatchObject({ code: 'logout_token_invalid' })
  }
  expect((await user.fetch('/api/echo')).status).toBe(200)
  const refused = world.log.lines.filter((line) => line.code === 'logout_token_invalid')
  expect(refused).toHaveLength(Object.keys(broken).length)
  expect(refused.every((line) => typeof line.reason === 'string')).toBe(true)
  expect(world.log.text()).not.toMatch(jwtStart)
})

test('BL2 a malformed request is 400: no form, no token, two tokens, JSON, GET; an unknown provider is 404', async () => {
  await using given = await logoutWorld()
  const { world, token } = given
  const user = await signIn(given, 'user', 'session-1')
  const good = await token()
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  expect((await post(world, '', form)).status).toBe(400)
  expect((await post(world, `logout_token=${good}&logout_token=${good}`, form)).status).toBe(400)
  expect(
    (await post(world, JSON.stringify({ logout_token: good }), { 'content-type': 'application/json' })).status,
  ).toBe(400)
  expect((await post(world, `logout_token=${good}`, { 'content-type': 'text/plain' })).status).toBe(400)
  expect((await fetch(`${world.origin}${endpoint}?logout_token=${good}`)).status).toBe(405)
  expect((await post(world, 'x'.repeat(70_000), form)).status).toBe(413)
  const elsewhere = `${world.origin}/auth/backchannel-logout/nobody`
  expect((await fetch(elsewhere, { method: 'POST', body: new URLSearchParams({ logout_token: good }) })).status).toBe(
    404,
  )
  expect((await user.fetch('/api/echo')).status).toBe(200)
})

test('BL7 a token works once; one that could not be carried out may come again', async () => {
  await using given = await logoutWorld()
  const { world, token } = given
  await signIn(given, 'user', 'session-1')
  const once = await token()
  expect((await send(world, once)).status).toBe(200)
  const again = await signIn(given, 'again', 'session-1')
  expect((await send(world, once)).status).toBe(400)
  expect((await again.fetch('/api/echo')).status).toBe(200)

  const retried = await token()
  const { end } = world.store
  world.store.end = () => Promise.reject(new Error('the store is broken'))
  expect((await send(world, retried)).status).toBe(503)
  world.store.end = end
  expect((await send(world, retried)).status).toBe(200)
  expect((await again.fetch('/api/echo')).status).toBe(401)
})

test('BL7 LO4 the provider’s logout also revokes the tokens of a session that this gateway has opened; another one’s are shredded', async () => {
  await using given = await logoutWorld({}, 'lmdb')
  const { world, provider, token } = given
  const asked: string[] = []
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const chunk of request) body += String(chunk)
    asked.push(new URLSearchParams(body).get('token') ?? '')
    response.end()
  })
  provider.twist.metadata = { revocation_endpoint: `http://localhost:${await listen(server)}/revoke` }
  try {
    const opened = await signIn(given, 'opened', 'session-1')
    expect((await opened.fetch('/api/echo')).status).toBe(200)
    expect((await send(world, await token())).status).toBe(200)
    await expect.poll(() => asked).toHaveLength(1)
    expect(provider.issuedTokens).toContain(asked[0])

    await signIn(given, 'framed', 'session-3')
    const iss = encodeURIComponent(provider.issuer)
    await world.browser('frame').fetch(`/auth/frontchannel-logout/evil?iss=${iss}&sid=session-3`, { csrf: false })
    await expect.poll(() => asked).toHaveLength(2)

    await signIn(given, 'closed', 'session-2')
    await world.stopGateway()
    await world.startGateway()
    const late = await signIn(given, 'late', 'session-4')
    expect((await send(world, await token({ sid: 'session-2' }))).status).toBe(200)
    expect((await send(world, await token({ sid: 'session-4' }))).status).toBe(200)
    await expect.poll(() => asked).toHaveLength(3)
    expect((await late.fetch('/api/echo')).status).toBe(401)
    expect((await world.browser('closed').fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
    expect(world.log.events('authn_token_revoked')).toHaveLength(3)
  } finally {
    await closeServer(server)
  }
})

test('BL6 typ: lax takes the tokens of earlier drafts (no typ, no exp), and still neither an access token nor an ID token', async () => {
  await using given = await logoutWorld({ providers: { evil: { logout: { typ: 'lax' } } } })
  const { world, token } = given
  const user = await signIn(given, 'user', 'session-1')
  for (const refused of [
    await token({}, { typ: 'at+jwt' }),
    await token({ nonce: 'n' }, { typ: undefined }),
    await token({ iat: undefined }, { typ: 'JWT' }),
    await token({ jti: undefined }, { typ: 'JWT' }),
  ]) {
    expect((await send(world, refused)).status).toBe(400)
  }
  expect((await user.fetch('/api/echo')).status).toBe(200)
  expect((await send(world, await token({ exp: undefined }, { typ: undefined }))).status).toBe(200)
  expect((await user.fetch('/api/echo')).status).toBe(401)
})

test('BL5 a sid with another user’s sub ends nothing', async () => {
  await using given = await logoutWorld()
  const user = await signIn(given, 'user', 'session-1')
  expect((await send(given.world, await given.token({ sub: 'bob' }))).status).toBe(200)
  expect((await user.fetch('/api/echo')).status).toBe(200)
})

test('LO7 front-channel: iss and sid both or neither, a foreign one is ignored, and only the provider may frame it', async () => {
  await using given = await logoutWorld()
  const { world, provider } = given
  const user = await signIn(given, 'user', 'session-1')
  const frame = (query: string) =>
    world.browser('frame').fetch(`/auth/frontchannel-logout/evil${query}`, {
      from: provider.issuer,
      csrf: false,
      mode: 'navigate',
      dest: 'iframe',
    })
  const iss = encodeURIComponent(provider.issuer)
  expect((await frame(`?iss=${iss}`)).status).toBe(400)
  expect((await frame('?sid=session-1')).status).toBe(400)
  expect((await frame(`?iss=${iss}&sid=session-1&sid=session-2`)).status).toBe(400)
  for (const query of [
    '',
    `?iss=${iss}&sid=session-9`,
    '?iss=https%3A%2F%2Fevil.test&sid=session-1',
    `?iss=${iss}&sid=`,
  ]) {
    expect((await frame(query)).status, query).toBe(200)
  }
  expect((await user.fetch('/api/echo')).status).toBe(200)
  const answer = await frame(`?iss=${iss}&sid=session-1`)
  expect(answer.status).toBe(200)
  expect(answer.header('cache-control')).toBe('no-store')
  expect(answer.header('content-security-policy')).toBe(
    `default-src 'none'; frame-ancestors ${new URL(provider.issuer).origin}`,
  )
  expect((await user.fetch('/api/echo')).status).toBe(401)
})

test('BL4 a sign-in whose sid the provider never told can not be told apart: with sub beside it, it ends too', async () => {
  await using given = await logoutWorld()
  const { world, provider, token } = given
  provider.twist.claims = { sub: 'mallory' }
  const silent = world.browser('silent')
  const start = await silent.visit('/auth/login', { from: world.origin, follow: false })
  await silent.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })
  const other = await signIn(given, 'other', 'session-2')
  const bob = await signIn(given, 'bob', 'session-3', 'bob')
  expect((await send(world, await token({ sub: undefined }))).status).toBe(200)
  expect((await silent.fetch('/api/echo')).status).toBe(200)
  expect((await send(world, await token())).status).toBe(200)
  expect((await silent.fetch('/api/echo')).status).toBe(401)
  for (const browser of [other, bob]) expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('BL2 peers: a claim that stands twice, a type of content that only begins like a form: refused', async () => {
  await using given = await logoutWorld()
  const { world, token, sign } = given
  const user = await signIn(given, 'user', 'session-1')
  const claims = Buffer.from((await token()).split('.')[1] ?? '', 'base64url').toString()
  for (const twice of ['{"sub":"bob",', '{"nonce":null,"nonce":"n",', '{"\\u0073id":"session-9",']) {
    expect((await send(world, await sign(claims.replace('{', twice)))).status, twice).toBe(400)
  }
  const form = { 'content-type': 'application/x-www-form-urlencodedx' }
  expect((await post(world, `logout_token=${await token()}`, form)).status).toBe(400)
  expect((await user.fetch('/api/echo')).status).toBe(200)
  const typed = { 'content-type': 'Application/X-WWW-Form-Urlencoded; charset=UTF-8' }
  expect((await post(world, `logout_token=${await token()}`, typed)).status).toBe(200)
  expect((await user.fetch('/api/echo')).status).toBe(401)
})

test('BL1 peers: many sessions of one user, all found and all ended; the same sub and sid at another provider stay', async () => {
  await using given = await logoutWorld({ session: { perUser: { max: 50 } } })
  const { world, token } = given
  const browsers = []
  for (let n = 0; n < 15; n++) browsers.push(await signIn(given, `b${n}`, `session-${n % 4}`))
  expect((await send(world, await token({ sid: 'session-2' }))).status).toBe(200)
  const after = await Promise.all(browsers.map(async (browser) => (await browser.fetch('/api/echo')).status))
  expect(after).toEqual(browsers.map((_, n) => (n % 4 === 2 ? 401 : 200)))
  expect((await send(world, await token({ sid: undefined }))).status).toBe(200)
  for (const browser of browsers) expect((await browser.fetch('/api/echo')).status).toBe(401)
  expect(world.log.events('authn_backchannel_logout').map((line) => line.ended)).toEqual([4, 11])
})

test('BL1 LO7 GR1 SS4 none of these endpoints looks at a cookie: a browser’s session is neither used, renewed nor ended by it', async () => {
  await using given = await logoutWorld({ session: { rotate: '1s' } })
  const { world, provider } = given
  const user = await signIn(given, 'user', 'session-1')
  world.clock.advance(5_000)
  const iss = encodeURIComponent(provider.issuer)
  const from = 'https://evil.test/'
  const attempts = [
    await user.fetch('/auth/backchannel-logout/evil', { method: 'POST', csrf: false, from, body: 'logout_token=x' }),
    await user.fetch('/auth/global-token-revocation/evil', { method: 'POST', csrf: false, from, body: '{}' }),
    await user.fetch('/auth/signals', { method: 'POST', csrf: false, from, body: 'x' }),
    await user.visit('/auth/frontchannel-logout/evil', { from, follow: false }),
    await user.visit(`/auth/frontchannel-logout/evil?iss=${iss}&sid=session-9`, { from, follow: false }),
  ]
  expect(attempts.map((answer) => answer.status)).toEqual([400, 401, 404, 200, 200])
  for (const answer of attempts) {
    expect(answer.headers('set-cookie')).toEqual([])
    expect(answer.header('access-control-allow-origin')).toBeUndefined()
  }
  expect(world.log.events('session_renewed')).toEqual([])
  expect(world.log.events('session_ended')).toEqual([])
  expect((await user.fetch('/api/echo')).status).toBe(200)
})

test('forged logout tokens are limited by address: 429 before a signature is looked at; good ones are never', async () => {
  await using given = await logoutWorld({
    trustedProxies: ['127.0.0.1'],
    limits: { notifications: { requests: 5, per: '1m' } },
  })
  const { world, token } = given
  const user = await signIn(given, 'user', 'session-1')
  const from = async (address: string, logoutToken: string) =>
    await post(world, new URLSearchParams({ logout_token: logoutToken }), { 'x-forwarded-for': address })
  for (let i = 0; i < 12; i++) expect((await from('203.0.113.1', await token({ sid: `other-${i}` }))).status).toBe(200)
  for (let i = 0; i < 5; i++) expect((await from('203.0.113.7', 'forged')).status).toBe(400)
  const throttled = await from('203.0.113.7', await token())
  expect([throttled.status, throttled.headers.get('retry-after')]).toEqual([429, '12'])
  expect((await user.fetch('/api/echo')).status).toBe(200)
  expect((await from('203.0.113.1', await token())).status).toBe(200)
  expect((await user.fetch('/api/echo')).status).toBe(401)
  expect(world.log.events('excess_rate_limit_exceeded')).toEqual([
    expect.objectContaining({ limit: 'notifications', network: '203.0.113.7' }),
  ])
})
