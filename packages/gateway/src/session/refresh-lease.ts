import { randomBytes } from 'node:crypto'
import type { JsonObject } from './json.ts'
import { leased, released, renewed, type UserChange } from './machine.ts'
import type { LiveSession, SessionRecord, Tokens } from './record.ts'
import type { Row, Rows } from './rows.ts'
import { sealTokens } from './sealed-record.ts'
import type { Clock } from './store.ts'

/*
 * Who may redeem the refresh token now: across all processes one holder redeems, the others wait for the successor. The
 * lease lies in the session's row; its rules are in machine.ts. New tokens are written by the holder of a lease, and by
 * nobody else.
 */

export type LeaseAnswer =
  | Lease
  /** Another holds it, in this process or elsewhere. */
  | { readonly kind: 'taken' }
  /** The tokens were replaced already: open the session again. */
  | { readonly kind: 'superseded' }
  | { readonly kind: 'over' }

export interface Lease {
  readonly kind: 'granted'
  /**
   * The new token set takes the place of the one that the lease was taken for. Undefined if the session ended meanwhile, or
   * if another holder, after this lease had run out, was faster: its set stands. `user`: what the provider said of the user
   * with them.
   */
  renew(tokens: Tokens, user?: Omit<UserChange, 'roles'>): Promise<LiveSession | undefined>
  release(): Promise<void>
}

export interface RefreshLeases {
  take(session: LiveSession): Promise<LeaseAnswer>
}

export function createRefreshLeases(parts: {
  rows: Rows
  now: Clock
  rolesOf: (attributes: JsonObject) => string[]
  /** Brings what this process knows of the session up to date. */
  replaced: (session: LiveSession, row: Row, tokens: Tokens) => LiveSession
}): RefreshLeases {
  const { rows, now, rolesOf, replaced } = parts

  return {
    async take(session) {
      const { id, dataKey } = session
      const { tokensVersion } = session.record
      const holder = randomBytes(9).toString('base64url')
      let held = true
      const release = async () => {
        if (held) await rows.change(id, (record) => released(record, holder))
      }
      let no: 'taken' | 'superseded' | 'over' = 'over'
      const row = await rows.change(id, (record) => {
        const step = leased(record, { holder, tokensVersion, now: now() })
        if ('no' in step) no = step.no
        return step
      })
      if (row === undefined) return { kind: no }
      return {
        kind: 'granted',
        release,
        async renew(tokens, user) {
          const { sealed } = sealTokens(id, tokens, dataKey)
          const change = user?.attributes ? { ...user, roles: rolesOf(user.attributes) } : user
          const step = (record: SessionRecord) => renewed(record, tokensVersion, { user: change, now: now() })
          const next = await rows.change(id, (record) => ({ ...step(record), tokens: sealed }), row)
          // Given back together with the tokens.
          if (next) held = false
          return next && replaced(session, next, tokens)
        },
      }
    },
  }
}
