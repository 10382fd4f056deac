import { randomBytes } from 'node:crypto'
import type { KeyRing } from './key-ring.ts'
import type { Generation, SessionRecord, Tokens } from './record.ts'
import { seal, unseal } from './seal.ts'
import type { SessionId } from './store.ts'

/*
 * Split-key sealing. A stored session is two sealed parts:
 *
 *   record   under a key of the gateway's ring: what the gateway must know without the browser (who, until when)
 *   tokens   under a random data key, which is kept only wrapped under HKDF(secret of the cookie, key of the ring)
 *
 * A stolen copy of the store opens nothing. The store and the ring together open the records, but no token: that takes
 * the cookie, which only the browser has. Deleting the row shreds the tokens. (A token that waits to be revoked is another
 * matter: oidc/revocation-queue.ts.)
 *
 *   bytes = layout (1) ‖ length of key id (1) ‖ key id ‖ length of record (4, big-endian) ‖ record ‖ tokens
 */
const layout = 1

export interface SealedParts {
  readonly keyId: string
  readonly record: Uint8Array
  readonly tokens: Uint8Array
}

/** Why stored bytes do not open: `tampered` ends the session, `unknown-key` is an operator's mistake and does not. */
export type Unreadable = 'tampered' | 'unknown-key'

export function splitSealed(bytes: Uint8Array): SealedParts | undefined {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.length < 6 || view[0] !== layout) return undefined
  const keyIdEnd = 2 + (view[1] as number)
  if (view.length < keyIdEnd + 4) return undefined
  const recordEnd = keyIdEnd + 4 + view.readUInt32BE(keyIdEnd)
  if (view.length < recordEnd) return undefined
  return {
    keyId: view.toString('latin1', 2, keyIdEnd),
    record: view.subarray(keyIdEnd + 4, recordEnd),
    tokens: view.subarray(recordEnd),
  }
}

function joinSealed(parts: SealedParts): Buffer {
  const keyId = Buffer.from(parts.keyId, 'latin1')
  const length = Buffer.alloc(4)
  length.writeUInt32BE(parts.record.length)
  return Buffer.concat([Buffer.from([layout, keyId.length]), keyId, length, parts.record, parts.tokens])
}

/** The version is part of what is authenticated: an older copy of a row, put back, does not open. */
const recordContext = (id: SessionId, keyId: string, version: number) => `record ${id} ${keyId} ${version}`
const tokensContext = (id: SessionId) => `tokens ${id}`
const keptContext = (id: SessionId, name: string) => `kept ${id} ${name}`
const wrapContext = (id: SessionId, keyId: string, generation: number) => `wrap ${id} ${keyId} ${generation}`

export function sealRecord(
  ring: KeyRing,
  id: SessionId,
  version: number,
  record: SessionRecord,
  tokens: Uint8Array,
): Buffer {
  // Asked once: a rotation may come between two questions.
  const keyId = ring.current
  const key = ring.derive(keyId, 'session-record') as Buffer
  const sealed = seal(key, Buffer.from(JSON.stringify(record)), recordContext(id, keyId, version))
  return joinSealed({ keyId, record: sealed, tokens })
}

export function unsealRecord(
  ring: KeyRing,
  id: SessionId,
  version: number,
  parts: SealedParts,
): SessionRecord | Unreadable {
  const key = ring.derive(parts.keyId, 'session-record')
  if (!key) return 'unknown-key'
  const plaintext = unseal(key, parts.record, recordContext(id, parts.keyId, version))
  return plaintext ? (JSON.parse(plaintext.toString()) as SessionRecord) : 'tampered'
}

/** A fresh data key, and the tokens under it. */
export function sealTokens(
  id: SessionId,
  tokens: Tokens,
  dataKey: Buffer = randomBytes(32),
): { sealed: Buffer; dataKey: Buffer } {
  return { sealed: seal(dataKey, Buffer.from(JSON.stringify(tokens)), tokensContext(id)), dataKey }
}

export function unsealTokens(id: SessionId, sealed: Uint8Array, dataKey: Uint8Array): Tokens | undefined {
  const plaintext = unseal(dataKey, sealed, tokensContext(id))
  return plaintext && (JSON.parse(plaintext.toString()) as Tokens)
}

/** What is kept beside the tokens, under the same data key: its name is authenticated, so that none opens in another's place. */
export function sealKept(id: SessionId, name: string, text: string, dataKey: Uint8Array): string {
  return seal(dataKey, Buffer.from(text), keptContext(id, name)).toString('base64url')
}

export function unsealKept(id: SessionId, name: string, sealed: string, dataKey: Uint8Array): string | undefined {
  return unseal(dataKey, Buffer.from(sealed, 'base64url'), keptContext(id, name))?.toString()
}

/** Wraps the data key for one cookie value. */
export function wrapDataKey(
  ring: KeyRing,
  id: SessionId,
  generation: { number: number; secret: string },
  dataKey: Uint8Array,
): NonNullable<Generation['wrapped']> {
  const keyId = ring.current
  const wrapping = ring.combine(keyId, generation.secret, 'data-key') as Buffer
  return { keyId, key: seal(wrapping, dataKey, wrapContext(id, keyId, generation.number)).toString('base64url') }
}

export function unwrapDataKey(
  ring: KeyRing,
  id: SessionId,
  generation: Generation,
  secret: string,
): Buffer | Unreadable {
  if (generation.wrapped === undefined) return 'tampered'
  const { keyId, key } = generation.wrapped
  const wrapping = ring.combine(keyId, secret, 'data-key')
  if (!wrapping) return 'unknown-key'
  return unseal(wrapping, Buffer.from(key, 'base64url'), wrapContext(id, keyId, generation.number)) ?? 'tampered'
}
