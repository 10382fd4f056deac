import type { AwsKeys } from './credentials.ts'

/** Where an identity pool is. */
export interface PoolAddress {
  readonly id: string
  readonly region: string
  readonly endpoint?: string | undefined
  readonly stsEndpoint?: string | undefined
}

/** What signs in there: by the pool's name for the issuer, an ID token. */
export type Logins = Readonly<Record<string, string>>

/** The calls by which an ID token becomes AWS credentials. They are not signed: the token is the proof. */
export interface IdentityCalls {
  getId(logins: Logins, signal: AbortSignal): Promise<string>
  /** Enhanced flow. */
  getCredentials(
    identityId: string,
    asked: { readonly logins: Logins; readonly roleArn: string | undefined },
    signal: AbortSignal,
  ): Promise<AwsKeys>
  /** Basic flow: a token of the pool's, then the role at STS. `name`: of the session, in CloudTrail. */
  assumeRole(
    identityId: string,
    asked: { readonly logins: Logins; readonly roleArn: string; readonly name: string },
    signal: AbortSignal,
  ): Promise<AwsKeys>
}

/**
 * The official SDK, and the only file that knows it; loaded with the first call, so that a gateway without AWS doesn't pay.
 * Its `fromCognitoIdentityPool` is not used: it keeps identities in a cache of the whole process, by a name that is easily the
 * same for two users, and one then gets the identity of the other.
 */
export function createIdentityCalls({ id, region, endpoint, stsEndpoint }: PoolAddress): IdentityCalls {
  // Two attempts: more would wait longer than a request does.
  const shared = { region, maxAttempts: 2 }
  let loading: ReturnType<typeof loadPool> | undefined
  let loadingSts: ReturnType<typeof loadSts> | undefined

  async function loadPool() {
    const sdk = await import('@aws-sdk/client-cognito-identity')
    return { sdk, client: new sdk.CognitoIdentityClient({ ...shared, ...(endpoint !== undefined && { endpoint }) }) }
  }

  async function loadSts() {
    const sdk = await import('@aws-sdk/client-sts')
    const address = stsEndpoint === undefined ? {} : { endpoint: stsEndpoint }
    return { sdk, client: new sdk.STSClient({ ...shared, ...address }) }
  }

  function pool() {
    loading ??= loadPool()
    return loading
  }

  return {
    async getId(logins, abortSignal) {
      const { sdk, client } = await pool()
      const answer = await client.send(new sdk.GetIdCommand({ IdentityPoolId: id, Logins: { ...logins } }), {
        abortSignal,
      })
      return present(answer.IdentityId)
    },
    async getCredentials(identityId, { logins, roleArn }, abortSignal) {
      const { sdk, client } = await pool()
      const CustomRoleArn = roleArn === undefined ? {} : { CustomRoleArn: roleArn }
      const { Credentials: given } = await client.send(
        new sdk.GetCredentialsForIdentityCommand({ IdentityId: identityId, Logins: { ...logins }, ...CustomRoleArn }),
        { abortSignal },
      )
      return checked({ ...given, SecretAccessKey: given?.SecretKey })
    },
    async assumeRole(identityId, { logins, roleArn, name }, abortSignal) {
      const { sdk, client } = await pool()
      const { Token } = await client.send(
        new sdk.GetOpenIdTokenCommand({ IdentityId: identityId, Logins: { ...logins } }),
        { abortSignal },
      )
      loadingSts ??= loadSts()
      const sts = await loadingSts
      const asked = { RoleArn: roleArn, RoleSessionName: name, WebIdentityToken: present(Token) }
      const { Credentials: given } = await sts.client.send(new sts.sdk.AssumeRoleWithWebIdentityCommand(asked), {
        abortSignal,
      })
      return checked(given ?? {})
    },
  }
}

interface Given {
  readonly AccessKeyId?: string | undefined
  readonly SecretAccessKey?: string | undefined
  readonly SessionToken?: string | undefined
  readonly Expiration?: Date | undefined
}

function checked({ AccessKeyId, SecretAccessKey, SessionToken, Expiration }: Given): AwsKeys {
  return {
    accessKeyId: present(AccessKeyId),
    secretAccessKey: present(SecretAccessKey),
    sessionToken: present(SessionToken),
    expiresAt: present(Expiration).getTime(),
  }
}

function present<Value>(value: Value | undefined): Value {
  if (value === undefined || value === '') throw new Error('the answer of AWS lacks what was asked for')
  return value
}
