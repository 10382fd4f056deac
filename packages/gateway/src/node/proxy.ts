import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Dispatcher } from 'undici'
import type { Forward, PoolSettings, RawHeaders, Respond, StreamEnd } from '../decision.ts'
import { type Beginning, ClientGone, declaredLength, invite, readWhole } from './body.ts'
import { connectionOf, whenOver } from './connection.ts'
import { Exchange, type Surroundings, type UpstreamFailure } from './exchange.ts'
import { HeldBodies } from './held-bodies.ts'
import { respond } from './respond.ts'
import { Roster } from './roster.ts'
import { failureOf } from './stream-end.ts'
import type { AddressOptions, ClientChoice, DispatchOptions } from './upstream-address.ts'
import { UpstreamPool } from './upstream-pool.ts'

export interface ForwarderOptions {
  readonly log: Pick<Logger, 'warn' | 'debug'>
  /**
   * The answer to a request whose upstream can't be had, or whose body is too large. `retryAfter`: seconds, where it is
   * known when another try is worth it.
   */
  unavailable(code: UpstreamFailure, decision: Forward, retryAfter?: number): Respond
  /** Where answers are counted, by the first digit of their status. */
  readonly answers?: Float64Array
  /** Connections to each address; 128 if left out. A request that finds all of them busy waits its turn. */
  readonly connections?: number
  /** Opened at once, so that their health is known before the first request. */
  readonly pools?: readonly PoolSettings[]
  /** Our own HTTP/1.1 client if left out. */
  readonly client?: 'own' | 'undici' | undefined
}

export interface Forwarder {
  /**
   * Streams the request to the upstream and the answer back. Throws only for an upstream that is no URL. `beginning`: of its
   * body, where that was looked at before.
   */
  forward(request: IncomingMessage, response: ServerResponse, decision: Forward, beginning?: Beginning): void
  /** Exchanges under way. */
  inFlight(): number
  /** From now on these are the upstreams: new ones are opened, and what is no more of them is closed once it is idle. */
  use(upstreams: readonly (PoolSettings | string)[], client: ClientChoice | undefined): void
  /** The gateway stops: event streams that belong to no session are cut, and none begins any more. */
  drain(): void
  /** Cuts what still runs and closes all upstream connections. */
  close(): Promise<void>
}

/** Milliseconds. One clock for all requests costs less than a timer or two for each. */
const tick = 100
const clearEvery = 1_000
/** What takes longer is tied to its session. */
const tieAfter = 500

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { log, unavailable, connections, pools = [] } = options
  let client = options.client ?? 'own'
  /** By what decisions carry: the settings themselves, or an address without any. */
  const known = new Map<PoolSettings | string, UpstreamPool>()
  /** By what the settings say: equal ones share connections. */
  const open = new Map<string, UpstreamPool>()
  /** Those that the configuration names; undefined: whatever is asked for. */
  let wanted: ReadonlySet<string> | undefined
  const heldBodies = new HeldBodies()
  let clearing: NodeJS.Timeout | undefined
  const report: AddressOptions['report'] = (event, upstream, reason) => log.warn({ event, upstream, reason })
  const around: Surroundings = {
    now: 0,
    draining: false,
    running: new Roster(),
    answers: options.answers ?? new Float64Array(10),
    forward,
    dispatch,
    unavailable,
    failed: (err, { requestId, upstream }) => log.warn({ err, requestId, upstream }, 'upstream failed'),
    flagged: (reason) => log.debug({ reason }, 'response header dropped'),
  }
  const clock = setInterval(() => {
    around.now++
    around.running.visit(expire)
  }, tick)
  clock.unref()
  for (const settings of pools) poolOf(settings)

  function poolOf(asked: PoolSettings | string): UpstreamPool {
    const settings = settingsOf(asked)
    const key = keyOf(settings)
    const pool =
      open.get(key) ??
      new UpstreamPool({ ...(connections !== undefined && { connections }), ...settings }, { client, report })
    open.set(key, pool)
    if (wanted?.has(key) === false) beginToClear()
    known.set(asked, pool)
    return pool
  }

  function keyOf(settings: PoolSettings): string {
    return JSON.stringify([client, settings])
  }

  /** Not at once: those that were decided a moment ago have yet to begin. */
  function beginToClear(): void {
    clearing ??= setInterval(clear, clearEvery)
    clearing.unref()
  }

  /** A request under an older configuration may still be on its way, or have opened its upstream again. */
  function clear(): void {
    let busy = 0
    for (const [key, pool] of open) {
      if (wanted === undefined || wanted.has(key)) continue
      if (pool.outstanding > 0) {
        busy++
        continue
      }
      open.delete(key)
      for (const [asked, one] of known) if (one === pool) known.delete(asked)
      void pool.close()
    }
    if (busy > 0) return
    clearInterval(clearing)
    clearing = undefined
  }

  function forward(request: IncomingMessage, response: ServerResponse, decision: Forward, beginning?: Beginning): void {
    const length = declaredLength(request)
    const size = length === Number.POSITIVE_INFINITY ? (beginning?.bytes.length ?? 0) : length
    if (size > decision.maxBody) {
      if (beginning !== undefined) request.resume()
      respond(request, response, unavailable('payload_too_large', decision), decision.response.add)
      return
    }
    const asked = decision.pool ?? decision.upstream
    const pool = known.get(asked) ?? poolOf(asked)
    const address = pool.pick()
    if (address === undefined) {
      const answer = unavailable('upstream_unavailable', decision, pool.retryAfter)
      if (beginning !== undefined) request.resume()
      respond(request, response, answer, decision.response.add)
      return
    }
    if (address.full) {
      if (beginning !== undefined) request.resume()
      respond(request, response, unavailable('upstream_busy', decision, 1), decision.response.add)
      return
    }
    if (decision.withBody !== undefined) {
      void forwardWhole(request, response, decision, beginning)
      return
    }
    if (beginning === undefined) invite(request, response)
    dispatch(
      new Exchange(around, connectionOf(request.socket), [request, response, decision, pool, address, beginning]),
    )
  }

  async function forwardWhole(
    request: IncomingMessage,
    response: ServerResponse,
    decision: Forward,
    beginning: Beginning | undefined,
  ): Promise<void> {
    const answer = (said: Respond) => {
      request.resume()
      respond(request, response, said, decision.response.add)
    }
    const length = declaredLength(request)
    const bytes = length === Number.POSITIVE_INFINITY ? decision.maxBody : length
    const giveBack = heldBodies.take(decision.session?.id ?? connectionOf(request.socket).peer, bytes)
    if (giveBack === undefined) {
      answer(unavailable('too_many_requests', decision, 1))
      return
    }
    // Held until its answer is over: it may have to be sent again.
    whenOver(connectionOf(request.socket), response, giveBack)
    // A body may take its time, and its session end meanwhile, or be no longer enough: nobody is asked for what nobody may have.
    let ended = false
    let release: (() => void) | undefined
    const end = ({ kind }: StreamEnd) => {
      ended = true
      answer(unavailable(failureOf[kind], decision))
    }
    const tie = setTimeout(() => {
      release = decision.live?.({ endless: false, end })
    }, tieAfter)
    try {
      if (beginning === undefined) invite(request, response)
      const whole = await readWhole(request, decision.maxBody, beginning)
      if (ended || request.socket.destroyed) return
      const next = whole && decision.withBody?.(whole.bytes)
      if (next?.kind === 'forward') forward(request, response, next, whole)
      else answer(next ?? unavailable('payload_too_large', decision))
    } catch (error) {
      if (!(error instanceof ClientGone)) log.warn({ err: error, requestId: decision.requestId }, 'no body')
    } finally {
      clearTimeout(tie)
      release?.()
    }
  }

  function dispatch(exchange: Exchange): void {
    const { decision, body } = exchange
    const options: DispatchOptions = {
      path: decision.path,
      method: exchange.method as Dispatcher.HttpMethod,
      headers: body === null ? decision.headers : withoutFraming(decision.headers),
      body,
    }
    exchange.address.dispatch(options, exchange)
  }

  return {
    forward,
    inFlight: () => around.running.size,
    use(upstreams, chosen = 'own') {
      if (chosen !== client) known.clear()
      client = chosen
      for (const asked of upstreams) if (typeof asked !== 'string') poolOf(asked)
      wanted = new Set(upstreams.map((asked) => keyOf(settingsOf(asked))))
      beginToClear()
    },
    drain() {
      around.draining = true
      around.running.visit((exchange) => exchange.drain())
    },
    async close() {
      clearInterval(clock)
      clearInterval(clearing)
      await Promise.all(Array.from(open.values(), (pool) => pool.close()))
    },
  }
}

function expire(exchange: Exchange): void {
  exchange.expire(exchange.timeout / tick)
}

function settingsOf(asked: PoolSettings | string): PoolSettings {
  return typeof asked === 'string' ? { addresses: [asked] } : asked
}

/** The client frames the body itself: by the declared length, else in chunks. It refuses to be told. */
function withoutFraming(headers: RawHeaders): RawHeaders {
  const kept: RawHeaders = []
  for (let i = 0; i < headers.length; i += 2) {
    const name = (headers[i] as string).toLowerCase()
    if (name !== 'transfer-encoding' && name !== 'expect') kept.push(headers[i] as string, headers[i + 1] as string)
  }
  return kept
}
