import { type Cache, createCache } from './cache.ts'
import { formatCookieValue, hashSecret, newCookieValue, parseCookieValue } from './cookie-value.ts'
import { createHandles } from './handle.ts'
import { providerSidIndex, userIndex } from './indices.ts'
import type { JsonObject } from './json.ts'
import type { KeyRing } from './key-ring.ts'
import { expired, seen } from './machine.ts'
import { createOpening } from './opening.ts'
import type { LiveSession, Opened, SessionRecord, Subject, Tokens } from './record.ts'
import { createRefreshLeases, type RefreshLeases } from './refresh-lease.ts'
import { createRotation, type Rotated } from './rotation.ts'
import { createRows, type Row } from './rows.ts'
import { sealTokens, wrapDataKey } from './sealed-record.ts'
import type { Clock, EndReason, SessionId, SessionStore } from './store.ts'
import { expiresAt, type Timeouts, writeInterval } from './timeouts.ts'

/** What a sign-in knows of the session that it creates. */
export type NewSession = Omit<
  SessionRecord,
  'createdAt' | 'lastSeenAt' | 'absoluteExpiresAt' | 'lineage' | 'tokensVersion'
>

/** What happened to a session, for the log. `session` is a salted hash, never the id. */
export interface SessionEvent {
  readonly event:
    | 'session_created'
    | 'session_renewed'
    | 'session_ended'
    | 'session_unknown'
    | 'session_cookie_reused'
    | 'privilege_permissions_changed'
    | 'crypt_decrypt_fail'
  readonly session: string
  readonly reason?: string
}

export interface Sessions {
  /**
   * Who is behind a cookie. Synchronous when this process knows the session and the store can say at once that it is
   * still the same: no promise on the hot path. Throws, or rejects, when the store can not be read: an error is not a miss.
   * `arrivedAt`: when the request came (milliseconds since the epoch; now, unless told). A cookie that was good then is good
   * for its request, however long that stands here: else a stall would look like a stolen cookie.
   */
  open(cookie: string, arrivedAt?: number): Opened | Promise<Opened>
  /** Extends the idle timeout. Writes behind the request, at most once an interval. */
  touch(session: LiveSession): void
  /** The value for the session cookie of a new session. Ids are never taken from the request: no fixation. */
  create(session: NewSession, tokens: Tokens): Promise<string>
  /** A new cookie value when one is due; undefined when another request has just made it, or the session is over. */
  rotate(session: LiveSession, cookie: string): Promise<Rotated | undefined>
  /** The right to redeem the refresh token and to put its successor in place, one at a time across all processes. */
  readonly refreshLeases: RefreshLeases
  /** A session as this process has it opened; undefined where only the cookie opens it. */
  opened(id: SessionId): LiveSession | undefined
  /** Final: nothing in flight brings the session back. False if it was over already. */
  end(id: SessionId, reason: EndReason, how?: Ending): Promise<boolean>
  /** The live sessions of a user, last used first. */
  ofUser(subject: Subject): Promise<ListedSession[]>
  /** The live sessions that began with one sign-in at a provider. */
  ofProviderSid(iss: string, sid: string): Promise<ListedSession[]>
  /** The live sessions under any index of indices.ts. */
  underIndex(index: string): Promise<ListedSession[]>
  /** When the session ends if nothing more happens; milliseconds since the epoch. */
  expiry(session: LiveSession): { idleExpiresAt: number; expiresAt: number }
  /** Activity that this process saw, and may not have written yet; undefined where it holds nothing of the session. */
  lastSeenAt(id: SessionId): number | undefined
  handleOf(id: SessionId): string
}

/** More about an end. */
export interface Ending {
  /**
   * Only while this is true of its record, so that a late judgement doesn't undo what another process has written since.
   */
  readonly holds?: (record: SessionRecord) => boolean
  /** As it is opened here, where that isn't known yet. */
  readonly session?: LiveSession
}

/** A session as its owner sees it in a list. */
export interface ListedSession {
  readonly id: SessionId
  /** Names the session to its owner; opens nothing. */
  readonly handle: string
  readonly record: SessionRecord
}

export interface SessionsOptions {
  readonly store: SessionStore
  readonly ring: KeyRing
  readonly timeouts: Timeouts
  readonly now: Clock
  /** The application's roles of a user with these claims. */
  readonly rolesOf: (attributes: JsonObject) => string[]
  readonly onEvent: (event: SessionEvent) => void
  /** Called when a session ended that this process had opened: the last moment at which its tokens are known. */
  readonly onEnded?: (session: LiveSession, reason: EndReason) => void
  /**
   * Called when a session ended whose newest tokens this process may not have: another one that had it opened can see to them.
   */
  readonly onEndedUnopened?: ((id: SessionId, reason: EndReason) => void) | undefined
  /** Called when a write behind a request failed. */
  readonly onFault: (fault: unknown) => void
  /** Opened sessions held in this process. */
  readonly cacheSize?: number
}

export function createSessions(options: SessionsOptions): Sessions {
  const { store, ring, timeouts, now, onEvent, onFault } = options
  const cache: Cache<SessionId, LiveSession> = createCache(options.cacheSize ?? 4096)
  const rows = createRows(options)
  const handles = createHandles(ring)
  const rotation = createRotation({ rows, ring, timeouts, now, onFault, cached })
  const interval = writeInterval(timeouts)
  const writing = new Set<SessionId>()
  const opening = createOpening({ ...options, rows, cache, handles, rotation, end: (...args) => end(...args) })

  /** The row was written by this process: what is cached of it is brought up to date instead of read again. */
  function cached(id: SessionId, row: Row): void {
    const known = cache.get(id)
    if (known?.version === row.version - 1) cache.set(id, withRow(known, row))
  }

  function touch(session: LiveSession): void {
    const at = now()
    session.lastSeenAt = at
    if (at - session.record.lastSeenAt < interval || writing.has(session.id)) return
    writing.add(session.id)
    rows
      .change(session.id, (record) => seen(record, at))
      .then((row) => row && cached(session.id, row))
      .catch(onFault)
      .finally(() => writing.delete(session.id))
  }

  async function create(session: NewSession, tokens: Tokens): Promise<string> {
    const cookie = newCookieValue()
    const at = now()
    const { sealed, dataKey } = sealTokens(cookie.id, tokens)
    const record: SessionRecord = {
      ...session,
      createdAt: at,
      lastSeenAt: at,
      absoluteExpiresAt: at + timeouts.absolute,
      lineage: [
        {
          number: cookie.generation,
          secretHash: hashSecret(cookie.secret).toString('base64url'),
          issuedAt: at,
          wrapped: wrapDataKey(ring, cookie.id, { number: cookie.generation, secret: cookie.secret }, dataKey),
        },
      ],
      tokensVersion: 1,
    }
    if (!(await rows.write(cookie.id, undefined, record, sealed))) throw new Error('a fresh session id was taken')
    onEvent({ event: 'session_created', session: handles.handleOf(cookie.id) })
    return formatCookieValue(cookie)
  }

  async function rotate(session: LiveSession, text: string): Promise<Rotated | undefined> {
    const cookie = parseCookieValue(text)
    const rotated = cookie && (await rotation.rotate(session.id, cookie))
    if (rotated) onEvent({ event: 'session_renewed', session: handles.handleOf(session.id) })
    return rotated
  }

  function replaced(session: LiveSession, row: Row, tokens: Tokens): LiveSession {
    const next = { ...withRow(session, row), tokens }
    cache.set(session.id, next)
    if (row.record.privilegesChangedAt !== session.record.privilegesChangedAt) {
      onEvent({ event: 'privilege_permissions_changed', session: handles.handleOf(session.id) })
    }
    return next
  }

  const end: Sessions['end'] = async (id, reason, { holds, session = cache.get(id) } = {}) => {
    // Another process may have put newer tokens in since it was opened here.
    const newest = session !== undefined && (store.peek === undefined || store.peek(id) === session.version)
    cache.delete(id)
    const ended = await rows.end(id, reason, holds)
    if (ended) onEvent({ event: 'session_ended', session: handles.handleOf(id), reason })
    if (ended && session) options.onEnded?.(session, reason)
    if (ended && !newest) options.onEndedUnopened?.(id, reason)
    return ended
  }

  async function listed(index: string): Promise<ListedSession[]> {
    const found: ListedSession[] = []
    for (const id of await store.find(index)) {
      const row = await rows.read(id)
      if (row.kind !== 'row') continue
      const lastSeenAt = Math.max(row.record.lastSeenAt, cache.get(id)?.lastSeenAt ?? 0)
      if (expired(row.record, lastSeenAt, { now: now(), idle: timeouts.idle })) continue
      found.push({ id, handle: handles.handleOf(id), record: { ...row.record, lastSeenAt } })
    }
    return found.sort((a, b) => b.record.lastSeenAt - a.record.lastSeenAt)
  }

  return {
    open: opening.open,
    touch,
    create,
    rotate,
    refreshLeases: createRefreshLeases({ rows, now, rolesOf: options.rolesOf, replaced }),
    opened: (id) => cache.get(id),
    end,
    ofUser: (subject) => listed(userIndex(subject)),
    ofProviderSid: (iss, sid) => listed(providerSidIndex(iss, sid)),
    underIndex: listed,
    expiry: (session) => ({
      idleExpiresAt: expiresAt(session.lastSeenAt, session.record.absoluteExpiresAt, timeouts),
      expiresAt: session.record.absoluteExpiresAt,
    }),
    lastSeenAt: (id) => cache.get(id)?.lastSeenAt,
    handleOf: handles.handleOf,
  }
}

/** A session as its changed row has it. A secret that was proved for one generation proves nothing for the next. */
function withRow(session: LiveSession, { record, version }: Row): LiveSession {
  const { secret: _, ...rest } = session
  const newest = record.lineage.at(-1)
  if (newest === undefined || newest.number === session.generation) return { ...session, version, record }
  const secretHash = Buffer.from(newest.secretHash, 'base64url')
  return { ...rest, version, record, generation: newest.number, secretHash }
}
