import { createPublicKey, type KeyObject } from 'node:crypto'

/** How the content key is wrapped for the one who may read. */
export type KeyWrapping = 'ECDH-ES+A256KW' | 'RSA-OAEP-256'

/** The public key of an upstream, for which tokens are encrypted. */
export interface EncryptionKey {
  readonly key: KeyObject
  readonly algorithm: KeyWrapping
  readonly kid?: string
}

/** A key, or what is wrong with its file in words that end a sentence about it and repeat nothing of it. */
export type ReadEncryptionKey = EncryptionKey | { readonly problem: string }

const curves: ReadonlySet<unknown> = new Set(['P-256', 'P-384', 'P-521', 'X25519'])

/** RFC 7518 §4.3 */
const leastRsaBits = 2048

const expected = 'write the public JWK of the upstream: kty EC (P-256, P-384, P-521), OKP (X25519) or RSA'

/**
 * The key in a JWK text, and the algorithm that goes with its kind.
 * @see RFC 7517 §4 · RFC 7518 §4.3, §4.6
 */
export function readEncryptionKey(text: string): ReadEncryptionKey {
  let jwk: Readonly<Record<string, unknown>> | null
  try {
    jwk = JSON.parse(text)
  } catch {
    return { problem: `is not JSON; ${expected}` }
  }
  if (typeof jwk !== 'object' || jwk === null) return { problem: `is not a JWK; ${expected}` }
  if (jwk.keys !== undefined) return { problem: 'holds a set of keys; write the one that is meant' }
  // Who holds the private key can read the tokens: it is the upstream's alone.
  if (jwk.d !== undefined || jwk.k !== undefined) return { problem: 'holds a private key; the upstream keeps that' }
  if (jwk.use !== undefined && jwk.use !== 'enc') return { problem: 'holds a key that is not for encryption (use)' }
  const algorithm = algorithmOf(jwk)
  if (algorithm === undefined) return { problem: `holds a key that nothing is encrypted for; ${expected}` }
  if (jwk.alg !== undefined && jwk.alg !== algorithm) return { problem: `wants another alg than ${algorithm}` }
  let key: KeyObject
  try {
    key = createPublicKey({ key: jwk, format: 'jwk' })
  } catch {
    return { problem: `is not a usable JWK; ${expected}` }
  }
  const bits = key.asymmetricKeyDetails?.modulusLength ?? leastRsaBits
  if (bits < leastRsaBits) return { problem: `holds an RSA key of ${bits} bits, which is too short` }
  return { key, algorithm, ...(typeof jwk.kid === 'string' && { kid: jwk.kid }) }
}

function algorithmOf({ kty, crv }: Readonly<Record<string, unknown>>): KeyWrapping | undefined {
  if (kty === 'RSA') return 'RSA-OAEP-256'
  return (kty === 'EC' || kty === 'OKP') && curves.has(crv) ? 'ECDH-ES+A256KW' : undefined
}
