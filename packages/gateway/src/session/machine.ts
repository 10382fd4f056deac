import { type Held, withDelivery, withGeneration } from './lineage.ts'
import type { Generation, Kept, SessionRecord } from './record.ts'
import type { Timeouts } from './timeouts.ts'

/*
 * The whole life of a session: its states, and every transition that there is. Pure functions of the record as it lies in
 * the store. rows.ts writes what they return by compare-and-set, and asks them anew when another writer was faster: so
 * whatever happens at the same time, in this process or another, happens one after the other.
 *
 *                 created                 seen · rotated · delivered · leased · released · renewed
 *   (nothing) ──────────────▶ live ───────────────────────────────────────────────────────────────▶ live
 *       ▲                      │
 *       │ tombstoneLifetime    │ logout · replaced · revoked · limit · provider-logout · cookie-reused · unreadable
 *       │                      │ idle · absolute · refresh-rejected, if the record still says so when they arrive
 *       └─────── ended ◀───────┘
 *
 * `ended` is a tombstone: no transition leads out of it, so that nothing in flight brings a session back. While it lives,
 * three things go on in a session that don't touch each other:
 *
 *   its cookie    settled ──rotated──▶ the successor is on its way ──delivered──▶ settled; the one before has its grace
 *   its tokens    settled ──leased──▶ one holder redeems ──renewed──▶ settled, one token set further
 *                                            └──released, or the lease ran out──▶ settled
 *   what is kept beside the tokens    settled ──keepLeased──▶ one holder obtains ──keepSettled──▶ settled
 *
 * A transition that does not apply returns a reason, and nothing is written.
 */
export type Transition<No extends string = 'no'> = { readonly to: SessionRecord } | { readonly no: No }

/** The user was active at this time (milliseconds since the epoch). Never moves back: another process may have seen more. */
export function seen(record: SessionRecord, at: number): Transition {
  return at > record.lastSeenAt ? { to: { ...record, lastSeenAt: at } } : { no: 'no' }
}

/**
 * Is the cookie to be replaced? It is too when the user's privileges changed since it was made (@see ASVS 5.0 7.2.4), and when
 * the browser holds a value that arrived after a newer one.
 */
export function rotationIsDue(
  { lineage, privilegesChangedAt = 0 }: Pick<SessionRecord, 'lineage' | 'privilegesChangedAt'>,
  held: Held,
  { now, rotate }: { now: number; rotate: number },
): boolean {
  const newest = lineage.at(-1)
  if (newest === undefined) return false
  if (held === 'late') return true
  if (held === 'newest') return now - newest.issuedAt >= rotate || newest.issuedAt < privilegesChangedAt
  // The value before is still in use: its successor is on the way, or was lost.
  return newest.deliveredAt === undefined && now - newest.issuedAt >= lostAfter
}

/** An answer that did not arrive by then, in milliseconds, was lost: the browser gets another value. */
const lostAfter = 5_000

/**
 * The cookie has a new newest value, for who showed the value of generation `shown`: that one has arrived. That it is good,
 * and a rotation due, was seen in this very record.
 */
export function rotated(
  record: SessionRecord,
  { shown, next }: { shown: number; next: Generation },
  clock: { now: number; grace: number },
): Transition {
  return { to: { ...record, lineage: withGeneration(withDelivery(record.lineage, shown, clock.now), next, clock) } }
}

export function nextGenerationNumber(record: SessionRecord): number {
  return (record.lineage.at(-1)?.number ?? 0) + 1
}

/** This cookie value reached the browser: from now on the grace of those before it runs. */
export function delivered(record: SessionRecord, generation: number, now: number): Transition {
  const lineage = withDelivery(record.lineage, generation, now)
  return lineage === record.lineage ? { no: 'no' } : { to: { ...record, lineage } }
}

/**
 * `holder` may redeem the refresh token of token set `tokensVersion`, until the lease runs out. The version is the fence: a
 * holder that slept past its lease can not write over what another has put there since.
 */
export function leased(
  record: SessionRecord,
  { holder, tokensVersion, now }: { holder: string; tokensVersion: number; now: number },
): Transition<'superseded' | 'taken'> {
  if (record.tokensVersion !== tokensVersion) return { no: 'superseded' }
  if (record.refreshLease !== undefined && record.refreshLease.until > now) return { no: 'taken' }
  return { to: { ...record, refreshLease: { holder, until: now + leaseLifetime } } }
}

/** Longer than two attempts at a provider that answers as late as we allow; milliseconds. */
export const leaseLifetime = 30_000

export function released(record: SessionRecord, holder: string): Transition {
  if (record.refreshLease?.holder !== holder) return { no: 'no' }
  const { refreshLease: _, ...rest } = record
  return { to: rest }
}

/**
 * The token set after `tokensVersion`. Only one can follow it: who comes second finds the successor of another. With the
 * tokens the provider may have told what the user is now.
 */
export function renewed(
  record: SessionRecord,
  tokensVersion: number,
  { user = {}, now }: { user?: UserChange | undefined; now: number },
): Transition<'superseded'> {
  if (record.tokensVersion !== tokensVersion) return { no: 'superseded' }
  const { refreshLease: _, ...rest } = record
  const changed = user.roles !== undefined && !sameSet(user.roles, record.roles)
  return {
    to: { ...rest, ...user, tokensVersion: tokensVersion + 1, ...(changed && { privilegesChangedAt: now }) },
  }
}

/** `holder` may obtain what is kept under `name`, for `lifetime` milliseconds: it asks, and the others wait for what it gets. */
export function keepLeased(
  record: SessionRecord,
  { name, holder, lifetime, now }: { name: string; holder: string; lifetime: number; now: number },
): Transition<'taken'> {
  const before = record.kept?.[name]
  if (before?.lease !== undefined && before.lease.until > now) return { no: 'taken' }
  return {
    to: { ...record, kept: { ...record.kept, [name]: { ...before, lease: { holder, until: now + lifetime } } } },
  }
}

/** What the holder obtained, or nothing. Fenced: who slept past the lease finds another's, and writes nothing over it. */
export function keepSettled(
  record: SessionRecord,
  { name, holder, now }: { name: string; holder: string; now: number },
  obtained?: { readonly sealed: string; readonly expiresAt: number },
): Transition<'superseded'> {
  const before = record.kept?.[name]
  if (before?.lease?.holder !== holder) return { no: 'superseded' }
  const { lease: _, ...rest } = before
  const kept: [string, Kept][] = Object.entries({ ...record.kept, [name]: { ...rest, ...obtained } })
  // What is over, or was never had, is of no use to anybody: routes come and go with the configuration.
  const left = kept.filter(([, one]) => one.lease !== undefined || (one.expiresAt ?? 0) > now)
  return { to: { ...record, kept: Object.fromEntries(left) } }
}

/** What a refresh can change of the user. */
export type UserChange = Partial<Pick<SessionRecord, 'attributes' | 'claims' | 'roles' | 'scopes'>>

function sameSet(some: readonly string[], others: readonly string[]): boolean {
  return some.length === others.length && some.every((one) => others.includes(one))
}

/**
 * Why a session is over by its own clocks. `lastSeenAt` may be later than the record's, whose activity is written only now
 * and then. @see ASVS 5.0 7.3.1, 7.3.2 · NIST SP 800-63B-4 §2.2.3
 */
export function expired(
  record: Pick<SessionRecord, 'absoluteExpiresAt'>,
  lastSeenAt: number,
  { now, idle }: { now: number } & Pick<Timeouts, 'idle'>,
): 'idle' | 'absolute' | undefined {
  if (now >= record.absoluteExpiresAt) return 'absolute'
  if (now >= lastSeenAt + idle) return 'idle'
  return undefined
}

/** The provider refused the refresh token of this token set, and no other set has taken its place meanwhile. */
export function refreshRejected(record: SessionRecord, tokensVersion: number): boolean {
  return record.tokensVersion === tokensVersion
}
