import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Grant, PoolGrants } from './pool-grants.ts'
import type { PoolKeys } from './pool-keys.ts'

/** Why the pool's own APIs refuse an access token. */
export class AccessTokenError extends Error {}

export type CheckAccessToken = (token: string) => Promise<Grant>

/** How the pool's own APIs look at access tokens: revoked ones are refused here, though they still verify elsewhere. */
export function createAccessCheck({
  keys,
  grants,
  issuer,
  now,
}: {
  keys: PoolKeys
  grants: PoolGrants
  issuer: string
  now: () => number
}): CheckAccessToken {
  return async (token) => {
    const verified = await jwtVerify(token, createLocalJWKSet(keys.jwks() as JSONWebKeySet), {
      issuer,
      currentDate: new Date(now()),
    }).catch((error: { code?: string }) => {
      const expired = error.code === 'ERR_JWT_EXPIRED'
      throw new AccessTokenError(expired ? 'Access Token has expired' : 'Invalid Access Token')
    })
    const { token_use, origin_jti } = verified.payload
    const grant = token_use === 'access' ? grants.grantOf(String(origin_jti)) : undefined
    if (!grant) throw new AccessTokenError('Invalid Access Token')
    if (grant.revoked) throw new AccessTokenError('Access Token has been revoked')
    if (!grant.user.enabled) throw new AccessTokenError('User is disabled.')
    return grant
  }
}
