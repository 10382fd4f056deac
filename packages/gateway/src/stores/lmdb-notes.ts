import type { Database } from 'lmdb'
import type { Notes } from '../session/notes.ts'
import type { Clock } from '../session/store.ts'
import type { Conditionally } from './lmdb-commit.ts'
import { decodeNote, encodeNote, expiryEnd, hashed, noteDueKey, notedAt } from './lmdb-layout.ts'
import { assertTime } from './rules.ts'

type Keys = Database<Uint8Array, Uint8Array>

/** Entries that a sweep forgets before it looks anew. */
const sweepBatch = 256
const mark = Buffer.of(1)

/**
 * Notes in two databases of their own: by key, and by the time at which they are over. An entry's stamp is that time, so a
 * writer that was overtaken notices.
 */
export function createLmdbNotes(options: {
  notes: Keys
  /** Their keys in the order of their expiry. */
  due: Keys
  now: Clock
  /** As the store reads: fresh, and an error once closed. */
  fresh: (database: Keys) => Keys
  spare: (purpose: 'grow' | 'shrink') => void
  conditionally: Conditionally
}): Notes & { sweep(): Promise<number> } {
  const { notes, due, now, fresh, spare, conditionally } = options

  function at(key: Uint8Array) {
    const value = fresh(notes).getBinaryFast(key)
    return value && decodeNote(value)
  }

  /** One transaction, if the entry is as it was read. */
  function swap(key: Uint8Array, before: number | undefined, after?: { bytes: Uint8Array; expiresAt: number }) {
    const value = after && encodeNote(after)
    spare(after ? 'grow' : 'shrink')
    const action = () => {
      if (after && value) notes.put(key, value, after.expiresAt)
      else notes.remove(key)
      if (before !== undefined) due.remove(noteDueKey(before, key))
      if (after) due.put(noteDueKey(after.expiresAt, key), mark)
    }
    return conditionally(notes, key, { stamp: before, action })
  }

  return {
    async get(key) {
      const note = at(hashed(key))
      return note && note.expiresAt > now() ? note : undefined
    },

    async set(key, note) {
      assertTime(note.expiresAt)
      const hash = hashed(key)
      while (!(await swap(hash, at(hash)?.expiresAt, note)));
    },

    async remove(key) {
      const hash = hashed(key)
      for (;;) {
        const before = at(hash)
        if (before === undefined || (await swap(hash, before.expiresAt))) return
      }
    },

    async sweep() {
      let forgotten = 0
      let start = Buffer.alloc(1)
      for (;;) {
        const over = [...fresh(due).getKeys({ start, end: expiryEnd(now()), limit: sweepBatch })]
        const last = over.at(-1)
        if (last === undefined) return forgotten
        const gone = await Promise.all(over.map((entry) => swap(...notedAt(entry))))
        forgotten += gone.filter(Boolean).length
        start = Buffer.concat([last, Buffer.alloc(1)])
      }
    },
  }
}
