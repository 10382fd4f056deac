import { loginUrl } from '../access/login-url.ts'
import type { Config, RouteConfig } from '../config/schema.ts'
import { workerCount } from '../config/worker-count.ts'
import type { EndpointLimit } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import type { GatewayRequest } from '../request.ts'
import type { Handles } from '../session/handle.ts'
import type { LiveSession } from '../session/record.ts'
import type { Clock } from '../session/store.ts'
import { createBuckets, type Rate } from './buckets.ts'
import { createFirstIn } from './first-in.ts'
import { createGuesses } from './guesses.ts'
import { networkOf } from './network.ts'

/** How often who may ask. Each process counts for itself, in memory; of guesses, each worker has its share. @see docs/limits.md */
export interface Limits {
  /**
   * A request to one of our own endpoints.
   * @throws Refusal `too_many_requests`
   */
  admit(limit: EndpointLimit | undefined, request: GatewayRequest): void
  /** That request was answered with this status. */
  answered(limit: EndpointLimit | undefined, request: GatewayRequest, status: number): void
  /** Counts for a route, by session, or by address where there is none; undefined: the route has no limit. */
  ofRoute(route: RouteConfig): RouteLimit | undefined
  /**
   * The cookie of this request is of no session. What may be done without one still may be.
   * @throws Refusal `too_many_requests`, if `refuse` and there were too many such from its network
   */
  missed(request: GatewayRequest, refuse: boolean): void
}

/** @throws Refusal `too_many_requests` */
export type RouteLimit = (request: GatewayRequest, session: LiveSession | undefined) => void

export interface LimitsParts {
  readonly config: Pick<Config, 'basePath' | 'defaultProvider' | 'limits' | 'workers'>
  readonly now: Clock
  readonly log: EventLog
  readonly handleOf: Handles['handleOf']
}

export function createLimits({ config, now, log, handleOf }: LimitsParts): Limits {
  const { limits } = config
  const signIn = createCounter('sign-in', limits.signIn)
  const notifications = createCounter('notifications', limits.notifications)
  const guesses =
    limits.guesses === 'off'
      ? undefined
      : createGuesses(shareOf(limits.guesses, workerCount(config)), now, (network) =>
          log.error({ event: 'session_guessing', network }, 'one network sends cookies that are of no session'),
        )

  function createCounter(limit: string, rate: Rate | 'off') {
    if (rate === 'off') return undefined
    const buckets = createBuckets(rate, now)
    const isFirst = createFirstIn(rate.per, now)

    function refuse(wait: number, request: GatewayRequest, session?: LiveSession): never {
      const { address, head, path, query, requestId } = request
      const network = networkOf(address)
      if (isFirst(session?.id ?? network)) {
        const who = session === undefined ? { network } : { session: handleOf(session.id), address }
        log.warn({ event: 'excess_rate_limit_exceeded', limit, ...who, requestId })
      }
      // A page can be asked for once more by a link; a form can't.
      throw tooMany(wait, `the limit ${limit}`, head.method === 'GET' ? path + query : undefined)
    }

    return { ...buckets, refuse }
  }

  return {
    admit(limit, request) {
      if (limit === undefined) return
      const counter = limit === 'sign-in' ? signIn : notifications
      if (counter === undefined) return
      const network = networkOf(request.address)
      const wait = limit === 'sign-in' ? counter.take(network) : counter.wait(network)
      if (wait > 0) counter.refuse(wait, request)
    },

    answered(limit, request, status) {
      if (limit !== 'notifications' || (status !== 400 && status !== 401)) return
      notifications?.take(networkOf(request.address))
    },

    ofRoute({ path, limit }) {
      const counter = limit && createCounter(`route ${path}`, limit)
      return (
        counter &&
        ((request, session) => {
          const wait = counter.take(session === undefined ? networkOf(request.address) : session.id)
          if (wait > 0) counter.refuse(wait, request, session)
        })
      )
    },

    missed(request, refuse) {
      const wait = guesses?.missed(networkOf(request.address)) ?? 0
      // A neighbour of the one who guesses, with a cookie of long ago, signs in and is counted no more.
      if (wait > 0 && refuse) throw tooMany(wait, 'the limit guesses', loginUrl(config, request.path + request.query))
    },
  }
}

/**
 * What one of several workers hears out, so that all together hear no more than the limit says: else who guesses would only
 * have to open more connections, which are dealt out among them.
 */
function shareOf({ requests, per }: Rate, workers: number): Rate {
  return { requests: Math.max(1, Math.floor(requests / workers)), per }
}

/** @see RFC 6585 §4 · RFC 9110 §10.2.3 (whole seconds) */
function tooMany(wait: number, cause: string, retry: string | undefined): Refusal {
  const headers = ['Retry-After', String(Math.ceil(wait / 1000))]
  return new Refusal('too_many_requests', { cause, headers, ...(retry !== undefined && { retry }) })
}
