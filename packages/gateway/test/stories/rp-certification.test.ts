import { expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
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
  expect(withoutRequestId(page.text)).not.toMatch(/mallory|nonce|issuer|audience/)
  expect(world.browser().cookies()).toEqual([])
  expect(world.log.events('session_created')).toEqual([])
  const [line, ...more] = world.log.events('authn_login_fail')
  expect(more).toEqual([])
  expect(String(line?.reason)).toMatch(reason)
  expect(provider.userinfoRequests).toBe(userinfo)
  expect(findLeaks(world.browser().seen, provider.issuedTokens)).toEqual([])
  for (const token of provider.issuedTokens) expect(world.log.text().includes(token)).toBe(false)
}

type TwistOf = Partial<Twists> | ((provider: HostileWorld['provider']) => Partial<Twists>)

const twistOf = (twist: TwistOf, { provider }: HostileWorld) => (typeof twist === 'function' ? twist(provider) : twist)

/** A story in which the provider does this, and the user is signed in. */
const accepts = (twist: TwistOf) => async () => {
  await using hostile = await createHostileWorld()
  hostile.twist(twistOf(twist, hostile))
  await expectSignedIn(hostile)
  expect(hostile.provider.userinfoRequests).toBe(1)
}

/** A story in which the provider does this and nobody is signed in; and then nothing of it, and it is as ever. */
const refuses = (twist: TwistOf, reason: RegExp) => async () => {
  await using hostile = await createHostileWorld()
  hostile.twist(twistOf(twist, hostile))
  await expectRefused(hostile, reason)
  hostile.twist({})
  await expectSignedIn(hostile)
}

const signing = (signature: Twists['signature'], alg: Twists['alg'] = 'RS256') => ({ signature, alg })

test('AR1 rp-response_type-code: a sign-in by the code flow, the client’s secret in the header', accepts({}))
test('IT1 rp-id_token-sig-rs256', accepts({ alg: 'RS256' }))
test('IT1 rp-id_token-sig-es256', accepts({ alg: 'ES256' }))
test('IT1 rp-id_token-sig-ps256', accepts({ alg: 'PS256' }))
test('IT1 rp-id_token-aud: a list of this client alone', accepts({ claims: { aud: [ours] } }))

test('IT1 rp-id_token-issuer-mismatch', refuses({ claims: { iss: 'https://idp.example' } }, /"iss"/))
test('IT1 rp-id_token-sub: sub missing', refuses({ claims: { sub: undefined } }, /"sub"/))
test('IT1 rp-id_token-aud: aud missing', refuses({ claims: { aud: undefined } }, /"aud"/))
test('IT1 rp-id_token-aud: aud of another', refuses({ claims: { aud: 'other' } }, /"aud"/))
test('IT1 rp-id_token-iat: iat missing', refuses({ claims: { iat: undefined } }, /"iat"/))
test('IT1 rp-nonce-invalid: nonce of another', refuses({ claims: { nonce: 'wrong' } }, /"nonce"/))
test('IT1 rp-nonce-invalid: nonce missing though it was sent', refuses({ claims: { nonce: undefined } }, /"nonce"/))

test('IT1 rp-id_token-sig-none', refuses(signing('none'), /alg/))
test('IT1 rp-id_token-bad-sig-rs256: another key', refuses(signing('stranger'), /signature/))
test('IT1 rp-id_token-bad-sig-rs256: changed after signing', refuses(signing('flipped-bit'), /signature/))
test('IT1 rp-id_token-bad-sig-es256: another key', refuses(signing('stranger', 'ES256'), /signature/))
test('IT1 rp-id_token-bad-sig-es256: changed after signing', refuses(signing('flipped-bit', 'ES256'), /signature/))
test('IT1 rp-id_token-bad-sig-hs256: the public key as secret', refuses(signing('hs256-public-key'), /alg/))
test(
  'IT1 rp-id_token-sig-hs256: an HMAC by the client secret is refused even where discovery offers it',
  refuses(
    { ...signing('hs256-client-secret'), metadata: { id_token_signing_alg_values_supported: ['RS256', 'HS256'] } },
    /alg/,
  ),
)

test(
  'IT4 rp-id_token-kid-absent-single-jwks: without a kid the only key is meant',
  accepts(({ keys }) => ({ header: { kid: undefined }, jwks: [keys.RS256] })),
)
test(
  'IT4 rp-id_token-kid-absent-multiple-jwks: without a kid one key of several fits the algorithm, and it is that one',
  accepts(({ keys }) => ({ header: { kid: undefined }, jwks: [keys.ES256, keys.RS256] })),
)
test(
  'IT4 rp-id_token-kid-absent-multiple-jwks: where several fit, OIDC Core §10.1 asks for a kid: refused, not tried one by one',
  refuses(({ keys }) => ({ header: { kid: undefined }, jwks: [keys.RS256, { ...keys.RS256, kid: 'second' }] }), /key/),
)
test(
  'IT4 rp-discovery-jwks_uri-keys: keys of unknown kinds, for encryption, or broken are passed over',
  accepts(({ keys }) => {
    const others = [
      { kty: 'future', kid: 'f' },
      { ...keys.RS256, use: 'enc' },
      { kty: 'RSA', n: '', e: '' },
    ]
    return { jwks: [...others, keys.RS256] }
  }),
)

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
  // Before the start: the metadata may be read at once.
  await world.stopGateway()
  hostile.twist(await answering())
  await world.startGateway()
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

/** A story in which the access token runs out and the provider does this at the refresh. */
const refreshes = (twist: Partial<Twists>, status: number) => async () => {
  await using hostile = await createHostileWorld()
  await expectSignedIn(hostile)
  hostile.clock.advance(6 * minute)
  hostile.twist(twist)
  expect((await hostile.world.browser().fetch('/api/echo')).status).toBe(status)
  expect(hostile.provider.refreshes).toBe(1)
  expect(hostile.world.log.events('authn_token_refused')).toHaveLength(status === 401 ? 1 : 0)
}

test('RT3 rp-refresh-token', refreshes({}, 200))
test('RT3 rp-refresh-token-invalid-issuer', refreshes({ refreshed: { iss: 'https://idp.example' } }, 401))
test('RT3 rp-refresh-token-invalid-sub', refreshes({ refreshed: { sub: 'victim' } }, 401))
test('RT3 rp-refresh-token-invalid-aud', refreshes({ refreshed: { aud: 'other' } }, 401))

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
