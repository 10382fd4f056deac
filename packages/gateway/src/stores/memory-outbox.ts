import type { Outbox, OutboxEntry } from '../session/outbox.ts'
import type { Clock } from '../session/store.ts'
import { assertLimit, assertTime } from './rules.ts'

/** The memory store's outbox. `usable` throws once the store is closed. */
export function createMemoryOutbox({ now, usable }: { now: Clock; usable: () => void }): Outbox & { clear(): void } {
  const entries = new Map<string, OutboxEntry>()

  function change(taken: OutboxEntry, next: OutboxEntry | undefined): boolean {
    usable()
    if (entries.get(taken.id)?.attempts !== taken.attempts) return false
    if (next) entries.set(taken.id, next)
    else entries.delete(taken.id)
    return true
  }

  return {
    async add({ id, bytes, dueAt }) {
      usable()
      assertTime(dueAt)
      entries.set(id, { id, bytes: new Uint8Array(bytes), addedAt: now(), attempts: 0, dueAt })
    },

    async take(limit, until) {
      usable()
      assertLimit(limit)
      assertTime(until)
      const due = [...entries.values()].filter(({ dueAt }) => dueAt <= now()).sort((a, b) => a.dueAt - b.dueAt)
      return due.slice(0, limit).map((entry) => {
        const taken = { ...entry, attempts: entry.attempts + 1, dueAt: until }
        entries.set(entry.id, taken)
        return { ...taken, bytes: new Uint8Array(taken.bytes) }
      })
    },

    async postpone(taken, dueAt) {
      assertTime(dueAt)
      return change(taken, { ...taken, bytes: new Uint8Array(taken.bytes), dueAt })
    },

    remove: async (taken) => change(taken, undefined),

    async count() {
      usable()
      return entries.size
    },

    clear: () => entries.clear(),
  }
}
