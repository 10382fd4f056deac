import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import { checkRefreshedIdToken, signInOf } from '../../src/oidc/refreshed-id-token.ts'
import { createHostileWorld, type HostileWorld } from './hostile-world.ts'

const minute = 60_000
const ours = clientOf('evil').clientId

/** A session whose access token has run out: the next call of the API refreshes. */
async function aboutToRefresh(hostile: HostileWorld, name: string, twist: Partial<Twists> = {}): Promise<Browser> {
  hostile.twist(twist)
  expect((await hostile.signIn(name)).status).toBe(200)
  hostile.clock.advance(6 * minute)
  return hostile.world.browser(name)
}

interface Case {
  readonly name: string
  readonly twist: (now: { seconds: number; issuer: string }) => Partial<Twists>
  readonly reason: RegExp
}

const says =
  (refreshed: Record<string, unknown>): Case['twist'] =>
  () => ({ refreshed })

/** OpenID Connect Core §12.2, rule by rule. */
const broken: Case[] = [
  { name: 'iss of another', twist: says({ iss: 'https://idp.example' }), reason: /"iss"/ },
  { name: 'iss with a slash more', twist: ({ issuer }) => ({ refreshed: { iss: `${issuer}/` } }), reason: /"iss"/ },
  { name: 'sub of another', twist: says({ sub: 'victim' }), reason: /another sub/ },
  { name: 'sub missing', twist: says({ sub: undefined }), reason: /"sub"/ },
  { name: 'sub that looks alike', twist: says({ sub: 'Mallory' }), reason: /another sub/ },
  { name: 'sub a number', twist: says({ sub: 1 }), reason: /"sub"/ },
  { name: 'aud of another', twist: says({ aud: 'other' }), reason: /"aud"/ },
  { name: 'another aud beside ours', twist: says({ aud: [ours, 'other'] }), reason: /aud/ },
  { name: 'aud missing', twist: says({ aud: undefined }), reason: /"aud"/ },
  { name: 'azp of another', twist: says({ azp: 'other' }), reason: /azp/ },
  { name: 'iat long ago', twist: ({ seconds }) => ({ refreshed: { iat: seconds - 3600 } }), reason: /iat/ },
  { name: 'iat to come', twist: ({ seconds }) => ({ refreshed: { iat: seconds + 600 } }), reason: /iat/ },
  { name: 'iat missing', twist: says({ iat: undefined }), reason: /"iat"/ },
  { name: 'exp past', twist: ({ seconds }) => ({ refreshed: { exp: seconds - 60 } }), reason: /"exp"/ },
  { name: 'auth_time of now', twist: ({ seconds }) => ({ refreshed: { auth_time: seconds } }), reason: /auth_time/ },
  {
    name: 'auth_time of before',
    twist: ({ seconds }) => ({ refreshed: { auth_time: seconds - 7200 } }),
    reason: /auth_time/,
  },
  { name: 'auth_time a text', twist: says({ auth_time: 'now' }), reason: /auth_time/ },
  { name: 'nonce of another sign-in', twist: says({ nonce: 'wrong' }), reason: /nonce/ },
  { name: 'nonce empty', twist: says({ nonce: '' }), reason: /nonce/ },
  { name: 'nonce null', twist: says({ nonce: null }), reason: /nonce/ },
  { name: 'at_hash of another access token', twist: says({ at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }), reason: /at_hash/ },
  { name: 'alg none', twist: () => ({ signature: 'none' }), reason: /alg/ },
  { name: 'HS256 by the client secret', twist: () => ({ signature: 'hs256-client-secret' }), reason: /alg/ },
  { name: 'signed by a stranger', twist: () => ({ signature: 'stranger' }), reason: /signature/ },
  { name: 'one bit changed', twist: () => ({ signature: 'flipped-bit' }), reason: /signature/ },
  { name: 'a key in the header', twist: () => ({ signature: 'embedded-jwk' }), reason: /signature/ },
  { name: 'unknown kid', twist: () => ({ header: { kid: 'unknown' } }), reason: /key/ },
]

test('RT3 mod_auth_openidc 2026: a refreshed ID token that breaks a rule of OIDC Core §12.2 ends the session, with the reason in the log; its tokens are not used', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider, clock } = hostile
  for (const { name, twist, reason } of broken) {
    const browser = await aboutToRefresh(hostile, name)
    const [ended, refreshes] = [world.log.events('session_ended').length, provider.refreshes]
    hostile.twist(twist({ seconds: Math.floor(clock.now() / 1000), issuer: provider.issuer }))
    const answer = await browser.fetch('/api/echo')
    expect([name, answer.status]).toEqual([name, 401])
    expect(answer.json(), name).toMatchObject({ code: 'session_expired' })
    expect(provider.refreshes, name).toBe(refreshes + 1)
    expect(String(world.log.events('authn_token_refused').at(-1)?.reason), name).toMatch(reason)
    expect(world.log.events('session_ended').slice(ended), name).toMatchObject([{ reason: 'refresh-rejected' }])
    expect((await browser.fetch('/auth/session')).json(), name).toEqual({ authenticated: false })
  }
  expect(world.upstream.requests).toEqual([])
  for (const token of provider.issuedTokens) expect(world.log.text().includes(token)).toBe(false)
})

test('RT3 an honest refresh goes on: in every algorithm, with the nonce of the sign-in or none, with auth_time or none, without an ID token', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const browser = await aboutToRefresh(hostile, 'user')
  const asked = browser.seen.find(({ url }) => url.includes('/authorize?'))
  const nonce = new URL(asked?.url ?? '').searchParams.get('nonce')
  const fine: Partial<Twists>[] = [
    {},
    { alg: 'ES256' },
    { alg: 'PS256' },
    { refreshed: { nonce } },
    { refreshed: { auth_time: undefined } },
    { refreshed: { at_hash: undefined, azp: ours, aud: [ours] } },
    { noIdToken: true },
    {},
  ]
  for (const [at, twist] of fine.entries()) {
    hostile.twist(twist)
    expect([at, (await browser.fetch('/api/echo')).status]).toEqual([at, 200])
    hostile.clock.advance(6 * minute)
  }
  expect(provider.refreshes).toBe(fine.length)
  expect(world.log.events('session_ended')).toEqual([])
})

test('OU1 a discovery document that lost its token endpoint, or names none that is one, is an outage: nobody is signed out', async () => {
  await using hostile = await createHostileWorld()
  const browser = await aboutToRefresh(hostile, 'user')
  const discoveries = () => hostile.provider.requests.filter((path) => path.includes('.well-known')).length
  /** Discovery is read again behind a request, a quarter of an hour after the last time. */
  const readAgain = async (twist: Partial<Twists>) => {
    const before = discoveries()
    hostile.twist(twist)
    hostile.clock.advance(16 * minute)
    await hostile.world.browser('other').visit('/auth/login', { from: hostile.world.origin, follow: false })
    await expect.poll(discoveries).toBe(before + 1)
  }
  const nextRefresh = async () => {
    hostile.clock.advance(6 * minute)
    return (await browser.fetch('/api/echo')).status
  }
  for (const token_endpoint of [undefined, 7, 'relative', 'ftp://idp.example/token']) {
    await readAgain({ metadata: { token_endpoint } })
    await expect.poll(nextRefresh).toBe(503)
    await readAgain({})
    await expect.poll(nextRefresh).toBe(200)
  }
  expect(hostile.world.log.events('session_ended')).toEqual([])
})

test('RT3 what the sign-in said is remembered over refreshes that leave it out: a nonce or auth_time of another is refused after them too', async () => {
  for (const refreshed of [{ nonce: 'wrong' }, { auth_time: 1 }]) {
    await using hostile = await createHostileWorld()
    const browser = await aboutToRefresh(hostile, 'user')
    for (let turn = 0; turn < 2; turn++) {
      hostile.twist({ refreshed: { auth_time: undefined } })
      expect((await browser.fetch('/api/echo')).status).toBe(200)
      hostile.clock.advance(6 * minute)
    }
    hostile.twist({ refreshed })
    expect((await browser.fetch('/api/echo')).status).toBe(401)
  }
})

test('RT3 TO5 a sign-in that told no auth_time: a refresh can not tell of a later one, which would pass for a re-authentication', async () => {
  await using hostile = await createHostileWorld()
  const signedInAt = Math.floor(hostile.clock.now() / 1000)
  const browser = await aboutToRefresh(hostile, 'user', { claims: { auth_time: undefined } })
  hostile.twist({ refreshed: { auth_time: signedInAt - 60 } })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  hostile.clock.advance(6 * minute)
  hostile.twist({ refreshed: { auth_time: signedInAt + 300 } })
  expect((await browser.fetch('/api/echo')).status).toBe(401)
})

test('RT3 a session of before these facts were kept is held to its latest ID token', async () => {
  const now = 1_700_000_000
  const told = { iss: 'https://idp', sub: 'ada', aud: 'web', iat: now, exp: now + 300, nonce: 'n', auth_time: now - 5 }
  const idToken = await new SignJWT(told)
    .setProtectedHeader({ alg: 'HS256' })
    .sign(Buffer.from('any key of any length'))
  const signIn = signInOf({ accessToken: 'a', obtainedAt: now * 1000, idToken })
  expect(signIn).toEqual({ iss: 'https://idp', iat: now, nonce: 'n', authTime: now - 5 })
  const check = (claims: object) =>
    checkRefreshedIdToken({ ...told, ...claims }, signIn, {
      ...{ idToken, accessToken: 'a', clientId: 'web', sub: 'ada', now: now * 1000 },
    })
  expect(() => check({})).not.toThrow()
  expect(() => check({ nonce: 'm' })).toThrow('nonce')
  expect(() => check({ auth_time: now })).toThrow('auth_time')
  // The issuer that was configured at the sign-in, not only the one that is configured now.
  expect(() => check({ iss: 'https://other' })).toThrow('iss')
})
