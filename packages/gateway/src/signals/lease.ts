import type { Clock, SessionStore } from '../session/store.ts'

/** The right to do something that one process of all should do. */
export interface Lease {
  /** True if this process has it now: it was free, or still is ours. Held for good measure longer than until the next call. */
  hold(): Promise<boolean>
  release(): Promise<void>
}

/** A claim in the store that is renewed at half time. A process that dies leaves it to run out. `duration` in milliseconds. */
export function createLease(
  { store, now }: { store: SessionStore; now: Clock },
  name: string,
  duration: number,
): Lease {
  const key = `lease:${name}`
  let until = 0

  async function take(): Promise<boolean> {
    const next = now() + duration
    until = (await store.claim(key, next)) ? next : 0
    return until > 0
  }

  async function release(): Promise<void> {
    const held = until > now()
    until = 0
    // Somebody else's, if ours ran out.
    if (held) await store.release(key)
  }

  return {
    async hold() {
      const left = until - now()
      if (left > duration / 2) return true
      // Between the two another process may take it; then it is theirs.
      await release()
      return await take()
    },
    release,
  }
}
