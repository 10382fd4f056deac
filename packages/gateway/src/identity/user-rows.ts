import type { EventLog } from '../event-log.ts'
import type { KeyRing } from '../session/key-ring.ts'
import { keyOf, sealUser, unsealUser } from './sealed-user.ts'
import { type Alias, indicesOf, type UserRecord } from './user-record.ts'
import type { StoredUser, UserId, UserStore } from './user-store.ts'

/** Where a user is in the directory, or where they would be. */
export interface Place {
  readonly id: UserId
  /** Of the row at this place; undefined where there is none. */
  readonly version: number | undefined
  /** Undefined for somebody whom the directory does not know. */
  readonly record: UserRecord | undefined
}
export type Known = Place & { readonly version: number; readonly record: UserRecord }

/** Rows of the directory, opened. What does not open is an error and never "unknown": a disabled user may be behind it. */
export interface UserRows {
  /** The user of a row, or to whom it was linked. @throws Error where a row on the way does not open */
  at(id: UserId): Promise<Place>
  /** The users whose rows these are, each once. */
  usersAt(ids: readonly UserId[]): Promise<Known[]>
  /** Compare-and-set; false if another writer won. `expected`: undefined for a new row. */
  write(id: UserId, expected: number | undefined, row: UserRecord | Alias): Promise<boolean>
  /** Seals a row anew if it lies under another key than the current one; false if it did not. */
  reseal(id: UserId): Promise<boolean>
}

/** Links lead from who signed in later to who did earlier, so they have an end; this many are more than there can be. */
const longestWay = 16

export function createUserRows(options: {
  users: UserStore
  ring: KeyRing
  log: EventLog
  now: () => number
}): UserRows {
  const { users, ring, log, now } = options

  function opened(stored: StoredUser): UserRecord | Alias {
    const row = unsealUser(ring, stored)
    if (typeof row !== 'string') return row
    log.error({ event: 'crypt_decrypt_fail', user: stored.id, reason: row }, 'a user of the directory can not be read')
    throw new UnreadableUser(
      row === 'unknown-key'
        ? 'a user of the directory is sealed under a key that the key ring lacks; put that key back'
        : 'a user of the directory was changed from outside; restore the store, or forget that user',
    )
  }

  async function at(start: UserId): Promise<Place> {
    let [id, first]: [UserId, number | undefined] = [start, undefined]
    for (let way = 0; way < longestWay; way++) {
      const stored = await users.get(id)
      if (id === start) first = stored?.version
      // A link to who was forgotten since: the place is free again, and its row is in the way.
      if (stored === undefined) return { id: start, version: first, record: undefined }
      const row = opened(stored)
      if (row.kind === 'user') return { id, version: stored.version, record: row }
      id = row.of
    }
    throw new Error('links of the directory go in a circle')
  }

  return {
    at,

    async usersAt(ids) {
      const places = await Promise.all(ids.map(at))
      const known = places.filter((place): place is Known => place.record !== undefined)
      return known.filter(({ id }, index) => known.findIndex((other) => other.id === id) === index)
    },

    async write(id, expected, row) {
      // Of the clock for a new row: one that was forgotten and came again has another version than a late writer expects.
      const version = expected === undefined ? Math.max(1, now()) : expected + 1
      const bytes = sealUser(ring, { id, version }, row)
      return await users.put({ id, version, bytes, indices: indicesOf(row) }, expected)
    },

    async reseal(id) {
      for (;;) {
        const stored = await users.get(id)
        if (stored === undefined || keyOf(stored) === ring.current) return false
        const row = unsealUser(ring, stored)
        if (typeof row === 'string') return false
        const version = stored.version + 1
        const bytes = sealUser(ring, { id, version }, row)
        if (await users.put({ id, version, bytes, indices: stored.indices }, stored.version)) return true
      }
    },
  }
}

export class UnreadableUser extends Error {
  override readonly name = 'UnreadableUser'
}
