import { generateKeyPair, SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { createSignalsWorld, revocationToken, revoke } from './signals-world.ts'

const email = (address: string) => ({ sub_id: { format: 'email', email: address } })

test('GR1 all sessions of a user end, by issuer and subject, by opaque id, by verified e-mail; nobody else’s', async () => {
  await using given = await createSignalsWorld()
  const { world, corp, signIn, lives } = given
  const ada = { sub: 'ada', email: 'ada@example.com', email_verified: true }
  const bob = await signIn('bob', { sub: 'bob', email: 'bob@example.com', email_verified: true })
  const subjects = [
    { sub_id: { format: 'iss_sub', iss: corp.issuer, sub: 'ada' } },
    { sub_id: { format: 'opaque', id: 'ada' } },
    email('ada@example.com'),
    { subject: { format: 'email', email: 'ada@example.com' } },
  ]
  for (const subject of subjects) {
    const browsers = [await signIn('desk', ada), await signIn('phone', ada), await signIn('tablet', ada)]
    const answer = await revoke(world, await revocationToken(given), subject)
    expect(answer.status).toBe(204)
    expect(await answer.text()).toBe('')
    expect(answer.headers.get('cache-control')).toBe('no-store')
    for (const browser of browsers) {
      expect((await browser.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
    }
    expect(await lives(bob)).toBe(true)
  }
  expect((await revoke(world, await revocationToken(given), email('ada@example.com'))).status).toBe(204)
  expect((await revoke(world, await revocationToken(given), email('nobody@example.com'))).status).toBe(204)
  expect(world.log.events('authn_token_revocation').map((line) => line.ended)).toEqual([3, 3, 3, 3, 0, 0])
  expect(world.log.text()).not.toMatch(jwtStart)
  expect(world.log.text()).not.toContain('@example.com')
})

test('GR1 an address matches only if the provider verified it, and only as a whole', async () => {
  await using given = await createSignalsWorld()
  const { world, signIn, lives } = given
  const others = [
    await signIn('unverified', { sub: 'a', email: 'ada@example.com', email_verified: false }),
    await signIn('unsaid', { sub: 'b', email: 'ada@example.com' }),
    await signIn('longer', { sub: 'c', email: 'canada@example.com', email_verified: true }),
    await signIn('tagged', { sub: 'd', email: 'ada+x@example.com', email_verified: true }),
    await signIn('elsewhere', { sub: 'e', email: 'ada@example.com.evil.test', email_verified: true }),
  ]
  const same = await signIn('same', { sub: 'f', email: 'Ada@Example.COM', email_verified: 'true' })
  expect((await revoke(world, await revocationToken(given), email('ADA@EXAMPLE.com'))).status).toBe(204)
  expect(await lives(same)).toBe(false)
  for (const browser of others) expect(await lives(browser)).toBe(true)
})

test.each([
  { reaches: undefined, here: false, through: true },
  { reaches: 'all', here: false, through: false },
  { reaches: ['pool'], here: true, through: false },
  { reaches: ['corp'], here: false, through: true },
])('GR1 sessions through another provider end where the operator lets the caller reach them: $reaches', async (row) => {
  const { reaches } = row
  await using given = await createSignalsWorld({
    signals: () => (reaches === undefined ? {} : { revocation: { corp: { reaches } } }),
  })
  const { world, signIn, lives, pool } = given
  const ada = { email: 'ada@example.com', email_verified: true }
  const here = await signIn('here', { ...ada, sub: 'ada' })
  const through = await signIn('through', { ...ada, sub: '7f3a', at: 'pool' })
  expect((await revoke(world, await revocationToken(given), email(ada.email))).status).toBe(204)
  expect(await lives(here)).toBe(row.here)
  expect(await lives(through)).toBe(row.through)
  const foreign = { sub_id: { format: 'iss_sub', iss: pool.issuer, sub: '7f3a' } }
  const answer = await revoke(world, await revocationToken(given), foreign)
  expect(answer.status).toBe(row.through ? 403 : 204)
  if (row.through) expect(await answer.json()).toMatchObject({ code: 'revocation_forbidden' })
})

test('GR1 Okta behind a user pool: no provider of sign-ins here, and it still ends them, by address or by its own user id', async () => {
  const okta = 'https://acme.okta.com'
  await using given = await createSignalsWorld({
    signals: ({ corp }) => ({
      revocation: {
        okta: {
          issuer: okta,
          jwksUri: `${corp.issuer}/jwks`,
          caller: '0oa1',
          audience: 'urn:app',
          reaches: ['pool'],
          identityProvider: 'Okta',
        },
      },
    }),
  })
  const { world, signIn, lives } = given
  const identities = [{ providerName: 'Okta', userId: '00u7', providerType: 'OIDC', primary: true }]
  const token = (claims: object = {}) => revocationToken(given, { iss: okta, sub: '0oa1', aud: 'urn:app', ...claims })
  const call = async (body: object) => (await revoke(world, await token(), body, { name: 'okta' })).status
  const byUser = await signIn('by user', { sub: '1', at: 'pool', identities })
  const byAddress = await signIn('by address', { sub: '2', at: 'pool', email: 'a@b.test', email_verified: true })
  const other = await signIn('other', {
    sub: '3',
    at: 'pool',
    identities: [{ providerName: 'Google', userId: '00u7' }],
  })
  const corp = await signIn('corp', { sub: '00u7', identities, email: 'a@b.test', email_verified: true })
  expect(await call({ sub_id: { format: 'iss_sub', iss: okta, sub: '00u7' } })).toBe(204)
  expect(await lives(byUser)).toBe(false)
  expect(await call(email('a@b.test'))).toBe(204)
  expect(await lives(byAddress)).toBe(false)
  expect(await call({ sub_id: { format: 'opaque', id: '3' } })).toBe(403)
  expect((await revoke(world, await token({ sub: '0oa2' }), email('a@b.test'), { name: 'okta' })).status).toBe(401)
  for (const browser of [other, corp]) expect(await lives(browser)).toBe(true)
})

test('GR1 who can not prove to be the provider gets 401, is logged, and ends nothing', async () => {
  await using given = await createSignalsWorld()
  const { world, corp, corpKey, signIn, lives, seconds } = given
  const ada = await signIn('ada', { sub: 'ada', email: 'ada@example.com', email_verified: true })
  const now = seconds()
  const stranger = await generateKeyPair('RS256')
  const good = await revocationToken(given)
  const [head = '', payload = ''] = good.split('.')
  const part = (text: string) => Buffer.from(text).toString('base64url')
  const textOf = (encoded: string) => Buffer.from(encoded, 'base64url').toString()
  const resigned = async (claimsText: string) => {
    const input = `${head}.${part(claimsText)}`
    const signature = await crypto.subtle.sign('RSASSA-PKCS1-v1_5', corpKey.privateKey, Buffer.from(input))
    return `${input}.${Buffer.from(signature).toString('base64url')}`
  }
  const forged = (alg: string, key: Parameters<SignJWT['sign']>[0]) =>
    new SignJWT(JSON.parse(textOf(payload)))
      .setProtectedHeader({ alg, kid: 'by-hand', typ: 'global-token-revocation+jwt' })
      .sign(key)
  const broken: Record<string, string | undefined> = {
    'no token': undefined,
    'no JWT': 'abc',
    'alg none': `${part('{"alg":"none","typ":"global-token-revocation+jwt"}')}.${payload}.`,
    'an HMAC with the client secret': await forged('HS256', Buffer.from(clientOf('corp').clientSecret)),
    'a stranger’s key': await forged('RS256', stranger.privateKey),
    'another issuer': await revocationToken(given, { iss: 'https://evil.test' }),
    'the client as audience': await revocationToken(given, { aud: clientOf('corp').clientId }),
    'another provider’s address': await revocationToken(given, {
      aud: `${world.origin}/auth/global-token-revocation/pool`,
    }),
    'an address with a query': await revocationToken(given, {
      aud: `${world.origin}/auth/global-token-revocation/corp?a=b`,
    }),
    'no exp': await revocationToken(given, { exp: undefined }),
    'exp passed': await revocationToken(given, { exp: now - 120 }),
    'no iat': await revocationToken(given, { iat: undefined }),
    'iat long ago': await revocationToken(given, { iat: now - 3600 }),
    'iat to come': await revocationToken(given, { iat: now + 3600 }),
    'nbf to come': await revocationToken(given, { nbf: now + 3600 }),
    'no jti': await revocationToken(given, { jti: undefined }),
    'jti no text': await revocationToken(given, { jti: 7 }),
    'no sub': await revocationToken(given, { sub: undefined }),
    'an access token for the address': await revocationToken(given, { sub: 'ada' }, { typ: 'at+jwt' }),
    'no type, and about a user': await revocationToken(given, { sub: 'ada' }, { typ: undefined }),
    'a logout token': await revocationToken(given, {}, { typ: 'logout+jwt' }),
    'a member twice': await resigned(textOf(payload).replace('{', '{"aud":"https://elsewhere.test",')),
  }
  for (const [why, token] of Object.entries(broken)) {
    const answer = await revoke(world, token, email('ada@example.com'))
    expect(answer.status, why).toBe(401)
    expect(answer.headers.get('www-authenticate'), why).toMatch(/^Bearer/)
    expect(await answer.json()).toMatchObject({ code: 'revocation_unauthorized' })
  }
  const wrongScheme = await revoke(world, undefined, email('ada@example.com'), {
    headers: { authorization: `Basic ${good}` },
  })
  expect(wrongScheme.status).toBe(401)
  expect(await lives(ada)).toBe(true)
  const refused = world.log.lines.filter((line) => line.code === 'revocation_unauthorized')
  expect(refused).toHaveLength(Object.keys(broken).length + 1)
  expect(refused.every((line) => typeof line.reason === 'string')).toBe(true)
  expect(world.log.text()).not.toMatch(jwtStart)
  // The draft's own example has no type; about the client itself it is good.
  const untyped = await revocationToken(given, {}, { typ: undefined })
  expect((await revoke(world, untyped, { sub_id: { format: 'iss_sub', iss: corp.issuer, sub: 'ada' } })).status).toBe(
    204,
  )
  expect(await lives(ada)).toBe(false)
})

test('GR1 a malformed request is 400, and uses its token up not; wrong methods, sizes and names are refused', async () => {
  await using given = await createSignalsWorld()
  const { world, signIn, lives } = given
  const ada = await signIn('ada', { sub: 'ada', email: 'ada@example.com', email_verified: true })
  const token = await revocationToken(given)
  const bodies: unknown[] = [
    '',
    '[]',
    '"ada"',
    '{',
    {},
    { sub_id: null },
    { sub_id: 'ada@example.com' },
    { sub_id: [] },
    { sub_id: {} },
    { sub_id: { format: 'email' } },
    { sub_id: { format: 'email', email: '' } },
    { sub_id: { format: 'email', email: ['ada@example.com'] } },
    { sub_id: { format: 'email', email: 'ada' } },
    { sub_id: { format: 'email', email: 'ada@example.com, bob@example.com' } },
    { sub_id: { format: 'iss_sub', sub: 'ada' } },
    { sub_id: { format: 'opaque' } },
    { sub_id: { format: 'phone_number', phone_number: '+12065550100' } },
    { sub_id: { format: 'complex', user: { format: 'opaque', id: 'ada' } } },
    { sub_id: { format: 'opaque', id: 'ada' }, subject: { format: 'opaque', id: 'bob' } },
    '{"sub_id":{"format":"opaque","id":"bob","id":"ada"}}',
    '{"sub_id":{"format":"opaque","id":"bob","\\u0069d":"ada"}}',
  ]
  for (const body of bodies) {
    const answer = await revoke(world, token, body)
    expect(answer.status, JSON.stringify(body)).toBe(400)
    expect(await answer.json()).toMatchObject({ code: 'revocation_invalid' })
  }
  const good = email('ada@example.com')
  expect((await revoke(world, token, good, { headers: { 'content-type': 'text/plain' } })).status).toBe(400)
  expect((await revoke(world, token, 'x'.repeat(20_000))).status).toBe(413)
  expect((await revoke(world, token, good, { name: 'nobody' })).status).toBe(404)
  expect((await revoke(world, token, good, { name: 'constructor' })).status).toBe(404)
  expect((await revoke(world, token, good, { name: 'pool' })).status).toBe(401)
  expect((await fetch(`${world.origin}/auth/global-token-revocation/corp`)).status).toBe(405)
  expect(await lives(ada)).toBe(true)
  expect((await revoke(world, token, good)).status).toBe(204)
  expect(await lives(ada)).toBe(false)
})

test('GR1 a token works once, on every node; one that could not be carried out may come again', async () => {
  await using given = await createSignalsWorld()
  const { world, signIn, lives } = given
  const person = { sub: 'ada', email: 'ada@example.com', email_verified: true }
  await signIn('ada', person)
  const token = await revocationToken(given)
  expect((await revoke(world, token, email(person.email))).status).toBe(204)
  const again = await signIn('again', person)
  expect((await revoke(world, token, email(person.email))).status).toBe(401)
  await using node = await world.anotherGateway()
  const elsewhere = await node.fetch(world.browser('nobody'), '/auth/global-token-revocation/corp', {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify(email(person.email)),
  })
  expect(elsewhere.status).toBe(401)
  expect(await lives(again)).toBe(true)

  const retried = await revocationToken(given)
  const { end } = world.store
  world.store.end = () => Promise.reject(new Error('the store is broken'))
  expect((await revoke(world, retried, email(person.email))).status).toBe(503)
  world.store.end = end
  expect(await lives(again)).toBe(true)
  expect((await revoke(world, retried, email(person.email))).status).toBe(204)
  expect(await lives(again)).toBe(false)

  given.corp.twist.answer = { '/jwks': { status: 500, body: '' } }
  await world.stopGateway()
  await world.startGateway()
  const outage = await revoke(world, await revocationToken(given), email(person.email))
  expect(outage.status).toBe(503)
  expect(outage.headers.get('retry-after')).not.toBeNull()
})
