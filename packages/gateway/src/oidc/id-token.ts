import { hash } from 'node:crypto'
import type * as oauth from 'oauth4webapi'

/** Seconds that an ID token may lie in the future (clocks differ) or in the past (it was made for this very sign-in). */
const clockTolerance = 60
const maxAge = 10 * 60

/**
 * What OpenID Connect Core §3.1.3.7 asks beyond what the library has checked (iss, aud, exp, nonce, alg): no audience and
 * no authorized party besides us, an `iat` near now, and the access token of the same answer where the token names it.
 */
export function checkIdToken(
  claims: oauth.IDToken,
  answer: { idToken: string; accessToken: string; clientId: string; now: number },
): void {
  const audience = typeof claims.aud === 'string' ? [claims.aud] : claims.aud
  // Rule 3: an audience that we don't know could present the same token to us as its own.
  if (audience.length !== 1 || audience[0] !== answer.clientId) {
    throw new Error('the ID token has an audience besides this client')
  }
  // §2: a name for a user, of at most 255 characters. An empty one would be the same user for everybody.
  if (claims.sub === '' || claims.sub.length > 255) throw new Error('sub of the ID token names no user')
  // Rule 5: the library looks at azp only where there are several audiences.
  if (claims.azp !== undefined && claims.azp !== answer.clientId) {
    throw new Error('azp of the ID token is another client')
  }
  const seconds = Math.floor(answer.now / 1000)
  if (claims.iat > seconds + clockTolerance || claims.iat < seconds - maxAge) {
    throw new Error('iat of the ID token is not near now')
  }
  // It becomes the time of the sign-in: one to come would make every later demand for a fresh one look fulfilled.
  if (claims.auth_time !== undefined && claims.auth_time > seconds + clockTolerance) {
    throw new Error('auth_time of the ID token is to come')
  }
  if (claims.at_hash !== undefined && claims.at_hash !== accessTokenHash(answer.idToken, answer.accessToken)) {
    throw new Error('at_hash of the ID token is not that of the access token')
  }
}

/** Left half of the hash that the signature's algorithm names, in base64url. @see OpenID Connect Core §3.1.3.6 */
function accessTokenHash(idToken: string, accessToken: string): string {
  const { alg } = JSON.parse(Buffer.from(idToken.slice(0, idToken.indexOf('.')), 'base64url').toString()) as {
    alg: string
  }
  const bits = alg.slice(-3)
  const algorithm = bits === '384' ? 'sha384' : bits === '512' || alg.startsWith('Ed') ? 'sha512' : 'sha256'
  const digest = hash(algorithm, accessToken, 'buffer')
  return digest.subarray(0, digest.length / 2).toString('base64url')
}
