import { JwtVerifier } from 'aws-jwt-verify'
import { validateCognitoJwtFields } from 'aws-jwt-verify/cognito-verifier'
import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { FakeClock } from '../../src/clock.ts'
import { type CognitoOptions, ninaPassword, roleArn, salUser, startCognito } from '../../src/cognito.ts'
import { passPool } from '../../src/cognito-login.ts'
import { appOrigin, callback, poolApp } from './pool-app.ts'

async function start(options: Partial<CognitoOptions> = {}) {
  const clock = new FakeClock(Date.now())
  const cognito = await startCognito({ origin: appOrigin, now: clock.now, ...options })
  return Object.assign(cognito, { clock, app: poolApp(cognito, clock) })
}

const nina = { as: 'nina', password: ninaPassword }

test('discovery says what the real one says and no more: nothing of PKCE', async () => {
  await using cognito = await start()
  const { issuer, domain } = cognito.settings
  const document = await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()
  expect(document).toMatchObject({ issuer, authorization_endpoint: `${domain}/oauth2/authorize` })
  expect(new URL(issuer).host).not.toBe(new URL(domain).host)
  for (const missing of ['code_challenge_methods_supported', 'grant_types_supported', 'backchannel_logout_supported']) {
    expect(document).not.toHaveProperty(missing)
  }
})

test('the newer form of the issuer has its own address, and tokens carry it', async () => {
  await using cognito = await start({ pool: { issuerForm: 'multi-region', clients: [] } })
  const { idToken } = await cognito.app.signIn(nina)
  expect(cognito.settings.issuer).toContain('/issuer-cognito-idp/')
  expect(decodeJwt(idToken).iss).toBe(cognito.settings.issuer)
})

test('a federated user comes from Okta: claims, identity, groups and roles', async () => {
  await using cognito = await start()
  const { idToken, accessToken } = await cognito.app.signIn({ as: 'ada' })
  const id = decodeJwt(idToken)
  expect(id).toMatchObject({
    aud: cognito.settings.clientId,
    token_use: 'id',
    nonce: 'nonce-of-the-app',
    'cognito:username': 'Okta_ada',
    'cognito:groups': [`${cognito.pool.userPoolId}_Okta`, 'admin', 'users'],
    'cognito:roles': [roleArn('admin'), roleArn('users')],
    'cognito:preferred_role': roleArn('admin'),
    'custom:groups': '[admin, users]',
    email_verified: true,
    identities: [{ userId: 'ada', providerName: 'Okta', providerType: 'OIDC', primary: 'true' }],
  })
  const access = decodeJwt(accessToken)
  expect(access).not.toHaveProperty('aud')
  expect(access).toMatchObject({ token_use: 'access', client_id: cognito.settings.clientId, username: 'Okta_ada' })
  expect(access.origin_jti).toBe(id.origin_jti)
  expect(access.sub).toBe(id.sub)
})

test("aws-jwt-verify takes the tokens for the pool's, each for its own use only", async () => {
  await using cognito = await start()
  const { idToken, accessToken } = await cognito.app.signIn({ as: 'bob' })
  const { issuer, clientId } = cognito.settings
  const judge = (tokenUse: 'id' | 'access') => {
    // The checks of its CognitoJwtVerifier, which would only know issuers in AWS.
    const customJwtCheck = ({ payload }: { payload: object }) =>
      validateCognitoJwtFields(payload as never, { tokenUse, clientId })
    const verifier = JwtVerifier.create({ issuer, audience: null, jwksUri: `${issuer}/unused`, customJwtCheck })
    verifier.cacheJwks(cognito.pool.jwks() as never)
    return verifier
  }
  expect(await judge('id').verify(idToken)).toMatchObject({ token_use: 'id' })
  expect(await judge('access').verify(accessToken)).toMatchObject({ token_use: 'access' })
  await expect(judge('id').verify(accessToken)).rejects.toThrow(/Token use/)
})

test('without a nonce the pool invents one on federated sign-ins, not on its own', async () => {
  await using cognito = await start()
  const parameters = { nonce: undefined }
  expect(decodeJwt((await cognito.app.signIn({ as: 'ada' }, { parameters })).idToken).nonce).toBeTypeOf('string')
  expect(decodeJwt((await cognito.app.signIn(nina, { parameters })).idToken)).not.toHaveProperty('nonce')
})

test('where no provider is named the page offers them; an identifier picks one too', async () => {
  await using cognito = await start()
  const answer = await cognito.app.callbackFor(
    { as: salUser, idp: 'Salesforce' },
    { parameters: { identity_provider: undefined } },
  )
  expect(answer.get('code')).toBeTruthy()
  const parameters = { identity_provider: undefined, idp_identifier: 'example.com' }
  const page = await cognito.app.start({ parameters })
  expect(new URL(page.url).origin).toBe(new URL(cognito.okta.issuer).origin)
})

test('the hosted session signs in silently for an hour; prompt=none then says login_required', async () => {
  await using cognito = await start()
  const browser = cognito.app.newBrowser()
  await cognito.app.signIn(nina, { browser })
  const silent = { parameters: { prompt: 'none' }, browser }
  expect((await cognito.app.callbackFor(nina, silent)).get('code')).toBeTruthy()
  cognito.clock.advance(61 * 60_000)
  expect((await cognito.app.callbackFor(nina, silent)).get('error')).toBe('login_required')
})

test.each([
  ['an unknown provider', { identity_provider: 'Nobody' }, 'invalid_request'],
  ['offline_access', { scope: 'openid offline_access' }, 'invalid_scope'],
  ['plain PKCE', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['JSON in the state', { state: '{"a":1}' }, 'invalid_request'],
])('the request is refused: %s', async (_what, parameters, error) => {
  await using cognito = await start()
  const page = await cognito.app.start({ parameters })
  expect(new URL(page.location ?? '').searchParams.get('error')).toBe(error)
})

test('a redirect_uri that is not exactly a registered one gets no redirect', async () => {
  await using cognito = await start()
  const page = await cognito.app.start({ parameters: { redirect_uri: `${callback}/x` } })
  expect([page.status, page.location]).toEqual([400, undefined])
})

test('the secret is checked, and a code works once, with its verifier and its address', async () => {
  await using cognito = await start({
    client: { clientSecrets: ['old-secret', 'secret-of-the-pool-client-0123456789'] },
  })
  const { app } = cognito
  const code = async () => (await app.callbackFor(nina)).get('code')
  const wrongSecret = { client_id: cognito.settings.clientId, client_secret: 'wrong', grant_type: 'refresh_token' }
  expect(await app.tokenRequest(wrongSecret, {})).toMatchObject({ status: 400, body: { error: 'invalid_client' } })
  const other = { ...wrongSecret, client_secret: 'old-secret', refresh_token: 'unknown' }
  expect((await app.tokenRequest(other, {})).body.error).toBe('invalid_grant')

  const used = await code()
  expect((await app.redeem(used)).status).toBe(200)
  expect((await app.redeem(used)).body.error).toBe('invalid_grant')
  expect((await app.redeem(await code(), { code_verifier: 'x'.repeat(43) })).body.error).toBe('invalid_grant')
  expect((await app.redeem(await code(), { redirect_uri: `${callback}/x` })).body.error).toBe('invalid_grant')
})

test('a refresh gives no refresh token; revoking ends it and the access token at the pool, not elsewhere', async () => {
  await using cognito = await start()
  const { accessToken, refreshToken } = await cognito.app.signIn({ as: 'ada' })
  const refreshed = await cognito.app.refresh(refreshToken)
  expect(refreshed.body).not.toHaveProperty('refresh_token')
  expect(refreshed.body.access_token).not.toBe(accessToken)
  const userInfo = () =>
    fetch(`${cognito.settings.domain}/oauth2/userInfo`, { headers: { authorization: `Bearer ${accessToken}` } })
  expect(await (await userInfo()).json()).toMatchObject({ email_verified: 'true', username: 'Okta_ada' })

  const refused = await cognito.app.form('/oauth2/revoke', { token: accessToken })
  expect(await refused.json()).toEqual({ error: 'unsupported_token_type' })
  expect((await cognito.app.form('/oauth2/revoke', { token: refreshToken })).status).toBe(200)
  expect((await cognito.app.refresh(refreshToken)).body.error).toBe('invalid_grant')
  expect((await userInfo()).status).toBe(401)
})

test('with rotation the old refresh token works through the grace period, then counts as reused', async () => {
  await using cognito = await start({ client: { rotation: { graceSeconds: 10 } } })
  const { refreshToken } = await cognito.app.signIn(nina)
  const first = await cognito.app.refresh(refreshToken)
  expect(first.body.refresh_token).toBeTruthy()
  cognito.clock.advance(9000)
  expect((await cognito.app.refresh(refreshToken)).status).toBe(200)
  cognito.clock.advance(2000)
  expect((await cognito.app.refresh(refreshToken)).body.error).toBe('invalid_grant')
  expect((await cognito.app.refresh(first.body.refresh_token ?? '')).status).toBe(200)
})

test('sign-out takes a listed logout_uri, not post_logout_redirect_uri, and leaves Okta signed in', async () => {
  await using cognito = await start()
  const { app, settings } = cognito
  const browser = app.newBrowser()
  await app.signIn({ as: 'ada' }, { browser })
  const logout = (query: Record<string, string>) =>
    browser.visit(`${settings.domain}/logout?${new URLSearchParams({ client_id: settings.clientId, ...query })}`, {
      stopBefore: app.stopBefore,
    })
  expect((await logout({ post_logout_redirect_uri: `${appOrigin}/` })).status).toBe(400)
  expect((await logout({ logout_uri: `${appOrigin}/elsewhere` })).status).toBe(400)
  expect((await logout({ logout_uri: `${appOrigin}/` })).location).toBe(`${appOrigin}/`)
  const before = cognito.okta.authorizations.length
  const silent = await app.callbackFor({ as: 'ada' }, { browser })
  expect(silent.get('code')).toBeTruthy()
  expect(cognito.okta.authorizations.length).toBe(before + 1)
})

test('a claim that is gone upstream leaves the old value in the profile, and so the old role', async () => {
  await using cognito = await start()
  await cognito.app.signIn({ as: 'ada' })
  const ada = cognito.okta.users.find((user) => user.sub === 'ada')
  Object.assign(ada ?? {}, { withheld: ['groups'], name: 'Ada King' })
  const id = decodeJwt((await cognito.app.signIn({ as: 'ada' })).idToken)
  expect(id).toMatchObject({ name: 'Ada King', 'custom:groups': '[admin, users]' })
})

test('a group string that is too long for the pool, and failures of the provider, come back as its error', async () => {
  await using cognito = await start()
  const ada = cognito.okta.users.find((user) => user.sub === 'ada')
  if (ada) ada.groups = Array.from({ length: 300 }, (_value, index) => `group-${index}`)
  const tooLong = await cognito.app.callbackFor({ as: 'ada' })
  expect([tooLong.get('error'), tooLong.get('error_description')]).toEqual([
    'invalid_request',
    expect.stringContaining('longer than 2048'),
  ])
  cognito.okta.failWith(500, '/token')
  const failed = await cognito.app.callbackFor({ as: 'bob' })
  expect(failed.get('error_description')).toMatch(/^Okta Error - 500/)
})

test('two groups of the same precedence with two roles: none is preferred', async () => {
  const groups = ['a', 'b'].map((name) => ({ name, precedence: 1, roleArn: roleArn(name) }))
  const users = [{ username: 'nina', password: ninaPassword, groups: ['a', 'b'] }]
  await using cognito = await start({ pool: { groups, users, clients: [] } })
  const id = decodeJwt((await cognito.app.signIn(nina)).idToken)
  expect(id['cognito:roles']).toEqual([roleArn('a'), roleArn('b')])
  expect(id).not.toHaveProperty('cognito:preferred_role')
})

test("an identity provider's answer counts only in the browser that asked, with its nonce, and for one user", async () => {
  await using cognito = await start()
  const { app, okta, pool } = cognito
  const isPoolCallback = (url: URL) => url.href.startsWith(pool.idpRedirectUri)
  const attacker = app.newBrowser()
  const page = await app.start({ parameters: { identity_provider: 'Okta' }, browser: attacker })
  const stopped = await passPool(attacker, page, { as: 'ada', stopBefore: isPoolCallback })
  const elsewhere = await app.newBrowser().visit(stopped.location ?? '', { stopBefore: app.stopBefore })
  expect([elsewhere.status, elsewhere.location]).toEqual([400, undefined])

  const browser = app.newBrowser()
  const atOkta = (url: URL) => url.origin === new URL(okta.issuer).origin
  const sent = await browser.visit(app.authorizeUrl({ identity_provider: 'Okta' }), { stopBefore: atOkta })
  const request = new URL(sent.location ?? '')
  request.searchParams.set('nonce', 'another')
  const form = await browser.visit(request.href)
  const answer = await passPool(browser, form, { as: 'ada', stopBefore: app.stopBefore })
  expect(new URL(answer.location ?? '').searchParams.get('error_description')).toBe('Okta Error - Bad id_token: nonce')

  okta.userinfoSub('bob')
  const swapped = await app.callbackFor({ as: 'ada' })
  expect(swapped.get('error_description')).toBe('Okta Error - UserInfo is of another user')
})
