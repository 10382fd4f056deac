import { type Database, open, type RootDatabase } from 'lmdb'
import type { Clock, SessionId, SessionStore } from '../session/store.ts'
import { createCommitter } from './lmdb-commit.ts'
import { assertSpace, type DatabaseStats, fileIdentity, prepareFolder, unusedBytes } from './lmdb-folder.ts'
import {
  decodeHead,
  decodeRow,
  decodeTime,
  type Expiring,
  encodedStanding,
  encodeRow,
  encodeTime,
  expiringOf,
  expiryEnd,
  expiryKey,
  hashed,
  indicesOf,
  layout,
  listedId,
  movedListings,
  type Row,
  type RowHead,
  stampOf,
} from './lmdb-layout.ts'
import { createLmdbNotes } from './lmdb-notes.ts'
import { createLmdbOutbox } from './lmdb-outbox.ts'
import { createLmdbUsers } from './lmdb-users.ts'
import { assertLimit, assertSuccessor, assertTime, standing } from './rules.ts'

type Bytes = Database<Uint8Array, string>
type Keys = Database<Uint8Array, Uint8Array>

/** Entries that a sweep forgets in one transaction: other writers wait for no more than that. */
const sweepBatch = 256
const mark = Buffer.of(1)
const layoutKey = 'coatcheck:layout'

/**
 * Sessions in an LMDB folder, shared by every process of this machine that opens the same folder (not over NFS).
 *
 * Atomic: each change is one LMDB transaction, conditional on the row's stamp, run by lmdb's own thread under LMDB's
 * lock between processes. No JavaScript runs while that lock is held, so a process in a long pause blocks nobody.
 *
 * Durable: `put`, `end` and `claim` resolve after the commit was flushed to the disk (fdatasync) and is visible. What was
 * acknowledged outlives kill -9 of any process and a power cut, as far as the disk keeps its word; what was not
 * acknowledged is there wholly or not at all. `overlappingSync`, lmdb-js's default, would resolve before the flush: a
 * logout could then be undone by a power cut.
 *
 * Fresh: once such a promise has resolved in any process, every later get, peek and find in every process sees it. Within
 * one turn of the event loop lmdb-js reuses one read snapshot, so each read here first drops it (`resetReadTxn`); the
 * next read then takes the newest commit from the map that the processes share. This costs 0.5 µs, and no system call.
 *
 * @throws Error where the folder can not be made or opened, or was written by something else
 */
export function createLmdbStore({ path, now }: { path: string; now: Clock }): SessionStore {
  prepareFolder(path)
  const root = openRoot(path)
  const sessions: Bytes = root.openDB({ name: 'sessions', encoding: 'binary', useVersions: true })
  const listed: Keys = root.openDB({ name: 'listed', encoding: 'binary', keyEncoding: 'binary' })
  const claims: Keys = root.openDB({ name: 'claims', encoding: 'binary', keyEncoding: 'binary', useVersions: true })
  const expiry: Keys = root.openDB({ name: 'expiry', encoding: 'binary', keyEncoding: 'binary' })
  const waiting: Keys = root.openDB({ name: 'outbox', encoding: 'binary', keyEncoding: 'binary', useVersions: true })
  const noted: Keys = root.openDB({ name: 'notes', encoding: 'binary', keyEncoding: 'binary', useVersions: true })
  const notesDue: Keys = root.openDB({ name: 'notes-due', encoding: 'binary', keyEncoding: 'binary' })
  const users: Bytes = root.openDB({ name: 'users', encoding: 'binary', useVersions: true })
  const usersListed: Keys = root.openDB({ name: 'users-listed', encoding: 'binary', keyEncoding: 'binary' })
  const databases = [sessions, listed, claims, expiry, waiting, noted, notesDue, users, usersListed]
  const identity = fileIdentity(path)
  const { conditionally, settled } = createCommitter()
  let usable = true
  const notes = createLmdbNotes({ notes: noted, due: notesDue, now, fresh, spare, conditionally })

  /** Every read goes through here: fresh, and an error rather than "nothing there" once closed. */
  function fresh<V, K extends string | Uint8Array>(database: Database<V, K>): Database<V, K> {
    if (!usable) throw new Error('The session store is closed')
    root.resetReadTxn()
    return database
  }

  function spare(purpose: 'grow' | 'shrink'): void {
    try {
      assertSpace(path, purpose, () => unusedBytes(databases.map((each) => each.getStats() as DatabaseStats)))
    } catch (cause) {
      throw new Error(`The session store could not be written: ${(cause as Error).message}`, { cause })
    }
  }

  function rowOf(id: SessionId): Row | undefined {
    const value = fresh(sessions).getBinaryFast(id)
    return value && decodeRow(id, value)
  }

  function headOf(id: SessionId): RowHead | undefined {
    const value = fresh(sessions).getBinaryFast(id)
    return value && decodeHead(id, value)
  }

  /** One transaction: the row, its index entries and its expiry entry go from `before` to `after`, or nothing happens. */
  function swap(id: SessionId, before: RowHead | undefined, after: Row | undefined): Promise<boolean> {
    const value = after && encodeRow(after)
    const listings = movedListings(id, indicesOf(before), indicesOf(after))
    const what: Expiring = { session: id }
    spare(after && !('ended' in after) ? 'grow' : 'shrink')
    const action = () => {
      if (after && value) sessions.put(id, value, stampOf(after))
      else sessions.remove(id)
      for (const key of listings.gone) listed.remove(key)
      for (const key of listings.added) listed.put(key, mark)
      if (before?.expiresAt === after?.expiresAt) return
      if (before) expiry.remove(expiryKey(before.expiresAt, what))
      if (after) expiry.put(expiryKey(after.expiresAt, what), mark)
    }
    return conditionally(sessions, id, { stamp: before && stampOf(before), action })
  }

  function swapClaim(key: Uint8Array, before: number | undefined, after: number | undefined): Promise<boolean> {
    const value = after === undefined ? undefined : encodeTime(after)
    spare(after === undefined ? 'shrink' : 'grow')
    const action = () => {
      if (value && after !== undefined) claims.put(key, value, after)
      else claims.remove(key)
      if (before !== undefined) expiry.remove(expiryKey(before, { claim: key }))
      if (after !== undefined) expiry.put(expiryKey(after, { claim: key }), mark)
    }
    return conditionally(claims, key, { stamp: before, action })
  }

  function claimedUntil(key: Uint8Array): number | undefined {
    const value = fresh(claims).getBinaryFast(key)
    return value && decodeTime(value)
  }

  /** Forgets what an expiry entry points to; false where it is gone already or lives on under a later expiry. */
  function forget(what: Expiring): Promise<boolean> | boolean {
    if ('claim' in what) {
      const until = claimedUntil(what.claim)
      return until !== undefined && until <= now() && swapClaim(what.claim, until, undefined)
    }
    const row = headOf(what.session)
    return row !== undefined && row.expiresAt <= now() && swap(what.session, row, undefined)
  }

  return {
    kind: 'lmdb',

    async get(id) {
      const row = rowOf(id)
      return standing(row, now()) === 0 ? undefined : row
    },

    peek(id) {
      const value = fresh(sessions).getBinaryFast(id)
      return value ? encodedStanding(value, now()) : 0
    },

    // A lost swap means that another writer was faster: the loops then look again and end by what they find.
    async put(next, expected) {
      assertSuccessor(next, expected)
      for (;;) {
        const before = headOf(next.id)
        if (standing(before, now()) !== (expected ?? 0)) return false
        if (await swap(next.id, before, next)) return true
      }
    },

    async end(tombstone, expected) {
      assertTime(tombstone.expiresAt)
      for (;;) {
        const before = headOf(tombstone.id)
        const version = standing(before, now())
        if (version <= 0 || (expected !== undefined && version !== expected)) return false
        if (await swap(tombstone.id, before, tombstone)) return true
      }
    },

    async find(index) {
      const start = hashed(index)
      const keys = [...fresh(listed).getKeys({ start, end: Buffer.concat([start, Buffer.of(0xff)]) })]
      return keys.map(listedId).filter((id) => standing(headOf(id), now()) > 0)
    },

    async scan(limit, cursor) {
      assertLimit(limit)
      const range = cursor === undefined ? { limit: limit + 1 } : { start: cursor, limit: limit + 2 }
      // The cursor's own row may be there still, or not any more.
      const keys = [...fresh(sessions).getKeys(range)].filter((id) => id !== cursor) as SessionId[]
      const page = keys.slice(0, limit)
      const ids = page.filter((id) => standing(headOf(id), now()) > 0)
      const last = page.at(-1)
      return keys.length > limit && last !== undefined ? { ids, cursor: last } : { ids }
    },

    outbox: createLmdbOutbox({ conditionally, database: waiting, now, fresh, spare }),

    notes,
    users: createLmdbUsers({ users, listed: usersListed, fresh, spare, conditionally }),

    async claim(key, expiresAt) {
      assertTime(expiresAt)
      const hash = hashed(key)
      for (;;) {
        const before = claimedUntil(hash)
        if (before !== undefined && before > now()) return false
        if (await swapClaim(hash, before, expiresAt)) return true
      }
    },

    async release(key) {
      const hash = hashed(key)
      for (;;) {
        const before = claimedUntil(hash)
        if (before === undefined || (await swapClaim(hash, before, undefined))) return
      }
    },

    async sweep() {
      // The slot of a reader that was killed pins its snapshot: without this the file grows for as long as we run.
      fresh(root).readerCheck()
      let forgotten = 0
      let start = Buffer.alloc(1)
      for (;;) {
        const due = [...fresh(expiry).getKeys({ start, end: expiryEnd(now()), limit: sweepBatch })]
        const last = due.at(-1)
        if (last === undefined) return forgotten + (await notes.sweep())
        const gone = await Promise.all(due.map((key) => forget(expiringOf(key))))
        forgotten += gone.filter(Boolean).length
        start = Buffer.concat([last, Buffer.alloc(1)])
      }
    },

    async ping() {
      fresh(root).getBinary(layoutKey)
      spare('grow')
      // Sessions written to a deleted file are lost, and processes that start later would use another store.
      if (fileIdentity(path) !== identity) throw new Error(`The session store at ${path} was replaced while in use`)
    },

    async close() {
      if (!usable) return
      usable = false
      // What was asked for before is committed first.
      await settled()
      await root.close()
    },
  }
}

function openRoot(path: string): RootDatabase<Uint8Array, string> {
  // permissionsMode is read by lmdb-js but missing from its types.
  const options = {
    path,
    permissionsMode: 0o600,
    noSubdir: false, // else a folder with a dot in its name is taken for a file
    encoding: 'binary' as const,
    overlappingSync: false,
    eventTurnBatching: false, // else a failed commit also rejects a promise that nobody can catch
    mapSize: 2 ** 34, // address space only; large, so that the map need not move while processes read from it
  }
  const root = opened(options)
  const found = root.transactionSync(() => {
    const stamp = root.getBinary(layoutKey)
    if (stamp !== undefined) return stamp.toString()
    if (root.getKeysCount() > 0) return 'unknown'
    root.putSync(layoutKey, Buffer.from(String(layout)))
    return String(layout)
  })
  if (found !== String(layout)) {
    void root.close()
    throw new Error(
      `The folder ${path} has session store layout ${found}, this version of Coatcheck reads layout ${layout}: ` +
        'run the version that wrote it, or set store.path to an empty folder (everyone signs in again)',
    )
  }
  return root
}

function opened(options: { path: string }): RootDatabase<Uint8Array, string> {
  try {
    return open<Uint8Array, string>(options)
  } catch (cause) {
    throw new Error(`The session store can not be opened at ${options.path}: ${(cause as Error).message}`, { cause })
  }
}
