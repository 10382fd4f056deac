import { createCache } from '../session/cache.ts'
import type { Clock } from '../session/store.ts'

/** So many requests at once, and then as many again, evenly, in each `per` (milliseconds). */
export interface Rate {
  readonly requests: number
  readonly per: number
}

/** Both answer with the milliseconds after which there is one more; 0: there is one now. */
export interface Buckets {
  /** Takes one request of this key, if there is one. */
  take(key: string): number
  /** Looks, and takes nothing. */
  wait(key: string): number
}

/**
 * How many keys each limit remembers, so that an attacker with many addresses can't fill the memory: some 100 bytes each.
 * Beyond it the least recently seen are forgotten and begin anew. The other way, to refuse whoever is new, would let that
 * attacker lock everybody out.
 */
export const heldKeys = 16_384

/** A token bucket for each key. A key that was not seen before has a full one. */
export function createBuckets({ requests, per }: Rate, now: Clock): Buckets {
  const interval = per / requests
  const buckets = createCache<string, Bucket>(heldKeys)

  function filled(key: string): Bucket {
    const at = now()
    const known = buckets.get(key)
    if (known === undefined) {
      const bucket = { left: requests, at }
      buckets.set(key, bucket)
      return bucket
    }
    // A clock that was set back takes nothing away, and gives nothing.
    known.left = Math.min(requests, known.left + Math.max(0, at - known.at) / interval)
    known.at = at
    return known
  }

  const missing = ({ left }: Bucket) => (left >= 1 ? 0 : Math.max(1, Math.ceil((1 - left) * interval)))

  return {
    take(key) {
      const bucket = filled(key)
      const wait = missing(bucket)
      if (wait === 0) bucket.left -= 1
      return wait
    },
    wait: (key) => (buckets.get(key) === undefined ? 0 : missing(filled(key))),
  }
}

interface Bucket {
  left: number
  at: number
}
