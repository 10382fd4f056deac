import type { StoredUser } from '../identity/user-store.ts'
import type { StoredSession, Tombstone } from '../session/store.ts'

/** What every driver decides alike; the contract suite holds them to it. */

/** What the store says about a session now: 0 nothing (or expired), -1 ended, else its version. */
export function standing(
  row: Pick<StoredSession, 'expiresAt' | 'version'> | Tombstone | undefined,
  now: number,
): number {
  if (row === undefined || row.expiresAt <= now) return 0
  return 'ended' in row ? -1 : row.version
}

/**
 * Refuses a write that would break compare-and-set for everyone after it: with a repeated version, two different
 * records would look the same to the next writer; with what `peek` says of a tombstone handed on as `expected`, an
 * ended session would come back. Faults of the caller, hence thrown.
 */
export function assertSuccessor(next: StoredSession, expected: number | undefined): void {
  if (expected !== undefined && !(Number.isSafeInteger(expected) && expected >= 1)) {
    throw new RangeError(`Not the version of a live session: ${expected}`)
  }
  if (next.version !== (expected ?? 0) + 1) {
    throw new RangeError(
      `A session's version counts up by one: ${next.version} can not follow ${expected ?? 'nothing'}`,
    )
  }
  assertTime(next.expiresAt)
}

/** The same for a row of the directory, whose first version is the writer's choice. */
export function assertUserSuccessor(next: StoredUser, expected: number | undefined): void {
  const ofWhat = expected ?? next.version
  if (!(Number.isSafeInteger(ofWhat) && ofWhat >= 1)) throw new RangeError(`Not the version of a user: ${ofWhat}`)
  if (expected !== undefined && next.version !== expected + 1) {
    throw new RangeError(`A user's version counts up by one: ${next.version} can not follow ${expected}`)
  }
}

/** Expiry indices sort by time: NaN and negative times have no place in them. */
export function assertTime(expiresAt: number): void {
  if (!(expiresAt >= 0)) throw new RangeError(`Not a time in milliseconds since the epoch: ${expiresAt}`)
}

export function assertLimit(limit: number): void {
  if (!(Number.isSafeInteger(limit) && limit >= 1)) throw new RangeError(`Not a number of entries: ${limit}`)
}
