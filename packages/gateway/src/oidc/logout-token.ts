import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { isJsonObject } from '../protocol/strict-json.ts'
import { readPlain } from './plain-token.ts'
import { acceptedAlgorithms } from './signature-algorithms.ts'

/** Whose sessions a logout token ends: those of one sign-in (`sid`), or all of a user's at the provider (`sub` alone). */
export interface LogoutToken {
  readonly jti: string
  /** Seconds since the epoch. */
  readonly iat: number
  readonly sid: string | undefined
  readonly sub: string | undefined
}

export interface LogoutTokenRules {
  readonly issuer: string
  readonly clientId: string
  /** `strict` wants `typ: logout+jwt` and `exp`, which earlier drafts did not have. */
  readonly typ: 'strict' | 'lax'
  /** The provider's algorithms for ID tokens. */
  readonly algorithms: readonly string[] | undefined
  readonly now: number
}

const event = 'http://schemas.openid.net/event/backchannel-logout'
/** Seconds. A token older than this says nothing about now. */
const tolerance = 60
const maxAge = 10 * 60

/**
 * Every rule of the specification, in its order. @see OpenID Connect Back-Channel Logout §2.4, §2.6
 * @throws Error that says which rule the token breaks
 */
export async function verifyLogoutToken(
  token: string,
  keyOf: JWTVerifyGetKey,
  rules: LogoutTokenRules,
): Promise<LogoutToken> {
  readPlain(token)
  const { payload, protectedHeader } = await jwtVerify(token, keyOf, {
    issuer: rules.issuer,
    audience: rules.clientId,
    algorithms: acceptedAlgorithms(rules.algorithms),
    currentDate: new Date(rules.now),
    clockTolerance: tolerance,
    requiredClaims: ['iat', 'jti', 'events', ...(rules.typ === 'strict' ? ['exp'] : [])],
    ...(rules.typ === 'strict' && { typ: 'logout+jwt' }),
  })
  // Lax lets the type of earlier drafts pass, but never a token that says it is something else.
  if (rules.typ === 'lax' && !['JWT', 'LOGOUT+JWT', undefined].includes(protectedHeader.typ?.toUpperCase())) {
    throw new Error('typ is that of another kind of token')
  }
  return checkClaims(payload, Math.floor(rules.now / 1000))
}

function checkClaims({ jti, iat = 0, sub, sid, events, ...rest }: JWTPayload, now: number): LogoutToken {
  if (typeof jti !== 'string' || jti === '') throw new Error('jti is not a text')
  if (iat > now + tolerance || iat < now - maxAge) throw new Error('iat is not near now')
  const ours = isJsonObject(events) ? events[event] : undefined
  if (!isJsonObject(ours)) throw new Error('events lacks the back-channel logout event')
  // With a nonce it would pass for an ID token, or is one. @see §2.4
  if ('nonce' in rest) throw new Error('a logout token has no nonce')
  if (sid !== undefined && (typeof sid !== 'string' || sid === '')) throw new Error('sid is not a text')
  if (sub !== undefined && (typeof sub !== 'string' || sub === '')) throw new Error('sub is not a text')
  if (sid === undefined && sub === undefined) throw new Error('neither sub nor sid')
  return { jti, iat, sid: sid as string | undefined, sub }
}
