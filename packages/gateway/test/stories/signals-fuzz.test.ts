import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { caep } from '../../../testkit/src/transmitter.ts'
import { createSignalsWorld, revocationToken, type SignalsWorld } from './signals-world.ts'

type Claims = Record<string, unknown>

/** Something where something else is expected. */
const junk = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, 0, -1, 1e300, '', [], {}, 'x'),
  fc.jsonValue({ maxDepth: 2 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
)

/** Which member is wrong, and what stands there instead; a change that changes nothing doesn't count. */
const broken = (honest: Claims, names: readonly string[]) =>
  fc
    .tuple(fc.constantFrom(...names), junk)
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(honest[name]))

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const runs = { numRuns: 60 }

/** Bodies that no signature saves. */
const rubbish = fc.oneof(
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes).toString('latin1')),
  fc.tuple(fc.jsonValue(), fc.jsonValue(), fc.base64String()).map(([a, b, c]) => `${part(a)}.${part(b)}.${c}`),
  fc.array(fc.base64String(), { maxLength: 6 }).map((parts) => parts.join('.')),
)

interface Endpoint {
  readonly send: (token: string) => Promise<Response>
  readonly statuses: readonly number[]
  readonly codes: readonly string[]
}

function endpoints({ world }: SignalsWorld): Record<'push' | 'logout' | 'revocation', Endpoint> {
  const post = (path: string, body: string | URLSearchParams, headers: Record<string, string>) =>
    fetch(`${world.origin}/auth/${path}`, { method: 'POST', body, headers })
  const form = { 'content-type': 'application/x-www-form-urlencoded' }
  const json = { 'content-type': 'application/json' }
  const bearer = (token: string) =>
    Buffer.from(token, 'latin1')
      .toString('latin1')
      .replace(/[^\x21-\x7e]/g, '!')
  return {
    push: {
      send: (token) => post('signals', token, { 'content-type': 'application/secevent+jwt' }),
      statuses: [400],
      codes: ['invalid_request', 'invalid_key', 'invalid_issuer', 'invalid_audience'],
    },
    logout: {
      send: (token) => post('backchannel-logout/corp', new URLSearchParams({ logout_token: token }), form),
      statuses: [400],
      codes: ['logout_token_invalid'],
    },
    revocation: {
      send: (token) =>
        post('global-token-revocation/corp', '{"sub_id":{"format":"opaque","id":"ada"}}', {
          ...json,
          authorization: `Bearer ${bearer(token)}`,
        }),
      statuses: [401],
      codes: ['revocation_unauthorized'],
    },
  }
}

/** Refused with a code, and logged with the reason: every time. */
async function expectRefused({ world }: SignalsWorld, { send, statuses, codes }: Endpoint, token: string) {
  const before = world.log.lines.length
  const answer = await send(token)
  expect(statuses).toContain(answer.status)
  const { code, err } = (await answer.json()) as { code?: string; err?: string }
  expect(codes).toContain(code ?? err)
  const lines = world.log.lines.slice(before)
  expect(lines.map((line) => line.code)).toEqual([code ?? err])
  expect(lines.every((line) => line.level === 'warn' && typeof line.reason === 'string')).toBe(true)
}

test.each(['push', 'logout', 'revocation'] as const)(
  'SS4 BL1 GR1 rubbish at the %s endpoint is refused, logged, and changes nothing',
  async (name) => {
    await using given = await createSignalsWorld()
    const browser = await given.signIn('ada', { sub: 'ada', sid: 's-1' })
    const endpoint = endpoints(given)[name]
    await fc.assert(
      fc.asyncProperty(rubbish, (token) => expectRefused(given, endpoint, token)),
      runs,
    )
    expect(await given.lives(browser)).toBe(true)
  },
  60_000,
)

test('SS1 an event with any member replaced is refused, logged, and changes nothing', async () => {
  await using given = await createSignalsWorld()
  const { transmitter, signIn, lives, seconds } = given
  const browser = await signIn('ada', { sub: 'ada', sid: 's-1' })
  const honest: Claims = {
    iss: transmitter.issuer,
    aud: transmitter.audience,
    iat: seconds(),
    jti: 'a',
    sub_id: { format: 'opaque', id: 's-1' },
    events: { [`${caep}session-revoked`]: {} },
  }
  const wrong = broken(honest, ['iss', 'aud', 'iat', 'jti', 'sub_id', 'events', 'exp', 'sub']).filter(
    ([name, value]) =>
      // Another jti, an earlier iat, is as good; and what is not there is not wrong.
      !(name === 'jti' && typeof value === 'string' && value !== '') &&
      !(name === 'iat' && typeof value === 'number' && value <= seconds() + 60) &&
      !((name === 'exp' || name === 'sub') && value === undefined) &&
      !(name === 'events' && isFullOfObjects(value)),
  )
  await fc.assert(
    fc.asyncProperty(wrong, async ([name, value]) => {
      const token = await transmitter.event({ ...honest, [name]: value })
      await expectRefused(given, endpoints(given).push, token)
    }),
    runs,
  )
  expect(await lives(browser)).toBe(true)
}, 60_000)

test('BL2 GR1 a logout or revocation token with any member replaced is refused, logged, and changes nothing', async () => {
  await using given = await createSignalsWorld()
  const { corp, signed, signIn, lives, seconds, world } = given
  const browser = await signIn('ada', { sub: 'ada', sid: 's-1' })
  const now = seconds()
  const { clientId } = clientOf('corp')
  const shared: Claims = { iss: corp.issuer, iat: now, exp: now + 300, jti: 'a', sub: clientId }
  const logout: Claims = {
    ...shared,
    aud: clientId,
    sub: 'ada',
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  }
  const revocation: Claims = { ...shared, aud: `${world.origin}/auth/global-token-revocation/corp` }
  const stillGood = ([name, value]: readonly [string, unknown]) =>
    (name === 'jti' && typeof value === 'string' && value !== '') ||
    (name === 'exp' && typeof value === 'number' && value > now) ||
    (name === 'sub' && typeof value === 'string' && value !== '')
  const names = ['iss', 'aud', 'iat', 'exp', 'jti', 'sub']
  await fc.assert(
    fc.asyncProperty(
      broken(logout, [...names, 'events']).filter((change) => !stillGood(change)),
      broken(revocation, names).filter((change) => !stillGood(change)),
      async ([one, value], [other, replacement]) => {
        const { logout: first, revocation: second } = endpoints(given)
        await expectRefused(given, first, await signed({ ...logout, [one]: value }, { typ: 'logout+jwt' }))
        const token = await signed({ ...revocation, [other]: replacement }, { typ: 'global-token-revocation+jwt' })
        await expectRefused(given, second, token)
      },
    ),
    runs,
  )
  expect(await lives(browser)).toBe(true)
}, 60_000)

test('GR1 any body but a subject is 400, is logged, and leaves the token unused', async () => {
  await using given = await createSignalsWorld()
  const { signIn, lives, world } = given
  const browser = await signIn('ada', { sub: 'ada' })
  const token = await revocationToken(given)
  const body = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
    junk.map((value) => JSON.stringify({ sub_id: value })),
    junk.map((value) => JSON.stringify({ sub_id: { format: value, id: 'ada' } })),
    junk
      .filter((value) => typeof value !== 'string' || value === '')
      .map((value) => JSON.stringify({ sub_id: { format: 'opaque', id: value } })),
  )
  const send = (text: string) =>
    fetch(`${world.origin}/auth/global-token-revocation/corp`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: text,
    })
  await fc.assert(
    fc.asyncProperty(body, async (text) => {
      const before = world.log.lines.length
      expect((await send(text)).status).toBe(400)
      expect(world.log.lines.slice(before)).toMatchObject([{ code: 'revocation_invalid', reason: expect.any(String) }])
    }),
    runs,
  )
  expect(await lives(browser)).toBe(true)
  expect((await send('{"sub_id":{"format":"opaque","id":"ada"}}')).status).toBe(204)
  expect(await lives(browser)).toBe(false)
}, 60_000)

function isFullOfObjects(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const events = Object.values(value)
  return events.length > 0 && events.every((one) => typeof one === 'object' && one !== null && !Array.isArray(one))
}
