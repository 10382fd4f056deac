import type { Config } from '../config/schema.ts'
import type { EventLog } from '../event-log.ts'
import { normaliseEmail } from '../session/email.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { ListedSession, Sessions } from '../session/sessions.ts'
import type { Clock } from '../session/store.ts'
import { endSessions } from '../signals/end-sessions.ts'
import { addressIndex, type UserRecord, userIdOf } from './user-record.ts'
import { createUserRows, type Known, UnreadableUser } from './user-rows.ts'
import type { UserId, UserStore } from './user-store.ts'

/** Which users an operator means. Looked for at all configured providers unless `iss` says at which. */
export type Sought = { readonly user: string; readonly iss?: string } | { readonly email: string }

/** The directory, for operators. A page at a time: however many users there are, a few are in memory. */
export interface AllUsers {
  page(limit: number, cursor?: string): Promise<{ readonly users: readonly Known[]; readonly cursor?: string }>
  find(sought: Sought): Promise<readonly Known[]>
  /** Undefined where there is no such user. */
  get(id: string): Promise<Known | undefined>
  /**
   * From now on the user is refused at each sign-in and refresh, and all of their sessions end, in every process; those of
   * linked identities too. Disabling once more ends what there is, and keeps the date.
   */
  disable(id: string, reason?: string): Promise<Changed | undefined>
  enable(id: string): Promise<Changed | undefined>
  /**
   * Forgets all that is known of a user, and ends their sessions. A disabled one is kept: who is forgotten may sign in again,
   * as somebody new.
   */
  forget(id: string): Promise<{ readonly ended: number } | 'disabled' | undefined>
}

export interface Changed {
  readonly user: Known
  readonly ended: number
}

export interface AllUsersParts {
  readonly config: Pick<Config, 'providers'>
  readonly users: UserStore
  readonly ring: KeyRing
  readonly sessions: Pick<Sessions, 'end' | 'ofUser'>
  readonly log: EventLog
  readonly now: Clock
}

export function createAllUsers(parts: AllUsersParts): AllUsers {
  const { config, users, sessions, log, now } = parts
  const rows = createUserRows(parts)
  const issuers = () => [...new Set(Object.values(config.providers).map(({ issuer }) => issuer))]

  async function get(id: string): Promise<Known | undefined> {
    if (!isUserId(id)) return undefined
    const place = await rows.at(id)
    return place.record === undefined ? undefined : (place as Known)
  }

  /** Reads, changes and writes until no other writer was faster. */
  async function change(id: string, step: (record: UserRecord) => UserRecord): Promise<Known | undefined> {
    for (;;) {
      const user = await get(id)
      if (user === undefined) return undefined
      const record = step(user.record)
      if (await rows.write(user.id, user.version, record)) return { id: user.id, version: user.version + 1, record }
    }
  }

  async function endAll({ record }: Known): Promise<number> {
    const find = async (): Promise<ListedSession[]> =>
      (await Promise.all(record.identities.map(({ iss, sub }) => sessions.ofUser({ iss, sub })))).flat()
    return await endSessions(sessions, find, 'revoked')
  }

  /** One that does not open keeps none of the others from being seen; that it does not is in the log. */
  async function shown(id: UserId): Promise<Known[]> {
    try {
      // A link is shown with the user to whom it leads.
      const user = await get(id)
      return user?.id === id ? [user] : []
    } catch (error) {
      if (error instanceof UnreadableUser) return []
      throw error
    }
  }

  /** What nobody can read any more can at least go. */
  async function unreadable(id: string, error: unknown): Promise<'gone'> {
    const stored = error instanceof UnreadableUser && isUserId(id) ? await users.get(id) : undefined
    if (stored === undefined || !(await users.remove(stored.id, stored.version))) throw error
    log.warn({ event: 'user_deleted', user: id, ended: 0 }, 'it could not be read')
    return 'gone'
  }

  return {
    async page(limit, from) {
      const found: Known[] = []
      let cursor = from
      do {
        const page = await users.scan(limit - found.length, cursor)
        found.push(...(await Promise.all(page.ids.map(shown))).flat())
        cursor = page.cursor
      } while (cursor !== undefined && found.length < limit)
      return { users: found, ...(cursor !== undefined && { cursor }) }
    },

    async find(sought) {
      if ('user' in sought) {
        const where = sought.iss === undefined ? issuers() : [sought.iss]
        return await rows.usersAt(where.map((iss) => userIdOf({ iss, sub: sought.user })))
      }
      const email = normaliseEmail(sought.email)
      if (email === undefined) return []
      const ids = await Promise.all(issuers().map((iss) => users.find(addressIndex(iss, email))))
      return await rows.usersAt(ids.flat())
    },

    get,

    async disable(id, reason) {
      const at = now()
      const user = await change(id, (record) => ({
        ...record,
        disabled: { at, ...record.disabled, ...(reason !== undefined && { reason }) },
      }))
      if (user === undefined) return undefined
      // Written down first: who signs in meanwhile either sees it, or has a session that is found here.
      const ended = await endAll(user)
      log.warn({ event: 'user_disabled', user: user.id, ended })
      return { user, ended }
    },

    async enable(id) {
      const user = await change(id, ({ disabled: _, ...record }) => record)
      if (user === undefined) return undefined
      log.warn({ event: 'user_enabled', user: user.id })
      return { user, ended: 0 }
    },

    async forget(id) {
      for (;;) {
        const user = await get(id).catch((error: unknown) => unreadable(id, error))
        if (user === 'gone') return { ended: 0 }
        if (user === undefined) return undefined
        if (user.record.disabled) return 'disabled'
        // Rows of linked identities lead to this one: they go first, so that none is left that leads nowhere.
        for (const identity of user.record.identities) {
          const link = userIdOf(identity)
          const stored = link === user.id ? undefined : await users.get(link)
          if (stored) await users.remove(link, stored.version)
        }
        if (!(await users.remove(user.id, user.version))) continue
        const ended = await endAll(user)
        log.warn({ event: 'user_deleted', user: user.id, ended })
        return { ended }
      }
    },
  }
}

/** Anything else is nobody's, and no key for a store. */
export function isUserId(text: string): text is UserId {
  return /^[\w-]{22}$/.test(text)
}
