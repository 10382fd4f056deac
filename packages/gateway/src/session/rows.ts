import { indicesOf } from './indices.ts'
import type { KeyRing } from './key-ring.ts'
import type { Transition } from './machine.ts'
import type { SessionRecord } from './record.ts'
import { sealRecord, splitSealed, type Unreadable, unsealRecord } from './sealed-record.ts'
import type { Clock, EndReason, SessionId, SessionStore } from './store.ts'
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
   * Makes a transition of a row that may be changing under us: reads, asks `step`, writes, and begins again when another
   * writer won. `tokens`: sealed anew together with it. Undefined when the session is over, or the transition does not apply.
   * `known`: the row as this process has just written it, tried first. A lost swap tells that it is another by now.
   */
  change(
    id: SessionId,
    step: (record: SessionRecord) => Transition<string> & { tokens?: Uint8Array },
    known?: Row,
  ): Promise<Row | undefined>
  /**
   * Ends a session for good; false if it was over already. With `holds` only while that is true of its record, as no other
   * writer has changed it meanwhile: a judgement of one process must not undo what another has written since.
   */
  end(id: SessionId, reason: EndReason, holds?: (record: SessionRecord) => boolean): Promise<boolean>
}

export function createRows(options: { store: SessionStore; ring: KeyRing; timeouts: Timeouts; now: Clock }): Rows {
  const { store, ring, timeouts, now } = options

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

  const change: Rows['change'] = async (id, step, known) => {
    for (let row: ReadRow = known ?? (await read(id)); ; row = await read(id)) {
      if (row.kind !== 'row') return undefined
      const next = step(row.record)
      if ('no' in next) return undefined
      const { to: record, tokens = row.tokens } = next
      if (await write(id, row.version, record, tokens)) return { kind: 'row', version: row.version + 1, record, tokens }
    }
  }

  const end: Rows['end'] = async (id, ended, holds) => {
    const tombstone = () => ({ id, ended, expiresAt: now() + tombstoneLifetime })
    if (holds === undefined) return await store.end(tombstone())
    for (;;) {
      const row = await read(id)
      if (row.kind !== 'row' || !holds(row.record)) return false
      if (await store.end(tombstone(), row.version)) return true
    }
  }

  return { read, write, change, end }
}
