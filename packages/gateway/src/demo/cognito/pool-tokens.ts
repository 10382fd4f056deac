import { createHash, randomUUID } from 'node:crypto'
import type { Grant } from './pool-grants.ts'
import type { PoolKeys } from './pool-keys.ts'
import type { PoolLifetimes, PoolUser } from './pool-settings.ts'
import type { PoolUsers } from './pool-users.ts'

interface TokenParts {
  readonly issuer: string
  readonly keys: PoolKeys
  readonly users: PoolUsers
  readonly lifetimes: PoolLifetimes
  readonly now: () => number
}

export interface IssuedTokens {
  readonly access_token: string
  readonly id_token?: string
  readonly token_type: 'Bearer'
  readonly expires_in: number
}

export type IssueTokens = (grant: Grant) => Promise<IssuedTokens>

/** The pool's tokens, claim by claim as the real one writes them. */
export function createTokenIssuer({ issuer, keys, users, lifetimes, now }: TokenParts): IssueTokens {
  return async (grant) => {
    const { user, scopes, clientId } = grant
    const iat = Math.floor(now() / 1000)
    const groups = users.groupsOf(user)
    const common = {
      sub: user.sub,
      ...(groups.length > 0 && { 'cognito:groups': [...groups] }),
      iss: issuer,
      origin_jti: grant.originJti,
      event_id: randomUUID(),
      auth_time: grant.authTime,
      iat,
      jti: randomUUID(),
    }
    // No `aud`: the application is told by client_id.
    const access_token = await keys.sign(
      {
        ...common,
        version: 2,
        client_id: clientId,
        token_use: 'access',
        scope: scopes.join(' '),
        username: user.username,
        exp: iat + lifetimes.accessToken,
      },
      1,
    )
    const answer = { access_token, token_type: 'Bearer', expires_in: lifetimes.accessToken } as const
    if (!scopes.includes('openid')) return answer
    const { roles, preferred } = users.rolesOf(groups)
    const id_token = await keys.sign({
      ...attributeClaims(user, scopes),
      ...common,
      at_hash: halfHash(access_token),
      'cognito:username': user.username,
      ...(roles.length > 0 && { 'cognito:roles': roles }),
      ...(preferred !== undefined && { 'cognito:preferred_role': preferred }),
      ...(user.identity && { identities: identitiesOf(user) }),
      ...(grant.nonce !== undefined && { nonce: grant.nonce }),
      aud: clientId,
      token_use: 'id',
      exp: iat + lifetimes.idToken,
    })
    return { ...answer, id_token }
  }
}

/** @see OpenID Connect Core §3.1.3.6 */
function halfHash(token: string): string {
  return createHash('sha256').update(token).digest().subarray(0, 16).toString('base64url')
}

/** Strings all the way, `primary` and the date too. */
function identitiesOf({ identity }: PoolUser) {
  if (!identity) return []
  const { userId, providerName, dateCreated } = identity
  return [
    { userId, providerName, providerType: 'OIDC', issuer: null, primary: 'true', dateCreated: String(dateCreated) },
  ]
}

const emailClaims = ['email', 'email_verified']

/** `openid` alone and `profile` release every attribute; `email` only those of the address. */
function released(user: PoolUser, scopes: readonly string[]): Array<[string, string]> {
  const all = [...user.attributes]
  const narrowed = scopes.includes('email') || scopes.includes('phone')
  if (scopes.includes('profile') || !narrowed) return all
  return all.filter(([name]) => scopes.includes('email') && emailClaims.includes(name))
}

/** In the ID token the *_verified claims are booleans. */
function attributeClaims(user: PoolUser, scopes: readonly string[]): Record<string, unknown> {
  const claims = released(user, scopes)
  return Object.fromEntries(
    claims.map(([name, value]) => [name, name.endsWith('_verified') ? value === 'true' : value]),
  )
}

/** UserInfo: everything a string, also `email_verified` and the list of identities. */
export function userInfoOf(user: PoolUser, scopes: readonly string[]): Record<string, string> {
  return {
    sub: user.sub,
    ...Object.fromEntries(released(user, scopes)),
    ...(user.identity && { identities: JSON.stringify(identitiesOf(user)) }),
    username: user.username,
  }
}

export { identitiesOf }
