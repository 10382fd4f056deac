import { indicesOf } from './indices.ts'
import type { KeyRing } from './key-ring.ts'
import type { SessionRecord } from './record.ts'
import { sealRecord, splitSealed, type Unreadable, unsealRecord } from './sealed-record.ts'
import type { EndReason, SessionId, SessionStore } from './store.ts'
import { expiresAt, type Timeouts, tombstoneLifetime } from './timeouts.ts'

/** A session as it lies in the store: its record opened, its tokens still sealed. */
export interface Row {
  readonly kind: 'row'
  readonly version: number
  readonly record: SessionRecord
  /** Sealed under the data key, which takes the cookie. */
  readonly tokens: Uint8Array
}

export type ReadRow =
  | Row
  | { readonly kind: 'missing' }
  | { readonly kind: 'ended'; readonly reason: EndReason }
  | { readonly kind: 'unreadable'; readonly why: Unreadable }

export interface Rows {
  read(id: SessionId): Promise<ReadRow>
  /** Compare-and-set; false if another writer won or the session is over. `expected`: undefined for a new session. */
  write(id: SessionId, expected: number | undefined, record: SessionRecord, tokens: Uint8Array): Promise<boolean>
  /**
   * Changes a row that may be changing under us: reads, asks `change`, writes, and begins again when another writer won.
   * Undefined when the session is over, or when `change` returned undefined to leave it as it is.
   */
  update(id: SessionId, change: (row: Row) => Pick<Row, 'record' | 'tokens'> | undefined): Promise<Row | undefined>
}

export function createRows(options: { store: SessionStore; ring: KeyRing; timeouts: Timeouts }): Rows {
  const { store, ring, timeouts } = options

  async function read(id: SessionId): Promise<ReadRow> {
    const stored = await store.get(id)
    if (stored === undefined) return { kind: 'missing' }
    if ('ended' in stored) return { kind: 'ended', reason: stored.ended }
    const parts = splitSealed(stored.bytes)
    if (!parts) return { kind: 'unreadable', why: 'tampered' }
    const record = unsealRecord(ring, id, stored.version, parts)
    if (typeof record === 'string') return { kind: 'unreadable', why: record }
    return { kind: 'row', version: stored.version, record, tokens: parts.tokens }
  }

  async function write(id: SessionId, expected: number | undefined, record: SessionRecord, tokens: Uint8Array) {
    const version = (expected ?? 0) + 1
    return await store.put(
      {
        id,
        version,
        bytes: sealRecord(ring, id, version, record, tokens),
        // The row outlives the session a little, so that a late request hears "ended" rather than "never heard of it".
        expiresAt: expiresAt(record.lastSeenAt, record.absoluteExpiresAt, timeouts) + tombstoneLifetime,
        indices: indicesOf(record),
      },
      expected,
    )
  }

  async function update(id: SessionId, change: (row: Row) => Pick<Row, 'record' | 'tokens'> | undefined) {
    for (;;) {
      const row = await read(id)
      if (row.kind !== 'row') return undefined
      const next = change(row)
      if (next === undefined) return undefined
      if (await write(id, row.version, next.record, next.tokens)) {
        return { kind: 'row' as const, version: row.version + 1, record: next.record, tokens: next.tokens }
      }
    }
  }

  return { read, write, update }
}
