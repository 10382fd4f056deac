import { randomUUID } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, type JWTPayload, jwtVerify } from 'jose'
import type { AwsCredentialStore } from './aws-credentials.ts'
import { createFaults, type Faults } from './faults.ts'
import { AwsError, jsonError, jsonOperation } from './json-error.ts'
import { createPoolKeys, type NewKeyPair, type PoolKeys } from './pool-keys.ts'
import { chooseRole, maxRules, type RoleMapping } from './role-mapping.ts'
import { startService } from './service.ts'
import type { UserPool } from './user-pool.ts'

/** A role of IAM, as far as its trust policy and limits matter here. */
export interface AwsRole {
  readonly arn: string
  /** Longest session in seconds, for STS; an hour if absent. */
  readonly maxSession?: number
  /** Whether its trust policy allows `sts:TagSession`; true if absent. */
  readonly tagSession?: boolean
}

export interface IdentityPoolOptions {
  readonly userPool: Pick<UserPool, 'loginsKey' | 'issuer' | 'jwks' | 'region'>
  /** Client ids whose tokens count. */
  readonly clientIds: readonly string[]
  readonly credentials: AwsCredentialStore
  /** The roles that trust this pool. */
  readonly roles: readonly AwsRole[]
  readonly authenticatedRole: string
  readonly roleMapping?: RoleMapping | undefined
  /** Allows the basic flow: GetOpenIdToken, then STS. */
  readonly classicFlow?: boolean
  /** Tags of the session and the claims from which they come. */
  readonly principalTags?: Readonly<Record<string, string>>
  readonly identityPoolId?: string
  readonly port?: number
  readonly now?: () => number
  /** Fresh ones unless told. */
  readonly newKeyPair?: NewKeyPair
}

export interface IdentityPool extends AsyncDisposable {
  readonly id: string
  readonly region: string
  /** Address of the API. */
  readonly endpoint: string
  readonly roles: readonly AwsRole[]
  /** Knobs and records: operations `GetId`, `GetCredentialsForIdentity`, `GetOpenIdToken`. */
  readonly faults: Faults
  /** Of the tokens that GetOpenIdToken gives, for STS. */
  readonly keys: PoolKeys
  /** Changes how roles are picked, from now on. */
  mapRoles(mapping: RoleMapping | undefined): void
  close(): Promise<void>
}

/** What GetOpenIdToken's tokens are issued by. */
export const identityIssuer = 'https://cognito-identity.amazonaws.com'
export const tagsClaim = 'https://aws.amazon.com/tags'

/** Plays a Cognito identity pool: unauthenticated calls, ID tokens in, identities and AWS credentials out. */
export async function startIdentityPool(options: IdentityPoolOptions): Promise<IdentityPool> {
  const { userPool, clientIds, credentials, roles, authenticatedRole, principalTags = {} } = options
  const { region } = userPool
  const id = options.identityPoolId ?? `${region}:${randomUUID()}`
  const faults = createFaults()
  const now = () => (options.now?.() ?? Date.now()) + faults.skew
  const keys = await createPoolKeys(options.newKeyPair)
  const identities = new Map<string, string>()
  let mapping: RoleMapping | undefined
  mapRoles(options.roleMapping)

  function mapRoles(next: RoleMapping | undefined): void {
    if (next?.type === 'Rules' && next.rules.length > maxRules) throw new Error(`At most ${maxRules} rules.`)
    mapping = next
  }

  /**
   * The claims of the one login: an ID token of this user pool for one of its clients. Access tokens fail at the audience,
   * since they have none.
   */
  async function login(input: Record<string, unknown>): Promise<JWTPayload> {
    const logins = Object.entries((input.Logins ?? {}) as Record<string, unknown>)
    if (logins.length === 0) {
      throw notAuthorized('Unauthenticated access is not supported for this identity pool.')
    }
    const [key, token] = logins[0] as [string, unknown]
    if (logins.length > 1 || key !== userPool.loginsKey) {
      throw notAuthorized('Token is not from a supported provider of this identity pool.')
    }
    const { payload } = await jwtVerify(String(token), createLocalJWKSet(userPool.jwks() as JSONWebKeySet), {
      issuer: userPool.issuer,
      audience: [...clientIds],
      currentDate: new Date(now()),
    }).catch((error: { code?: string; claim?: string }) => {
      if (error.code === 'ERR_JWT_EXPIRED') throw notAuthorized('Invalid login token. Token expired')
      if (error.claim === 'aud') throw notAuthorized('Invalid login token. Incorrect token audience.')
      if (error.claim === 'iss') throw notAuthorized("Invalid login token. Issuer doesn't match providerName")
      throw notAuthorized("Invalid login token. Couldn't verify signed token.")
    })
    return payload
  }

  /** The login's claims, once the identity is known to be this login's: not the one of another user. */
  async function loginOf(input: Record<string, unknown>): Promise<{ identityId: string; claims: JWTPayload }> {
    const identityId = String(input.IdentityId)
    if (![...identities.values()].includes(identityId)) {
      throw new AwsError('ResourceNotFoundException', `Identity '${identityId}' not found.`)
    }
    const claims = await login(input)
    if (identities.get(String(claims.sub)) !== identityId) {
      throw notAuthorized(
        "Logins don't match. Please include at least one valid login for this identity or identity pool.",
      )
    }
    return { identityId, claims }
  }

  function tagsOf(claims: JWTPayload): Record<string, string> {
    const tags = Object.entries(principalTags).map(([tag, claim]) => [tag, claims[claim]] as const)
    return Object.fromEntries(tags.flatMap(([tag, value]) => (value === undefined ? [] : [[tag, String(value)]])))
  }

  const operations = {
    async GetId(input: Record<string, unknown>) {
      if (input.IdentityPoolId !== id) {
        throw new AwsError('ResourceNotFoundException', `IdentityPool '${input.IdentityPoolId}' not found.`)
      }
      const { sub = '' } = await login(input)
      // One login, one identity, for ever.
      const identityId = identities.get(sub) ?? `${region}:${randomUUID()}`
      identities.set(sub, identityId)
      return { IdentityId: identityId }
    },

    async GetCredentialsForIdentity(input: Record<string, unknown>) {
      const { identityId, claims } = await loginOf(input)
      const customRoleArn = input.CustomRoleArn === undefined ? undefined : String(input.CustomRoleArn)
      const arn = chooseRole(claims, { mapping, authenticatedRole, customRoleArn })
      const tags = tagsOf(claims)
      const role = roles.find((one) => one.arn === arn)
      const tagged = Object.keys(tags).length > 0
      if (!role || (tagged && role.tagSession === false)) {
        const message = 'Invalid identity pool configuration. Check assigned IAM roles for this pool.'
        throw new AwsError('InvalidIdentityPoolConfigurationException', message)
      }
      const minted = credentials.mint({ roleArn: arn, identityId, tags, seconds: 3600 })
      return {
        IdentityId: identityId,
        Credentials: {
          AccessKeyId: minted.accessKeyId,
          SecretKey: minted.secretAccessKey,
          SessionToken: minted.sessionToken,
          Expiration: minted.expiresAt / 1000,
        },
      }
    },

    async GetOpenIdToken(input: Record<string, unknown>) {
      if (!options.classicFlow) {
        const message = 'Basic (classic) flow is not enabled, please use enhanced flow.'
        throw new AwsError('InvalidParameterException', message)
      }
      const { identityId, claims } = await loginOf(input)
      const iat = Math.floor(now() / 1000)
      const tags = Object.entries(tagsOf(claims)).map(([tag, value]) => [tag, [value]])
      const token = await keys.sign({
        sub: identityId,
        aud: id,
        amr: ['authenticated', userPool.loginsKey, `${userPool.loginsKey}:CognitoSignIn:${claims.sub}`],
        ...(tags.length > 0 && { [tagsClaim]: { principal_tags: Object.fromEntries(tags) } }),
        iss: identityIssuer,
        exp: iat + 600,
        iat,
      })
      return { IdentityId: identityId, Token: token }
    },
  }

  const service = await startService({
    port: options.port ?? 0,
    now,
    faults,
    operationOf: ({ headers }) => String(headers['x-amz-target'] ?? '').replace(/^.*\./, ''),
    errorReply: jsonError,
    handle: (call) => jsonOperation(call, 'AWSCognitoIdentityService', operations),
  })
  const { url: endpoint, close } = service
  return { id, region, endpoint, roles, faults, keys, mapRoles, close, [Symbol.asyncDispose]: close }
}

const notAuthorized = (message: string) => new AwsError('NotAuthorizedException', message)
