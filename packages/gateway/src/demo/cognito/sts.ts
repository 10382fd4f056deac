import { randomUUID } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { escapeHtml } from '../provider-pages.ts'
import type { AwsCredentialStore } from './aws-credentials.ts'
import { createFaults, type Faults } from './faults.ts'
import { type IdentityPool, identityIssuer, tagsClaim } from './identity-pool.ts'
import { AwsError } from './json-error.ts'
import { type Call, type Reply, startService } from './service.ts'

export interface StsOptions {
  readonly identityPool: Pick<IdentityPool, 'id' | 'keys' | 'roles'>
  readonly credentials: AwsCredentialStore
  readonly port?: number
  readonly now?: () => number
}

export interface Sts extends AsyncDisposable {
  readonly endpoint: string
  /** Knobs and records: the operation is `AssumeRoleWithWebIdentity`. */
  readonly faults: Faults
  close(): Promise<void>
}

const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'
const shortest = 900

/** Plays AWS STS as far as the basic flow needs it: AssumeRoleWithWebIdentity, by the query protocol, with XML answers. */
export async function startSts(options: StsOptions): Promise<Sts> {
  const { identityPool, credentials } = options
  const faults = createFaults()
  const now = () => (options.now?.() ?? Date.now()) + faults.skew

  async function assume(input: URLSearchParams): Promise<Reply> {
    const name = required(input, 'RoleSessionName')
    if (!/^[\w+=,.@-]{2,64}$/.test(name))
      throw invalid(`Value '${name}' at 'roleSessionName' failed to satisfy constraint`)
    const arn = required(input, 'RoleArn')
    const seconds = Number(input.get('DurationSeconds') ?? 3600)
    if (!Number.isInteger(seconds) || seconds < shortest || seconds > 43_200) {
      throw invalid("Value at 'durationSeconds' failed to satisfy constraint: between 900 and 43200")
    }
    const token = required(input, 'WebIdentityToken')
    const { payload } = await jwtVerify(token, createLocalJWKSet(identityPool.keys.jwks() as JSONWebKeySet), {
      issuer: identityIssuer,
      audience: identityPool.id,
      currentDate: new Date(now()),
    }).catch((error: { code?: string }) => {
      if (error.code === 'ERR_JWT_EXPIRED') throw new AwsError('ExpiredTokenException', 'Token expired')
      throw new AwsError('InvalidIdentityToken', "Couldn't retrieve verification key from your identity provider")
    })
    const tags = tagsOf(payload[tagsClaim])
    // STS asks the role's trust policy only: that a user's groups give this role is nothing it knows of.
    const role = identityPool.roles.find((one) => one.arn === arn)
    if (!role || (Object.keys(tags).length > 0 && role.tagSession === false)) {
      throw new AwsError('AccessDenied', 'Not authorized to perform sts:AssumeRoleWithWebIdentity', 403)
    }
    if (seconds > (role.maxSession ?? 3600)) {
      throw invalid('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.')
    }
    const identityId = String(payload.sub)
    const minted = credentials.mint({ roleArn: arn, identityId, tags, seconds })
    const assumed = arn.replace(':iam:', ':sts:').replace(':role/', ':assumed-role/')
    return xml(
      200,
      `<AssumeRoleWithWebIdentityResponse xmlns="${namespace}"><AssumeRoleWithWebIdentityResult>
<Audience>${escapeHtml(identityPool.id)}</Audience>
<AssumedRoleUser><AssumedRoleId>AROASTANDIN:${escapeHtml(name)}</AssumedRoleId><Arn>${escapeHtml(`${assumed}/${name}`)}</Arn></AssumedRoleUser>
<Provider>cognito-identity.amazonaws.com</Provider>
<Credentials><AccessKeyId>${minted.accessKeyId}</AccessKeyId><SecretAccessKey>${minted.secretAccessKey}</SecretAccessKey>
<SessionToken>${minted.sessionToken}</SessionToken><Expiration>${new Date(minted.expiresAt).toISOString()}</Expiration></Credentials>
<SubjectFromWebIdentityToken>${escapeHtml(identityId)}</SubjectFromWebIdentityToken>
</AssumeRoleWithWebIdentityResult><ResponseMetadata><RequestId>${randomUUID()}</RequestId></ResponseMetadata></AssumeRoleWithWebIdentityResponse>`,
    )
  }

  const service = await startService({
    port: options.port ?? 0,
    now,
    faults,
    operationOf: (call) => inputOf(call).get('Action') ?? '',
    errorReply: xmlError,
    handle: async (call) => {
      const input = inputOf(call)
      try {
        if (input.get('Action') !== 'AssumeRoleWithWebIdentity' || input.get('Version') !== '2011-06-15') {
          throw new AwsError('InvalidAction', `Could not find operation ${input.get('Action')}`)
        }
        return await assume(input)
      } catch (error) {
        if (error instanceof AwsError) return xmlError(error)
        throw error
      }
    },
  })
  const { url: endpoint, close } = service
  return { endpoint, faults, close, [Symbol.asyncDispose]: close }
}

const invalid = (message: string) => new AwsError('ValidationError', message)

function inputOf({ method, url, body }: Call): URLSearchParams {
  return method === 'POST' ? new URLSearchParams(body.toString('utf8')) : url.searchParams
}

function required(input: URLSearchParams, name: string): string {
  const value = input.get(name)
  if (value) return value
  throw invalid(`1 validation error detected: Value null at '${name}' failed to satisfy constraint`)
}

function tagsOf(claim: unknown): Record<string, string> {
  const tags = (claim as { principal_tags?: Record<string, string[]> } | undefined)?.principal_tags ?? {}
  return Object.fromEntries(Object.entries(tags).map(([tag, values]) => [tag, values[0] ?? '']))
}

function xml(status: number, body: string): Reply {
  return { status, headers: { 'content-type': 'text/xml' }, body }
}

function xmlError({ code, message, status }: { code: string; message: string; status: number }): Reply {
  const type = status < 500 ? 'Sender' : 'Receiver'
  return xml(
    status,
    `<ErrorResponse xmlns="${namespace}"><Error><Type>${type}</Type><Code>${code}</Code><Message>${escapeHtml(message)}</Message></Error><RequestId>${randomUUID()}</RequestId></ErrorResponse>`,
  )
}
