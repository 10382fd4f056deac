import type { Database } from 'lmdb'
import type { Outbox, OutboxEntry } from '../session/outbox.ts'
import type { Clock } from '../session/store.ts'
import type { Conditionally } from './lmdb-commit.ts'
import { decodeWaiting, encodeWaiting, expiryEnd, waitingKey } from './lmdb-layout.ts'
import { assertLimit, assertTime } from './rules.ts'

type Keys = Database<Uint8Array, Uint8Array>

/**
 * The outbox in a database of its own, ordered by due time. An entry's key changes with that time, and its stamp counts
 * the attempts: both must be as they were read for a change to happen, whichever process makes it.
 */
export function createLmdbOutbox(options: {
  database: Keys
  now: Clock
  /** As the store reads: fresh, and an error once closed. */
  fresh: (database: Keys) => Keys
  spare: (purpose: 'grow' | 'shrink') => void
  conditionally: Conditionally
}): Outbox {
  const { database, now, fresh, spare, conditionally } = options

  function move(from: OutboxEntry, to: OutboxEntry | undefined): Promise<boolean> {
    const key = waitingKey(from)
    const value = to && encodeWaiting(to)
    fresh(database)
    spare('shrink')
    const action = () => {
      database.remove(key)
      if (to && value) database.put(waitingKey(to), value, stampOf(to))
    }
    return conditionally(database, key, { stamp: stampOf(from), action })
  }

  return {
    async add({ id, bytes, dueAt }) {
      assertTime(dueAt)
      const entry = { id, bytes, addedAt: now(), attempts: 0, dueAt }
      const value = encodeWaiting(entry)
      fresh(database)
      spare('grow')
      const action = () => void database.put(waitingKey(entry), value, stampOf(entry))
      await conditionally(database, waitingKey(entry), { stamp: undefined, action })
    },

    async take(limit, until) {
      assertLimit(limit)
      assertTime(until)
      const taken: OutboxEntry[] = []
      let start = Buffer.alloc(1)
      // As it was at the beginning: a pause as long as the lease must not make what was just taken due again.
      const end = expiryEnd(now())
      while (taken.length < limit) {
        const range = { start, end, limit: limit - taken.length }
        // Decoded one by one: the next value may be read into the same buffer.
        const due = Array.from(fresh(database).getRange(range), ({ key, value }) => decodeWaiting(key, value))
        const last = due.at(-1)
        if (last === undefined) break
        start = Buffer.concat([waitingKey(last), Buffer.alloc(1)])
        const leased = due.map((entry) => ({ ...entry, attempts: entry.attempts + 1, dueAt: until }))
        // A lost move means that another process was faster: it has the entry now.
        const won = await Promise.all(leased.map((entry, at) => move(due[at] as OutboxEntry, entry)))
        taken.push(...leased.filter((_, at) => won[at]))
      }
      return taken
    },

    async postpone(taken, dueAt) {
      assertTime(dueAt)
      return await move(taken, { ...taken, dueAt })
    },

    remove: (taken) => move(taken, undefined),

    async count() {
      return (fresh(database).getStats() as { entryCount: number }).entryCount
    },
  }
}

/** LMDB's versions begin at 1. */
function stampOf(entry: OutboxEntry): number {
  return entry.attempts + 1
}
