/**
 * The port behind which sessions are stored. A store sees opaque bytes, versions and expiry times, never a token.
 * Every driver passes the one contract suite (test/contract). A store that fails throws; `undefined` means "not there".
 */

import type { UserStore } from '../identity/user-store.ts'
import type { Notes } from './notes.ts'
import type { Outbox } from './outbox.ts'

/** 16 random bytes in base64url: names the session, proves nothing. */
export type SessionId = string & { readonly __sessionId: unique symbol }

export interface StoredSession {
  readonly id: SessionId
  /** Counts up by one with each write, from 1. */
  readonly version: number
  /** The sealed record. */
  readonly bytes: Uint8Array
  /** Milliseconds since the epoch; from then on the store answers as if the session was never there. */
  readonly expiresAt: number
  /** Opaque keys under which `find` lists this session: the same for its whole life. */
  readonly indices: readonly string[]
}

/** What is left of an ended session, so that no write in flight can bring it back. */
export interface Tombstone {
  readonly id: SessionId
  readonly ended: EndReason
  /** Milliseconds since the epoch; the tombstone itself is forgotten then. */
  readonly expiresAt: number
}

export type EndReason =
  | 'logout'
  | 'replaced'
  | 'idle'
  | 'absolute'
  | 'revoked'
  | 'limit'
  | 'refresh-rejected'
  | 'cookie-reused'
  | 'provider-logout'
  | 'unreadable'

export interface ScanPage {
  readonly ids: readonly SessionId[]
  readonly cursor?: string
}

export interface SessionStore {
  readonly kind: string

  get(id: SessionId): Promise<StoredSession | Tombstone | undefined>

  /**
   * The version now in the store, read without a promise: 0 when there is none, -1 when it ended.
   * Absent where the store can't answer synchronously. Used on each request to see revocations of other processes.
   */
  peek?(id: SessionId): number

  /**
   * Writes only if the stored version is still `expected` (undefined: only if nothing, not even a tombstone, is there).
   * Resolves to false if another writer won. Resolves once the write is visible to every process.
   * @throws RangeError unless `next.version` is `expected` + 1, or 1 for a new session
   */
  put(next: StoredSession, expected: number | undefined): Promise<boolean>

  /**
   * Ends a session for good: removes its bytes and index entries, leaves the tombstone. False if it was not live, or, where
   * `expected` is given, if its version is another one. Idempotent.
   */
  end(tombstone: Tombstone, expected?: number): Promise<boolean>

  /** Ids of the live sessions listed under `index`. */
  find(index: string): Promise<SessionId[]>

  /**
   * Ids of all live sessions, page by page: at most `limit` ids, and the `cursor` of the next page unless this was the
   * last. A page may hold fewer, or none. A session that lives from the first page to the last is in one of them, however
   * many come and go meanwhile; one that begins meanwhile may be missing. Cursors are for this store only.
   */
  scan(limit: number, cursor?: string): Promise<ScanPage>

  /** Work that waits beside the sessions. */
  readonly outbox: Outbox

  /** What outlives every session. */
  readonly notes: Notes
  /** Who has signed in: the directory of users, which outlives their sessions. */
  readonly users: UserStore

  /** True the first time for a key, false until `expiresAt` afterwards: one-time use of states and token ids. */
  claim(key: string, expiresAt: number): Promise<boolean>

  /** Gives a claim back, for what could not be done after all. */
  release(key: string): Promise<void>

  /** Forgets what has expired; returns how many entries went. */
  sweep(): Promise<number>

  /** Rejects while the store can not be used. */
  ping(): Promise<void>

  /** Finishes what was asked for before; afterwards every other method throws. */
  close(): Promise<void>
}

/** Milliseconds since the epoch. */
export type Clock = () => number
