import {
  ChangePasswordCommand,
  CognitoIdentityProviderClient,
  GetTokensFromRefreshTokenCommand,
  GetUserCommand,
  GlobalSignOutCommand,
  RevokeTokenCommand,
  UpdateUserAttributesCommand,
} from '@aws-sdk/client-cognito-identity-provider'
import { expect, test } from 'vitest'
import { FakeClock } from '../../src/clock.ts'
import { type CognitoOptions, ninaPassword, startCognito } from '../../src/cognito.ts'
import { appOrigin, poolApp } from './pool-app.ts'

async function start(options: Partial<CognitoOptions> = {}) {
  const clock = new FakeClock(Date.now())
  const cognito = await startCognito({ origin: appOrigin, now: clock.now, ...options })
  const client = new CognitoIdentityProviderClient({
    region: 'us-east-1',
    endpoint: cognito.settings.apiEndpoint,
    maxAttempts: 1,
  })
  return Object.assign(cognito, { clock, client, app: poolApp(cognito, clock) })
}

const nina = { as: 'nina', password: ninaPassword }
const withoutScope = { parameters: { scope: 'openid email' } }

test('the official SDK reads and writes a profile; a token without the scope is refused', async () => {
  await using cognito = await start()
  const { client, app } = cognito
  const { accessToken: AccessToken } = await app.signIn(nina)
  const UserAttributes = [{ Name: 'name', Value: 'Nina N.' }]
  await client.send(new UpdateUserAttributesCommand({ AccessToken, UserAttributes }))
  const user = await client.send(new GetUserCommand({ AccessToken }))
  expect(user).toMatchObject({ Username: 'nina', UserAttributes: expect.arrayContaining(UserAttributes) })

  const unknown = [{ Name: 'custom:unknown', Value: 'x' }]
  const refused = client.send(new UpdateUserAttributesCommand({ AccessToken, UserAttributes: unknown }))
  await expect(refused).rejects.toMatchObject({ name: 'InvalidParameterException' })
  const { accessToken } = await app.signIn(nina, withoutScope)
  await expect(client.send(new GetUserCommand({ AccessToken: accessToken }))).rejects.toMatchObject({
    name: 'NotAuthorizedException',
    message: 'Access Token does not have required scopes',
  })
})

test('a password changes only with the old one, by the policy, for native users, and not after many guesses', async () => {
  await using cognito = await start()
  const { client, app, clock } = cognito
  const { accessToken: AccessToken } = await app.signIn(nina)
  const change = (PreviousPassword: string, ProposedPassword: string, token = AccessToken) =>
    client.send(new ChangePasswordCommand({ AccessToken: token, PreviousPassword, ProposedPassword }))
  await expect(change(ninaPassword, 'short')).rejects.toMatchObject({ name: 'InvalidPasswordException' })
  await change(ninaPassword, 'Nina-Pass-2')
  expect((await app.signIn({ ...nina, password: 'Nina-Pass-2' })).accessToken).toBeTruthy()
  for (let guess = 0; guess < 5; guess++) {
    await expect(change('wrong', 'Nina-Pass-3')).rejects.toMatchObject({ name: 'NotAuthorizedException' })
  }
  await expect(change('Nina-Pass-2', 'Nina-Pass-3')).rejects.toMatchObject({ name: 'LimitExceededException' })
  clock.advance(16 * 60_000)
  await change('Nina-Pass-2', 'Nina-Pass-3')
  const federated = await app.signIn({ as: 'ada' })
  await expect(change('x', 'Nina-Pass-4', federated.accessToken)).rejects.toMatchObject({
    name: 'NotAuthorizedException',
  })
})

test('global sign-out ends refresh tokens and the API, not the hosted session', async () => {
  await using cognito = await start()
  const { client, app } = cognito
  const browser = app.newBrowser()
  const { accessToken: AccessToken, refreshToken } = await app.signIn(nina, { browser })
  await client.send(new GlobalSignOutCommand({ AccessToken }))
  await expect(client.send(new GetUserCommand({ AccessToken }))).rejects.toMatchObject({
    message: 'Access Token has been revoked',
  })
  expect((await app.refresh(refreshToken)).body.error).toBe('invalid_grant')
  const silent = await app.callbackFor(nina, { browser, parameters: { prompt: 'none' } })
  expect(silent.get('code')).toBeTruthy()
})

test('reuse of a rotated refresh token and revocation, by the API', async () => {
  await using cognito = await start({ client: { rotation: { graceSeconds: 0 } } })
  const { client, app, settings, clientSecret: ClientSecret } = cognito
  const { refreshToken: RefreshToken } = await app.signIn(nina)
  const ClientId = settings.clientId
  const refresh = () => client.send(new GetTokensFromRefreshTokenCommand({ RefreshToken, ClientId, ClientSecret }))
  const { AuthenticationResult } = await refresh()
  cognito.clock.advance(1)
  await expect(refresh()).rejects.toMatchObject({ name: 'RefreshTokenReuseException' })
  const next = AuthenticationResult?.RefreshToken ?? ''
  await client.send(new RevokeTokenCommand({ Token: next, ClientId, ClientSecret }))
  expect((await app.refresh(next)).body.error).toBe('invalid_grant')
})

test('knobs: throttled, broken, hung, with new keys, with a clock that is ahead', async () => {
  await using cognito = await start()
  const { client, app, pool, clock } = cognito
  const { accessToken: AccessToken, refreshToken } = await app.signIn(nina)
  const getUser = (abortSignal?: AbortSignal) =>
    client.send(new GetUserCommand({ AccessToken }), { ...(abortSignal && { abortSignal }) })
  pool.apiFaults.throttle({ operation: 'GetUser', times: 1 })
  await expect(getUser()).rejects.toMatchObject({ name: 'TooManyRequestsException' })
  pool.apiFaults.add({ kind: 'fail', status: 503 }, { times: 1 })
  await expect(getUser()).rejects.toMatchObject({ $metadata: { httpStatusCode: 503 } })
  const undo = pool.apiFaults.add({ kind: 'hang' })
  const controller = new AbortController()
  const hung = getUser(controller.signal)
  await expect.poll(() => pool.apiFaults.count('GetUser')).toBe(3)
  controller.abort()
  await expect(hung).rejects.toMatchObject({ name: 'AbortError' })
  undo()
  pool.apiFaults.add({ kind: 'slow', ms: 20 }, { times: 1 })
  expect((await getUser()).Username).toBe('nina')

  const before = JSON.stringify(pool.jwks())
  await pool.rotateKeys()
  expect(JSON.stringify(pool.jwks())).not.toBe(before)
  await expect(getUser()).rejects.toMatchObject({ name: 'NotAuthorizedException' })
  pool.domainFaults.skew = 600_000
  const refreshed = await app.form('/oauth2/token', { grant_type: 'refresh_token', refresh_token: refreshToken })
  expect(Date.parse(refreshed.headers.get('date') ?? '')).toBeGreaterThan(clock.now() + 590_000)
})
