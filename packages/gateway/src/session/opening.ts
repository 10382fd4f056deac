import { timingSafeEqual } from 'node:crypto'
import { timingSafeEqual as sameText } from '../protocol/timing-safe.ts'
import type { Cache } from './cache.ts'
import { type CookieValue, hashSecret, parseCookieValue } from './cookie-value.ts'
import type { Handles } from './handle.ts'
import type { JsonObject } from './json.ts'
import type { KeyRing } from './key-ring.ts'
import { type Held, heldBy, type Standing, standingOf } from './lineage.ts'
import { expired } from './machine.ts'
import type { Generation, LiveSession, Opened, SessionRecord, Tokens } from './record.ts'
import type { Rotation } from './rotation.ts'
import type { Row, Rows } from './rows.ts'
import { unsealTokens, unwrapDataKey } from './sealed-record.ts'
import type { SessionEvent, Sessions } from './sessions.ts'
import type { Clock, SessionId, SessionStore } from './store.ts'
import type { Timeouts } from './timeouts.ts'

export interface Opening {
  /** See `Sessions.open`. */
  open(cookie: string, arrivedAt?: number): Opened | Promise<Opened>
}

export interface OpeningParts {
  readonly store: SessionStore
  readonly rows: Rows
  readonly cache: Cache<SessionId, LiveSession>
  readonly ring: KeyRing
  readonly handles: Handles
  readonly rotation: Rotation
  readonly timeouts: Timeouts
  readonly now: Clock
  readonly rolesOf: (attributes: JsonObject) => string[]
  readonly onEvent: (event: SessionEvent) => void
  readonly onFault: (fault: unknown) => void
  readonly end: Sessions['end']
}

/** Who is behind a cookie: finds the session, proves the secret, keeps the times, notices copies. */
export function createOpening(parts: OpeningParts): Opening {
  const { store, rows, cache, ring, handles, rotation, timeouts, now, rolesOf, onEvent, onFault, end } = parts

  function open(text: string, arrivedAt = now()): Opened | Promise<Opened> {
    const cookie = parseCookieValue(text)
    if (!cookie) return unknown
    const known = cache.get(cookie.id)
    // The cache never answers alone: the version in the store shows what other processes ended or changed.
    if (known === undefined || store.peek?.(cookie.id) !== known.version) return load(cookie, arrivedAt)
    // Constant time, here and below: the time of a refusal tells nothing about the secret.
    if (known.generation === cookie.generation && known.secret !== undefined && sameText(known.secret, cookie.secret)) {
      return live(known, 'newest')
    }
    const presented = hashSecret(cookie.secret)
    if (known.generation === cookie.generation && timingSafeEqual(known.secretHash, presented)) {
      known.secret = cookie.secret
      return live(known, 'newest')
    }
    const standing = standingIn(known.record, cookie, { presented, arrivedAt })
    if (standing.kind !== 'current' && standing.kind !== 'superseded') return refusal(known.id, standing) ?? unknown
    return live(known, heldBy(standing))
  }

  async function load(cookie: CookieValue, arrivedAt: number): Promise<Opened> {
    const { id } = cookie
    const row = await rows.read(id)
    if (row.kind === 'missing') {
      cache.delete(id)
      onEvent({ event: 'session_unknown', session: handles.handleOf(id) })
      return unknown
    }
    if (row.kind === 'ended') {
      cache.delete(id)
      return row
    }
    if (row.kind === 'unreadable') return await unreadable(id, row.why)
    const { version } = row
    const record = withRoles(row.record)
    const standing = standingIn(record, cookie, { presented: hashSecret(cookie.secret), arrivedAt })
    if (standing.kind !== 'current' && standing.kind !== 'superseded') return refusal(id, standing) ?? unknown
    // It arrived in its grace, and its copy of the key was dropped since: no tokens for it, and no fault of the session's.
    if (standing.generation.wrapped === undefined) return unknown
    const open = openTokens(row, cookie, standing.generation)
    if (typeof open === 'string') return await unreadable(id, open)
    const { number: generation, secretHash } = record.lineage.at(-1) ?? standing.generation
    const known = cache.get(id)
    // The same set stays the same object: what was made of it for upstreams is found by it, and gone with it.
    const sameTokens = known !== undefined && known.record.tokensVersion === record.tokensVersion
    const session = {
      id,
      version,
      record,
      tokens: sameTokens ? known.tokens : open.tokens,
      dataKey: open.dataKey,
      generation,
      secretHash: Buffer.from(secretHash, 'base64url'),
      // Activity that this process saw and hasn't written yet still counts.
      lastSeenAt: Math.max(record.lastSeenAt, known?.lastSeenAt ?? 0),
    }
    const opened = live(session, heldBy(standing))
    // Reads overtake each other: what is newer here already stays.
    if (opened.kind === 'live' && (known === undefined || known.version <= version)) cache.set(id, session)
    return opened
  }

  /** Roles as the rules make them today: a changed configuration counts for the sessions that are there already. */
  function withRoles(record: SessionRecord): SessionRecord {
    return record.attributes === undefined ? record : { ...record, roles: rolesOf(record.attributes) }
  }

  function openTokens(
    row: Row,
    cookie: CookieValue,
    generation: Generation,
  ): { tokens: Tokens; dataKey: Buffer } | 'tampered' | 'unknown-key' {
    const dataKey = unwrapDataKey(ring, cookie.id, generation, cookie.secret)
    if (typeof dataKey === 'string') return dataKey
    const tokens = unsealTokens(cookie.id, row.tokens, dataKey)
    return tokens ? { tokens, dataKey } : 'tampered'
  }

  function standingIn(
    { lineage }: SessionRecord,
    cookie: CookieValue,
    { presented, arrivedAt }: { presented: Buffer; arrivedAt: number },
  ): Standing {
    const matches = (hash: string) => timingSafeEqual(Buffer.from(hash, 'base64url'), presented)
    return standingOf(lineage, cookie, matches, { now: arrivedAt, grace: timeouts.grace })
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

  /** A session that the cookie proves: live, unless its time is over. */
  function live(session: LiveSession, held: Held): Opened {
    const { record } = session
    const at = now()
    const reason = expired(record, session.lastSeenAt, { now: at, idle: timeouts.idle })
    if (reason !== undefined) {
      // Only if it is still so: another process may have written activity that this one has not seen.
      const holds = ({ absoluteExpiresAt, lastSeenAt }: SessionRecord) =>
        expired({ absoluteExpiresAt }, Math.max(lastSeenAt, session.lastSeenAt), { now: at, idle: timeouts.idle }) !==
        undefined
      end(session.id, reason, { holds, session }).catch(onFault)
      return { kind: 'ended', reason }
    }
    if (held === 'newest' && record.lineage.length > 1) rotation.confirm(session)
    return { kind: 'live', session, rotationDue: rotation.isDue(record, held, at) }
  }

  /** A row that was changed or swapped is dead, and only that row. A missing ring key is an outage: nobody is signed out. */
  async function unreadable(id: SessionId, why: 'tampered' | 'unknown-key'): Promise<Opened> {
    onEvent({ event: 'crypt_decrypt_fail', session: handles.handleOf(id), reason: why })
    if (why === 'unknown-key') throw new Error('a session is sealed under a key that the key ring does not have')
    await end(id, 'unreadable')
    return { kind: 'ended', reason: 'unreadable' }
  }

  return { open }
}

const unknown: Opened = { kind: 'unknown' }
