import type { KeyRing } from '../session/key-ring.ts'
import { seal, unseal } from '../session/seal.ts'
import type { Unreadable } from '../session/sealed-record.ts'
import type { Alias, UserRecord } from './user-record.ts'
import type { StoredUser } from './user-store.ts'

/*
 * A row of the directory is sealed under a key of the gateway's ring: a stolen copy of the store tells of nobody. It has to
 * be read without the browser (by operators, and when somebody is looked for), so store and ring together open it.
 *
 *   bytes = length of key id (1) ‖ key id ‖ sealed
 *
 * Id and version are authenticated with it: a row put in the place of another, or an older copy of it (of before somebody
 * was disabled), put back under the version of today, does not open.
 */
type Row = UserRecord | Alias

export function sealUser(ring: KeyRing, at: Pick<StoredUser, 'id' | 'version'>, row: Row): Buffer {
  // Asked once: a rotation may come between two questions.
  const keyId = ring.current
  const key = ring.derive(keyId, 'user-record') as Buffer
  const sealed = seal(key, Buffer.from(JSON.stringify(row)), context(at, keyId))
  return Buffer.concat([Buffer.of(keyId.length), Buffer.from(keyId, 'latin1'), sealed])
}

export function unsealUser(ring: KeyRing, stored: StoredUser): Row | Unreadable {
  const keyId = keyOf(stored)
  const key = ring.derive(keyId, 'user-record')
  if (!key) return 'unknown-key'
  const plaintext = unseal(key, stored.bytes.subarray(1 + keyId.length), context(stored, keyId))
  return plaintext ? (JSON.parse(plaintext.toString()) as Row) : 'tampered'
}

/** The id of the key under which it is sealed. */
export function keyOf({ bytes }: Pick<StoredUser, 'bytes'>): string {
  return Buffer.from(bytes.subarray(1, 1 + (bytes[0] ?? 0))).toString('latin1')
}

const context = ({ id, version }: Pick<StoredUser, 'id' | 'version'>, keyId: string) => `user ${id} ${keyId} ${version}`
