import type { IdentityPoolConfig } from '../../config/identity-pool-schema.ts'
import type { LiveSession } from '../../session/record.ts'
import type { AwsCredentials } from './credentials.ts'
import { type FailureKind, failureKindOf, reasonOf } from './failures.ts'
import type { Identities } from './identities.ts'
import type { IdentityCalls, PoolAddress } from './identity-sdk.ts'
import { roleOf } from './role.ts'

/** Whose credentials: of which pool, by which name of the issuer there, and which role if not the pool's choice. */
export interface Wanted {
  readonly pool: IdentityPoolConfig
  readonly loginsKey: string
  readonly roleArn: string | undefined
}

export type PoolAnswer =
  | { readonly kind: 'usable'; readonly credentials: AwsCredentials }
  | { readonly kind: FailureKind; readonly cause: unknown }

/** The way from an ID token to credentials: which role, whose identity, which flow. Never rejects. */
export function createPoolQuestion(options: {
  readonly identities: Identities
  readonly callsOf: (pool: PoolAddress) => IdentityCalls
  /** Milliseconds for one call, and for all that one request waits for. */
  readonly timeouts: { readonly call: number; readonly all: number }
}) {
  const { identities, callsOf, timeouts } = options
  const calls = new Map<string, IdentityCalls>()

  function callsTo(pool: IdentityPoolConfig): IdentityCalls {
    const address = addressOf(pool)
    const key = JSON.stringify(address)
    const known = calls.get(key) ?? callsOf(address)
    calls.set(key, known)
    return known
  }

  return async ({ record, tokens }: LiveSession, { pool, loginsKey, roleArn }: Wanted): Promise<PoolAnswer> => {
    const role = roleOf(pool, roleArn, tokens.idToken)
    if (role.kind === 'none') return { kind: 'denied', cause: role.reason }
    const logins = { [loginsKey]: tokens.idToken }
    const all = AbortSignal.timeout(timeouts.all)
    const within = () => AbortSignal.any([all, AbortSignal.timeout(timeouts.call)])
    const { iss, sub } = record.subject
    // Never by the session, the name of the user or the role alone: user 2 would get the identity of user 1.
    const whose = JSON.stringify([pool.id, pool.endpoint, loginsKey, iss, sub])
    try {
      const to = callsTo(pool)
      const identityId = await identities.idOf(whose, () => to.getId(logins, within()))
      const { arn } = role
      const keys =
        pool.flow === 'basic' && arn !== undefined
          ? await to.assumeRole(identityId, { logins, roleArn: arn, name: sessionName(sub) }, within())
          : await to.getCredentials(identityId, { logins, roleArn: arn }, within())
      return { kind: 'usable', credentials: { ...keys, identityId } }
    } catch (cause) {
      // The identity was deleted in the pool: the next try asks for the new one.
      if (cause instanceof Error && cause.name === 'ResourceNotFoundException') {
        await identities.forget(whose).catch(() => {})
      }
      return { kind: failureKindOf(cause), cause: reasonOf(cause, [tokens.idToken, tokens.accessToken]) }
    }
  }
}

export function addressOf({ id, endpoint, stsEndpoint, region }: IdentityPoolConfig): PoolAddress {
  return { id, region: region ?? id.slice(0, id.indexOf(':')), endpoint, stsEndpoint }
}

/** In CloudTrail one finds the user by it. @see AssumeRoleWithWebIdentity, RoleSessionName */
function sessionName(sub: string): string {
  return sub
    .replace(/[^\w+=,.@-]/g, '-')
    .slice(0, 64)
    .padEnd(2, '-')
}
