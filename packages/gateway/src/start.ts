import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import { createServices } from './compose.ts'
import type { Config } from './config/schema.ts'
import { createGuard } from './guard.ts'
import { createLog } from './log.ts'
import { createAdminServer } from './node/health.ts'
import { createForwarder } from './node/proxy.ts'
import { createNodeServer } from './node/server.ts'
import { createStaticFiles } from './node/static-files.ts'
import { errorResponse } from './protocol/problem.ts'
import { transport } from './protocol/security-headers.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { openStore } from './stores/open.ts'
import { addHeaders, withStrictTransport } from './strict-transport.ts'

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
  const services = createServices({ config, now, log, store })
  const origin = new URL(config.origin)
  const strict = transport({ https: origin.protocol === 'https:', host: origin.host })
  const guard = withStrictTransport(createGuard(services), strict)
  const failure: typeof errorResponse = (code, options) => addHeaders(errorResponse(code, options), strict)
  const { tls } = config.listen

  const forwarder = createForwarder({
    log,
    client: config.upstreamClient,
    unavailable: (code, { navigation, requestId }) => failure(code, { html: navigation, requestId }),
  })
  const server = createNodeServer({
    decide: guard.decide,
    forward: forwarder.forward,
    serveStatic: createStaticFiles({ notFound: (navigation) => failure('not_found', { html: navigation }) }),
    internalError: (requestId) => failure('internal_error', { html: false, requestId }),
    framingError: (code) => failure(code, { html: false }),
    log,
    requestId: services.newRequestId,
    ...(tls && { tls: { cert: readFileSync(tls.cert, 'utf8'), key: readFileSync(tls.key, 'utf8') } }),
  })
  const admin = config.admin && createAdminServer({ ...config.admin, log, ready: () => readiness(store) })
  const port = await server.listen(config.listen.host, config.listen.port)
  const adminPort = await admin?.listen()
  const sweeper = setInterval(() => {
    store.sweep().catch((err: unknown) => log.error({ event: 'store_unavailable', err }, 'sweep failed'))
  }, sweepInterval)
  sweeper.unref()
  for (const provider of services.providers.values()) {
    provider.metadata.get().catch((err: unknown) => {
      log.warn(
        { event: 'provider_unavailable', provider: provider.name, err },
        'not reached yet; sign-ins will try again',
      )
    })
  }

  const url = `${tls ? 'https' : 'http'}://${hostInUrl(config.listen.host)}:${port}`
  log.info({ event: 'started', url, origin: config.origin, store: store.kind }, 'coatcheck is listening')
  return {
    url,
    ...(config.admin && { adminUrl: `http://${hostInUrl(config.admin.host)}:${adminPort}` }),
    store,
    async close({ graceMs = 10_000 } = {}) {
      clearInterval(sweeper)
      await server.close({ graceMs })
      await forwarder.close()
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
