import { rulesByRole } from '../access/roles.ts'
import type { Config } from '../config/schema.ts'
import { createHandles } from './handle.ts'
import type { KeyRing } from './key-ring.ts'
import { expired } from './machine.ts'
import { createRows } from './rows.ts'
import type { ListedSession, Sessions } from './sessions.ts'
import type { Clock, SessionId, SessionStore } from './store.ts'

export interface SessionPage {
  readonly sessions: readonly ListedSession[]
  /** Of the next page, unless this was the last. For this store only, and not to be shown: it may be a session's id. */
  readonly cursor?: string
}

/** Which sessions an operator means. A user is looked for at all configured providers unless `iss` says at which. */
export type Selection =
  | { readonly user: string; readonly iss?: string }
  | { readonly handle: string }
  | { readonly all: true }

/** Everyone's sessions, for operators. A page at a time: however many there are, a few are in memory. */
export interface AllSessions {
  page(limit: number, cursor?: string): Promise<SessionPage>
  /** All of one user's. */
  ofUser(user: string, iss?: string): Promise<ListedSession[]>
  /** Ends them for good; returns how many there were. A session that begins meanwhile may live. */
  end(selection: Selection): Promise<number>
}

export interface AllSessionsParts {
  readonly config: Pick<Config, 'providers' | 'session'>
  readonly now: Clock
  readonly ring: KeyRing
  readonly sessions: Pick<Sessions, 'end' | 'ofUser'>
  readonly store: SessionStore
}

/** Sessions that are read or ended together. */
const batch = 256

export function createAllSessions({ config, now, ring, sessions, store }: AllSessionsParts): AllSessions {
  const timeouts = config.session
  const rows = createRows({ store, ring, timeouts, now })
  const { handleOf } = createHandles(ring)

  async function* pages(): AsyncGenerator<readonly SessionId[]> {
    let cursor: string | undefined
    do {
      const page = await store.scan(batch, cursor)
      yield page.ids
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  async function read(id: SessionId): Promise<ListedSession[]> {
    const row = await rows.read(id)
    if (row.kind !== 'row') return []
    const { record } = row
    const over = expired(record, record.lastSeenAt, { now: now(), idle: timeouts.idle }) !== undefined
    return over ? [] : [{ id, handle: handleOf(id), record }]
  }

  async function endEach(ids: readonly SessionId[]): Promise<number> {
    const ended = await Promise.all(ids.map((id) => sessions.end(id, 'revoked')))
    return ended.filter(Boolean).length
  }

  async function ofUser(user: string, iss?: string): Promise<ListedSession[]> {
    const issuers = iss === undefined ? Object.values(config.providers).map(({ issuer }) => issuer) : [iss]
    const found = await Promise.all([...new Set(issuers)].map((one) => sessions.ofUser({ iss: one, sub: user })))
    return found.flat()
  }

  return {
    async page(limit, from) {
      const found: ListedSession[] = []
      let cursor = from
      do {
        const page = await store.scan(limit - found.length, cursor)
        found.push(...(await Promise.all(page.ids.map(read))).flat())
        cursor = page.cursor
      } while (cursor !== undefined && found.length < limit)
      return { sessions: found, ...(cursor !== undefined && { cursor }) }
    },

    ofUser,

    async end(selection) {
      if ('user' in selection) {
        return await endEach((await ofUser(selection.user, selection.iss)).map(({ id }) => id))
      }
      let ended = 0
      for await (const ids of pages()) {
        // A handle is a keyed hash: what it is of can only be found by hashing what there is.
        if ('all' in selection) ended += await endEach(ids)
        else {
          const id = ids.find((one) => handleOf(one) === selection.handle)
          if (id !== undefined) return await endEach([id])
        }
      }
      return ended
    },
  }
}

/** As operators see a session: who, since when, from where. Never its id, and nothing that opens it. */
export function describeSession(
  { handle, record }: ListedSession,
  { roles, rolesMatch, session: timeouts }: Pick<Config, 'roles' | 'rolesMatch' | 'session'>,
) {
  const iso = (time: number) => new Date(time).toISOString()
  return {
    id: handle,
    user: record.subject.sub,
    iss: record.subject.iss,
    provider: record.provider,
    roles: record.roles,
    // The places of the rules, not what they found: the claims are nobody's to read here.
    ...(record.attributes && { rolesFrom: rulesByRole({ roles, rolesMatch }, record.attributes) }),
    createdAt: iso(record.createdAt),
    authTime: iso(record.authenticatedAt),
    lastSeenAt: iso(record.lastSeenAt),
    idleExpiresAt: iso(Math.min(record.lastSeenAt + timeouts.idle, record.absoluteExpiresAt)),
    expiresAt: iso(record.absoluteExpiresAt),
    device: record.userAgent,
    address: record.address,
  }
}

export type DescribedSession = ReturnType<typeof describeSession>
