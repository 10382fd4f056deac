import { timingSafeEqual } from 'node:crypto'
import { timingSafeEqual as sameText } from '../protocol/timing-safe.ts'
import { type Cache, createCache } from './cache.ts'
import { type CookieValue, formatCookieValue, hashSecret, newCookieValue, parseCookieValue } from './cookie-value.ts'
import { createHandles } from './handle.ts'
import { providerSidIndex, userIndex } from './indices.ts'
import type { KeyRing } from './key-ring.ts'
import { type Standing, standingOf } from './lineage.ts'
import type { Generation, LiveSession, Opened, SessionRecord, Subject, Tokens } from './record.ts'
import { createRefreshLeases, type RefreshLeases } from './refresh-lease.ts'
import { createRotation, type Rotated } from './rotation.ts'
import { createRows, type Row } from './rows.ts'
import { sealTokens, unsealTokens, unwrapDataKey, wrapDataKey } from './sealed-record.ts'
import type { Clock, EndReason, SessionId, SessionStore } from './store.ts'
import { expiresAt, type Timeouts, tombstoneLifetime, whyExpired, writeInterval } from './timeouts.ts'

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
    | 'crypt_decrypt_fail'
  readonly session: string
  readonly reason?: string
}

export interface Sessions {
  /**
   * Who is behind a cookie. Synchronous when this process knows the session and the store can say at once that it is
   * still the same: no promise on the hot path. Throws, or rejects, when the store can not be read: an error is not a miss.
   */
  open(cookie: string): Opened | Promise<Opened>
  /** Extends the idle timeout. Writes behind the request, at most once an interval. */
  touch(session: LiveSession): void
  /** The value for the session cookie of a new session. Ids are never taken from the request: no fixation. */
  create(session: NewSession, tokens: Tokens): Promise<string>
  /** A new cookie value when one is due; undefined when another request has just made it, or the session is over. */
  rotate(session: LiveSession, cookie: string): Promise<Rotated | undefined>
  /**
   * Replaces the token set that `session` was opened with. Undefined if the session is over; if another process replaced
   * the set meanwhile, that one stands and is returned.
   */
  replaceTokens(session: LiveSession, cookie: string, tokens: Tokens): Promise<LiveSession | undefined>
  /** The right to redeem the refresh token, one at a time across all processes. */
  readonly refreshLeases: RefreshLeases
  /** Final: nothing in flight brings the session back. False if it was over already. */
  end(id: SessionId, reason: EndReason): Promise<boolean>
  /** The live sessions of a user, last used first. */
  ofUser(subject: Subject): Promise<ListedSession[]>
  /** The live sessions that began with one sign-in at a provider. */
  ofProviderSid(iss: string, sid: string): Promise<ListedSession[]>
  /** When the session ends if nothing more happens; milliseconds since the epoch. */
  expiry(session: LiveSession): { idleExpiresAt: number; expiresAt: number }
  /** Activity that this process saw, and may not have written yet; undefined where it holds nothing of the session. */
  lastSeenAt(id: SessionId): number | undefined
  handleOf(id: SessionId): string
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
  readonly onEvent: (event: SessionEvent) => void
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

  function open(text: string): Opened | Promise<Opened> {
    const cookie = parseCookieValue(text)
    if (!cookie) return unknown
    const known = cache.get(cookie.id)
    // The cache never answers alone: the version in the store shows what other processes ended or changed.
    if (known === undefined || store.peek?.(cookie.id) !== known.version) return load(cookie)
    // Constant time, here and below: the time of a refusal tells nothing about the secret.
    if (known.generation === cookie.generation && known.secret !== undefined && sameText(known.secret, cookie.secret)) {
      return live(known, true)
    }
    const presented = hashSecret(cookie.secret)
    if (known.generation === cookie.generation && timingSafeEqual(known.secretHash, presented)) {
      known.secret = cookie.secret
      return live(known, true)
    }
    const standing = standingIn(known.record, cookie, presented)
    return refusal(known.id, standing) ?? live(known, standing.kind === 'current')
  }

  async function load(cookie: CookieValue): Promise<Opened> {
    const { id } = cookie
    const row = await rows.read(id)
    const before = cache.get(id)
    cache.delete(id)
    if (row.kind === 'missing') {
      onEvent({ event: 'session_unknown', session: handles.handleOf(id) })
      return unknown
    }
    if (row.kind === 'ended') return row
    if (row.kind === 'unreadable') return await unreadable(id, row.why)
    const { record, version } = row
    const standing = standingIn(record, cookie, hashSecret(cookie.secret))
    if (standing.kind !== 'current' && standing.kind !== 'superseded') return refusal(id, standing) ?? unknown
    const tokens = openTokens(row, cookie, standing.generation)
    if (typeof tokens === 'string') return await unreadable(id, tokens)
    const { number: generation, secretHash } = record.lineage.at(-1) ?? standing.generation
    // Activity that this process saw and hasn't written yet still counts.
    const lastSeenAt = Math.max(record.lastSeenAt, before?.lastSeenAt ?? 0)
    const session = {
      id,
      version,
      record,
      tokens,
      generation,
      secretHash: Buffer.from(secretHash, 'base64url'),
      lastSeenAt,
    }
    const opened = live(session, standing.kind === 'current')
    if (opened.kind === 'live') cache.set(id, session)
    return opened
  }

  function openTokens(row: Row, cookie: CookieValue, generation: Generation): Tokens | 'tampered' | 'unknown-key' {
    const dataKey = unwrapDataKey(ring, cookie.id, generation, cookie.secret)
    if (typeof dataKey === 'string') return dataKey
    return unsealTokens(cookie.id, row.tokens, dataKey) ?? 'tampered'
  }

  function standingIn(record: SessionRecord, cookie: CookieValue, presented: Buffer): Standing {
    const matches = (hash: string) => timingSafeEqual(Buffer.from(hash, 'base64url'), presented)
    return standingOf(record.lineage, cookie, matches, { now: now(), grace: timeouts.grace })
  }

  function refusal(id: SessionId, standing: Standing): Opened | undefined {
    if (standing.kind === 'unknown') {
      onEvent({ event: 'session_unknown', session: handles.handleOf(id), reason: 'wrong secret' })
      return unknown
    }
    if (standing.kind !== 'reused') return undefined
    // A copied cookie, in the hands of a thief or of the one stolen from: the session ends for both.
    onEvent({
      event: 'session_cookie_reused',
      session: handles.handleOf(id),
      reason: 'superseded cookie after its grace',
    })
    end(id, 'cookie-reused').catch(onFault)
    return { kind: 'ended', reason: 'cookie-reused' }
  }

  /** A session that the cookie proves: live, unless its time is over. `current`: shown by the newest cookie value. */
  function live(session: LiveSession, current: boolean): Opened {
    const { record } = session
    const at = now()
    const reason = whyExpired(at, session.lastSeenAt, record.absoluteExpiresAt, timeouts)
    if (reason !== undefined) {
      end(session.id, reason).catch(onFault)
      return { kind: 'ended', reason }
    }
    if (current && record.lineage.length > 1) rotation.confirm(session)
    return { kind: 'live', session, rotationDue: rotation.isDue(record.lineage, current, at) }
  }

  /** A row that was changed or swapped is dead, and only that row. A missing ring key is an outage: nobody is signed out. */
  async function unreadable(id: SessionId, why: 'tampered' | 'unknown-key'): Promise<Opened> {
    onEvent({ event: 'crypt_decrypt_fail', session: handles.handleOf(id), reason: why })
    if (why === 'unknown-key') throw new Error('a session is sealed under a key that the key ring does not have')
    await end(id, 'unreadable')
    return { kind: 'ended', reason: 'unreadable' }
  }

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
      .update(session.id, ({ record, tokens }) => ({
        record: { ...record, lastSeenAt: Math.max(record.lastSeenAt, at) },
        tokens,
      }))
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

  async function replaceTokens(session: LiveSession, text: string, tokens: Tokens): Promise<LiveSession | undefined> {
    const cookie = parseCookieValue(text)
    if (!cookie) return undefined
    const row = await rows.update(session.id, ({ record }) => {
      // Another process replaced the set first: its refresh token is the one that the provider knows.
      if (record.tokensVersion !== session.record.tokensVersion) return undefined
      const generation = record.lineage.find((one) => one.number === cookie.generation)
      const dataKey = generation && unwrapDataKey(ring, session.id, generation, cookie.secret)
      if (dataKey === undefined || typeof dataKey === 'string') return undefined
      const { refreshLease: _, ...rest } = record
      return {
        record: { ...rest, tokensVersion: record.tokensVersion + 1 },
        tokens: sealTokens(session.id, tokens, dataKey).sealed,
      }
    })
    if (row === undefined) {
      const opened = await load(cookie)
      return opened.kind === 'live' ? opened.session : undefined
    }
    const next = { ...withRow(session, row), tokens }
    cache.set(session.id, next)
    return next
  }

  async function end(id: SessionId, reason: EndReason): Promise<boolean> {
    cache.delete(id)
    const ended = await store.end({ id, ended: reason, expiresAt: now() + tombstoneLifetime })
    if (ended) onEvent({ event: 'session_ended', session: handles.handleOf(id), reason })
    return ended
  }

  async function listed(index: string): Promise<ListedSession[]> {
    const found: ListedSession[] = []
    for (const id of await store.find(index)) {
      const row = await rows.read(id)
      if (row.kind !== 'row') continue
      const lastSeenAt = Math.max(row.record.lastSeenAt, cache.get(id)?.lastSeenAt ?? 0)
      if (whyExpired(now(), lastSeenAt, row.record.absoluteExpiresAt, timeouts)) continue
      found.push({ id, handle: handles.handleOf(id), record: { ...row.record, lastSeenAt } })
    }
    return found.sort((a, b) => b.record.lastSeenAt - a.record.lastSeenAt)
  }

  return {
    open,
    touch,
    create,
    rotate,
    replaceTokens,
    refreshLeases: createRefreshLeases({ rows, now }),
    end,
    ofUser: (subject) => listed(userIndex(subject)),
    ofProviderSid: (iss, sid) => listed(providerSidIndex(iss, sid)),
    expiry: (session) => ({
      idleExpiresAt: expiresAt(session.lastSeenAt, session.record.absoluteExpiresAt, timeouts),
      expiresAt: session.record.absoluteExpiresAt,
    }),
    lastSeenAt: (id) => cache.get(id)?.lastSeenAt,
    handleOf: handles.handleOf,
  }
}

const unknown: Opened = { kind: 'unknown' }

/** A session as its changed row has it. A secret that was proved for one generation proves nothing for the next. */
function withRow(session: LiveSession, { record, version }: Row): LiveSession {
  const { secret: _, ...rest } = session
  const newest = record.lineage.at(-1)
  if (newest === undefined || newest.number === session.generation) return { ...session, version, record }
  const secretHash = Buffer.from(newest.secretHash, 'base64url')
  return { ...rest, version, record, generation: newest.number, secretHash }
}
