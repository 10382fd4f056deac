import { type AwsApi, startAwsApi } from '../../gateway/src/demo/cognito/aws-api.ts'
import { type AwsCredentialStore, createAwsCredentials } from '../../gateway/src/demo/cognito/aws-credentials.ts'
import { groupsFromAttribute } from '../../gateway/src/demo/cognito/groups-trigger.ts'
import {
  type IdentityPool,
  type IdentityPoolOptions,
  startIdentityPool,
} from '../../gateway/src/demo/cognito/identity-pool.ts'
import type { PoolClient, PoolGroup } from '../../gateway/src/demo/cognito/pool-settings.ts'
import { type Sts, startSts } from '../../gateway/src/demo/cognito/sts.ts'
import { startUserPool, type UserPool, type UserPoolOptions } from '../../gateway/src/demo/cognito/user-pool.ts'
import { keyPairFromStock } from './key-stock.ts'
import { startTestProvider } from './provider.ts'
import type { ProviderUser, TestProvider } from './provider-api.ts'

export interface CognitoOptions {
  /** Of the application: `${origin}/auth/callback/${provider}` and `${origin}/` are registered. */
  readonly origin: string
  /** What the gateway calls the pool; `aws` if absent. */
  readonly provider?: string
  readonly now?: () => number
  /** The host of the pool and the identity providers; take another than the application's. */
  readonly host?: '127.0.0.1' | 'localhost'
  readonly pool?: Partial<Omit<UserPoolOptions, 'now' | 'host'>>
  /** How the gateway is registered at the pool, over the usual. */
  readonly client?: Partial<PoolClient>
  readonly oktaUsers?: ProviderUser[]
  /** Over the usual: role from the token, the authenticated role in ambiguous cases denied, both flows. */
  readonly identityPool?: Partial<Omit<IdentityPoolOptions, 'userPool' | 'credentials' | 'now'>>
  /** Services of AWS to play; `execute-api` and `s3` if absent. */
  readonly services?: readonly string[]
}

export interface CognitoParts extends AsyncDisposable {
  readonly pool: UserPool
  /** The identity providers to which the pool federates: real ones, with knobs and records. */
  readonly okta: TestProvider
  readonly salesforce: TestProvider
  readonly identityPool: IdentityPool
  readonly sts: Sts
  /** Every AWS credential that was minted; upstreams verify by these. */
  readonly credentials: AwsCredentialStore
  /** The upstream that plays this service of AWS and verifies signatures. */
  aws(service: string): AwsApi
  /** What the gateway's configuration needs, under its own names. */
  readonly settings: CognitoSettings
  readonly clientSecret: string
  close(): Promise<void>
}

export interface CognitoSettings {
  readonly kind: 'cognito'
  readonly userPoolId: string
  readonly domain: string
  readonly clientId: string
  readonly issuer: string
  readonly apiEndpoint: string
  readonly identityPool: {
    readonly id: string
    readonly region: string
    readonly endpoint: string
    readonly stsEndpoint: string
  }
}

export const awsAccount = '123456789012'
export const roleArn = (name: string): string => `arn:aws:iam::${awsAccount}:role/${name}`
export const ninaPassword = 'Nina-Pass-1'
/** Salesforce's subs are addresses. */
export const salUser = 'https://login.salesforce.com/id/00D000000000001/005000000000001'

const poolClient = { clientId: 'pool-client-0123456789', clientSecret: 'secret-of-the-pool-client-0123456789' }
const oktaClient = { clientId: 'cognito-at-okta', clientSecret: 'secret-of-cognito-at-okta-0123456789' }
const salesforceClient = { clientId: 'cognito-at-sf', clientSecret: 'secret-of-cognito-at-salesforce-0123' }

/** Ada is an administrator; Carol's only group has `admin` in its name, and gives no role. */
export const oktaUsers = (): ProviderUser[] => [
  { sub: 'ada', name: 'Ada Lovelace', email: 'ada@example.com', groups: ['admin', 'users'] },
  { sub: 'bob', name: 'Bob Example', email: 'bob@example.com', groups: ['users'] },
  { sub: 'carol', name: 'Carol Example', email: 'carol@example.com', groups: ['nonadmin'] },
]

/** The roles that trust the identity pool; only the one of administrators may last longer than an hour. */
const awsRoles = [
  { arn: roleArn('admin'), maxSession: 7200 },
  { arn: roleArn('users') },
  { arn: roleArn('authenticated') },
  { arn: roleArn('untagged'), tagSession: false },
]

const poolGroups: readonly PoolGroup[] = [
  { name: 'admin', precedence: 1, roleArn: roleArn('admin') },
  { name: 'users', precedence: 10, roleArn: roleArn('users') },
  { name: 'nonadmin', precedence: 20 },
]

/** Everything of AWS that a story needs, in this process: a pool that federates to two real OpenID providers. */
export async function startCognito(options: CognitoOptions): Promise<CognitoParts> {
  const { origin, provider = 'aws', now = Date.now, host = 'localhost' } = options
  const pool = await startUserPool({
    newKeyPair: keyPairFromStock,
    groups: poolGroups,
    users: [nina()],
    customAttributes: ['custom:groups', 'custom:department'],
    preTokenGeneration: groupsFromAttribute,
    ...options.pool,
    clients: [
      {
        clientId: poolClient.clientId,
        clientSecrets: [poolClient.clientSecret],
        redirectUris: [`${origin}/auth/callback/${provider}`],
        logoutUris: [`${origin}/`],
        scopes: ['openid', 'email', 'phone', 'profile', 'aws.cognito.signin.user.admin'],
        identityProviders: ['COGNITO', 'Okta', 'Salesforce'],
        ...options.client,
      },
      ...(options.pool?.clients ?? []),
    ],
    now,
    host,
  })
  const idp = (client: typeof oktaClient, users: ProviderUser[]) =>
    startTestProvider({ issuerHost: host, now, users, clients: [registrationAtIdp(client, pool, origin)] })
  const [okta, salesforce] = await Promise.all([
    idp(oktaClient, options.oktaUsers ?? oktaUsers()),
    idp(salesforceClient, [{ sub: salUser, name: 'Sal Example', email: 'sal@example.com', groups: [] }]),
  ])
  const attributeMap = { email: 'email', email_verified: 'email_verified', name: 'name' }
  pool.federate({
    name: 'Okta',
    issuer: okta.issuer,
    ...oktaClient,
    scope: 'openid profile email',
    identifiers: ['example.com'],
    attributeMap: { ...attributeMap, 'custom:groups': 'groups' },
  })
  pool.federate({
    name: 'Salesforce',
    issuer: salesforce.issuer,
    ...salesforceClient,
    scope: 'openid profile email',
    attributeMap,
  })

  const credentials = createAwsCredentials({ now })
  const identityPool = await startIdentityPool({
    newKeyPair: keyPairFromStock,
    clientIds: [poolClient.clientId],
    roles: awsRoles,
    authenticatedRole: roleArn('authenticated'),
    roleMapping: { type: 'Token', ambiguous: 'Deny' },
    classicFlow: true,
    ...options.identityPool,
    userPool: pool,
    credentials,
    now,
  })
  const sts = await startSts({ identityPool, credentials, now })

  const { services = ['execute-api', 's3'] } = options
  const { region } = pool
  const apis = await Promise.all(
    services.map((service) => startAwsApi({ service, region, credentials, corsOrigins: [origin], now })),
  )

  const close = async () => {
    await Promise.all([pool, okta, salesforce, identityPool, sts, ...apis].map((part) => part.close()))
  }
  return {
    pool,
    okta,
    salesforce,
    identityPool,
    sts,
    credentials,
    aws(service) {
      const api = apis.find((one) => one.service === service)
      if (!api) throw new Error(`This world plays no ${service}: name it in services.`)
      return api
    },
    clientSecret: poolClient.clientSecret,
    settings: {
      kind: 'cognito',
      userPoolId: pool.userPoolId,
      domain: pool.domain,
      clientId: poolClient.clientId,
      issuer: pool.issuer,
      apiEndpoint: pool.apiEndpoint,
      identityPool: {
        id: identityPool.id,
        region: identityPool.region,
        endpoint: identityPool.endpoint,
        stsEndpoint: sts.endpoint,
      },
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

const nina = () => ({
  username: 'nina',
  password: ninaPassword,
  attributes: { email: 'nina@example.com', email_verified: 'true', name: 'Nina Native' },
  groups: ['users'],
})

const registrationAtIdp = (client: typeof oktaClient, pool: UserPool, origin: string) => ({
  ...client,
  name: 'Amazon Cognito',
  redirectUris: [pool.idpRedirectUri],
  // The redirects after its sign-in form end at the application, and Chromium applies form-action to each of them.
  postLogoutRedirectUris: [`${origin}/`],
  metadata: { token_endpoint_auth_method: 'client_secret_post' },
})
