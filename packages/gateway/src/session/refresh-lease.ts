import { randomBytes } from 'node:crypto'
import type { LiveSession } from './record.ts'
import type { Rows } from './rows.ts'
import type { Clock } from './store.ts'

/*
 * Who may redeem the refresh token now. The lease lies in the session's row, taken by compare-and-set: across all
 * processes one holder redeems, the others wait for the successor. `tokensVersion` is the fence: a holder that slept past
 * its lease can not write over what another has put there since.
 */

export type LeaseAnswer =
  | { readonly kind: 'granted'; release(): Promise<void> }
  /** Another holds it, in this process or elsewhere. */
  | { readonly kind: 'taken' }
  /** The tokens were replaced already: open the session again. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'over' }

export interface RefreshLeases {
  take(session: LiveSession): Promise<LeaseAnswer>
}

/** Longer than two attempts at a provider that answers as late as we allow; milliseconds. */
const leaseLifetime = 30_000

export function createRefreshLeases({ rows, now }: { rows: Rows; now: Clock }): RefreshLeases {
  return {
    async take(session) {
      const { id } = session
      const holder = randomBytes(9).toString('base64url')
      let answer: 'taken' | 'superseded' | 'over' = 'over'
      const row = await rows.update(id, ({ record, tokens }) => {
        if (record.tokensVersion !== session.record.tokensVersion) answer = 'superseded'
        else if (record.refreshLease !== undefined && record.refreshLease.until > now()) answer = 'taken'
        else return { record: { ...record, refreshLease: { holder, until: now() + leaseLifetime } }, tokens }
        return undefined
      })
      if (row === undefined) return { kind: answer }
      return { kind: 'granted', release: () => release(id, holder) }
    },
  }

  async function release(id: LiveSession['id'], holder: string): Promise<void> {
    await rows.update(id, ({ record, tokens }) => {
      if (record.refreshLease?.holder !== holder) return undefined
      const { refreshLease: _, ...rest } = record
      return { record: rest, tokens }
    })
  }
}
