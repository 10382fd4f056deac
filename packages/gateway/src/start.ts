import { isDeepStrictEqual } from 'node:util'
import type { Logger } from 'pino'
import { adminRows } from './admin.ts'
import type { Config } from './config/schema.ts'
import type { ReadFile } from './config/snapshot.ts'
import { readText } from './config/surroundings.ts'
import { createGeneration, type Generation } from './generation.ts'
import { createResealing } from './identity/resealing.ts'
import { createLog } from './log.ts'
import { createAdminServer } from './node/admin-server.ts'
import { listening } from './node/listening.ts'
import { createForwarder } from './node/proxy.ts'
import { createNodeServer } from './node/server.ts'
import { createStaticFiles } from './node/static-files.ts'
import { createTunneler } from './node/tunneler.ts'
import type { Services } from './services.ts'
import type { Clock, EndReason, SessionId, SessionStore } from './session/store.ts'
import { openStore } from './stores/open.ts'
import { createMetrics, type Metrics } from './watch/metrics.ts'

export interface GatewayOptions {
  /** As `loadConfig` gives it. */
  readonly config: Config
  /** How the files that it names are read: see config/snapshot.ts. */
  readonly readFile?: ReadFile
  /** Milliseconds since the epoch; tests hand in a clock of their own. */
  readonly now?: Clock
  readonly log?: Logger
  /** Instead of the configured one; it stays open when the gateway closes. */
  readonly store?: SessionStore
  /** What this process shares with the others of its kind: see node/worker.ts. */
  readonly shared?: {
    readonly ticketKeys: Buffer
    /** The metrics of all. */
    exposition(): Promise<string>
    /** Asks the others to see to the tokens of a session that ended here. */
    ended(id: SessionId, reason: EndReason): void
  }
}

export interface RunningGateway {
  /** Where it listens. */
  readonly url: string
  readonly adminUrl?: string
  readonly store: SessionStore
  /** What it counted. */
  readonly metrics: Pick<Metrics, 'values'>
  /** A session ended in another process: if it is opened here, its tokens are revoked at their provider. */
  endedElsewhere(id: SessionId, reason: EndReason): void
  /**
   * Requests that come from now on get this configuration, on open connections too; those under way finish under the one
   * before. What `restartNeeded` names must be the same.
   * @throws Error when it can't be used; then nothing has changed
   */
  reload(next: { config: Config; readFile?: ReadFile; ticketKeys?: Buffer }): Promise<void>
  /** Stops accepting, lets requests in flight finish (at most `graceMs`, default 10 s), then closes everything. */
  close(options?: { graceMs?: number }): Promise<void>
}

/** What has expired is forgotten this often, in milliseconds. */
const sweepInterval = 60_000

/**
 * Starts the gateway. It does not wait for a provider: with all of them down it serves what needs none, and recovers alone.
 * @throws Error when the key ring, the store or a port can't be had
 */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { config, readFile = readText, shared } = options
  const now = options.now ?? Date.now
  const log = options.log ?? createLog({ level: config.log.level })
  const store = options.store ?? (await openStore(config.store, { now }))
  const metrics = createMetrics({
    inFlight: () => server.inFlight(),
    upstreamInFlight: () => forwarder.inFlight(),
    revocationQueue: () => store.outbox.count(),
  })
  const { tally } = metrics
  const around = { now, log, metrics, store, current: () => current.services, onEndedUnopened: shared?.ended }
  let current = createGeneration({ ...around, config, readFile, ticketKeys: shared?.ticketKeys })
  const failure: Generation['failure'] = (code, how) => current.failure(code, how)
  const { newRequestId } = current.services

  const forwarder = createForwarder({
    log,
    answers: tally.answers,
    client: config.upstreamClient,
    unavailable: (code, { navigation, request, requestId }, retryAfter) => {
      if (request) current.services.decisions.refused(code, undefined, { head: request.head, requestId, request })
      return failure(code, {
        html: navigation,
        requestId,
        ...(retryAfter !== undefined && { headers: ['Retry-After', String(retryAfter)] }),
      })
    },
    pools: current.upstreams.filter((upstream) => typeof upstream !== 'string'),
  })
  const tunneler = createTunneler({
    log,
    unavailable: (code, { request, requestId }) => {
      if (request) current.services.decisions.refused(code, undefined, { head: request.head, requestId, request })
      return failure(code, { html: false, requestId })
    },
  })
  const server = createNodeServer({
    decide: (head) => current.guard.decide(head),
    forward: forwarder.forward,
    tunnel: tunneler.tunnel,
    serveStatic: createStaticFiles({ notFound: (navigation) => failure('not_found', { html: navigation }) }),
    internalError: (requestId) => failure('internal_error', { html: false, requestId }),
    framingError: (code) => failure(code, { html: false }),
    log,
    requestId: newRequestId,
    decisions: tally.decisions,
    ...(current.tls && { tls: current.tls }),
  })
  const adminSettings = ({ config, services }: Generation) => ({
    token: config.admin?.token,
    names: config.admin?.names ?? [],
    rows: adminRows(services, {
      metrics: shared ? { contentType: metrics.contentType, text: shared.exposition } : metrics,
      ready: () => readiness(store),
    }),
  })
  const admin =
    config.admin &&
    createAdminServer({
      ...{ host: config.admin.host, port: config.admin.port },
      ...adminSettings(current),
      ...{ newRequestId, log: current.services.log },
    })
  let port: number
  let adminPort: number | undefined
  try {
    port = await listening('listen', config.listen, server.listen(config.listen.host, config.listen.port))
    if (config.admin && admin) adminPort = await listening('admin', config.admin, admin.listen())
  } catch (error) {
    // All or nothing: else the listener that came up would serve on, without operators, and keep the process alive.
    await Promise.all([server.close({ graceMs: 0 }), admin?.close()])
    if (options.store === undefined) await store.close()
    throw error
  }
  const reseal = createResealing({ store, ring: current.services.ring, log, now })
  const sweeper = setInterval(() => {
    store.sweep().catch((err: unknown) => log.error({ event: 'store_unavailable', err }, 'sweep failed'))
    reseal().catch((err: unknown) => log.error({ event: 'store_unavailable', err }, 'users were not sealed anew'))
  }, sweepInterval)
  sweeper.unref()
  current.services.revocation.start()
  getAcquainted(current.services)
  let polling = current.services.signals.start()

  const url = `${current.tls ? 'https' : 'http'}://${hostInUrl(config.listen.host)}:${port}`
  log.info({ event: 'started', url, origin: config.origin, store: store.kind }, 'coatcheck is listening')
  return {
    url,
    ...(config.admin && { adminUrl: `http://${hostInUrl(config.admin.host)}:${adminPort}` }),
    store,
    metrics,
    endedElsewhere(id, reason) {
      const { revocation, sessions } = current.services
      const session = sessions.opened(id)
      if (session !== undefined) revocation.ended(session, reason)
    },
    async reload({ config, readFile = readText, ticketKeys }) {
      const before = current
      // What may fail comes first.
      const next = createGeneration({ ...around, config, readFile, ticketKeys, before: before.services })
      if (next.tls !== undefined && !isDeepStrictEqual(next.tls, before.tls)) server.renewTls(next.tls)
      forwarder.use(next.upstreams, config.upstreamClient)
      // Now it holds.
      current = next
      admin?.use(adminSettings(next))
      const { liveStreams, signals } = next.services
      if (liveStreams !== before.services.liveStreams) before.services.liveStreams.succeededBy(liveStreams)
      liveStreams.readmit(next.guard.stays)
      await polling.stop()
      polling = signals.start()
      getAcquainted(next.services, before.services)
    },
    async close({ graceMs = 10_000 } = {}) {
      clearInterval(sweeper)
      const closed = server.close({ graceMs })
      // What never ends by itself is told to, now that its client is turned away here when it tries again.
      current.services.liveStreams.drain()
      tunneler.drain()
      forwarder.drain()
      await Promise.all([closed, polling.stop()])
      await forwarder.close()
      await current.services.revocation.close(Math.min(graceMs, 3_000))
      await admin?.close()
      if (options.store === undefined) await store.close()
      log.info({ event: 'stopped' }, 'coatcheck has stopped')
    },
  }
}

/** Asks providers for what they say of themselves, before somebody waits for it. */
function getAcquainted({ log, providers }: Services, before?: Services): void {
  for (const provider of providers.values()) {
    if (before?.providers.get(provider.name) === provider) continue
    provider.metadata.get().catch((err: unknown) => {
      log.warn(
        { event: 'provider_unavailable', provider: provider.name, err },
        'not reached yet; sign-ins will try again',
      )
    })
  }
}

/** Ready to serve: the store answers. A provider's outage takes no gateway out of the balance. */
async function readiness(store: SessionStore): Promise<{ ok: boolean; checks: Record<string, string> }> {
  try {
    await store.ping()
    return { ok: true, checks: { store: 'ok' } }
  } catch {
    return { ok: false, checks: { store: 'unavailable' } }
  }
}

function hostInUrl(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
