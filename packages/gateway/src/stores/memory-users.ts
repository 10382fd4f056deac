import type { StoredUser, UserId, UserStore } from '../identity/user-store.ts'
import { assertLimit, assertUserSuccessor } from './rules.ts'

/** The memory store's directory. `usable` throws once the store is closed. */
export function createMemoryUsers({ usable }: { usable: () => void }): UserStore & { clear(): void } {
  const rows = new Map<UserId, StoredUser>()
  const listed = new Map<string, Set<UserId>>()

  function set(id: UserId, after: StoredUser | undefined): void {
    for (const index of rows.get(id)?.indices ?? []) {
      const ids = listed.get(index)
      ids?.delete(id)
      if (ids?.size === 0) listed.delete(index)
    }
    for (const index of after?.indices ?? []) {
      const ids = listed.get(index)
      if (ids) ids.add(id)
      else listed.set(index, new Set([id]))
    }
    if (after) rows.set(id, copy(after))
    else rows.delete(id)
  }

  return {
    async get(id) {
      usable()
      const row = rows.get(id)
      return row && copy(row)
    },

    async put(next, expected) {
      usable()
      assertUserSuccessor(next, expected)
      if (rows.get(next.id)?.version !== expected) return false
      set(next.id, next)
      return true
    },

    async remove(id, expected) {
      usable()
      if (rows.get(id)?.version !== expected) return false
      set(id, undefined)
      return true
    },

    async find(index) {
      usable()
      return [...(listed.get(index) ?? [])]
    },

    async scan(limit, cursor = '') {
      usable()
      assertLimit(limit)
      const beyond = [...rows.keys()].filter((id) => id > cursor).sort()
      const ids = beyond.slice(0, limit)
      const last = ids.at(-1)
      return beyond.length > limit && last !== undefined ? { ids, cursor: last } : { ids }
    },

    clear() {
      rows.clear()
      listed.clear()
    },
  }
}

/** Nobody outside holds the store's own bytes. */
function copy(row: StoredUser): StoredUser {
  return { ...row, bytes: new Uint8Array(row.bytes), indices: [...row.indices] }
}
