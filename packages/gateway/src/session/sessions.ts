import { timingSafeEqual } from 'node:crypto'
import { type Cache, createCache } from './cache.ts'
import { type CookieValue, formatCookieValue, hashSecret, newCookieValue, parseCookieValue } from './cookie-value.ts'
import { createHandles, type Handles } from './handle.ts'
import { indicesOf, userIndex } from './indices.ts'
import type { KeyRing } from './key-ring.ts'
import type { LiveSession, Opened, SessionRecord, Subject, Tokens } from './record.ts'
import {
  type SealedParts,
  sealRecord,
  sealTokens,
  splitSealed,
  unsealRecord,
  unsealTokens,
  unwrapDataKey,
  wrapDataKey,
} from './sealed-record.ts'
import type { Clock, EndReason, SessionId, SessionStore, StoredSession } from './store.ts'
import { expiresAt, type Timeouts, tombstoneLifetime, whyExpired, writeInterval } from './timeouts.ts'

/** What a sign-in knows of the session that it creates. */
export type NewSession = Omit<SessionRecord, 'createdAt' | 'lastSeenAt' | 'absoluteExpiresAt' | 'lineage'>

/** What happened to a session, for the log. `session` is a salted hash, never the id. */
export interface SessionEvent {
  readonly event: 'session_created' | 'session_ended' | 'session_unknown' | 'crypt_decrypt_fail'
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
  /** Replaces the tokens of a session, once; returns false if the session ended or changed meanwhile. */
  replaceTokens(session: LiveSession, cookie: string, tokens: Tokens): Promise<LiveSession | undefined>
  /** Final: nothing in flight brings the session back. False if it was over already. */
  end(id: SessionId, reason: EndReason): Promise<boolean>
  /** The live sessions of a user, newest use first. */
  ofUser(subject: Subject): Promise<ListedSession[]>
  /** When the session ends if nothing more happens; milliseconds since the epoch. */
  expiry(session: LiveSession): { idleExpiresAt: number; expiresAt: number }
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
  const cache: Cache<SessionId, LiveSession> = createCache(options.cacheSize ?? 8192)
  const handles: Handles = createHandles(ring)
  const interval = writeInterval(timeouts)
  const writing = new Set<SessionId>()

  function open(text: string): Opened | Promise<Opened> {
    const cookie = parseCookieValue(text)
    if (!cookie) return unknown
    const known = cache.get(cookie.id)
    // The cache never answers alone: the version in the store shows what other processes ended or changed.
    if (known === undefined || store.peek?.(cookie.id) !== known.version) return load(cookie)
    return admit(known, cookie)
  }

  function admit(session: LiveSession, cookie: CookieValue): Opened {
    // Constant time: the time of a refusal tells nothing about the secret.
    if (session.generation !== cookie.generation || !timingSafeEqual(session.secretHash, hashSecret(cookie.secret))) {
      onEvent({ event: 'session_unknown', session: handles.handleOf(session.id), reason: 'wrong secret' })
      return unknown
    }
    const reason = whyExpired(now(), session.lastSeenAt, session.record.absoluteExpiresAt, timeouts)
    if (reason === undefined) return { kind: 'live', session }
    end(session.id, reason).catch(onFault)
    return { kind: 'ended', reason }
  }

  async function load(cookie: CookieValue): Promise<Opened> {
    const { id } = cookie
    const stored = await store.get(id)
    const before = cache.get(id)
    cache.delete(id)
    if (stored === undefined) {
      onEvent({ event: 'session_unknown', session: handles.handleOf(id) })
      return unknown
    }
    if ('ended' in stored) return { kind: 'ended', reason: stored.ended }
    const parts = splitSealed(stored.bytes)
    const record = parts ? unsealRecord(ring, id, stored.version, parts) : 'tampered'
    if (parts === undefined || typeof record === 'string') return unreadable(id, record as 'tampered')

    const generation = record.lineage.find((one) => one.number === cookie.generation)
    const secretHash = generation && Buffer.from(generation.secretHash, 'base64url')
    if (!generation || !secretHash || !timingSafeEqual(secretHash, hashSecret(cookie.secret))) {
      onEvent({ event: 'session_unknown', session: handles.handleOf(id), reason: 'wrong secret' })
      return unknown
    }
    const tokens = openTokens(id, parts, generation, cookie.secret)
    if (typeof tokens === 'string') return unreadable(id, tokens)
    // Activity that this process saw and hasn't written yet still counts.
    const lastSeenAt = Math.max(record.lastSeenAt, before?.lastSeenAt ?? 0)
    const session = {
      id,
      version: stored.version,
      record,
      tokens,
      secretHash,
      generation: generation.number,
      lastSeenAt,
    }
    const opened = admit(session, cookie)
    if (opened.kind === 'live') cache.set(id, session)
    return opened
  }

  function openTokens(id: SessionId, parts: SealedParts, generation: SessionRecord['lineage'][number], secret: string) {
    const dataKey = unwrapDataKey(ring, id, generation, secret)
    if (typeof dataKey === 'string') return dataKey
    return unsealTokens(id, parts.tokens, dataKey) ?? 'tampered'
  }

  /** A row that was changed or swapped is dead, and only that row. A missing ring key is an outage: nobody is signed out. */
  async function unreadable(id: SessionId, why: 'tampered' | 'unknown-key'): Promise<Opened> {
    onEvent({ event: 'crypt_decrypt_fail', session: handles.handleOf(id), reason: why })
    if (why === 'unknown-key') throw new Error('a session is sealed under a key that the key ring does not have')
    await end(id, 'unreadable')
    return { kind: 'ended', reason: 'unreadable' }
  }

  function touch(session: LiveSession): void {
    const at = now()
    session.lastSeenAt = at
    if (at - session.record.lastSeenAt < interval || writing.has(session.id)) return
    writing.add(session.id)
    update(session.id, (record) => ({ ...record, lastSeenAt: Math.max(record.lastSeenAt, at) }))
      .catch(onFault)
      .finally(() => writing.delete(session.id))
  }

  /** Compare-and-set on the record alone; the sealed tokens stay as they are. Gives up when the session is over. */
  async function update(id: SessionId, change: (record: SessionRecord) => SessionRecord): Promise<void> {
    for (;;) {
      const stored = await store.get(id)
      if (stored === undefined || 'ended' in stored) return
      const parts = splitSealed(stored.bytes)
      const record = parts ? unsealRecord(ring, id, stored.version, parts) : 'tampered'
      if (parts === undefined || typeof record === 'string') return
      const next = change(record)
      if (!(await write(id, stored.version, next, parts.tokens))) continue
      const cached = cache.get(id)
      if (cached?.version === stored.version) cache.set(id, { ...cached, version: stored.version + 1, record: next })
      return
    }
  }

  async function write(
    id: SessionId,
    expected: number | undefined,
    record: SessionRecord,
    tokens: Uint8Array,
  ): Promise<boolean> {
    const version = (expected ?? 0) + 1
    const next: StoredSession = {
      id,
      version,
      bytes: sealRecord(ring, id, version, record, tokens),
      // The row outlives the session a little, so that a late request hears "ended" rather than "never heard of it".
      expiresAt: expiresAt(record.lastSeenAt, record.absoluteExpiresAt, timeouts) + tombstoneLifetime,
      indices: indicesOf(record),
    }
    return await store.put(next, expected)
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
          ...wrapDataKey(ring, cookie.id, { number: cookie.generation, secret: cookie.secret }, dataKey),
        },
      ],
    }
    if (!(await write(cookie.id, undefined, record, sealed))) throw new Error('a fresh session id was taken')
    onEvent({ event: 'session_created', session: handles.handleOf(cookie.id) })
    return formatCookieValue(cookie)
  }

  async function replaceTokens(session: LiveSession, text: string, tokens: Tokens): Promise<LiveSession | undefined> {
    const cookie = parseCookieValue(text)
    if (!cookie) return undefined
    for (;;) {
      const stored = await store.get(session.id)
      if (stored === undefined || 'ended' in stored) return undefined
      const parts = splitSealed(stored.bytes)
      const record = parts ? unsealRecord(ring, session.id, stored.version, parts) : 'tampered'
      if (parts === undefined || typeof record === 'string') return undefined
      const generation = record.lineage.find((one) => one.number === cookie.generation)
      const dataKey = generation && unwrapDataKey(ring, session.id, generation, cookie.secret)
      if (!generation || !dataKey || typeof dataKey === 'string') return undefined
      const { sealed } = sealTokens(session.id, tokens, dataKey)
      if (!(await write(session.id, stored.version, record, sealed))) continue
      const next = { ...session, version: stored.version + 1, record, tokens }
      cache.set(session.id, next)
      return next
    }
  }

  async function end(id: SessionId, reason: EndReason): Promise<boolean> {
    cache.delete(id)
    const ended = await store.end({ id, ended: reason, expiresAt: now() + tombstoneLifetime })
    if (ended) onEvent({ event: 'session_ended', session: handles.handleOf(id), reason })
    return ended
  }

  async function ofUser(subject: Subject): Promise<ListedSession[]> {
    const listed: ListedSession[] = []
    for (const id of await store.find(userIndex(subject))) {
      const stored = await store.get(id)
      if (stored === undefined || 'ended' in stored) continue
      const parts = splitSealed(stored.bytes)
      const record = parts && unsealRecord(ring, id, stored.version, parts)
      if (record === undefined || typeof record === 'string') continue
      const lastSeenAt = Math.max(record.lastSeenAt, cache.get(id)?.lastSeenAt ?? 0)
      if (whyExpired(now(), lastSeenAt, record.absoluteExpiresAt, timeouts)) continue
      listed.push({ id, handle: handles.handleOf(id), record: { ...record, lastSeenAt } })
    }
    return listed.sort((a, b) => b.record.lastSeenAt - a.record.lastSeenAt)
  }

  return {
    open,
    touch,
    create,
    replaceTokens,
    end,
    ofUser,
    expiry: (session) => ({
      idleExpiresAt: expiresAt(session.lastSeenAt, session.record.absoluteExpiresAt, timeouts),
      expiresAt: session.record.absoluteExpiresAt,
    }),
    handleOf: handles.handleOf,
  }
}

const unknown: Opened = { kind: 'unknown' }
