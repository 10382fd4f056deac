import type { Database } from 'lmdb'
import type { StoredUser, UserId, UserStore } from '../identity/user-store.ts'
import type { SessionId, StoredSession } from '../session/store.ts'
import type { Conditionally } from './lmdb-commit.ts'
import { decodeRow, encodeRow, hashed, listedId, movedListings } from './lmdb-layout.ts'
import { assertLimit, assertUserSuccessor } from './rules.ts'

type Bytes = Database<Uint8Array, string>
type Keys = Database<Uint8Array, Uint8Array>

const mark = Buffer.of(1)

/**
 * The directory in two databases of its own: rows by id, written as a session's without an end, and their listings. One
 * transaction for each change, conditional on the row's version.
 */
export function createLmdbUsers(options: {
  users: Bytes
  listed: Keys
  /** As the store reads: fresh, and an error once closed. */
  fresh: <K extends string | Uint8Array>(database: Database<Uint8Array, K>) => Database<Uint8Array, K>
  spare: (purpose: 'grow' | 'shrink') => void
  conditionally: Conditionally
}): UserStore {
  const { users, listed, fresh, spare, conditionally } = options

  function rowOf(id: UserId): StoredUser | undefined {
    const value = fresh(users).getBinaryFast(id)
    return value && (decodeRow(asRowId(id), value) as StoredSession & { id: never })
  }

  function swap(id: UserId, before: StoredUser | undefined, after: StoredUser | undefined): Promise<boolean> {
    const value = after && encodeRow({ ...after, id: asRowId(id), expiresAt: 0 })
    const listings = movedListings(asRowId(id), before?.indices ?? [], after?.indices ?? [])
    spare(after ? 'grow' : 'shrink')
    const action = () => {
      if (after && value) users.put(id, value, after.version)
      else users.remove(id)
      for (const key of listings.gone) listed.remove(key)
      for (const key of listings.added) listed.put(key, mark)
    }
    return conditionally(users, id, { stamp: before?.version, action })
  }

  return {
    async get(id) {
      const row = rowOf(id)
      return row && { id, version: row.version, bytes: row.bytes, indices: row.indices }
    },

    async put(next, expected) {
      assertUserSuccessor(next, expected)
      const before = rowOf(next.id)
      return before?.version === expected && (await swap(next.id, before, next))
    },

    async remove(id, expected) {
      const before = rowOf(id)
      return before?.version === expected && (await swap(id, before, undefined))
    },

    async find(index) {
      const start = hashed(index)
      const keys = [...fresh(listed).getKeys({ start, end: Buffer.concat([start, Buffer.of(0xff)]) })]
      return keys.map((key) => listedId(key) as string as UserId)
    },

    async scan(limit, cursor) {
      assertLimit(limit)
      const range = cursor === undefined ? { limit: limit + 1 } : { start: cursor, limit: limit + 2 }
      // The cursor's own row may be there still, or not any more.
      const keys = [...fresh(users).getKeys(range)].filter((id) => id !== cursor) as UserId[]
      const ids = keys.slice(0, limit)
      const last = ids.at(-1)
      return keys.length > limit && last !== undefined ? { ids, cursor: last } : { ids }
    },
  }
}

/** The layout of rows is one; their names are two. */
function asRowId(id: UserId): SessionId {
  return id as string as SessionId
}
