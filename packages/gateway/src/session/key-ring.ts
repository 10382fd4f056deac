import { hkdfSync } from 'node:crypto'

/** One key of the gateway's ring: 32 random bytes under a name that may be written anywhere. */
export interface RingKey {
  readonly id: string
  readonly key: Uint8Array
  /** ISO 8601. */
  readonly createdAt: string
  /** The keys before this one may have been seen by others: they sign no token any more. See signing-schedule.ts. */
  readonly withdraws?: true
}

/**
 * The gateway's half of every secret. The newest key seals; all of them open, so that replacing a key signs nobody out.
 * A key is never used as it is: each purpose derives its own (RFC 5869).
 */
export interface KeyRing {
  /** The id of the key that seals now. */
  readonly current: string
  /** All of them by name and date, oldest first. */
  readonly keys: readonly Omit<RingKey, 'key'>[]
  /** The id of the key that is longest in the ring: for names that should outlive a rotation. */
  readonly oldest: string
  /** 32 bytes for one purpose, or undefined if the ring has no such key. The result is kept: call it freely. */
  derive(keyId: string, purpose: KeyPurpose): Buffer | undefined
  /** 32 bytes from a secret of the caller and the ring's key together: neither alone gives them. */
  combine(keyId: string, secret: string, purpose: string): Buffer | undefined
}

export type KeyPurpose =
  | 'session-record'
  | 'login-transaction'
  | 'log-hash'
  | 'token-revocation'
  | 'admin-cursor'
  | 'signals-state'
  | 'token-signing'
  | 'form-token'
  | 'identity-note'
  | 'user-record'

export function createKeyRing(keys: readonly RingKey[]): KeyRing {
  const [oldest, newest] = [keys[0], keys.at(-1)]
  if (oldest === undefined || newest === undefined) throw new TypeError('a key ring needs at least one key')
  const byId = new Map(keys.map((key) => [key.id, key.key]))
  const derived = new Map<string, Buffer>()

  return {
    current: newest.id,
    keys: keys.map(({ key: _, ...named }) => named),
    oldest: oldest.id,
    derive(keyId, purpose) {
      const name = `${keyId}/${purpose}`
      const known = derived.get(name)
      if (known) return known
      const key = byId.get(keyId)
      if (!key) return undefined
      const fresh = Buffer.from(hkdfSync('sha256', key, '', `coatcheck ${purpose} v1`, 32))
      derived.set(name, fresh)
      return fresh
    },
    combine(keyId, secret, purpose) {
      const key = byId.get(keyId)
      return key && Buffer.from(hkdfSync('sha256', secret, key, `coatcheck ${purpose} v1`, 32))
    },
  }
}
