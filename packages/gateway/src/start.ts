import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import { adminRows } from './admin.ts'
import { createServices } from './compose.ts'
import type { Config } from './config/schema.ts'
import { createGuard } from './guard.ts'
import { createLog } from './log.ts'
import { createAdminServer } from './node/admin-server.ts'
import { createForwarder } from './node/proxy.ts'
import { createNodeServer } from './node/server.ts'
import { createStaticFiles } from './node/static-files.ts'
import { createTunneler } from './node/tunneler.ts'
import { errorResponse } from './protocol/problem.ts'
import { transport } from './protocol/security-headers.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { openStore } from './stores/open.ts'
import { addHeaders, withStrictTransport } from './strict-transport.ts'
import { poolSettingsOf } from './upstream/pool-settings.ts'
import { createMetrics } from './watch/metrics.ts'

export interface GatewayOptions {
  /** As `loadConfig` gives it. */
  readonly config: Config
  /** Milliseconds since the epoch; tests hand in a clock of their own. */
  readonly now?: Clock
  readonly log?: Logger
  /** Instead of the configured one; it stays open when the gateway closes. */
  readonly store?: SessionStore
}

export interface RunningGateway {
  /** Where it listens. */
  readonly url: string
  readonly adminUrl?: string
  readonly store: SessionStore
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
  const { config } = options
  const now = options.now ?? Date.now
  const log = options.log ?? createLog({ level: config.log.level })
  const store = options.store ?? (await openStore(config.store, { now }))
  const metrics = createMetrics({
    providers: Object.keys(config.providers),
    sources: {
      inFlight: () => server.inFlight(),
      upstreamInFlight: () => forwarder.inFlight(),
      revocationQueue: () => store.outbox.count(),
    },
  })
  const { tally } = metrics
  const services = createServices({ config, now, log, metrics, store })
  const origin = new URL(config.origin)
  const strict = transport({ https: origin.protocol === 'https:', host: origin.host })
  const guard = withStrictTransport(createGuard(services), strict)
  const failure: typeof errorResponse = (code, options) => {
    tally.refusals[code]++
    return addHeaders(errorResponse(code, options), strict)
  }
  const { tls } = config.listen

  const forwarder = createForwarder({
    log,
    answers: tally.answers,
    client: config.upstreamClient,
    unavailable: (code, { navigation, request, requestId }, retryAfter) => {
      if (request) services.decisions.refused(code, undefined, { head: request.head, requestId, request })
      return failure(code, {
        html: navigation,
        requestId,
        ...(retryAfter !== undefined && { headers: ['Retry-After', String(retryAfter)] }),
      })
    },
    pools: config.routes.flatMap((route) => poolSettingsOf(route) ?? []),
  })
  const tunneler = createTunneler({
    log,
    unavailable: (code, { request, requestId }) => {
      if (request) services.decisions.refused(code, undefined, { head: request.head, requestId, request })
      return failure(code, { html: false, requestId })
    },
  })
  const server = createNodeServer({
    decide: guard.decide,
    forward: forwarder.forward,
    tunnel: tunneler.tunnel,
    serveStatic: createStaticFiles({ notFound: (navigation) => failure('not_found', { html: navigation }) }),
    internalError: (requestId) => failure('internal_error', { html: false, requestId }),
    framingError: (code) => failure(code, { html: false }),
    log,
    requestId: services.newRequestId,
    decisions: tally.decisions,
    ...(tls && { tls: { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') } }),
  })
  const admin =
    config.admin &&
    createAdminServer({
      ...config.admin,
      rows: adminRows(services, { metrics, ready: () => readiness(store) }),
      newRequestId: services.newRequestId,
      log: services.log,
    })
  const port = await server.listen(config.listen.host, config.listen.port)
  const adminPort = await admin?.listen()
  const sweeper = setInterval(() => {
    store.sweep().catch((err: unknown) => log.error({ event: 'store_unavailable', err }, 'sweep failed'))
  }, sweepInterval)
  sweeper.unref()
  services.revocation.start()
  for (const provider of services.providers.values()) {
    provider.metadata.get().catch((err: unknown) => {
      log.warn(
        { event: 'provider_unavailable', provider: provider.name, err },
        'not reached yet; sign-ins will try again',
      )
    })
  }

  const polling = services.signals.start()

  const url = `${tls ? 'https' : 'http'}://${hostInUrl(config.listen.host)}:${port}`
  log.info({ event: 'started', url, origin: config.origin, store: store.kind }, 'coatcheck is listening')
  return {
    url,
    ...(config.admin && { adminUrl: `http://${hostInUrl(config.admin.host)}:${adminPort}` }),
    store,
    async close({ graceMs = 10_000 } = {}) {
      clearInterval(sweeper)
      const closed = server.close({ graceMs })
      // What never ends by itself is told to, now that its client is turned away here when it tries again.
      services.liveStreams.drain()
      tunneler.drain()
      await Promise.all([closed, polling.stop()])
      await forwarder.close()
      await services.revocation.close(Math.min(graceMs, 3_000))
      await admin?.close()
      if (options.store === undefined) await store.close()
      log.info({ event: 'stopped' }, 'coatcheck has stopped')
    },
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
