import type { RingKey } from './key-ring.ts'

/*
 * Which key of the ring signs the tokens for upstreams, and which ones the world is told of. Upstreams keep what they read
 * at `/auth/jwks.json` for a while. So a new key is published before it signs, and an old one until the last token that it
 * signed is over: a rotation costs nobody a request. All processes on one ring come to the same answer by its dates.
 */

/** How long an upstream may keep the published keys; milliseconds. */
export const keysMaxAge = 5 * 60_000

/** A new key signs so much later than it came. Longer than `keysMaxAge`, and than the ten minutes that jose keeps keys for. */
export const signingLead = 15 * 60_000

/** The longest life of a token (`longestTtl` of the configuration), and a clock that is a little behind. */
const outstanding = 20 * 60_000

export type DatedKey = Omit<RingKey, 'key'>

export interface SigningSchedule<Key extends DatedKey> {
  readonly signs: Key
  /** Oldest first; with the one that signs, and those that will. */
  readonly published: readonly Key[]
}

/**
 * A key that withdraws those before it signs at once, and they are published no more: whoever has seen them could sign as well.
 * @param ring oldest first, at least one. A key without a readable date counts as old, and stays published.
 */
export function signingSchedule<Key extends DatedKey>(ring: readonly Key[], now: number): SigningSchedule<Key> {
  const keys = ring.slice(
    Math.max(
      0,
      ring.findLastIndex(({ withdraws }) => withdraws === true),
    ),
  )
  const begins = (at: number) =>
    at === 0 ? Number.NEGATIVE_INFINITY : Date.parse(keys[at]?.createdAt ?? '') + signingLead
  let at = keys.length - 1
  while (at > 0 && now < begins(at)) at--
  const signs = keys[at]
  if (signs === undefined) throw new TypeError('a key ring needs at least one key')
  const over = (index: number) => index < at && now >= begins(index + 1) + outstanding
  return { signs, published: keys.filter((_, index) => !over(index)) }
}
