/** The clocks of a session and of its cookie, in milliseconds. */
export interface Timeouts {
  /** Without activity. */
  readonly idle: number
  /** Since sign-in, whatever the activity. */
  readonly absolute: number
  /** The cookie's value is replaced when it is this old. */
  readonly rotate: number
  /** How long a replaced value still works, for requests that were under way. */
  readonly grace: number
}

/** When the session ends if nothing more happens. */
export function expiresAt(lastSeenAt: number, absoluteExpiresAt: number, timeouts: Timeouts): number {
  return Math.min(lastSeenAt + timeouts.idle, absoluteExpiresAt)
}

/** Activity is written to the store at most this often: once a minute, or a tenth of the idle timeout if that is less. */
export function writeInterval(timeouts: Timeouts): number {
  return Math.min(60_000, timeouts.idle / 10)
}

/** How long a tombstone stays: longer than any request that was in flight when the session ended. */
export const tombstoneLifetime = 15 * 60_000
