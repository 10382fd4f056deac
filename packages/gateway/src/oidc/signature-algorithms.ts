/** What may sign: never `none`, and never an HMAC, whose secret a token's maker would share with its reader. */
export const asymmetric = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]

/** Of what discovery offers, the algorithms that are taken; RS256 where it gives no list. @see OpenID Connect Discovery §3 */
export function acceptedAlgorithms(offered: unknown): string[] {
  return asymmetric.filter((name) => (Array.isArray(offered) ? offered.includes(name) : name === 'RS256'))
}
