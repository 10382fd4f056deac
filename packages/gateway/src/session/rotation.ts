import { type CookieValue, formatCookieValue, hashSecret, newSecret } from './cookie-value.ts'
import type { KeyRing } from './key-ring.ts'
import { type Held, heldBy, standingOf } from './lineage.ts'
import { delivered, nextGenerationNumber, rotated, rotationIsDue } from './machine.ts'
import type { Generation, LiveSession, SessionRecord } from './record.ts'
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

export interface Rotation {
  isDue(record: SessionRecord, held: Held, at: number): boolean
  rotate(id: SessionId, cookie: CookieValue): Promise<Rotated | undefined>
  /** The browser used the newest value, so it has it. */
  confirm(session: LiveSession): void
}

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

  const isDue: Rotation['isDue'] = (record, held, at) =>
    rotationIsDue(record, held, { now: at, rotate: timeouts.rotate })

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
    const row = await rows.change(id, (record) => {
      const at = now()
      const clock = { now: at, grace: timeouts.grace }
      const standing = standingOf(record.lineage, cookie, (hash) => hash === presented, clock)
      if (standing.kind !== 'current' && standing.kind !== 'superseded') return { no: 'no' }
      if (!isDue(record, heldBy(standing), at)) return { no: 'no' }
      const dataKey = unwrapDataKey(ring, id, standing.generation, cookie.secret)
      if (typeof dataKey === 'string') return { no: 'no' }
      const number = nextGenerationNumber(record)
      const next: Generation = {
        number,
        secretHash: hashSecret(secret).toString('base64url'),
        issuedAt: at,
        wrapped: wrapDataKey(ring, id, { number, secret }, dataKey),
      }
      return rotated(record, { shown: standing.generation.number, next }, clock)
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
      .change(id, (record) => delivered(record, generation, now()))
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
