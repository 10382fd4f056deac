import * as client from 'openid-client'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type HostileProvider, startHostileProvider, type Twists } from '../src/hostile-provider.ts'
import { formsOf, selfSubmitting } from '../src/html.ts'
import { credentials, startPlainRp } from './plain-rp.ts'

let provider: HostileProvider
beforeAll(async () => {
  provider = await startHostileProvider(credentials)
})
afterAll(() => provider.close())
afterEach(() => {
  for (const name of Object.keys(provider.twist)) delete provider.twist[name as keyof Twists]
})

/** Signs in with openid-client, which verifies everything, while the provider twists its answers. */
async function signIn(twist: Partial<Twists>) {
  await using rp = await startPlainRp(async () => provider.issuer)
  client.enableNonRepudiationChecks(rp.config)
  Object.assign(provider.twist, twist)
  const tokens = await rp.redeem(provider.authorizeRedirect((await rp.begin()).href))
  const subject = tokens.claims()?.sub ?? ''
  const user = await client.fetchUserInfo(rp.config, tokens.access_token, subject)
  return { subject, user }
}

test('an honest sign-in passes a strict client', async () => {
  const before = provider.codesRedeemed
  expect(await signIn({})).toMatchObject({ subject: 'mallory', user: { name: 'Mallory' } })
  expect(provider.codesRedeemed).toBe(before + 1)
  expect(provider.issuedTokens.size).toBeGreaterThan(1)
})

const past = Math.floor(Date.now() / 1000) - 3600
const twists: [name: string, twist: Partial<Twists>][] = [
  ['iss of another', { claims: { iss: 'https://evil.example' } }],
  ['aud of another', { claims: { aud: 'other' } }],
  ['azp missing', { claims: { aud: [credentials.clientId, 'other'] } }],
  ['expired', { claims: { exp: past } }],
  ['nonce wrong', { claims: { nonce: 'wrong' } }],
  ['nonce missing', { claims: { nonce: undefined } }],
  ['sub missing', { claims: { sub: undefined } }],
  ['no ID token', { noIdToken: true }],
  ['alg none', { signature: 'none' }],
  ['HS256 with the client secret', { signature: 'hs256-client-secret' }],
  ['HS256 with the public key', { signature: 'hs256-public-key' }],
  ["a stranger's signature", { signature: 'stranger' }],
  ['a key in the header', { signature: 'embedded-jwk' }],
  ['one bit flipped', { signature: 'flipped-bit' }],
  ['kid unknown', { header: { kid: 'unknown' } }],
  ['UserInfo of another', { userinfo: { sub: 'victim' } }],
  ['callback iss of another', { callbackIss: 'https://evil.example' }],
  ['callback iss missing', { callbackIss: null }],
  ['a second state', { callbackExtra: [['state', 'other']] }],
  ['an error', { callbackError: { error: 'access_denied', error_description: '<script>' } }],
  ['a broken token answer', { answer: { '/token': { status: 200, body: '<html>' } } }],
]
test.each(twists)('%s: refused', async (_name, twist) => {
  const before = provider.codesRedeemed
  await expect(signIn(twist)).rejects.toThrow()
  // What is wrong with the callback shows before the code is spent; what is wrong with the tokens only afterwards.
  const early = Object.keys(twist).some((key) => key.startsWith('callback'))
  expect(provider.codesRedeemed).toBe(early ? before : before + 1)
})

test('discovery for another issuer is refused', async () => {
  provider.twist.discoveryIssuer = 'https://evil.example'
  await expect(startPlainRp(async () => provider.issuer)).rejects.toThrow()
})

test('it insists on PKCE and on the client secret', async () => {
  const fields = { client_id: credentials.clientId, redirect_uri: 'http://127.0.0.1/callback', state: 's' }
  const plain = `${provider.issuer}/authorize?${new URLSearchParams(fields)}`
  expect(() => provider.authorizeRedirect(plain)).toThrow('PKCE')
  const body = new URLSearchParams({ grant_type: 'authorization_code', code: 'x' })
  const answer = await fetch(`${provider.issuer}/token`, { method: 'POST', body })
  expect(answer.status).toBe(401)
})

test.each(['RS256', 'PS256', 'ES256'] as const)('it signs by %s, and a strict client takes that', async (alg) => {
  expect(await signIn({ alg })).toMatchObject({ subject: 'mallory' })
  await expect(signIn({ alg, signature: 'flipped-bit' })).rejects.toThrow()
  await expect(signIn({ alg, signature: 'stranger' })).rejects.toThrow()
})

test('a refresh token works once, for a new one and tokens about the same sign-in', async () => {
  await using rp = await startPlainRp(async () => provider.issuer, 'openid offline_access')
  client.enableNonRepudiationChecks(rp.config)
  const first = await rp.redeem(provider.authorizeRedirect((await rp.begin()).href))
  const second = await client.refreshTokenGrant(rp.config, first.refresh_token ?? '')
  expect(second.claims()).toMatchObject({ sub: 'mallory', auth_time: first.claims()?.auth_time })
  expect(second.refresh_token).not.toBe(first.refresh_token)
  await expect(client.refreshTokenGrant(rp.config, first.refresh_token ?? '')).rejects.toThrow()
  provider.twist.refreshed = { iss: 'https://evil.example' }
  await expect(client.refreshTokenGrant(rp.config, second.refresh_token ?? '')).rejects.toThrow()
})

test('a signed response is one that a strict client takes, and a twisted one is not', async () => {
  const answer = async (response: Partial<Twists>['response']) => {
    await using rp = await startPlainRp(async () => provider.issuer)
    client.useJwtResponseMode(rp.config)
    if (response) provider.twist.response = response
    const { mode, parameters } = await provider.authorize((await rp.begin()).href)
    expect([mode, [...parameters.keys()]]).toEqual(['jwt', ['response']])
    return rp.redeem(`${rp.redirectUri}?${parameters}`)
  }
  expect((await answer(undefined)).claims()?.sub).toBe('mallory')
  await expect(answer({ signature: 'stranger' })).rejects.toThrow()
  await expect(answer({ claims: { aud: 'other' } })).rejects.toThrow()
})

test('with form_post the answer is a page that posts itself', async () => {
  await using rp = await startPlainRp(async () => provider.issuer)
  const asked = await rp.begin()
  asked.searchParams.set('response_mode', 'form_post')
  const page = await (await fetch(asked)).text()
  const [form] = formsOf(page)
  expect([form?.method, form?.action]).toEqual(['POST', rp.redirectUri])
  expect(form?.fields.map(([name]) => name)).toEqual(['state', 'code', 'iss'])
  expect(selfSubmitting(page)).toEqual(form)
})
