import { expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import { createHostileWorld, type HostileWorld } from './hostile-world.ts'

/*
 * The OpenID Connect relying-party certification plans, played against the hostile provider: each test is named after its
 * case. Sign-out plans: rp-certification-logout.test.ts. More of what a token can have wrong: id-token.test.ts.
 */
const minute = 60_000
const ours = clientOf('evil').clientId
const asking = (response_mode: string) => ({
  config: { providers: { evil: { authorizationParams: { response_mode } } } },
})

async function expectSignedIn(hostile: HostileWorld): Promise<void> {
  const page = await hostile.signIn('user')
  expect(page.status, page.text).toBe(200)
  const session = (await hostile.world.browser().fetch('/auth/session')).json()
  expect(session).toMatchObject({ authenticated: true, user: { sub: 'mallory', iss: hostile.provider.issuer } })
}

/** No session, a clear page, the reason in the log alone, no token in either, and UserInfo asked `userinfo` times. */
async function expectRefused(hostile: HostileWorld, reason: RegExp, userinfo = 0): Promise<void> {
  const { world, provider } = hostile
  const page = await hostile.signIn('user')
  expect(page.status, page.text).toBe(400)
  expect(page.title).toBe('Sign-in was refused')
  expect(page.text).toContain('Start again')
  expect(page.text).not.toMatch(/mallory|nonce|issuer|audience/)
  expect(world.browser().cookies()).toEqual([])
  expect(world.log.events('session_created')).toEqual([])
  const [line, ...more] = world.log.events('authn_login_fail')
  expect(more).toEqual([])
  expect(String(line?.reason)).toMatch(reason)
  expect(provider.userinfoRequests).toBe(userinfo)
  expect(findLeaks(world.browser().seen, provider.issuedTokens)).toEqual([])
  for (const token of provider.issuedTokens) expect(world.log.text().includes(token)).toBe(false)
}

interface Case {
  /** Requirement, name of the case, and what it is about. */
  readonly title: string
  readonly twist: (provider: HostileWorld['provider']) => Partial<Twists>
}

const accepted: Case[] = [
  { title: 'AR1 rp-response_type-code: a sign-in by the code flow', twist: () => ({}) },
  { title: 'AR1 rp-token_endpoint-client_secret_basic: the client proves itself in the header', twist: () => ({}) },
  { title: 'IT1 rp-id_token-sig-rs256: RS256', twist: () => ({ alg: 'RS256' }) },
  { title: 'IT1 rp-id_token-sig-es256: ES256', twist: () => ({ alg: 'ES256' }) },
  { title: 'IT1 rp-id_token-sig-ps256: PS256', twist: () => ({ alg: 'PS256' }) },
  {
    title: 'IT4 rp-id_token-kid-absent-single-jwks: no kid, and one key: it is that one (OIDC Core §10.1)',
    twist: ({ keys }) => ({ header: { kid: undefined }, jwks: [keys.RS256] }),
  },
  {
    title: 'IT4 rp-id_token-kid-absent-multiple-jwks: no kid, and one key of several that fits the algorithm',
    twist: ({ keys }) => ({ header: { kid: undefined }, jwks: [keys.ES256, keys.RS256] }),
  },
  {
    title: 'IT4 rp-discovery-jwks_uri-keys: keys of unknown kinds, for encryption, or broken are passed over',
    twist: ({ keys }) => ({
      jwks: [
        { kty: 'future', kid: 'f' },
        { ...keys.PS256, use: 'enc', kid: 'honest-key' },
        { kty: 'RSA', n: '', e: '' },
        keys.RS256,
      ],
    }),
  },
  { title: 'AR3 rp-discovery-openid-configuration: all is read from discovery', twist: () => ({}) },
  { title: 'IT3 rp-userinfo-bearer-header: UserInfo is asked with the token in the header', twist: () => ({}) },
  { title: 'IT1 rp-id_token-aud as a list of us alone', twist: () => ({ claims: { aud: [ours] } }) },
]

test.each(accepted)('$title', async ({ twist }) => {
  await using hostile = await createHostileWorld()
  hostile.twist(twist(hostile.provider))
  await expectSignedIn(hostile)
  expect(hostile.provider.userinfoRequests).toBe(1)
})

const refused: (Case & { readonly reason: RegExp })[] = [
  {
    title: 'IT1 rp-id_token-issuer-mismatch: iss of another',
    twist: () => ({ claims: { iss: 'https://idp.example' } }),
    reason: /"iss"/,
  },
  { title: 'IT1 rp-id_token-sub: sub missing', twist: () => ({ claims: { sub: undefined } }), reason: /"sub"/ },
  { title: 'IT1 rp-id_token-aud: aud missing', twist: () => ({ claims: { aud: undefined } }), reason: /"aud"/ },
  { title: 'IT1 rp-id_token-aud: aud of another', twist: () => ({ claims: { aud: 'other' } }), reason: /"aud"/ },
  { title: 'IT1 rp-id_token-iat: iat missing', twist: () => ({ claims: { iat: undefined } }), reason: /"iat"/ },
  {
    title:
      'IT4 rp-id_token-kid-absent-multiple-jwks: no kid, and several keys that fit: refused (§10.1 asks for a kid), not tried one by one',
    twist: ({ keys }) => ({ header: { kid: undefined }, jwks: [keys.RS256, { ...keys.RS256, kid: 'second' }] }),
    reason: /key/,
  },
  { title: 'IT1 rp-id_token-sig-none: alg none', twist: () => ({ signature: 'none' }), reason: /alg/ },
  { title: 'IT1 rp-id_token-bad-sig-rs256', twist: () => ({ signature: 'stranger' }), reason: /signature/ },
  {
    title: 'IT1 rp-id_token-bad-sig-rs256: claims changed after signing',
    twist: () => ({ signature: 'flipped-bit' }),
    reason: /signature/,
  },
  {
    title: 'IT1 rp-id_token-bad-sig-es256',
    twist: () => ({ signature: 'stranger', alg: 'ES256' }),
    reason: /signature/,
  },
  {
    title: 'IT1 rp-id_token-bad-sig-es256: claims changed after signing',
    twist: () => ({ signature: 'flipped-bit', alg: 'ES256' }),
    reason: /signature/,
  },
  {
    title: 'IT1 rp-id_token-bad-sig-hs256: with the public key as secret',
    twist: () => ({ signature: 'hs256-public-key' }),
    reason: /alg/,
  },
  {
    title: 'IT1 rp-id_token-sig-hs256: HMAC by the client secret is refused even where it is right',
    twist: () => ({
      signature: 'hs256-client-secret',
      metadata: { id_token_signing_alg_values_supported: ['RS256', 'HS256'] },
    }),
    reason: /alg/,
  },
  { title: 'IT1 rp-nonce-invalid: nonce of another', twist: () => ({ claims: { nonce: 'wrong' } }), reason: /"nonce"/ },
  {
    title: 'IT1 rp-nonce-invalid: nonce missing though it was sent',
    twist: () => ({ claims: { nonce: undefined } }),
    reason: /"nonce"/,
  },
]

test.each(refused)('$title', async ({ twist, reason }) => {
  await using hostile = await createHostileWorld()
  hostile.twist(twist(hostile.provider))
  await expectRefused(hostile, reason)
  // Nothing stays behind: the next sign-in is as good as the provider.
  hostile.twist({})
  await expectSignedIn(hostile)
})

test('IT3 rp-userinfo-bad-sub-claim: UserInfo about another subject', async () => {
  await using hostile = await createHostileWorld()
  hostile.twist({ userinfo: { sub: 'victim', email: 'victim@example.com' } })
  await expectRefused(hostile, /sub/, 1)
})

test('IT3 rp-scope-userinfo-claims: the claims of the scopes come from UserInfo', async () => {
  await using hostile = await createHostileWorld()
  await hostile.signIn('user')
  const session = (await hostile.world.browser().fetch('/auth/session')).json()
  expect(session).toMatchObject({ user: { name: 'Mallory', email: 'mallory@example.com' } })
})

test('IT3 rp-userinfo-sig: signed UserInfo is taken from the issuer’s keys, and from no others', async () => {
  await using hostile = await createHostileWorld()
  const { provider, world } = hostile
  const claims = { iss: provider.issuer, aud: ours, sub: 'mallory', name: 'Signed' }
  const answering = async (twist: Partial<Twists> = {}) => ({
    metadata: { userinfo_signing_alg_values_supported: ['RS256'] },
    answer: { '/userinfo': { status: 200, type: 'application/jwt', body: await provider.sign(claims, twist) } },
  })
  hostile.twist(await answering())
  await expectSignedIn(hostile)
  expect((await world.browser().fetch('/auth/session')).json()).toMatchObject({ user: { name: 'Signed' } })
  for (const twist of [
    { signature: 'stranger' },
    { signature: 'none' },
    { claims: { aud: 'other' } },
    { claims: { iss: 'https://x' } },
  ] as const) {
    hostile.twist(await answering(twist))
    expect((await hostile.signIn()).status).toBe(400)
  }
  expect(world.log.events('session_created')).toHaveLength(1)
})

test('AR3 rp-discovery-issuer-not-matching-config: a discovery document of another issuer starts no sign-in', async () => {
  await using hostile = await createHostileWorld()
  await hostile.world.stopGateway()
  hostile.twist({ discoveryIssuer: 'https://idp.example' })
  await hostile.world.startGateway()
  const page = await hostile.signIn('user')
  expect(page.status).toBe(503)
  expect(page.text).toContain('provider_unavailable')
  expect(String(hostile.world.log.events('provider_unavailable').at(-1)?.reason)).toContain('issuer')
  expect(hostile.provider.tokenRequests).toBe(0)
})

test('IT4 rp-key-rotation-op-sign-key-native: the provider signs with a new key; it is fetched and the sign-in goes through', async () => {
  await using hostile = await createHostileWorld()
  const { provider } = hostile
  const { ES256, RS256 } = provider.keys
  hostile.twist({ alg: 'ES256', jwks: [ES256] })
  await expectSignedIn(hostile)
  hostile.twist({ alg: 'RS256', jwks: [RS256] })
  await expectSignedIn(hostile)
  expect(provider.jwksFetches).toBe(2)
  // The old key is worth nothing any more.
  hostile.twist({ alg: 'ES256', jwks: [RS256] })
  expect((await hostile.signIn()).status).toBe(400)
})

test('IT4 rp-key-rotation-op-sign-key: during a sign-in, between the redirect and the code', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  hostile.twist({ alg: 'ES256', jwks: [provider.keys.ES256] })
  await expectSignedIn(hostile)
  const begun = await world.browser('other').visit('/auth/login', { from: world.origin, follow: false })
  hostile.twist({ alg: 'RS256', jwks: [provider.keys.RS256] })
  const callback = provider.authorizeRedirect(begun.location ?? '')
  expect((await world.browser('other').visit(callback, { from: provider.issuer })).status).toBe(200)
})

const refreshes: (Case & { readonly status: number })[] = [
  { title: 'RT3 rp-refresh-token: new tokens for the refresh token', twist: () => ({}), status: 200 },
  {
    title: 'RT3 rp-refresh-token-invalid-issuer: the refreshed ID token has another iss',
    twist: () => ({ refreshed: { iss: 'https://idp.example' } }),
    status: 401,
  },
  {
    title: 'RT3 rp-refresh-token-invalid-sub: the refreshed ID token has another sub',
    twist: () => ({ refreshed: { sub: 'victim' } }),
    status: 401,
  },
  {
    title: 'RT3 rp-refresh-token-invalid-aud: the refreshed ID token has another aud',
    twist: () => ({ refreshed: { aud: 'other' } }),
    status: 401,
  },
]

test.each(refreshes)('$title', async ({ twist, status }) => {
  await using hostile = await createHostileWorld()
  await expectSignedIn(hostile)
  hostile.clock.advance(6 * minute)
  hostile.twist(twist(hostile.provider))
  expect((await hostile.world.browser().fetch('/api/echo')).status).toBe(status)
  expect(hostile.provider.refreshes).toBe(1)
  expect(hostile.world.log.events('authn_token_refused')).toHaveLength(status === 401 ? 1 : 0)
})

test('CB3 rp-response_mode-form_post: the answer comes by a form', async () => {
  await using hostile = await createHostileWorld(asking('form_post'))
  await expectSignedIn(hostile)
})

test('CB3 rp-response_mode-form_post-error: an error comes by a form', async () => {
  await using hostile = await createHostileWorld(asking('form_post'))
  hostile.twist({ callbackError: { error: 'access_denied' } })
  await expectRefused(hostile, /access_denied/)
  expect(hostile.provider.tokenRequests).toBe(0)
})

test('FX3 rp-3rd_party-init-login: begun elsewhere with iss, login_hint and target_link_uri', async () => {
  await using hostile = await createHostileWorld()
  const { provider, world } = hostile
  const parameters = { iss: provider.issuer, login_hint: 'mallory', target_link_uri: `${world.origin}/orders` }
  const address = `/auth/login?${new URLSearchParams(parameters)}`
  const page = await world.browser().visit(address, { from: 'https://portal.example/' })
  expect([page.status, page.url]).toEqual([200, `${world.origin}/orders`])
  const asked = world.browser().seen.find(({ url }) => url.startsWith(`${provider.issuer}/authorize`))
  expect(new URL(asked?.url ?? '').searchParams.get('login_hint')).toBe('mallory')
})
