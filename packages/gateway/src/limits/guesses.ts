import { createCache } from '../session/cache.ts'
import type { Clock } from '../session/store.ts'
import { heldKeys, type Rate } from './buckets.ts'
import { createFirstIn } from './first-in.ts'

/** Times that are kept in all: 8 MB of numbers. With a high limit fewer networks are remembered, and memory stays bounded. */
const heldTimes = 1_000_000

/** Counts the cookies that are of no session, or carry a wrong secret, by where they came from. */
export interface Guesses {
  /** One more from this network. Milliseconds until a further one is heard out; 0: this one is. */
  missed(network: string): number
}

/**
 * At most `requests` misses in any `per`, wherever that begins: the times of the last ones are kept, and not a bucket that
 * fills up meanwhile. `onLimit` is called with the last one that is still heard out, once in each `per`.
 * An id of 128 bits with a secret of 256 is not found by guessing at any rate. This shows who tries, takes the answer away,
 * and keeps it from being worth the trying.
 */
export function createGuesses({ requests, per }: Rate, now: Clock, onLimit: (network: string) => void): Guesses {
  const misses = createCache<string, number[]>(Math.min(heldKeys, Math.floor(heldTimes / requests)))
  const isFirst = createFirstIn(per, now)
  return {
    missed(network) {
      const at = now()
      const recent = (misses.get(network) ?? []).filter((time) => time > at - per && time <= at)
      const full = recent.length >= requests
      if (!full) recent.push(at)
      misses.set(network, recent)
      if (recent.length >= requests && isFirst(network)) onLimit(network)
      return full ? (recent[0] as number) + per - at : 0
    },
  }
}
