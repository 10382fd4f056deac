import type { LiveStream, StreamEnd } from '../decision.ts'
import type { EventLog } from '../event-log.ts'
import { expired, seen } from './machine.ts'
import type { LiveSession, SessionRecord } from './record.ts'
import type { Rows } from './rows.ts'
import type { Sessions } from './sessions.ts'
import type { Clock, SessionId, SessionStore } from './store.ts'
import { expiresAt, type Timeouts, writeInterval } from './timeouts.ts'

/** The request that a stream began as: its method, or WEBSOCKET. */
export interface Asked {
  readonly path: string
  readonly method: string
}

/** What a stream asks of its session. */
export interface Terms {
  /** Why the stream may not go on with this record, if so. */
  stays(record: SessionRecord, now: number, endless: boolean): StreamEnd['kind'] | undefined
  /** The session stays active while the stream is open. */
  readonly extendIdle?: boolean | undefined
  /** By which it is admitted again when the routes change; absent where no route admitted it. */
  readonly asked?: Asked | undefined
}

/** What ties a stream to its session. */
export interface Tie extends Terms {
  readonly session: Pick<LiveSession, 'id' | 'version' | 'record'>
}

/** One who wants to hear how its session is: `/auth/events`. */
export interface Listener extends LiveStream {
  /** At each look at the session that found it alive. */
  look(seen: Seen): void
}

/** A session that has live streams, as this process last saw it. */
export interface Watched {
  readonly id: SessionId
  version: number
  record: SessionRecord
  readonly streams: Map<LiveStream | Listener, Terms>
  /** A read or write of it is under way. */
  looking: boolean
  /** Since when the store can't say how it is. */
  failingSince: number | undefined
}

/** A live session at a moment. Times are milliseconds since the epoch. */
export interface Seen {
  readonly record: SessionRecord
  readonly now: number
  readonly idleExpiresAt: number
  readonly expiresAt: number
}

/**
 * How long streams go on while the store can't be read, in milliseconds. Requests are refused in the meantime; a stream needn't
 * break at the first hiccup, but what nobody can vouch for any more is closed.
 */
export const blindFor = 15_000

/** Looks at one session with streams, and ends those that may not go on. */
export function createWatch(options: {
  rows: Rows
  store: SessionStore
  timeouts: Timeouts
  now: Clock
  sessions: Pick<Sessions, 'end' | 'handleOf' | 'lastSeenAt'>
  log: EventLog
  forget: (one: Watched) => void
}) {
  const { rows, store, timeouts, now, sessions, log, forget } = options
  const interval = writeInterval(timeouts)

  function look(one: Watched): void {
    if (one.looking) {
      giveUp(one)
      return
    }
    try {
      if (store.peek === undefined || store.peek(one.id) !== one.version) void readAgain(one)
      else judge(one)
    } catch (fault) {
      failed(one, fault)
    }
  }

  /** It was changed or ended, here or elsewhere; or the store has to be asked each time. */
  async function readAgain(one: Watched): Promise<void> {
    one.looking = true
    try {
      const row = await rows.read(one.id)
      if (row.kind === 'row') {
        one.version = row.version
        one.record = row.record
        judge(one)
      } else if (row.kind === 'unreadable' && row.why === 'unknown-key') {
        failed(one, new Error('a session is sealed under a key that the key ring does not have'))
      } else {
        endAll(one, { kind: 'session-ended', ...(row.kind === 'ended' && { reason: row.reason }) })
      }
    } catch (fault) {
      failed(one, fault)
    } finally {
      one.looking = false
    }
  }

  function judge(one: Watched): void {
    one.failingSince = undefined
    const { id, record } = one
    const at = now()
    const lastSeenAt = Math.max(record.lastSeenAt, sessions.lastSeenAt(id) ?? 0)
    const keptAlive = [...one.streams.values()].some((terms) => terms.extendIdle)
    const over = expired(record, keptAlive ? at : lastSeenAt, { now: at, idle: timeouts.idle })
    if (over !== undefined) {
      // Only if it is still so: another process may have written activity that was not read here.
      const holds = (known: SessionRecord) =>
        expired(known, Math.max(known.lastSeenAt, lastSeenAt), { now: at, idle: timeouts.idle }) !== undefined
      sessions
        .end(id, over, { holds })
        .catch((err: unknown) => log.error({ event: 'store_unavailable', err }, 'an end was not written'))
      endAll(one, { kind: 'session-ended', reason: over })
      return
    }
    for (const [stream, terms] of [...one.streams]) {
      const kind = terms.stays(record, at, stream.endless)
      if (kind !== undefined) endOne(one, stream, { kind })
    }
    const seen = {
      record,
      now: at,
      idleExpiresAt: expiresAt(keptAlive ? at : lastSeenAt, record.absoluteExpiresAt, timeouts),
      expiresAt: record.absoluteExpiresAt,
    }
    for (const stream of [...one.streams.keys()]) if ('look' in stream) stream.look(seen)
    if (one.streams.size === 0) forget(one)
    else if (keptAlive && at - record.lastSeenAt >= interval) void keepAlive(one, at)
  }

  async function keepAlive(one: Watched, at: number): Promise<void> {
    one.looking = true
    try {
      const row = await rows.change(one.id, (record) => seen(record, at))
      if (row === undefined) return
      one.version = row.version
      one.record = row.record
    } catch (fault) {
      failed(one, fault)
    } finally {
      one.looking = false
    }
  }

  function failed(one: Watched, fault: unknown): void {
    if (one.failingSince === undefined) {
      one.failingSince = now()
      log.error({ event: 'store_unavailable', err: fault }, 'a session with live streams can not be read')
    }
    giveUp(one)
  }

  /** A read that never comes back is an outage as well. */
  function giveUp(one: Watched): void {
    one.failingSince ??= now()
    if (now() - one.failingSince >= blindFor) endAll(one, { kind: 'store-unavailable' })
  }

  function endOne(one: Watched, stream: LiveStream, why: StreamEnd): void {
    one.streams.delete(stream)
    log.info({ event: 'streams_ended', session: sessions.handleOf(one.id), streams: 1, reason: why.kind })
    stream.end(why)
  }

  function endAll(one: Watched, why: StreamEnd): void {
    forget(one)
    const streams = [...one.streams.keys()]
    one.streams.clear()
    if (streams.length === 0) return
    const session = sessions.handleOf(one.id)
    log.info({ event: 'streams_ended', session, streams: streams.length, reason: why.reason ?? why.kind })
    for (const stream of streams) stream.end(why)
  }

  return { look }
}
