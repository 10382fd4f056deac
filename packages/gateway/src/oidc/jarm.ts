import { type JWTVerifyGetKey, jwtVerify } from 'jose'
import { acceptedAlgorithms } from './signature-algorithms.ts'

export interface SignedResponseRules {
  readonly issuer: string
  readonly clientId: string
  /** `authorization_signing_alg_values_supported` of the provider. */
  readonly algorithms: unknown
  readonly now: number
}

/** Seconds that clocks may differ, and that a response may be old: it was made for this very redirect. */
const tolerance = 60
const longestLife = 60 * 60

/**
 * The parameters in a signed authorization response. Nothing of it is read before signature, issuer, audience and expiry
 * hold; what comes out is then checked as if it had stood in the address. @see JARM §2.1, §2.4
 * @throws Error that says which rule the response breaks
 */
export async function openSignedResponse(
  response: string,
  keyOf: JWTVerifyGetKey,
  rules: SignedResponseRules,
): Promise<URLSearchParams> {
  const { payload } = await jwtVerify(response, keyOf, {
    issuer: rules.issuer,
    algorithms: acceptedAlgorithms(rules.algorithms),
    currentDate: new Date(rules.now),
    clockTolerance: tolerance,
    requiredClaims: ['iss', 'aud', 'exp'],
  })
  const audience = Array.isArray(payload.aud) ? payload.aud : [payload.aud]
  // An answer that is meant for another client as well could be played on to us by that client.
  if (audience.length !== 1 || audience[0] !== rules.clientId) throw new Error('aud of the response is not this client')
  if (Number(payload.exp) > rules.now / 1000 + longestLife) throw new Error('exp of the response is far away')
  // A logout token or an ID token of the same issuer is signed by the same keys: neither has a state.
  if (typeof payload.state !== 'string') throw new Error('the response has no state')
  const texts = Object.entries(payload).filter(([name, value]) => typeof value === 'string' && name !== 'aud')
  return new URLSearchParams(texts as [string, string][])
}
