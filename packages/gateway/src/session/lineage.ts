import type { CookieValue } from './cookie-value.ts'
import type { Generation } from './record.ts'

/*
 * The values that the cookie of one session has had. Each rotation makes a new generation; the one before works on for
 * `grace`, for the requests that were under way. Who still shows it afterwards holds a copy: the cookie was stolen, by
 * the one or by the other, and the session ends for both. @see OWASP Session Management CS, "Renew the session ID"
 *
 *                       rotate                         its answer left, or it was used
 *   generation 1 ─────────────────────▶ generation 2 ──────────────────────────────────▶ 1 is superseded, grace runs
 *
 * Grace does not begin with the rotation but when the new value reached the browser, as far as we can know: when its
 * answer was sent, or when it was used. A gateway that crashed in between signs nobody out.
 *
 * Answers overtake each other. A value that is still on its way with a slow answer, while a later one was made and used,
 * overwrites that one when it arrives: the browser has nothing else then. Its own grace begins with its own arrival, and
 * it is replaced at once. A thief gains nothing by it: of two who hold different values, each use supersedes the other's.
 */

/** What a presented cookie is to its session. */
export type Standing =
  | { readonly kind: 'current'; readonly generation: Generation }
  /**
   * Replaced, but still good for what was under way. `late`: it reached the browser after a newer value did, and so stands
   * in the newer one's place now.
   */
  | { readonly kind: 'superseded'; readonly generation: Generation; readonly late: boolean }
  /** Replaced, and its grace is over: somebody has a copy. */
  | { readonly kind: 'reused' }
  | { readonly kind: 'unknown' }

/** Compares secrets in constant time: true if the presented one has this hash (base64url). */
export type HashMatches = (hash: string) => boolean

export function standingOf(
  lineage: readonly Generation[],
  cookie: Pick<CookieValue, 'generation'>,
  matches: HashMatches,
  clock: { now: number; grace: number },
): Standing {
  const generation = lineage.find((one) => one.number === cookie.generation)
  // Only a secret that we did issue counts as reuse: else anybody who learns an id could end its session.
  if (!generation || !matches(generation.secretHash)) return { kind: 'unknown' }
  const newest = lineage.at(-1)
  if (generation === newest) return { kind: 'current', generation }
  const supersededAt = supersededSince(lineage, generation, clock.now)
  if (supersededAt !== undefined && clock.now >= supersededAt + clock.grace) return { kind: 'reused' }
  return { kind: 'superseded', generation, late: isLate(lineage, generation, clock.now) }
}

/** An answer that has not arrived by then never will: no request runs longer. Milliseconds. */
const latestArrival = 15 * 60_000

/** When the value reached the browser: with its answer, or, if that is still on its way, with this first use. */
function arrivalOf(generation: Generation, now: number): number | undefined {
  return generation.deliveredAt ?? (now < generation.issuedAt + latestArrival ? now : undefined)
}

function isLate(lineage: readonly Generation[], generation: Generation, now: number): boolean {
  const arrival = arrivalOf(generation, now)
  const overtaken = deliveryAfter(lineage, generation)
  const newest = lineage.at(-1)
  if (arrival === undefined || overtaken === undefined || newest === undefined) return false
  return overtaken < arrival && newest.issuedAt < arrival
}

/** From when on the browser has something newer, and has had this value itself: its grace runs from then. */
function supersededSince(lineage: readonly Generation[], generation: Generation, now: number): number | undefined {
  const overtaken = deliveryAfter(lineage, generation)
  return overtaken === undefined ? undefined : Math.max(overtaken, arrivalOf(generation, now) ?? 0)
}

/** When the first later generation reached the browser. */
function deliveryAfter(lineage: readonly Generation[], generation: Generation): number | undefined {
  const deliveries = lineage.flatMap((one) =>
    one.number > generation.number && one.deliveredAt !== undefined ? [one.deliveredAt] : [],
  )
  return deliveries.length === 0 ? undefined : Math.min(...deliveries)
}

/** Hashes of superseded generations are kept to recognise a copy; beyond this many, the oldest are forgotten. */
const remembered = 64

/** The lineage with a new generation at its end. What is past its grace keeps its hash and loses its key. */
export function withGeneration(
  lineage: readonly Generation[],
  next: Generation,
  clock: { now: number; grace: number },
): Generation[] {
  const kept = lineage.map((one) => {
    const supersededAt = supersededSince(lineage, one, clock.now)
    if (supersededAt === undefined || clock.now < supersededAt + clock.grace) return one
    const { number, secretHash, issuedAt, deliveredAt } = one
    return { number, secretHash, issuedAt, ...(deliveredAt !== undefined && { deliveredAt }) }
  })
  return [...kept, next].slice(-remembered)
}

/** The lineage in which this generation is known to have reached the browser. */
export function withDelivery(lineage: readonly Generation[], number: number, now: number): readonly Generation[] {
  const at = lineage.findIndex((one) => one.number === number)
  const generation = lineage[at]
  if (!generation || generation.deliveredAt !== undefined) return lineage
  return lineage.with(at, { ...generation, deliveredAt: now })
}

/** Which of its values the browser shows: the newest, one that arrived after it, or one before it. */
export type Held = 'newest' | 'late' | 'older'

export function heldBy(standing: Extract<Standing, { generation: Generation }>): Held {
  if (standing.kind === 'current') return 'newest'
  return standing.late ? 'late' : 'older'
}
