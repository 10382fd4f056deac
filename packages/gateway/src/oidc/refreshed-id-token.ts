import { decodeJwt } from 'jose'
import type * as oauth from 'oauth4webapi'
import type { SignInFacts, Tokens } from '../session/record.ts'
import { checkIdToken } from './id-token.ts'

/** What the ID token of the sign-in said, to which each refreshed one is held. */
export function signInTold({ iss, iat, nonce, auth_time }: oauth.IDToken): SignInFacts {
  return {
    ...{ iss, iat },
    ...(typeof nonce === 'string' && { nonce }),
    ...(auth_time !== undefined && { authTime: auth_time }),
  }
}

/** Sessions of before this was kept have their latest ID token only. */
export function signInOf(tokens: Tokens): SignInFacts {
  return tokens.signIn ?? signInTold(decodeJwt(tokens.idToken) as unknown as oauth.IDToken)
}

/**
 * A refreshed ID token is about the same sign-in of the same user at the same issuer, or the answer is worth nothing: a
 * swapped refresh token would make the session somebody else's, and a later auth_time would pass for a re-authentication
 * that nobody made. Signature, expiry and types are checked already. @see OpenID Connect Core §12.2
 * @throws Error that says which rule it breaks
 */
export function checkRefreshedIdToken(
  claims: oauth.IDToken,
  signIn: SignInFacts,
  answer: { idToken: string; accessToken: string; clientId: string; sub: string; now: number },
): void {
  if (claims.iss !== signIn.iss) throw new Error('the refreshed ID token has another iss')
  if (claims.sub !== answer.sub) throw new Error('the refreshed ID token has another sub')
  // aud, azp, iat and at_hash by the rules of a sign-in: the audience was this client alone, and still is.
  checkIdToken(claims, answer)
  if (claims.nonce !== undefined && claims.nonce !== signIn.nonce) {
    throw new Error('the refreshed ID token has another nonce')
  }
  if (claims.auth_time === undefined) return
  // Where the sign-in told none, it happened before its own ID token was made.
  const told = signIn.authTime
  if (told === undefined ? claims.auth_time > signIn.iat : claims.auth_time !== told) {
    throw new Error('the refreshed ID token has another auth_time')
  }
}
