import { isIP } from 'node:net'
import { Pool } from 'undici'
import type { PoolSettings } from '../decision.ts'
import { SlowClients } from './slow-clients.ts'
import { createConnector } from './undici-connector.ts'
import type { UpstreamHandler, UpstreamRequest } from './upstream-client/contract.ts'
import { createUpstreamPool } from './upstream-client/pool.ts'

/** undici passes `servername` on, but does not list it. */
export type DispatchOptions = UpstreamRequest & { servername?: string }

/** What undici's pool and ours have in common. */
interface Client {
  dispatch(options: DispatchOptions, handler: UpstreamHandler): boolean
  /** Connections beside those that are allowed. */
  apart(): number
  destroy(): Promise<void>
}

export type ClientChoice = 'own' | 'undici'

/** Milliseconds. */
const firstPause = 1_000
const longestPause = 30_000
/** Failures in a row after which the only address of an upstream is left alone for a while. */
const patience = 5
const usualConnections = 128
const usuallyWaiting = 8192
/** Milliseconds between two lines of the log that say the same. */
const saidEvery = 60_000
/** Bad answers in a row after which a health check gives an address up. */
const badAnswers = 2

export interface AddressOptions {
  readonly settings: Pick<PoolSettings, 'connections' | 'maxWaiting' | 'connectTimeout' | 'tls'>
  readonly client: ClientChoice
  /** There are others, so one failure is enough to prefer them. */
  readonly replaceable: boolean
  /** What the log should know: it is left alone, or back; or more clients were slow than it can wait for. */
  report(event: 'upstream_aside' | 'upstream_back' | 'slow_clients_cut', address: string, reason?: string): void
}

/**
 * One address of an upstream, what is known of its health, and the connections to it: a circuit breaker. Only failures to
 * connect open it. Time-outs and broken answers don't: whoever finds one bad request could take every address away with it.
 */
export class Address {
  readonly origin: string
  readonly #options: AddressOptions
  readonly #client: Client
  /** The certificate must be the upstream's, whatever Host it is sent. */
  readonly #servername: string | undefined
  readonly slowClients: SlowClients
  /** For requests that are under way or wait. */
  readonly #room: number
  /** Requests under way. */
  outstanding = 0
  #failures = 0
  /** Milliseconds of the monotonic clock; 0: nothing is wrong. */
  #asideUntil = 0
  /** A request is under way that shows whether it is back. */
  #probing = false
  #badAnswers = 0

  constructor(origin: string, options: AddressOptions) {
    const { protocol, hostname } = new URL(origin)
    const { tls } = options.settings
    this.origin = origin
    this.#options = options
    this.#servername = tls?.servername ?? (protocol === 'https:' && isIP(hostname) === 0 ? hostname : undefined)
    this.#client = openClient(origin, options)
    const { connections = usualConnections, maxWaiting = usuallyWaiting } = options.settings
    this.#room = connections + maxWaiting
    this.slowClients = this.#createSlowClients()
  }

  dispatch(options: DispatchOptions, handler: UpstreamHandler): void {
    if (this.#servername !== undefined) options.servername = this.#servername
    // Also what the client itself refuses comes back through onError.
    this.#client.dispatch(options, handler)
  }

  /** Milliseconds until it may be tried again; 0: now. */
  get pause(): number {
    if (this.#asideUntil === 0) return 0
    const left = this.#asideUntil - performance.now()
    return left > 0 ? left : this.#probing ? firstPause : 0
  }

  /**
   * As many wait for a connection as may. Each holds some 10 KB for up to its time-out, and clients over HTTP/2 begin a hundred
   * for each connection of theirs: what waits without a bound behind a slow upstream is the memory of everybody.
   */
  get full(): boolean {
    return this.outstanding >= this.#room && this.outstanding >= this.#room + this.#client.apart()
  }

  /** A request begins, and will end in `left`. */
  entered(): void {
    this.outstanding++
    if (this.#asideUntil !== 0) this.#probing = true
  }

  left(): void {
    this.outstanding--
    this.#probing = false
  }

  /** It answered something. */
  answered(): void {
    if (this.#failures !== 0 && this.#badAnswers < badAnswers) this.#back()
  }

  /** No connection could be made. */
  unreachable(error: Error): void {
    // One dead connection fails all requests that waited for it: that is one failure.
    if (this.#asideUntil > performance.now()) return
    this.#failures++
    if (!this.#options.replaceable && this.#failures < patience) return
    const times = this.#failures - (this.#options.replaceable ? 1 : patience)
    this.#aside(Math.min(firstPause * 2 ** Math.min(times, 16), longestPause), reasonOf(error))
  }

  /** What a health check found. `interval` is the time until the next one, in milliseconds. */
  checked(healthy: boolean, interval: number): void {
    if (healthy) {
      this.#badAnswers = 0
      if (this.#asideUntil !== 0) this.#back()
    } else if (++this.#badAnswers >= badAnswers) {
      // Until the check says otherwise; and should the checks stop, not for ever.
      this.#aside(3 * interval, 'the health check failed')
    }
  }

  close(): Promise<void> {
    return this.#client.destroy()
  }

  #createSlowClients(): SlowClients {
    const { client, settings, report } = this.#options
    const { connections = usualConnections } = settings
    // undici counts them all the same: some of its connections are kept free of them.
    const limit = client === 'own' ? 4 * connections : Math.ceil((3 * connections) / 4)
    let saidAt = Number.NEGATIVE_INFINITY
    return new SlowClients(limit, () => {
      const now = performance.now()
      if (now - saidAt < saidEvery) return
      saidAt = now
      report('slow_clients_cut', this.origin, `more than ${limit} requests wait for clients that hardly send or read`)
    })
  }

  #aside(pause: number, reason: string): void {
    if (this.#asideUntil === 0) this.#options.report('upstream_aside', this.origin, reason)
    this.#asideUntil = performance.now() + pause
  }

  #back(): void {
    if (this.#asideUntil !== 0) this.#options.report('upstream_back', this.origin)
    this.#asideUntil = 0
    this.#failures = 0
  }
}

/** Time-outs are ours (`Exchange.expire`): a client's can't tell an event stream from a stuck answer. */
function openClient(origin: string, { client, settings }: AddressOptions): Client {
  const { connections = usualConnections, connectTimeout = 10_000, tls } = settings
  const limits = { connections, connectTimeout, maxHeaderSize: 64 * 1024 }
  if (client === 'own') return createUpstreamPool(origin, { ...limits, ...(tls && { tls }) })
  const pool = new Pool(origin, {
    ...limits,
    headersTimeout: 0,
    bodyTimeout: 0,
    pipelining: 1,
    // Said, so that no variable of the environment (NODE_TLS_REJECT_UNAUTHORIZED) says otherwise.
    connect: createConnector({ ...tls, timeout: connectTimeout, rejectUnauthorized: true }),
  })
  return {
    dispatch: (request, handler) => pool.dispatch(request as never, handler as never),
    apart: () => 0,
    destroy: () => pool.destroy(),
  }
}

/** Not what the client refuses to send, or to read: one odd request would count as an outage of the upstream. */
export function isConnectFailure(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined) return false
  return connectTimeouts.has(code) || !(code.startsWith('UND_ERR_') || code.startsWith('UPSTREAM_'))
}

const connectTimeouts = new Set(['UND_ERR_CONNECT_TIMEOUT', 'UPSTREAM_CONNECT_TIMEOUT'])

/** Never the text of an error of the peer's making. */
function reasonOf(error: Error): string {
  return (error as NodeJS.ErrnoException).code ?? error.name
}
