import { createPrivateKey, hkdfSync, type KeyObject } from 'node:crypto'
import { publicJwk } from '../oidc/dpop-key.ts'
import type { KeyRing } from '../session/key-ring.ts'
import { signingSchedule } from '../session/signing-schedule.ts'

/** A public key as upstreams read it. @see RFC 7517 §4 */
export interface PublishedKey {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
  readonly use: 'sig'
  readonly alg: 'ES256'
  readonly kid: string
}

export interface MintingKeys {
  /** The key that signs now. */
  signer(): { readonly kid: string; readonly key: KeyObject }
  /** Whether upstreams are told of a key; as of a second ago at most, since a look at the ring is I/O. */
  isPublished(kid: string, now: number): boolean
  /** What upstreams need to check every token that may be under way, or soon will. */
  published(): PublishedKey[]
}

/**
 * The keys of the tokens that the gateway mints. Each follows from a key of the ring, as all our keys do: nothing more has
 * to be kept, shared, rotated or lost, and an old ring has them too. When it signs: see session/signing-schedule.ts.
 */
export function createMintingKeys(ring: KeyRing, now: () => number): MintingKeys {
  const made = new Map<string, { kid: string; key: KeyObject; jwk: PublishedKey }>()

  function keyOf(kid: string) {
    const known = made.get(kid)
    if (known) return known
    const seed = ring.derive(kid, 'token-signing')
    if (seed === undefined) throw new Error('the key ring lost a key between two looks')
    const d = privateScalar(seed)
    const { crv, kty, x, y } = publicJwk(d)
    const key = createPrivateKey({ key: { crv, kty, x, y, d }, format: 'jwk' })
    const fresh = { kid, key, jwk: { kty, crv, x, y, use: 'sig', alg: 'ES256', kid } as const }
    made.set(kid, fresh)
    return fresh
  }

  let looked = Number.NEGATIVE_INFINITY
  let known = new Set<string>()

  return {
    isPublished(kid, at) {
      if (Math.abs(at - looked) >= 1000) {
        looked = at
        known = new Set(signingSchedule(ring.keys, at).published.map(({ id }) => id))
      }
      return known.has(kid)
    },
    signer: () => keyOf(signingSchedule(ring.keys, now()).signs.id),
    published: () => signingSchedule(ring.keys, now()).published.map(({ id }) => keyOf(id).jwk),
  }
}

/** The order of the group of P-256. */
const order = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n

/** From 128 bits more than the order has, so that no scalar is likelier than another. @see FIPS 186-5 A.2.1 */
function privateScalar(seed: Uint8Array): string {
  const wide = Buffer.from(hkdfSync('sha256', seed, '', 'ES256 private key', 48))
  const scalar = (BigInt(`0x${wide.toString('hex')}`) % (order - 1n)) + 1n
  return Buffer.from(scalar.toString(16).padStart(64, '0'), 'hex').toString('base64url')
}
