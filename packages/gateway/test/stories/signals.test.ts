import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import { caep, ssf } from '../../../testkit/src/transmitter.ts'
import { createSignalsWorld, revocationToken, revoke, type SignalsWorld } from './signals-world.ts'

const revoked = (extra: object = {}) => ({ events: { [`${caep}session-revoked`]: extra } })
const opaque = (id: string) => ({ format: 'opaque', id })
const issSub = (iss: string, sub: string) => ({ format: 'iss_sub', iss, sub })
const byEmail = (address: string) => ({ format: 'email', email: address })

async function expectRefused(answer: Response, err: string, why?: string): Promise<void> {
  expect(answer.status, why).toBe(400)
  expect(answer.headers.get('content-type'), why).toContain('application/json')
  expect(answer.headers.get('content-language'), why).toBe('en')
  expect(await answer.json(), why).toEqual({ err, description: expect.any(String) })
}

test('SS4 an event is accepted by 202 and an empty body; the same event again is accepted and does nothing', async () => {
  await using given = await createSignalsWorld()
  const { world, clock, transmitter, signIn, lives } = given
  const first = await signIn('first', { sub: 'ada', sid: 's-1' })
  clock.advance(5_000)
  const token = await transmitter.event({ sub_id: opaque('s-1'), ...revoked() })
  const send = () => transmitter.push(`${world.origin}/auth/signals`, token)
  const answer = await send()
  expect(answer.status).toBe(202)
  expect(await answer.text()).toBe('')
  expect(answer.headers.get('cache-control')).toBe('no-store')
  expect(await lives(first)).toBe(false)
  // In the same second, so that only the memory of the event keeps it alive.
  const again = await signIn('again', { sub: 'ada', sid: 's-1' })
  expect((await send()).status).toBe(202)
  await using node = await world.anotherGateway()
  const elsewhere = await node.fetch(world.browser('nobody'), '/auth/signals', {
    method: 'POST',
    headers: { 'content-type': 'application/secevent+jwt' },
    body: token,
  })
  expect(elsewhere.status).toBe(202)
  expect(await lives(again)).toBe(true)
  expect(world.log.events('signal_received')).toMatchObject([{ ended: 1, type: `${caep}session-revoked` }])
})

test('SS2 session-revoked ends every session that fits the subject: simple or complex, what it leaves out fits all', async () => {
  await using given = await createSignalsWorld()
  const { corp, transmitter, push, signIn, lives } = given
  const mail = { email: 'ada@example.com', email_verified: true }
  const cases: readonly (readonly [why: string, subject: object, ends: readonly string[]])[] = [
    ['a session', opaque('s-1'), ['desk']],
    ['a user, as an opaque id', opaque('ada'), ['desk', 'phone']],
    ['a user', issSub(corp.issuer, 'ada'), ['desk', 'phone']],
    ['a user, under the transmitter’s own issuer', issSub(transmitter.issuer, 'ada'), ['desk', 'phone']],
    ['an address', byEmail('ADA@example.com'), ['desk', 'phone']],
    ['a session of whomever', { format: 'complex', session: opaque('s-1') }, ['desk']],
    ['all of a user', { format: 'complex', user: issSub(corp.issuer, 'ada') }, ['desk', 'phone']],
    ['a session of a user', { format: 'complex', session: opaque('s-2'), user: byEmail('ada@example.com') }, ['phone']],
    [
      'a session and its user',
      { format: 'complex', session: opaque('s-1'), user: issSub(corp.issuer, 'ada') },
      ['desk'],
    ],
    ['another user’s session', { format: 'complex', session: opaque('s-1'), user: issSub(corp.issuer, 'bob') }, []],
    [
      'a user on some device of some tenant',
      { format: 'complex', user: opaque('ada'), device: issSub(corp.issuer, 'd-1'), tenant: opaque('t-1') },
      ['desk', 'phone'],
    ],
    ['a device', { format: 'complex', device: issSub(corp.issuer, 'd-1') }, []],
    ['a tenant', { format: 'complex', tenant: opaque('t-1') }, []],
    ['nobody here', opaque('s-99'), []],
    ['a user of another issuer', issSub('https://elsewhere.test', 'ada'), []],
    ['a user beyond its reach', issSub(given.pool.issuer, 'ada'), []],
  ]
  for (const [why, subject, ends] of cases) {
    const browsers = {
      desk: await signIn('desk', { sub: 'ada', sid: 's-1', ...mail }),
      phone: await signIn('phone', { sub: 'ada', sid: 's-2', ...mail }),
      bob: await signIn('bob', { sub: 'bob', sid: 's-3', email: 'bob@example.com', email_verified: true }),
      // The same sid, sub and address at another provider.
      pool: await signIn('pool', { sub: 'ada', sid: 's-1', at: 'pool', ...mail }),
    }
    expect((await push({ sub_id: subject, ...revoked() })).status, why).toBe(202)
    for (const [name, browser] of Object.entries(browsers)) {
      expect(await lives(browser), `${why}: ${name}`).toBe(!ends.includes(name))
    }
  }
  const reason = 'names neither a user nor a session'
  expect(given.world.log.events('signal_ignored')).toMatchObject([{ reason }, { reason }])
}, 60_000)

test('SS2 reaches: all lets an address reach other providers’ sessions; a sid or an opaque user never does', async () => {
  await using given = await createSignalsWorld({ signals: () => ({ reaches: 'all' }) })
  const { push, signIn, lives, pool } = given
  const person = { sub: 'ada', sid: 's-1', email: 'ada@example.com', email_verified: true, at: 'pool' } as const
  const browser = await signIn('pool', person)
  await push({ sub_id: opaque('s-1'), ...revoked() })
  await push({ sub_id: opaque('ada'), ...revoked() })
  expect(await lives(browser)).toBe(true)
  await push({ sub_id: byEmail('ada@example.com'), ...revoked() })
  expect(await lives(browser)).toBe(false)
  const again = await signIn('pool', person)
  await push({ sub_id: issSub(pool.issuer, 'ada'), ...revoked() })
  expect(await lives(again)).toBe(false)
})

test('SS2 credential-change ends the sessions, unless the credential is a new one', async () => {
  await using given = await createSignalsWorld()
  const { push, signIn, lives } = given
  const changed = (change: unknown, credential: unknown = 'password') => ({
    sub_id: opaque('ada'),
    events: { [`${caep}credential-change`]: { change_type: change, credential_type: credential } },
  })
  for (const change of ['update', 'revoke', 'delete', 'something later']) {
    const browser = await signIn('ada', { sub: 'ada' })
    expect((await push(changed(change))).status).toBe(202)
    expect(await lives(browser), change).toBe(false)
  }
  const browser = await signIn('ada', { sub: 'ada' })
  expect((await push(changed('create', 'fido2-platform'))).status).toBe(202)
  await expectRefused(await push(changed(undefined)), 'invalid_request')
  await expectRefused(await push(changed('update', 7)), 'invalid_request')
  expect(await lives(browser)).toBe(true)
})

test('SS2 a session that began after the event stays, however late the event comes', async () => {
  await using given = await createSignalsWorld()
  const { clock, push, seconds, signIn, lives } = given
  const before = await signIn('before', { sub: 'ada' })
  const happened = seconds() + 10
  clock.advance(60_000)
  const after = await signIn('after', { sub: 'ada' })
  clock.advance(60_000)
  const late = await push({ sub_id: opaque('ada'), ...revoked({ event_timestamp: happened }) })
  expect(late.status).toBe(202)
  expect(await lives(before)).toBe(false)
  expect(await lives(after)).toBe(true)
  expect((await push({ sub_id: opaque('ada'), toe: happened, ...revoked() })).status).toBe(202)
  // Days old, because its delivery was tried for days; its own time is what counts.
  expect((await push({ sub_id: opaque('ada'), iat: happened - 3 * 86_400, ...revoked() })).status).toBe(202)
  expect(await lives(after)).toBe(true)
  // In milliseconds, by a transmitter that does not know better: what it tells of had happened when it told.
  const confused = await given.transmitter.event({
    sub_id: opaque('ada'),
    ...revoked({ event_timestamp: clock.now() }),
  })
  clock.advance(120_000)
  const later = await signIn('later', { sub: 'ada' })
  expect((await given.transmitter.push(`${given.world.origin}/auth/signals`, confused)).status).toBe(202)
  expect(await lives(after)).toBe(false)
  expect(await lives(later)).toBe(true)
  for (const time of ['now', -1, null, {}]) {
    await expectRefused(await push({ sub_id: opaque('ada'), ...revoked({ event_timestamp: time }) }), 'invalid_request')
  }
})

test('SS2 a member that the transmitter calls critical and nobody here understands: the event is put aside', async () => {
  await using given = await createSignalsWorld()
  const { transmitter, push, signIn, lives, world } = given
  transmitter.twist.configuration = { critical_subject_members: ['tenant', 'user'] }
  const browser = await signIn('ada', { sub: 'ada' })
  const subject = { format: 'complex', user: opaque('ada'), tenant: opaque('t-1') }
  expect((await push({ sub_id: subject, ...revoked() })).status).toBe(202)
  expect(await lives(browser)).toBe(true)
  expect(world.log.events('signal_ignored')).toMatchObject([{ reason: 'critical member tenant is unknown here' }])
  expect((await push({ sub_id: { format: 'complex', user: opaque('ada') }, ...revoked() })).status).toBe(202)
  expect(await lives(browser)).toBe(false)
})

test('SS3 a verification event is accepted without a state; one with a state that nobody asked for is refused', async () => {
  await using given = await createSignalsWorld()
  const { push, world } = given
  const verification = (payload: object) => ({
    sub_id: opaque('stream-1'),
    events: { [`${ssf}verification`]: payload },
  })
  expect((await push(verification({}))).status).toBe(202)
  await expectRefused(await push(verification({ state: 'of somebody else' })), 'invalid_state')
  expect(world.log.events('signal_verification')).toHaveLength(1)
  expect(world.log.events('signal_refused')).toMatchObject([{ code: 'invalid_state' }])
})

test('SS3 the state of a verification that we asked for is checked, by whichever process it reaches', async () => {
  await using given = await createSignalsWorld({
    signals: () => ({ verification: { stream: 'stream-1', token: { file: 'poll.secret' } } }),
  })
  const { world, clock, push, transmitter } = given
  await expect.poll(() => transmitter.verifications.length).toBe(1)
  const [{ stream_id, state = '' } = { stream_id: '' }] = transmitter.verifications
  expect(stream_id).toBe('stream-1')
  const verification = (value: unknown) => ({
    sub_id: opaque('stream-1'),
    events: { [`${ssf}verification`]: { state: value } },
  })
  const [keyId = '', time = '', proof = ''] = state.split('.')
  const forged = [
    '',
    7,
    null,
    {},
    'x',
    `${state}.x`,
    `${state}x`,
    `${keyId}.${time}.${proof.slice(1)}A`,
    `${keyId}.${(clock.now() + 1000).toString(36)}.${proof}`,
    `other.${time}.${proof}`,
  ]
  for (const value of forged) await expectRefused(await push(verification(value)), 'invalid_state')
  await world.stopGateway()
  await world.startGateway()
  expect((await push(verification(state))).status).toBe(202)
  expect(world.log.events('signal_verification')).toMatchObject([{ asked: true }])
  clock.advance(25 * 3_600_000)
  await expectRefused(await push(verification(state)), 'invalid_state')
})

test('SS3 a transmitter that is down at the start is asked for a verification later; one that refuses is not asked again', async () => {
  await using given = await createSignalsWorld({
    signals: () => ({ verification: { stream: 'stream-1', token: { file: 'poll.secret' } } }),
  })
  const { world, transmitter } = given
  const failures = () => world.log.events('signal_verification_failed')
  await expect.poll(() => transmitter.verifications.length).toBe(1)
  await world.stopGateway()
  await transmitter.down()
  await world.startGateway()
  await expect.poll(() => failures().length).toBe(1)
  transmitter.twist.answer = { '/verify': { status: 403, body: '{}' } }
  await transmitter.up()
  await expect.poll(() => failures().length).toBe(2)
  expect(failures().at(-1)).toMatchObject({ reason: 'answered 403' })
  expect(world.log.text()).not.toContain('poll-token')
})

test('SS2 other events are acknowledged and logged, and change nothing; a paused stream is a warning', async () => {
  await using given = await createSignalsWorld()
  const { push, signIn, lives, world } = given
  const browser = await signIn('ada', { sub: 'ada', sid: 's-1' })
  const others = {
    [`${caep}token-claims-change`]: { claims: { role: 'none' } },
    [`${caep}device-compliance-change`]: { previous_status: 'compliant', current_status: 'not-compliant' },
    'https://schemas.openid.net/secevent/risc/event-type/account-disabled': { reason: 'hijacking' },
    'https://example.com/our-own': {},
  }
  for (const [type, payload] of Object.entries(others)) {
    expect((await push({ sub_id: opaque('ada'), events: { [type]: payload } })).status).toBe(202)
  }
  expect((await push({ sub_id: { format: 'did', url: 'did:x' }, events: { 'https://x.test/y': {} } })).status).toBe(202)
  const paused = { [`${ssf}stream-updated`]: { status: 'paused', reason: 'maintenance' } }
  expect((await push({ sub_id: opaque('stream-1'), events: paused })).status).toBe(202)
  expect(await lives(browser)).toBe(true)
  expect(world.log.events('signal_ignored')).toHaveLength(5)
  expect(world.log.events('signal_stream_updated')).toMatchObject([{ level: 'warn', status: 'paused' }])
})

test('SS1 SS4 every rule of the event token; one that breaks a rule is 400 with its err, is logged, and ends nothing', async () => {
  await using given = await createSignalsWorld()
  const { world, transmitter, signIn, lives, seconds } = given
  const browser = await signIn('ada', { sub: 'ada', sid: 's-1' })
  const honest = { sub_id: opaque('s-1'), ...revoked() }
  const event = (claims: object = {}, options: Parameters<typeof transmitter.event>[1] = {}) =>
    transmitter.event({ ...honest, ...claims }, options)
  const part = (text: string) => Buffer.from(text).toString('base64url')
  const good = await event()
  const [head = '', payload = '', signature = ''] = good.split('.')
  const payloadText = Buffer.from(payload, 'base64url').toString()
  const broken: Record<string, readonly [err: string, token: string]> = {
    'no token': ['invalid_request', ''],
    'no JWT': ['invalid_request', 'abc'],
    'two parts': ['invalid_request', `${head}.${payload}`],
    'four parts': ['invalid_request', `${good}.x`],
    'an encrypted one': ['invalid_request', `${head}.x.${payload}.x.${signature}`],
    JSON: ['invalid_request', JSON.stringify(honest)],
    'no base64url': ['invalid_request', `${head}.${payload}=.${signature}`],
    'a member twice': ['invalid_request', `${head}.${part(payloadText.replace('{', '{"jti":"x",'))}.${signature}`],
    'a header member twice': [
      'invalid_request',
      `${part('{"typ":"secevent+jwt","typ":"JWT","alg":"RS256"}')}.${payload}.${signature}`,
    ],
    'typ of a JWT': ['invalid_request', await event({}, { header: { typ: 'JWT' } })],
    'typ of a logout token': ['invalid_request', await event({}, { header: { typ: 'logout+jwt' } })],
    'no typ': ['invalid_request', await event({}, { header: { typ: undefined } })],
    'alg none': ['invalid_key', await event({}, { signature: 'none' })],
    'an HMAC with the public key': ['invalid_key', await event({}, { signature: 'hs256-public-key' })],
    'a stranger’s key': ['invalid_key', await event({}, { signature: 'stranger' })],
    'a key that comes along': ['invalid_key', await event({}, { signature: 'embedded-jwk' })],
    'an unknown kid': ['invalid_key', await event({}, { header: { kid: 'unknown' } })],
    'another signature': ['invalid_key', `${head}.${payload}.${part('x'.repeat(256))}`],
    'changed claims': ['invalid_key', `${head}.${part(payloadText.replace('s-1', 's-2'))}.${signature}`],
    'a critical header': [
      'invalid_key',
      `${part('{"typ":"secevent+jwt","alg":"RS256","kid":"transmitter-key-1","crit":["x"],"x":1}')}.${payload}.${signature}`,
    ],
    'another issuer': ['invalid_issuer', await event({ iss: 'https://evil.test' })],
    'the issuer with a slash': ['invalid_issuer', await event({ iss: `${transmitter.issuer}/` })],
    'no issuer': ['invalid_issuer', await event({ iss: undefined })],
    'a list of issuers': ['invalid_issuer', await event({ iss: [transmitter.issuer] })],
    'another audience': ['invalid_audience', await event({ aud: 'https://other.example.com' })],
    'no audience': ['invalid_audience', await event({ aud: undefined })],
    exp: ['invalid_request', await event({ exp: seconds() + 300 })],
    'exp that passed': ['invalid_request', await event({ exp: seconds() - 300 })],
    sub: ['invalid_request', await event({ sub: 'ada' })],
    'no iat': ['invalid_request', await event({ iat: undefined })],
    'iat to come': ['invalid_request', await event({ iat: seconds() + 3600 })],
    'iat no number': ['invalid_request', await event({ iat: 'now' })],
    'no jti': ['invalid_request', await event({ jti: undefined })],
    'jti no text': ['invalid_request', await event({ jti: 7 })],
    'jti empty': ['invalid_request', await event({ jti: '' })],
    'no events': ['invalid_request', await event({ events: undefined })],
    'events empty': ['invalid_request', await event({ events: {} })],
    'events a list': ['invalid_request', await event({ events: [`${caep}session-revoked`] })],
    'an event that is no object': ['invalid_request', await event({ events: { [`${caep}session-revoked`]: true } })],
    'several events': [
      'invalid_request',
      await event({ events: { [`${caep}session-revoked`]: {}, [`${ssf}verification`]: {} } }),
    ],
    'no sub_id': ['invalid_request', await event({ sub_id: undefined })],
    'the subject in the event only': [
      'invalid_request',
      await event({ sub_id: undefined, events: { [`${caep}session-revoked`]: { subject: opaque('s-1') } } }),
    ],
    'sub_id a text': ['invalid_request', await event({ sub_id: 's-1' })],
    'sub_id without format': ['invalid_request', await event({ sub_id: { id: 's-1' } })],
    'an unknown format': ['invalid_request', await event({ sub_id: { format: 'phone_number', phone_number: '+1' } })],
    'an opaque id that is no text': ['invalid_request', await event({ sub_id: { format: 'opaque', id: 1 } })],
    'an address that is none': ['invalid_request', await event({ sub_id: byEmail('ada@') })],
    'iss without sub': ['invalid_request', await event({ sub_id: { format: 'iss_sub', iss: transmitter.issuer } })],
    'a complex subject of nothing': ['invalid_request', await event({ sub_id: { format: 'complex' } })],
    'a complex subject within another': [
      'invalid_request',
      await event({ sub_id: { format: 'complex', user: { format: 'complex', user: opaque('ada') } } }),
    ],
    'a session by address': [
      'invalid_request',
      await event({ sub_id: { format: 'complex', session: byEmail('a@b.c') } }),
    ],
    'a member that is no object': [
      'invalid_request',
      await event({ sub_id: { format: 'complex', session: opaque('s-1'), device: 'd-1' } }),
    ],
  }
  for (const [why, [err, token]] of Object.entries(broken)) {
    await expectRefused(await transmitter.push(`${world.origin}/auth/signals`, token), err, why)
  }
  const json = { 'content-type': 'application/json' }
  await expectRefused(await transmitter.push(`${world.origin}/auth/signals`, good, json), 'invalid_request')
  expect(await lives(browser)).toBe(true)
  const refused = world.log.events('signal_refused')
  expect(refused).toHaveLength(Object.keys(broken).length + 1)
  expect(refused.every((line) => typeof line.reason === 'string' && typeof line.code === 'string')).toBe(true)
  expect(world.log.text()).not.toMatch(jwtStart)
  expect((await transmitter.push(`${world.origin}/auth/signals`, 'x'.repeat(70_000))).status).toBe(413)
  expect((await fetch(`${world.origin}/auth/signals`)).status).toBe(405)
  expect((await transmitter.push(`${world.origin}/auth/signals`, good)).status).toBe(202)
  expect(await lives(browser)).toBe(false)
}, 60_000)

test('SS1 typ with its prefix, several audiences with ours among them, members unknown to us, an alias of the event', async () => {
  await using given = await createSignalsWorld({ signals: () => ({ audience: ['one', 'two'] }) })
  const { push, signIn, lives } = given
  const accepted: readonly (readonly [object, object?])[] = [
    [{ aud: ['other', 'two'] }, { header: { typ: 'application/secevent+jwt' } }],
    [{ aud: 'one', unknown: { a: 1 } }],
    [{ aud: 'one', events: { 'https://example.com/revoked': {}, [`${caep}session-revoked`]: { more: true } } }],
  ]
  for (const [claims, options] of accepted) {
    const browser = await signIn('ada', { sub: 'ada' })
    expect((await push({ sub_id: opaque('ada'), ...revoked(), ...claims }, options)).status).toBe(202)
    expect(await lives(browser)).toBe(false)
  }
})

test('SS1 GR1 BL2 clocks may differ by a minute: tokens of a little later, or that ran out a little while ago, are good', async () => {
  await using given = await createSignalsWorld()
  const { corp, world, push, seconds, signed, signIn, lives } = given
  const browser = await signIn('ada', { sub: 'ada' })
  expect((await push({ sub_id: opaque('ada'), iat: seconds() + 50, ...revoked() })).status).toBe(202)
  expect(await lives(browser)).toBe(false)
  const subject = { sub_id: issSub(corp.issuer, 'ada') }
  const ahead = await revocationToken(given, { iat: seconds() + 50, nbf: seconds() + 50 })
  expect((await revoke(world, ahead, subject)).status).toBe(204)
  const behind = await revocationToken(given, { iat: seconds() - 350, exp: seconds() - 50 })
  expect((await revoke(world, behind, subject)).status).toBe(204)
  const logout = await signed(
    {
      iss: corp.issuer,
      aud: clientOf('corp').clientId,
      iat: seconds() + 50,
      exp: seconds() + 170,
      jti: 'ahead',
      sub: 'ada',
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
    },
    { typ: 'logout+jwt' },
  )
  const body = new URLSearchParams({ logout_token: logout })
  expect((await fetch(`${world.origin}/auth/backchannel-logout/corp`, { method: 'POST', body })).status).toBe(200)
})

test('SS4 authorization: a push without the agreed header is refused before its keys are looked at', async () => {
  await using given = await createSignalsWorld({ signals: () => ({ authorization: { file: 'push.secret' } }) })
  const { world, transmitter, signIn, lives } = given
  const browser = await signIn('ada', { sub: 'ada' })
  const send = async (headers: Record<string, string>) =>
    transmitter.push(
      `${world.origin}/auth/signals`,
      await transmitter.event({ sub_id: opaque('ada'), ...revoked() }),
      headers,
    )
  for (const authorization of ['', 'Bearer', 'Bearer push-secre', 'Bearer push-secret2', 'Basic push-secret']) {
    await expectRefused(await send(authorization === '' ? {} : { authorization }), 'authentication_failed')
  }
  expect(transmitter.jwksFetches).toBe(0)
  expect(await lives(browser)).toBe(true)
  expect((await send({ authorization: 'Bearer push-secret' })).status).toBe(202)
  expect(await lives(browser)).toBe(false)
  expect((await send({ authorization: 'push-secret' })).status).toBe(202)
  expect(world.log.text()).not.toContain('push-secret')
})

test('SS4 the transmitter changes its keys: known at once; invented kids do not become requests', async () => {
  await using given = await createSignalsWorld()
  const { transmitter, push, signIn, lives } = given
  expect((await push({ sub_id: opaque('nobody'), ...revoked() })).status).toBe(202)
  const browser = await signIn('ada', { sub: 'ada' })
  await transmitter.rotate()
  expect((await push({ sub_id: opaque('ada'), ...revoked() })).status).toBe(202)
  expect(await lives(browser)).toBe(false)
  for (let n = 0; n < 30; n++) {
    const invented = await push({ sub_id: opaque('ada'), ...revoked() }, { header: { kid: `kid-${n}` } })
    await expectRefused(invented, 'invalid_key')
  }
  expect(transmitter.jwksFetches).toBeLessThan(10)
})

test('SS4 with the transmitter or the store down an event is neither refused nor lost: 503, and it may come again', async () => {
  await using given = await createSignalsWorld()
  const { world, transmitter, signIn, lives } = given
  const browser = await signIn('ada', { sub: 'ada' })
  const token = await transmitter.event({ sub_id: opaque('ada'), ...revoked() })
  const send = () => fetch(`${world.origin}/auth/signals`, push(token))
  await transmitter.down()
  const outage = await send()
  expect(outage.status).toBe(503)
  expect(outage.headers.get('retry-after')).not.toBeNull()
  await transmitter.up()
  const { end } = world.store
  world.store.end = () => Promise.reject(new Error('the store is broken'))
  await expect.poll(async () => (await send()).headers.get('content-type')).toContain('problem')
  await expect
    .poll(async () => await (await send()).json())
    .toMatchObject({
      code: 'store_unavailable',
    })
  expect(await lives(browser)).toBe(true)
  world.store.end = end
  expect((await send()).status).toBe(202)
  expect(await lives(browser)).toBe(false)
})

test('SS1 a configuration that names another issuer is not believed, and a jwksUri needs none', async () => {
  await using given = await createSignalsWorld()
  const { transmitter, push } = given
  transmitter.twist.configuration = { issuer: 'https://evil.test' }
  expect((await push({ sub_id: opaque('ada'), ...revoked() })).status).toBe(503)
  await using direct = await createSignalsWorld({
    signals: (parts) => ({ jwksUri: `${parts.transmitter.issuer}/jwks` }),
  })
  direct.transmitter.twist.configuration = { issuer: 'https://evil.test' }
  expect((await direct.push({ sub_id: opaque('ada'), ...revoked() })).status).toBe(202)
})

test('SS4 without a transmitter there is no receiver', async () => {
  await using given = await createSignalsWorld({
    signals: () => ({ transmitter: undefined, audience: undefined, provider: undefined }),
  })
  expect((await given.push({ sub_id: opaque('ada'), ...revoked() })).status).toBe(404)
})

test('SS2 many sessions of one user, and one that begins while the event is carried out: none is left', async () => {
  await using given = await createSignalsWorld({ store: 'lmdb', config: { session: { perUser: { max: 50 } } } })
  const { world, push, signIn, lives, seconds } = given
  const browsers = []
  for (let n = 0; n < 12; n++) browsers.push(await signIn(`b${n}`, { sub: 'ada', sid: `s-${n % 3}` }))
  const { end } = world.store
  let late: ReturnType<SignalsWorld['signIn']> | undefined
  world.store.end = async (tombstone) => {
    late ??= signIn('late', { sub: 'ada', sid: 's-9' })
    await late
    return await end.call(world.store, tombstone)
  }
  const event = revoked({ event_timestamp: seconds() })
  expect((await push({ sub_id: opaque('ada'), jti: randomUUID(), ...event })).status).toBe(202)
  for (const browser of browsers) expect(await lives(browser)).toBe(false)
  expect(await lives(world.browser('late'))).toBe(false)
  expect(world.log.events('signal_received')).toMatchObject([{ ended: 13 }])
})

function push(body: string): RequestInit {
  return { method: 'POST', body, headers: { 'content-type': 'application/secevent+jwt' } }
}
