import { type CookieValue, formatCookieValue, hashSecret, newSecret } from './cookie-value.ts'
import type { KeyRing } from './key-ring.ts'
import { type Standing, standingOf, withDelivery, withGeneration } from './lineage.ts'
import type { Generation, LiveSession } from './record.ts'
import type { Row, Rows } from './rows.ts'
import { unwrapDataKey, wrapDataKey } from './sealed-record.ts'
import type { Clock, SessionId } from './store.ts'
import type { Timeouts } from './timeouts.ts'

/** A new cookie value, for exactly one answer. */
export interface Rotated {
  readonly cookie: string
  /** To be called when the answer that carries it was sent: from then on the grace of the old value runs. */
  delivered(): void
}

/** Which of its values the browser shows: the newest, one that arrived after it, or one before it. */
export type Held = 'newest' | 'late' | 'older'

export function heldBy(standing: Extract<Standing, { generation: Generation }>): Held {
  if (standing.kind === 'current') return 'newest'
  return standing.late ? 'late' : 'older'
}

export interface Rotation {
  isDue(lineage: readonly Generation[], held: Held, at: number): boolean
  rotate(id: SessionId, cookie: CookieValue): Promise<Rotated | undefined>
  /** The browser used the newest value, so it has it. */
  confirm(session: LiveSession): void
}

/** An answer that did not arrive by then, in milliseconds, was lost: the browser gets another value. */
const lostAfter = 5_000

export function createRotation(options: {
  rows: Rows
  ring: KeyRing
  timeouts: Timeouts
  now: Clock
  onFault: (fault: unknown) => void
  cached: (id: SessionId, row: Row) => void
}): Rotation {
  const { rows, ring, timeouts, now, onFault, cached } = options
  const rotating = new Set<SessionId>()
  const confirming = new Set<SessionId>()

  function isDue(lineage: readonly Generation[], held: Held, at: number): boolean {
    const newest = lineage.at(-1)
    if (newest === undefined) return false
    if (held === 'late') return true
    if (held === 'newest') return at - newest.issuedAt >= timeouts.rotate
    // The value before is still in use: its successor is on the way, or was lost.
    return newest.deliveredAt === undefined && at - newest.issuedAt >= lostAfter
  }

  async function rotate(id: SessionId, cookie: CookieValue): Promise<Rotated | undefined> {
    // Many requests come at once when a rotation is due: one of them makes it, the others go on with what they have.
    if (rotating.has(id)) return undefined
    rotating.add(id)
    try {
      return await rotateOnce(id, cookie)
    } finally {
      rotating.delete(id)
    }
  }

  async function rotateOnce(id: SessionId, cookie: CookieValue): Promise<Rotated | undefined> {
    const secret = newSecret()
    const presented = hashSecret(cookie.secret).toString('base64url')
    const row = await rows.update(id, ({ record, tokens }) => {
      const at = now()
      const clock = { now: at, grace: timeouts.grace }
      const standing = standingOf(record.lineage, cookie, (hash) => hash === presented, clock)
      if (standing.kind !== 'current' && standing.kind !== 'superseded') return undefined
      if (!isDue(record.lineage, heldBy(standing), at)) return undefined
      const dataKey = unwrapDataKey(ring, id, standing.generation, cookie.secret)
      if (typeof dataKey === 'string') return undefined
      const number = (record.lineage.at(-1)?.number ?? 0) + 1
      const next: Generation = {
        number,
        secretHash: hashSecret(secret).toString('base64url'),
        issuedAt: at,
        wrapped: wrapDataKey(ring, id, { number, secret }, dataKey),
      }
      // Shown, so it has arrived: a late value is replaced once.
      const shown = withDelivery(record.lineage, standing.generation.number, at)
      return { record: { ...record, lineage: withGeneration(shown, next, clock) }, tokens }
    })
    const generation = row?.record.lineage.at(-1)?.number
    if (row === undefined || generation === undefined) return undefined
    cached(id, row)
    return { cookie: formatCookieValue({ id, generation, secret }), delivered: () => deliver(id, generation) }
  }

  function deliver(id: SessionId, generation: number): void {
    if (confirming.has(id)) return
    confirming.add(id)
    rows
      .update(id, ({ record, tokens }) => {
        const lineage = withDelivery(record.lineage, generation, now())
        return lineage === record.lineage ? undefined : { record: { ...record, lineage }, tokens }
      })
      .then((row) => row && cached(id, row))
      .catch(onFault)
      .finally(() => confirming.delete(id))
  }

  function confirm({ id, record }: LiveSession): void {
    const newest = record.lineage.at(-1)
    if (newest !== undefined && newest.deliveredAt === undefined) deliver(id, newest.number)
  }

  return { isDue, rotate, confirm }
}
