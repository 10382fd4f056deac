import { type Shortfall, stepUpUrl } from '../access/assurance.ts'
import { type Check, createPolicy } from '../access/policy.ts'
import type { RawHeaders, Respond, Sink, Streaming } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { problemResponse } from '../protocol/problem.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from './open-or-refuse.ts'
import type { LiveSession, SessionRecord } from './record.ts'
import type { Listener, Seen } from './watched-session.ts'

/**
 * `GET /auth/events`: the page hears how its session is, without asking for it and so without keeping it alive. What happens
 * in another tab, process or at the provider arrives here within a second. @see docs/streams.md
 */
export function createSessionEvents(services: Services) {
  const { config, liveStreams, now } = services
  const notice = Math.min(config.session.streams.notice, config.session.idle / 2)
  const demanding = config.routes
    .filter(({ access }) => typeof access === 'object')
    .map(({ path, access }) => ({ path, check: createPolicy(access).check }))

  return async (request: EndpointRequest): Promise<Respond | Streaming> => {
    const session = await current(request)
    if (request.head.method === 'HEAD') return { kind: 'respond', status: 200, headers: [...headers], body: '' }
    return { kind: 'streaming', headers: [...headers], open: (sink) => open(session, sink, request.requestId) }
  }

  async function current(request: EndpointRequest): Promise<LiveSession> {
    const opened = await openOrRefuse(services, request, 'refuse')
    if (opened?.kind === 'live') return opened.session
    throw new Refusal(opened?.kind === 'ended' ? 'session_expired' : 'login_required')
  }

  function open(session: LiveSession, sink: Sink, requestId: string): (() => void) | Respond {
    const listener = listen(session.record, sink)
    const release = liveStreams.open({ session, stays: () => undefined }, listener)
    if (release === undefined) return problemResponse('too_many_streams', { requestId })
    // The head goes out with it: EventSource fires `open`. The browser comes back after this many milliseconds.
    sink.write('retry: 2000\n\n')
    return release
  }

  function listen(first: SessionRecord, sink: Sink): Listener {
    let { roles } = first
    let announced = false
    const met = new Set(demanding.filter((route) => meets(route, first, now())))
    const say = (event: string, data: object) => sink.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`)

    return {
      endless: true,
      look(seen) {
        if (!sameRoles(roles, seen.record.roles)) say('roles', { roles: seen.record.roles })
        roles = seen.record.roles
        const soon = Math.min(seen.idleExpiresAt, seen.expiresAt) - seen.now <= notice
        if (soon !== announced) say(soon ? 'expiring' : 'extended', timesOf(seen))
        announced = soon
        for (const route of demanding) {
          if (meets(route, seen.record, seen.now)) met.add(route)
          else if (met.delete(route)) sayStepUp(route, seen)
        }
      },
      end({ kind, reason = 'unknown' }) {
        // Anything else is not the session's end: EventSource opens the stream again, here or on another gateway.
        if (kind === 'session-ended') say('ended', { reason })
        sink.end()
      },
    }

    function sayStepUp(route: (typeof demanding)[number], seen: Seen): void {
      const objection = route.check(seen.record, seen.now)
      // Without the role no sign-in helps: that was said by `roles`.
      if (objection?.kind !== 'step-up') return
      const { shortfall } = objection
      say('step-up', { path: route.path, ...shortfall, stepUpUrl: urlFor(shortfall) })
    }
  }

  /** The page puts its own address in place of `/`. */
  function urlFor(shortfall: Shortfall): string {
    return stepUpUrl(config.basePath, '/', shortfall)
  }
}

const headers: RawHeaders = [
  ...['Content-Type', 'text/event-stream'],
  ...['Cache-Control', 'no-store'],
  ...['X-Content-Type-Options', 'nosniff'],
  ...['Cross-Origin-Resource-Policy', 'same-origin'],
  // nginx would keep events back until its buffer is full.
  ...['X-Accel-Buffering', 'no'],
]

function meets({ check }: { check: Check }, record: SessionRecord, now: number): boolean {
  return check(record, now) === undefined
}

function sameRoles(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((role) => other.includes(role)))
}

function timesOf({ idleExpiresAt, expiresAt }: Seen) {
  return { idleExpiresAt: new Date(idleExpiresAt).toISOString(), expiresAt: new Date(expiresAt).toISOString() }
}
