import type { EventLog } from '../event-log.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Clock, SessionStore } from '../session/store.ts'
import { createUserRows } from './user-rows.ts'

/** Rows that are looked at together, and for how long one process has them for itself (milliseconds). */
const batch = 256
const lease = 60 * 60_000

/**
 * After a rotation of the key ring, users are sealed anew under the new key. Sessions end within a day, and with them the use
 * of an old key; users do not, so without this `coatcheck keys rotate --retire` would make the directory unreadable, and
 * with it nobody who is in there could sign in. One process of the store does it, and looks at a row without opening it.
 */
export function createResealing(parts: { store: SessionStore; ring: KeyRing; log: EventLog; now: Clock }) {
  const { store, ring, log, now } = parts
  const rows = createUserRows({ ...parts, users: store.users })
  let done: string | undefined
  let running = false

  async function walk(): Promise<void> {
    const current = ring.current
    if (current === done || !(await store.claim(`users sealed under ${current}`, now() + lease))) return
    let sealed = 0
    let cursor: string | undefined
    do {
      const page = await store.users.scan(batch, cursor)
      for (const id of page.ids) if (await rows.reseal(id)) sealed++
      cursor = page.cursor
    } while (cursor !== undefined)
    done = current
    if (sealed > 0) log.info({ event: 'users_resealed', users: sealed, key: current })
  }

  /** To be called now and then; rejects where the store fails. */
  return async (): Promise<void> => {
    if (running) return
    running = true
    try {
      await walk()
    } finally {
      running = false
    }
  }
}
