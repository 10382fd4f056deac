import { createFaults, type Faults } from './faults.ts'
import { jsonError, jsonReply } from './json-error.ts'
import { createAccessCheck } from './pool-access.ts'
import { createPoolApi } from './pool-api.ts'
import { createDomain } from './pool-domain.ts'
import { createPoolGrants } from './pool-grants.ts'
import { createPoolKeys, type NewKeyPair } from './pool-keys.ts'
import {
  defaultLifetimes,
  type PoolClient,
  type PoolGroup,
  type PoolIdentityProvider,
  type PoolLifetimes,
  type PoolUser,
} from './pool-settings.ts'
import { createTokenIssuer } from './pool-tokens.ts'
import { createPoolUsers, type NativeUser, type PoolUsers } from './pool-users.ts'
import { type Call, type Reply, type Service, startService } from './service.ts'

export interface UserPoolOptions {
  readonly region?: string
  readonly userPoolId?: string
  readonly clients: readonly PoolClient[]
  readonly groups?: readonly PoolGroup[]
  readonly users?: readonly NativeUser[]
  /** Further attributes of the schema: `custom:groups`. */
  readonly customAttributes?: readonly string[]
  /** The groups that tokens name, in place of the user's own: what a PreTokenGeneration trigger decides. */
  readonly preTokenGeneration?: (user: PoolUser) => readonly string[]
  readonly lifetimes?: Partial<PoolLifetimes>
  /** The issuer's form: the original one, or the newer one for several regions, which has an address of its own. */
  readonly issuerForm?: 'original' | 'multi-region'
  /** Take another than the application's, to have two sites. */
  readonly host?: '127.0.0.1' | 'localhost'
  readonly ports?: { readonly api?: number; readonly domain?: number }
  /** Milliseconds since the epoch. */
  readonly now?: () => number
  /** Fresh ones unless told. */
  readonly newKeyPair?: NewKeyPair
}

export interface UserPool extends AsyncDisposable {
  readonly region: string
  readonly userPoolId: string
  readonly issuer: string
  /** Address of the JSON API. */
  readonly apiEndpoint: string
  /** Address of the domain host. */
  readonly domain: string
  readonly clients: readonly PoolClient[]
  /** The key of an identity pool's `Logins`, whatever the issuer's form. */
  readonly loginsKey: string
  readonly users: PoolUsers
  /** Knobs and records of the issuer and API listener: operations `GetUser`, `jwks`, `discovery`. */
  readonly apiFaults: Faults
  /** Knobs and records of the domain host: operations are paths. */
  readonly domainFaults: Faults
  /** Where identity providers send browsers back to: register it there. */
  readonly idpRedirectUri: string
  /** Adds an identity provider. Clients that name it may use it from now on. */
  federate(provider: PoolIdentityProvider): void
  /** The public keys as they are now. */
  jwks(): { keys: object[] }
  rotateKeys(options?: { keepOld?: boolean }): Promise<void>
  /** AdminUserGlobalSignOut. */
  globalSignOut(username: string): void
  /** AdminDisableUser. */
  disable(username: string): void
  close(): Promise<void>
}

/**
 * Plays a user pool of Amazon Cognito on two listeners, as the real one has two hosts: issuer, keys and JSON API on one,
 * sign-in pages and OAuth endpoints on the other. Strict where the real one is strict.
 */
export async function startUserPool(options: UserPoolOptions): Promise<UserPool> {
  const { region = 'us-east-1', host = 'localhost', groups = [], clients, ports = {} } = options
  const { userPoolId = `${region}_StandIn01`, issuerForm = 'original', customAttributes = [] } = options
  const realNow = options.now ?? Date.now
  const [apiFaults, domainFaults] = [createFaults(), createFaults()]
  // The token clock is the domain host's: its skew shows in the tokens.
  const now = () => realNow() + domainFaults.skew
  const lifetimes = { ...defaultLifetimes, ...options.lifetimes }
  const keys = await createPoolKeys(options.newKeyPair)
  const users = createPoolUsers({ userPoolId, groups, now, preTokenGeneration: options.preTokenGeneration })
  for (const user of options.users ?? []) users.addNative(user)
  const grants = createPoolGrants({ now, lifetimes })
  const identityProviders: PoolIdentityProvider[] = []

  // Both listeners have to know the addresses of both: what they answer comes once these are known.
  let api: (call: Call) => Promise<Reply> = starting
  let domainHost: (call: Call) => Promise<Reply> = starting
  const apiService = await startService({
    host,
    port: ports.api ?? 0,
    now: () => realNow() + apiFaults.skew,
    faults: apiFaults,
    operationOf: apiOperation,
    errorReply: jsonError,
    handle: (call) => api(call),
  })
  const domainService = await startService({
    host,
    port: ports.domain ?? 0,
    now,
    faults: domainFaults,
    operationOf: (call) => call.url.pathname,
    errorReply: ({ code, status }) => jsonReply({ error: code }, status, 'application/json;charset=UTF-8'),
    handle: (call) => domainHost(call),
  })
  const domain = domainService.url
  const issuerPath = issuerForm === 'original' ? `/${userPoolId}` : `/issuer-cognito-idp/${userPoolId}`
  const issuer = apiService.url + issuerPath

  const check = createAccessCheck({ keys, grants, issuer, now })
  const issue = createTokenIssuer({ issuer, keys, users, lifetimes, now })
  const poolApi = createPoolApi({ clients, grants, check, issue, now, customAttributes })
  domainHost = createDomain({ domain, clients, identityProviders, users, grants, issue, check, lifetimes, now })
  api = async (call) => {
    const { pathname } = call.url
    if (pathname === `${issuerPath}/.well-known/openid-configuration`) return plainJson(discovery(issuer, domain))
    if (pathname === `${issuerPath}/.well-known/jwks.json`) return plainJson(keys.jwks())
    return pathname === '/' ? poolApi(call) : { status: 404 }
  }

  const existing = (username: string) => {
    const user = users.find(username)
    if (!user) throw new Error(`The pool has no user ${username}.`)
    return user
  }
  const close = () => closeAll([apiService, domainService])
  return {
    region,
    userPoolId,
    issuer,
    apiEndpoint: apiService.url,
    domain,
    clients,
    loginsKey: `cognito-idp.${region}.amazonaws.com/${userPoolId}`,
    users,
    apiFaults,
    domainFaults,
    idpRedirectUri: `${domain}/oauth2/idpresponse`,
    federate: (provider) => void identityProviders.push(provider),
    jwks: keys.jwks,
    rotateKeys: keys.rotate,
    globalSignOut: (username) => grants.signOut(existing(username)),
    disable(username) {
      existing(username).enabled = false
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

/** Word for word what the real document has, and has not: nothing about PKCE, grant types or logout channels. */
function discovery(issuer: string, domain: string) {
  return {
    authorization_endpoint: `${domain}/oauth2/authorize`,
    end_session_endpoint: `${domain}/logout`,
    id_token_signing_alg_values_supported: ['RS256'],
    issuer,
    jwks_uri: `${issuer}/.well-known/jwks.json`,
    response_types_supported: ['code', 'token'],
    revocation_endpoint: `${domain}/oauth2/revoke`,
    scopes_supported: ['openid', 'email', 'phone', 'profile'],
    subject_types_supported: ['public'],
    token_endpoint: `${domain}/oauth2/token`,
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    userinfo_endpoint: `${domain}/oauth2/userInfo`,
  }
}

function apiOperation({ url, headers }: Call): string {
  if (url.pathname.endsWith('/.well-known/jwks.json')) return 'jwks'
  if (url.pathname.endsWith('/.well-known/openid-configuration')) return 'discovery'
  return String(headers['x-amz-target'] ?? url.pathname).replace(/^.*\./, '')
}

const plainJson = (value: unknown) => jsonReply(value, 200, 'application/json')
const starting = async (): Promise<Reply> => ({ status: 503 })

async function closeAll(services: readonly Service[]): Promise<void> {
  await Promise.all(services.map((service) => service.close()))
}
