import { type JWTVerifyGetKey, jwtVerify } from 'jose'
import { readPlain } from '../oidc/plain-token.ts'
import { asymmetric } from '../oidc/signature-algorithms.ts'

export interface RevocationTokenRules {
  readonly issuer: string
  /** The address of the endpoint, as the caller has it registered. */
  readonly audience: string
  /** `sub` that was configured: it must be this. */
  readonly caller: string | undefined
  /** Our client id at the caller: what `sub` is usually. */
  readonly clientId: string | undefined
  /** Milliseconds since the epoch. */
  readonly now: number
}

const ownType = 'GLOBAL-TOKEN-REVOCATION+JWT'
/** Seconds. The draft recommends tokens of five minutes; an older one says nothing about now. */
const tolerance = 60
const maxAge = 10 * 60

/**
 * Who calls for a revocation: a token that the identity provider signed for this very endpoint. Resolves to its `jti`.
 * @see draft-parecki-oauth-global-token-revocation-06 §3.5
 * @throws Error that says which rule the token breaks, or a `ProviderFault`
 */
export async function verifyRevocationToken(
  token: string,
  keyOf: JWTVerifyGetKey,
  rules: RevocationTokenRules,
): Promise<string> {
  readPlain(token)
  const { payload, protectedHeader } = await jwtVerify(token, keyOf, {
    issuer: rules.issuer,
    audience: rules.audience,
    algorithms: [...asymmetric],
    currentDate: new Date(rules.now),
    clockTolerance: tolerance,
    requiredClaims: ['iss', 'sub', 'aud', 'jti', 'iat', 'exp'],
  })
  const { jti, iat = 0, sub } = payload
  const now = Math.floor(rules.now / 1000)
  if (typeof jti !== 'string' || jti === '') throw new Error('jti is not a text')
  if (typeof sub !== 'string' || sub === '') throw new Error('sub is not a text')
  if (iat > now + tolerance || iat < now - maxAge) throw new Error('iat is not near now')
  if (rules.caller !== undefined && sub !== rules.caller) throw new Error('sub is not the configured caller')
  const typ = protectedHeader.typ?.toUpperCase()
  if (typ === ownType || typ === `APPLICATION/${ownType}`) return jti
  // The draft gives it no type. Without one it could be an access token that somebody got for our address as its audience,
  // so it must be about the client itself, as no token of a user is. @see RFC 8725 §3.11, §3.12
  if (typ !== undefined && typ !== 'JWT') throw new Error('typ is that of another kind of token')
  if (sub !== (rules.caller ?? rules.clientId)) throw new Error('neither typ nor sub is that of a caller')
  return jti
}
