import type { LiveStream } from '../decision.ts'
import type { EventLog } from '../event-log.ts'
import type { KeyRing } from './key-ring.ts'
import { createRows } from './rows.ts'
import type { Sessions } from './sessions.ts'
import type { Clock, SessionId, SessionStore } from './store.ts'
import type { Timeouts } from './timeouts.ts'
import { type Asked, createWatch, type Listener, type Terms, type Tie, type Watched } from './watched-session.ts'

export interface LiveStreams {
  /** Returns what to call when the stream is over; undefined if the session has too many, and then nothing is tied. */
  open(tie: Tie, stream: LiveStream | Listener): (() => void) | undefined
  /** The gateway stops: ends all that has no end of its own. */
  drain(): void
  /** Other routes hold from now on: whose session they would not admit any more is ended at the next look. */
  readmit(stays: (asked: Asked) => Terms['stays']): void
  /** Hands everything over, and whatever is still opened here: other timeouts hold from now on. */
  succeededBy(next: LiveStreams): void
  /** By session; one map for all successors. */
  readonly watched: Map<SessionId, Watched>
}

export interface LiveStreamsOptions {
  readonly store: SessionStore
  readonly ring: KeyRing
  readonly timeouts: Timeouts
  /** Streams that a session may have at once. */
  readonly max: number
  readonly now: Clock
  readonly sessions: Pick<Sessions, 'end' | 'handleOf' | 'lastSeenAt'>
  readonly log: EventLog
  /** Of whose streams these will be, once it is told so. */
  readonly watched?: Map<SessionId, Watched> | undefined
}

/** How often each session with streams is looked at, in milliseconds: what ends it anywhere is seen here within a second. */
const lookEvery = { peeking: 250, reading: 750 }

/**
 * Every live stream of this process, by the session that it serves. A request is checked once; a stream would go on for hours
 * after the sign-out (pomerium #1279, oauth2-proxy #2996). So the sessions that have streams are looked at all the time: once
 * for each, however many streams it has, by the version in the store, which every process sees.
 */
export function createLiveStreams(options: LiveStreamsOptions): LiveStreams {
  const { store, timeouts, max, now, sessions, log } = options
  const watched = options.watched ?? new Map<SessionId, Watched>()
  const rows = createRows(options)
  const watch = createWatch({ rows, store, timeouts, now, sessions, log, forget })
  let timer: NodeJS.Timeout | undefined
  let successor: LiveStreams | undefined
  let staysNow: ((asked: Asked) => Terms['stays']) | undefined

  /** By itself, not by its id: streams opened since then are watched under the same one. */
  function forget(one: Watched): void {
    if (watched.get(one.id) === one) watched.delete(one.id)
  }

  function lookAtAll(): void {
    for (const one of watched.values()) watch.look(one)
    if (watched.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  function begin(): void {
    if (timer !== undefined) return
    timer = setInterval(lookAtAll, store.peek ? lookEvery.peeking : lookEvery.reading)
    timer.unref()
  }

  return {
    watched,
    open(tie, stream) {
      if (successor !== undefined) return successor.open(tie, stream)
      const { id, version, record } = tie.session
      const known = watched.get(id)
      // A script that opens sockets without end would take those of everybody else.
      if (stream.endless && known !== undefined && endlessOf(known) >= max) {
        log.warn({ event: 'streams_refused', session: sessions.handleOf(id), open: max })
        return undefined
      }
      const one: Watched = known ?? { id, version, record, streams: new Map(), looking: false, failingSince: undefined }
      // Without the session: its tokens have no business in memory for as long as a stream.
      const { asked, extendIdle } = tie
      // It may have been decided by routes that hold no more.
      const stays = (asked && staysNow?.(asked)) ?? tie.stays
      one.streams.set(stream, { stays, extendIdle, asked })
      watched.set(id, one)
      begin()
      return () => {
        if (one.streams.delete(stream) && one.streams.size === 0) forget(one)
      }
    },
    drain() {
      for (const one of watched.values()) {
        for (const stream of [...one.streams.keys()]) {
          if (!stream.endless) continue
          one.streams.delete(stream)
          stream.end({ kind: 'going-away' })
        }
        if (one.streams.size === 0) forget(one)
      }
    },
    readmit(stays) {
      staysNow = stays
      for (const { streams } of watched.values()) {
        for (const [stream, terms] of streams) {
          if (terms.asked !== undefined) streams.set(stream, { ...terms, stays: stays(terms.asked) })
        }
      }
      if (watched.size > 0) begin()
    },
    succeededBy(next) {
      successor = next
      clearInterval(timer)
    },
  }
}

/** What ends by itself doesn't count: a slow answer is no reason to refuse the next one. */
function endlessOf({ streams }: Watched): number {
  let count = 0
  for (const { endless } of streams.keys()) if (endless) count++
  return count
}
