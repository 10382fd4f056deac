import { Sha256 } from '@aws-crypto/sha256-js'
import {
  CognitoIdentityClient,
  GetCredentialsForIdentityCommand,
  GetIdCommand,
  GetOpenIdTokenCommand,
} from '@aws-sdk/client-cognito-identity'
import { AssumeRoleWithWebIdentityCommand, STSClient } from '@aws-sdk/client-sts'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect, test } from 'vitest'
import { FakeClock } from '../../src/clock.ts'
import { type CognitoOptions, ninaPassword, roleArn, startCognito } from '../../src/cognito.ts'
import { appOrigin, poolApp } from './pool-app.ts'

async function start(identityPool: CognitoOptions['identityPool'] = {}) {
  const clock = new FakeClock(Date.now())
  const cognito = await startCognito({ origin: appOrigin, now: clock.now, identityPool })
  const { endpoint, stsEndpoint, region, id: IdentityPoolId } = cognito.settings.identityPool
  const client = new CognitoIdentityClient({ region, endpoint, maxAttempts: 1 })
  const sts = new STSClient({ region, endpoint: stsEndpoint, maxAttempts: 1 })
  const loginsOf = (token: string) => ({ [cognito.pool.loginsKey]: token })
  const identityOf = async (token: string) => {
    const { IdentityId = '' } = await client.send(new GetIdCommand({ IdentityPoolId, Logins: loginsOf(token) }))
    return IdentityId
  }
  const credentialsOf = async (token: string, CustomRoleArn?: string) => {
    const IdentityId = await identityOf(token)
    const Logins = loginsOf(token)
    return client.send(new GetCredentialsForIdentityCommand({ IdentityId, Logins, CustomRoleArn }))
  }
  const app = poolApp(cognito, clock)
  return Object.assign(cognito, {
    clock,
    app,
    client,
    stsClient: sts,
    loginsOf,
    identityOf,
    credentialsOf,
    IdentityPoolId,
  })
}

const denied = { name: 'NotAuthorizedException' }
const nina = { as: 'nina', password: ninaPassword }

test('the enhanced flow by the official SDK: one identity for ever, credentials of the preferred role for an hour', async () => {
  await using cognito = await start()
  const { idToken } = await cognito.app.signIn({ as: 'ada' })
  const identity = await cognito.identityOf(idToken)
  expect(identity).toMatch(/^us-east-1:[\da-f-]{36}$/)
  const again = await cognito.app.signIn({ as: 'ada' })
  expect(await cognito.identityOf(again.idToken)).toBe(identity)
  const other = await cognito.app.signIn(nina)
  expect(await cognito.identityOf(other.idToken)).not.toBe(identity)

  const { Credentials, IdentityId } = await cognito.credentialsOf(idToken)
  const minted = cognito.credentials.minted.at(-1)
  expect(IdentityId).toBe(identity)
  expect(Credentials).toMatchObject({ AccessKeyId: minted?.accessKeyId, SecretKey: minted?.secretAccessKey })
  expect(minted).toMatchObject({ roleArn: roleArn('admin'), identityId: identity })
  const hour = Math.floor((cognito.clock.now() + 3_600_000) / 1000)
  expect(Math.floor((Credentials?.Expiration?.getTime() ?? 0) / 1000)).toBe(hour)
})

test('what is not an ID token of this pool for its client is refused, each in its own words', async () => {
  await using cognito = await start()
  const { client, clock, app, IdentityPoolId, pool } = cognito
  const { idToken, accessToken } = await app.signIn(nina)
  const getId = (Logins: Record<string, string>) => client.send(new GetIdCommand({ IdentityPoolId, Logins }))
  await expect(getId({})).rejects.toMatchObject(denied)
  await expect(getId({ [`${pool.loginsKey}x`]: idToken })).rejects.toMatchObject(denied)
  await expect(cognito.identityOf(accessToken)).rejects.toMatchObject(denied)
  const [head, payload, signature = ''] = idToken.split('.')
  const spoiled = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
  await expect(cognito.identityOf(`${head}.${payload}.${spoiled}`)).rejects.toMatchObject(denied)
  clock.advance(3_600_000)
  await expect(cognito.identityOf(idToken)).rejects.toMatchObject({ message: 'Invalid login token. Token expired' })
  const unknown = new GetIdCommand({ IdentityPoolId: 'us-east-1:00000000-0000-0000-0000-000000000000' })
  await expect(client.send(unknown)).rejects.toMatchObject({ name: 'ResourceNotFoundException' })
})

test('tokens for another application are refused', async () => {
  await using cognito = await start({ clientIds: ['another'] })
  const { idToken } = await cognito.app.signIn(nina)
  await expect(cognito.identityOf(idToken)).rejects.toMatchObject(denied)
})

test("nobody gets credentials for another user's identity", async () => {
  await using cognito = await start()
  const ada = await cognito.app.signIn({ as: 'ada' })
  const bob = await cognito.app.signIn({ as: 'bob' })
  await cognito.identityOf(bob.idToken)
  const IdentityId = await cognito.identityOf(ada.idToken)
  const Logins = cognito.loginsOf(bob.idToken)
  await expect(cognito.client.send(new GetCredentialsForIdentityCommand({ IdentityId, Logins }))).rejects.toMatchObject(
    denied,
  )
})

test('a custom role has to be among the roles of the token', async () => {
  await using cognito = await start()
  const { idToken } = await cognito.app.signIn({ as: 'ada' })
  await cognito.credentialsOf(idToken, roleArn('users'))
  expect(cognito.credentials.minted.at(-1)?.roleArn).toBe(roleArn('users'))
  await expect(cognito.credentialsOf(idToken, roleArn('authenticated'))).rejects.toMatchObject(denied)
})

test('no role in the token: denied, or the authenticated role, as the pool is set', async () => {
  await using cognito = await start()
  const { idToken } = await cognito.app.signIn({ as: 'carol' })
  await expect(cognito.credentialsOf(idToken)).rejects.toMatchObject(denied)
  cognito.identityPool.mapRoles({ type: 'Token', ambiguous: 'AuthenticatedRole' })
  await cognito.credentialsOf(idToken)
  expect(cognito.credentials.minted.at(-1)?.roleArn).toBe(roleArn('authenticated'))
})

test('rules: the first that matches, and Contains finds admin in nonadmin, as the real one does', async () => {
  await using cognito = await start()
  const rule = { claim: 'custom:groups', value: 'admin', roleArn: roleArn('admin') } as const
  cognito.identityPool.mapRoles({ type: 'Rules', rules: [{ ...rule, matchType: 'Contains' }] })
  const { idToken } = await cognito.app.signIn({ as: 'carol' })
  await cognito.credentialsOf(idToken)
  expect(cognito.credentials.minted.at(-1)?.roleArn).toBe(roleArn('admin'))
  const exact = { ...rule, matchType: 'Equals' } as const
  const rest = { claim: 'custom:groups', value: 'x', matchType: 'NotEqual', roleArn: roleArn('users') } as const
  cognito.identityPool.mapRoles({ type: 'Rules', rules: [exact, rest] })
  await cognito.credentialsOf(idToken)
  expect(cognito.credentials.minted.at(-1)?.roleArn).toBe(roleArn('users'))
})

test('the basic flow: a token of the identity pool, then STS, for as long as the role allows', async () => {
  await using cognito = await start({ principalTags: { department: 'custom:groups' } })
  const { idToken } = await cognito.app.signIn({ as: 'bob' })
  const IdentityId = await cognito.identityOf(idToken)
  const Logins = cognito.loginsOf(idToken)
  const { Token } = await cognito.client.send(new GetOpenIdTokenCommand({ IdentityId, Logins }))
  const assume = (role: string, DurationSeconds?: number, WebIdentityToken = Token) => {
    const input = { RoleArn: roleArn(role), RoleSessionName: 'bob', WebIdentityToken, DurationSeconds }
    return cognito.stsClient.send(new AssumeRoleWithWebIdentityCommand(input))
  }
  const { Credentials } = await assume('users', 900)
  expect(Credentials?.Expiration?.getTime()).toBe(cognito.clock.now() + 900_000)
  expect(Credentials?.SecretAccessKey).toBe(cognito.credentials.minted.at(-1)?.secretAccessKey)
  expect(cognito.credentials.minted.at(-1)).toMatchObject({ identityId: IdentityId, tags: { department: '[users]' } })
  await assume('admin', 7200)
  await expect(assume('users', 3601)).rejects.toMatchObject({ name: 'ValidationError' })
  await expect(assume('users', 899)).rejects.toMatchObject({ name: 'ValidationError' })
  await expect(assume('untagged')).rejects.toMatchObject({ name: 'AccessDenied' })
  await expect(assume('unknown')).rejects.toMatchObject({ name: 'AccessDenied' })
  await expect(assume('users', 900, idToken)).rejects.toMatchObject({ name: 'InvalidIdentityTokenException' })
  cognito.clock.advance(601_000)
  await expect(assume('users', 900)).rejects.toMatchObject({ name: 'ExpiredTokenException' })
})

test('where the basic flow is off, it is off; a role that may not be tagged makes the pool misconfigured', async () => {
  await using cognito = await start({
    classicFlow: false,
    principalTags: { name: 'name' },
    roleMapping: undefined,
    authenticatedRole: roleArn('untagged'),
  })
  const { idToken } = await cognito.app.signIn(nina)
  const [IdentityId, Logins] = [await cognito.identityOf(idToken), cognito.loginsOf(idToken)]
  await expect(cognito.client.send(new GetOpenIdTokenCommand({ IdentityId, Logins }))).rejects.toMatchObject({
    name: 'InvalidParameterException',
  })
  await expect(cognito.credentialsOf(idToken)).rejects.toMatchObject({
    name: 'InvalidIdentityPoolConfigurationException',
  })
})

test.each([
  'TooManyRequestsException',
  'ExternalServiceException',
  'ResourceConflictException',
  'InternalErrorException',
])('on demand it answers %s, so many times', async (code) => {
  await using cognito = await start()
  const { idToken } = await cognito.app.signIn(nina)
  cognito.identityPool.faults.add({ kind: 'fail', status: 400, code }, { operation: 'GetId', times: 1 })
  await expect(cognito.identityOf(idToken)).rejects.toMatchObject({ name: code })
  await cognito.identityOf(idToken)
  expect(cognito.identityPool.faults.count('GetId')).toBe(2)
})

test('the credentials open an upstream that verifies them, until they are revoked', async () => {
  await using cognito = await start()
  const { idToken } = await cognito.app.signIn({ as: 'ada' })
  const { Credentials, IdentityId } = await cognito.credentialsOf(idToken)
  const { url } = cognito.aws('execute-api')
  const { host, hostname, port } = new URL(url)
  const signer = new SignatureV4({
    service: 'execute-api',
    region: 'us-east-1',
    sha256: Sha256,
    credentials: {
      accessKeyId: Credentials?.AccessKeyId ?? '',
      secretAccessKey: Credentials?.SecretKey ?? '',
      sessionToken: Credentials?.SessionToken ?? '',
    },
  })
  const draft = { method: 'GET', protocol: 'http:', hostname, port: Number(port), path: '/items', headers: { host } }
  const { headers } = await signer.sign(draft, { signingDate: new Date(cognito.clock.now()) })
  const answer = await fetch(`${url}/items`, { headers })
  expect(await answer.json()).toMatchObject({ roleArn: roleArn('admin'), identityId: IdentityId })
  cognito.credentials.revokeAll()
  expect((await fetch(`${url}/items`, { headers })).status).toBe(403)
})
