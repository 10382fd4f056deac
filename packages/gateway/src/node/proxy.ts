import type { IncomingMessage, ServerResponse } from 'node:http'
import { isIP } from 'node:net'
import type { Logger } from 'pino'
import { Pool } from 'undici'
import type { Forward, RawHeaders, Respond } from '../decision.ts'
import { declaredLength, invite } from './body.ts'
import { connectionOf } from './connection.ts'
import { Exchange, type Surroundings, type UpstreamFailure } from './exchange.ts'
import { respond } from './respond.ts'
import type { UpstreamRequest } from './upstream-client/contract.ts'
import { createUpstreamPool } from './upstream-client/pool.ts'

export interface ForwarderOptions {
  readonly log: Pick<Logger, 'warn' | 'debug'>
  /** The answer to a request whose upstream can't be had, or whose body is too large. */
  unavailable(code: UpstreamFailure, decision: Forward): Respond
  /** Connections per upstream; 128 if left out. A request that finds all of them busy waits its turn. */
  readonly connections?: number
  /** Our own HTTP/1.1 client if left out. */
  readonly client?: 'own' | 'undici'
}

export interface Forwarder {
  /** Streams the request to the upstream and the answer back. Throws only for an upstream that is no URL. */
  forward(request: IncomingMessage, response: ServerResponse, decision: Forward): void
  /** Cuts what still runs and closes all upstream connections. */
  close(): Promise<void>
}

/** Milliseconds. One clock for all requests costs less than a timer or two for each. */
const tick = 100
const connectTimeout = 10_000

/** What undici's pool and ours have in common. */
interface UpstreamClient {
  dispatch(options: DispatchOptions, handler: Exchange): boolean
  destroy(): Promise<void>
}

interface Upstream {
  readonly pool: UpstreamClient
  /** The certificate must be the upstream's, whatever Host it is sent. */
  readonly servername: string | undefined
}

/** undici passes `servername` on, but does not list it. */
type DispatchOptions = UpstreamRequest & { servername?: string }

export function createForwarder(options: ForwarderOptions): Forwarder {
  const { log, unavailable, connections = 128 } = options
  const upstreams = new Map<string, Upstream>()
  const around: Surroundings = {
    now: 0,
    running: [],
    unavailable,
    failed: (err, { requestId, upstream }) => log.warn({ err, requestId, upstream }, 'upstream failed'),
    flagged: (reason) => log.debug({ reason }, 'response header dropped'),
  }
  const clock = setInterval(() => {
    around.now++
    // Backwards: what expires leaves the list, and the last one takes its place.
    for (let i = around.running.length - 1; i >= 0; i--) {
      const exchange = around.running[i]
      exchange?.expire(exchange.timeout / tick)
    }
  }, tick)
  clock.unref()

  function open(origin: string): Upstream {
    // Time-outs are ours (`expire`): undici's can't tell an event stream from a stuck answer.
    const limits = { connections, connectTimeout, maxHeaderSize: 64 * 1024 }
    const pool =
      options.client === 'undici'
        ? (new Pool(origin, { ...limits, headersTimeout: 0, bodyTimeout: 0, pipelining: 1 }) as UpstreamClient)
        : createUpstreamPool(origin, limits)
    const { protocol, hostname } = new URL(origin)
    const upstream = { pool, servername: protocol === 'https:' && isIP(hostname) === 0 ? hostname : undefined }
    upstreams.set(origin, upstream)
    return upstream
  }

  return {
    forward(request, response, decision) {
      const length = declaredLength(request)
      if (length > decision.maxBody && length !== Number.POSITIVE_INFINITY) {
        respond(request, response, unavailable('payload_too_large', decision), decision.response.add)
        return
      }
      const upstream = upstreams.get(decision.upstream) ?? open(decision.upstream)
      invite(request, response)
      const exchange = new Exchange(around, connectionOf(request.socket), [request, response, decision])
      const options: DispatchOptions = {
        path: decision.path,
        method: request.method as string,
        headers: exchange.body === null ? decision.headers : withoutFraming(decision.headers),
        body: exchange.body,
      }
      if (upstream.servername !== undefined) options.servername = upstream.servername
      // Also what dispatch itself refuses comes back through onError.
      upstream.pool.dispatch(options, exchange)
    },
    async close() {
      clearInterval(clock)
      await Promise.all(Array.from(upstreams.values(), ({ pool }) => pool.destroy()))
    },
  }
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
