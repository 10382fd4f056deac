import { randomBytes } from 'node:crypto'
import { keepLeased, keepSettled } from './machine.ts'
import type { LiveSession, SessionRecord } from './record.ts'
import type { Row, Rows } from './rows.ts'
import { sealKept, unsealKept } from './sealed-record.ts'
import type { Clock, SessionId } from './store.ts'

/*
 * Credentials that were made of a session's tokens, such as those of AWS: in the session's row, sealed under its data key as
 * the tokens are. So they are shared by all processes, outlive a restart, open with the cookie only, and are shredded with
 * the session. Who obtains them holds a lease in the same row, and whoever comes meanwhile waits for what it gets.
 */

export interface KeptCredentials {
  /** Opened with what this process has of the session: no I/O. Undefined where there is nothing that opens. */
  open(session: LiveSession, name: string): string | undefined
  /** The right to obtain what is kept under `name`, unless what another has put there meanwhile is `good` already. */
  take(
    session: LiveSession,
    name: string,
    how: { readonly lifetime: number; readonly good: (text: string) => boolean },
  ): Promise<Turn>
}

export type Turn =
  | {
      readonly kind: 'granted'
      /** False if the session ended meanwhile, or the lease ran out and another took it. */
      keep(text: string, expiresAt: number): Promise<false | number>
      release(): Promise<void>
    }
  | { readonly kind: 'kept'; readonly text: string; readonly version: number }
  /** Another obtains it, in this process or elsewhere. */
  | { readonly kind: 'taken' }
  | { readonly kind: 'over' }

export function createKeptCredentials(parts: {
  rows: Rows
  now: Clock
  /** Brings what this process has of the session up to date. */
  cached: (id: SessionId, row: Row) => void
}): KeptCredentials {
  const { rows, now, cached } = parts

  function opened(session: Pick<LiveSession, 'id' | 'record'>, name: string, dataKey: Buffer): string | undefined {
    const sealed = session.record.kept?.[name]?.sealed
    return sealed === undefined ? undefined : unsealKept(session.id, name, sealed, dataKey)
  }

  return {
    open: (session, name) => opened(session, name, session.dataKey),

    async take(session, name, { lifetime, good }) {
      // Of the session as it was opened: the wait for another may outlast the cookie's grace, and its copy of the key.
      const { id, dataKey } = session
      const holder = randomBytes(9).toString('base64url')
      let no: Turn | undefined
      const found = await rows.change(id, (record) => {
        no = undefined
        const text = opened({ id, record }, name, dataKey)
        if (text !== undefined && good(text)) {
          no = { kind: 'kept', text, version: session.version }
          return { no: 'kept' }
        }
        const step = keepLeased(record, { name, holder, lifetime, now: now() })
        if ('no' in step) no = { kind: 'taken' }
        return step
      })
      if (found === undefined) return no ?? { kind: 'over' }
      cached(id, found)

      async function settle(obtained?: { sealed: string; expiresAt: number }): Promise<Row | undefined> {
        const step = (record: SessionRecord) => keepSettled(record, { name, holder, now: now() }, obtained)
        const row = await rows.change(id, step, found)
        if (row) cached(id, row)
        return row
      }
      return {
        kind: 'granted',
        async keep(text, expiresAt) {
          const row = await settle({ sealed: sealKept(id, name, text, dataKey), expiresAt })
          return row === undefined ? false : row.version
        },
        async release() {
          await settle()
        },
      }
    },
  }
}
