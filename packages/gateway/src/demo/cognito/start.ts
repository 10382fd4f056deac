import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { serve } from '../api.ts'
import { nextFreePorts } from '../ports.ts'
import { startDevelopmentProvider } from '../provider.ts'
import type { DevelopmentUser } from '../provider-users.ts'
import { type DemoOptions, type DemoStage, newSecret, type RunningDemo, stage } from '../running.ts'
import { type AwsApi, startAwsApi } from './aws-api.ts'
import { createAwsCredentials } from './aws-credentials.ts'
import { createCognitoDemoConfig } from './demo-config.ts'
import { startIdentityPool } from './identity-pool.ts'
import { startSts } from './sts.ts'
import { awsRoles, groupsOf, iam, oktaUsers, people, poolGroups, poolUser, salesforceUsers } from './theatre.ts'
import { answerApi, answerBucket } from './theatre-api.ts'
import { startUserPool, type UserPool } from './user-pool.ts'

/** `coatcheck demo --cognito`: user pool, Okta, Salesforce, identity pool, STS, API Gateway and S3, all played in this process. */
export function startCognitoDemo(options: DemoOptions): Promise<RunningDemo> {
  return stage(options, async (at) => {
    const { origin, port, certificate, data, closes, startGateway } = at
    const [poolPort = 0, domainPort = 0, oktaPort = 0, salesforcePort = 0] = await nextFreePorts(port + 1, 4)
    const client = { clientId: 'foyer', clientSecret: newSecret() }
    const pool = await startUserPool({
      clients: [
        {
          clientId: client.clientId,
          clientSecrets: [client.clientSecret],
          redirectUris: [`${origin}/auth/callback/aws`],
          logoutUris: [`${origin}/`],
          scopes: ['openid', 'email', 'profile', 'aws.cognito.signin.user.admin'],
          identityProviders: ['COGNITO', 'Okta', 'Salesforce'],
        },
      ],
      groups: poolGroups,
      users: [poolUser],
      customAttributes: ['custom:groups'],
      preTokenGeneration: groupsOf,
      ports: { api: poolPort, domain: domainPort },
    })
    closes(pool)
    const okta = await federate(at, pool, { name: 'Okta', port: oktaPort, users: oktaUsers })
    const salesforce = await federate(at, pool, { name: 'Salesforce', port: salesforcePort, users: salesforceUsers })

    const { api, bucket, identityPool, stsEndpoint } = await startAws(at, pool, client.clientId)
    const about = await serve((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' })
      response.end(JSON.stringify({ people }))
    })
    closes(about)

    // The pool and its users are new at each start: a session of before would be nobody's.
    const sessions = mkdtempSync(join(data, 'sessions-'))
    closes({ close: async () => rmSync(sessions, { recursive: true, force: true }) })
    const { userPoolId, domain, issuer, apiEndpoint, region } = pool
    const config = createCognitoDemoConfig(
      {
        provider: {
          ...{ kind: 'cognito', userPoolId, domain, issuer, apiEndpoint, clientId: client.clientId },
          identityPool: { id: identityPool.id, region, endpoint: identityPool.endpoint, stsEndpoint },
        },
        ...{ region, api: api.url, bucket: bucket.url, about: `http://127.0.0.1:${about.port}` },
      },
      { origin, port, data, sessions, clientSecret: client.clientSecret, tls: certificate },
    )
    await startGateway(config)
    return rowsOf({ domain, okta: okta.issuer, salesforce: salesforce.issuer, api: api.url })
  })
}

interface Upstream {
  readonly name: 'Okta' | 'Salesforce'
  readonly port: number
  readonly users: readonly DevelopmentUser[]
}

/** An OpenID provider of its own, to which the pool federates. */
async function federate({ origin, closes }: DemoStage, pool: UserPool, { name, port, users }: Upstream) {
  const client = { clientId: 'cognito', clientSecret: newSecret() }
  const provider = await startDevelopmentProvider({
    issuerHost: 'localhost',
    plays: name,
    port,
    users,
    clients: [
      {
        ...client,
        name: 'Foyer',
        redirectUris: [pool.idpRedirectUri],
        // The redirects after its sign-in form end at the application, and Chromium applies form-action to each of them.
        postLogoutRedirectUris: [`${origin}/`],
        metadata: { token_endpoint_auth_method: 'client_secret_post' },
      },
    ],
  })
  closes(provider)
  pool.federate({
    ...{ name, issuer: provider.issuer, ...client, scope: 'openid profile email' },
    identifiers: [name === 'Okta' ? 'lyric.example' : 'agency.example'],
    attributeMap: {
      ...{ email: 'email', email_verified: 'email_verified', name: 'name' },
      ...(name === 'Okta' && { 'custom:groups': 'groups' }),
    },
  })
  return provider
}

/** Identity pool, STS, an API behind API Gateway and a bucket: what verifies signatures knows what was minted. */
async function startAws({ closes }: DemoStage, pool: UserPool, clientId: string) {
  const credentials = createAwsCredentials({ now: Date.now })
  const identityPool = await startIdentityPool({
    ...{ userPool: pool, clientIds: [clientId], credentials, roles: awsRoles },
    authenticatedRole: iam.partners,
    roleMapping: { type: 'Token', ambiguous: 'Deny' },
  })
  closes(identityPool)
  const sts = await startSts({ identityPool, credentials })
  closes(sts)
  const play = async (service: string, respond: typeof answerApi): Promise<AwsApi> => {
    const api = await startAwsApi({ service, region: pool.region, credentials, respond })
    closes(api)
    return api
  }
  const api = await play('execute-api', answerApi)
  const bucket = await play('s3', answerBucket)
  return { identityPool, stsEndpoint: sts.endpoint, api, bucket }
}

function rowsOf(at: { domain: string; okta: string; salesforce: string; api: string }): RunningDemo['rows'] {
  const users = people.map((one) => {
    const how = 'email' in one ? one.email : `user name ${one.username}, password ${poolUser.password}`
    return `${one.name.padEnd(14)}${one.with.padEnd(16)}${one.roles.join(', ').padEnd(14)}${how}`
  })
  return [
    ['Sign in as', ...users],
    ['Cognito', `${at.domain}  played, as all of these`],
    ['Okta', at.okta],
    ['Salesforce', at.salesforce],
    ['AWS', `${at.api}  verifies signatures`],
  ]
}
