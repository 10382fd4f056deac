import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Clock, SessionId, SessionStore, StoredSession, Tombstone } from '../session/store.ts'
import { createMemoryNotes } from './memory-notes.ts'
import { createMemoryOutbox } from './memory-outbox.ts'
import { createMemoryUsers } from './memory-users.ts'
import { assertLimit, assertSuccessor, assertTime, standing } from './rules.ts'

type Row = StoredSession | Tombstone

/** Entries that a sweep looks at before it lets requests through again. */
const sweepSlice = 5_000

/**
 * Sessions in this process's memory: for tests, demos and a single process that may forget everyone at a restart.
 * Every change happens within one turn of the event loop, which is what makes compare-and-set atomic here.
 */
export function createMemoryStore({ now }: { now: Clock }): SessionStore {
  const rows = new Map<SessionId, Row>()
  const listed = new Map<string, Set<SessionId>>()
  const claims = new Map<string, number>()
  let open = true
  const outbox = createMemoryOutbox({ now, usable })
  const notes = createMemoryNotes({ now, usable })
  const users = createMemoryUsers({ usable })

  function usable(): void {
    if (!open) throw new Error('The session store is closed')
  }

  function set(id: SessionId, after: Row | undefined): void {
    for (const index of indicesOf(rows.get(id))) {
      const ids = listed.get(index)
      ids?.delete(id)
      if (ids?.size === 0) listed.delete(index)
    }
    for (const index of indicesOf(after)) {
      const ids = listed.get(index)
      if (ids) ids.add(id)
      else listed.set(index, new Set([id]))
    }
    if (after) rows.set(id, after)
    else rows.delete(id)
  }

  return {
    kind: 'memory',

    async get(id) {
      usable()
      const row = rows.get(id)
      return standing(row, now()) === 0 ? undefined : row && copy(row)
    },

    peek(id) {
      usable()
      return standing(rows.get(id), now())
    },

    async put(next, expected) {
      usable()
      assertSuccessor(next, expected)
      if (standing(rows.get(next.id), now()) !== (expected ?? 0)) return false
      set(next.id, copy(next))
      return true
    },

    async end({ id, ended, expiresAt }, expected) {
      usable()
      assertTime(expiresAt)
      const version = standing(rows.get(id), now())
      if (version <= 0 || (expected !== undefined && version !== expected)) return false
      set(id, { id, ended, expiresAt })
      return true
    },

    async find(index) {
      usable()
      return [...(listed.get(index) ?? [])].filter((id) => standing(rows.get(id), now()) > 0)
    },

    /** The smallest ids beyond the cursor, chosen in one walk: nothing is kept between two pages. */
    async scan(limit, cursor = '') {
      usable()
      assertLimit(limit)
      let chosen: SessionId[] = []
      let bound: SessionId | undefined
      for (const id of rows.keys()) {
        if (id <= cursor || (bound !== undefined && id > bound)) continue
        if (chosen.push(id) < 4 * limit + 1) continue
        chosen = chosen.sort().slice(0, limit + 1)
        bound = chosen.at(-1)
      }
      chosen.sort()
      const page = chosen.slice(0, limit)
      const ids = page.filter((id) => standing(rows.get(id), now()) > 0)
      const last = page.at(-1)
      return chosen.length > limit && last !== undefined ? { ids, cursor: last } : { ids }
    },

    outbox,

    notes,
    users,

    async claim(key, expiresAt) {
      usable()
      assertTime(expiresAt)
      if ((claims.get(key) ?? 0) > now()) return false
      claims.set(key, expiresAt)
      return true
    },

    async release(key) {
      usable()
      claims.delete(key)
    },

    async sweep() {
      usable()
      let forgotten = 0
      let seen = 0
      for (const [id, row] of rows) {
        if (row.expiresAt <= now()) {
          set(id, undefined)
          forgotten++
        }
        // A Map may be changed while it is walked: writers in between lose nothing and are not lost.
        if (++seen % sweepSlice === 0) await nextTurn()
      }
      for (const [key, expiresAt] of claims) {
        if (expiresAt <= now() && claims.delete(key)) forgotten++
        if (++seen % sweepSlice === 0) await nextTurn()
      }
      return forgotten + notes.sweep()
    },

    async ping() {
      usable()
    },

    async close() {
      open = false
      outbox.clear()
      notes.clear()
      users.clear()
      rows.clear()
      listed.clear()
      claims.clear()
    },
  }
}

function indicesOf(row: Row | undefined): readonly string[] {
  return row && !('ended' in row) ? row.indices : []
}

/** Nobody outside holds the store's own bytes: a caller that wipes or reuses its buffer changes nothing in here. */
function copy(row: Row): Row {
  return 'ended' in row ? { ...row } : { ...row, bytes: new Uint8Array(row.bytes), indices: [...row.indices] }
}
