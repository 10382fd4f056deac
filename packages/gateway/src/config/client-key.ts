import { createPrivateKey, type KeyObject } from 'node:crypto'

/** Algorithms of client assertions: what signs with a private key. */
export type AssertionAlgorithm = 'ES256' | 'ES384' | 'ES512' | 'PS256' | 'RS256' | 'EdDSA'

/** The private key of `private_key_jwt`. The key object shows nothing of the key when something prints it. */
export interface ClientKey {
  readonly key: KeyObject
  readonly algorithm: AssertionAlgorithm
  readonly kid?: string
}

/** A key, or what is wrong with its file in words that end a sentence about it and repeat nothing of it. */
export type ReadKey = { readonly key: KeyObject; readonly algorithm: AssertionAlgorithm } | { readonly problem: string }

const curves: Readonly<Record<string, AssertionAlgorithm>> = {
  prime256v1: 'ES256',
  secp384r1: 'ES384',
  secp521r1: 'ES512',
}

/** RFC 7518 §3.5 */
const leastRsaBits = 2048

const make = 'make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256'

/** The key in a PEM text, and the algorithm that goes with it; RSA keys sign with PS256 unless told otherwise. */
export function readClientKey(pem: string): ReadKey {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    return { problem: unreadable(pem) }
  }
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key
  if (type === 'ec') {
    const algorithm = curves[details?.namedCurve ?? '']
    return algorithm ? { key, algorithm } : { problem: `holds a key on another curve than P-256; ${make}` }
  }
  if (type === 'ed25519') return { key, algorithm: 'EdDSA' }
  if (type !== 'rsa') return { problem: `holds a key that signs no assertions; ${make}` }
  const bits = details?.modulusLength ?? 0
  if (bits < leastRsaBits) return { problem: `holds an RSA key of ${bits} bits, which is too short; ${make}` }
  return { key, algorithm: 'PS256' }
}

function unreadable(pem: string): string {
  if (/-----BEGIN ENCRYPTED|Proc-Type: 4,ENCRYPTED/.test(pem)) {
    return 'has a passphrase; take it off with: openssl pkey -in FILE -out NEW'
  }
  if (pem.includes('-----BEGIN PUBLIC KEY')) return 'holds the public key; the client signs with the private one'
  if (pem.includes('-----BEGIN CERTIFICATE')) return 'holds a certificate; the client signs with the private key of it'
  return `is not a private key in PEM form; ${make}`
}
