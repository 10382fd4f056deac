import type { Config } from './config/schema.ts'
import type { EventLog } from './event-log.ts'
import { createRequestIds, createTraceparents } from './node/request-id.ts'
import type { Fetch } from './oidc/bounded-fetch.ts'
import { createProviderClient, type ProviderClient } from './oidc/provider-client.ts'
import { createRevocationQueue } from './oidc/revocation-queue.ts'
import { createTokenRefresh } from './oidc/token-refresh.ts'
import { createTokenRevocation } from './oidc/token-revocation.ts'
import type { Services } from './services.ts'
import { createHandles } from './session/handle.ts'
import { openKeyFile } from './session/key-file.ts'
import { createSessions, type SessionEvent } from './session/sessions.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { createGatewayCookies } from './session-cookie.ts'
import type { Metrics, ProviderMetrics } from './watch/metrics.ts'

/** Builds, once, what the guard and the endpoints work with. */
export function createServices(parts: {
  config: Config
  now: Clock
  log: EventLog
  metrics: Metrics
  store: SessionStore
}): Services {
  const { config, now, metrics, store } = parts
  const log = metrics.counting(parts.log)
  const ring = openKeyFile(config.keys.file, now)
  const providers = new Map(
    Object.keys(config.providers).map((name) => [name, createProvider(name, { config, now, log, metrics })] as const),
  )
  const revocation = createTokenRevocation({
    providers,
    queue: createRevocationQueue({ outbox: store.outbox, ring, now, random: Math.random }),
    log,
    handleOf: createHandles(ring).handleOf,
  })
  const sessions = createSessions({
    store,
    ring,
    timeouts: config.session,
    now,
    onEvent: (event) => report(log, event),
    onEnded: revocation.ended,
    onFault: (err) => log.error({ event: 'store_unavailable', err }, 'a write behind a request failed'),
  })
  return {
    config,
    store,
    sessions,
    providers,
    refreshTokens: createTokenRefresh({ log, providers, revocation, sessions }),
    revocation,
    ring,
    cookies: createGatewayCookies(config.session),
    log,
    tally: metrics.tally,
    now,
    newRequestId: createRequestIds(),
    newTraceparent: createTraceparents(),
  }
}

function createProvider(
  name: string,
  parts: { config: Config; now: Clock; log: EventLog; metrics: Metrics },
): ProviderClient {
  const { config, now, log } = parts
  const metrics = parts.metrics.provider(name)
  const provider = config.providers[name] as Config['providers'][string]
  return createProviderClient({
    name,
    config: provider,
    redirectUri: `${config.origin}${config.basePath}/callback/${name}`,
    wantedClaims: [...provider.claims, ...config.roles.map((rule) => rule.claim)],
    now,
    fetch: countedFetch(metrics),
    onCircuit: metrics.circuit,
    onStale: (err) =>
      log.warn({ event: 'provider_unavailable', provider: name, err }, 'an older discovery document serves on'),
  })
}

/** The machine's own fetch, its answers counted. */
function countedFetch({ request }: ProviderMetrics): Fetch {
  return async (url, init) => {
    try {
      const response = await fetch(url, init)
      request(response.status >= 500 ? 'error' : 'ok')
      return response
    } catch (error) {
      request('failed')
      throw error
    }
  }
}

function report(log: EventLog, event: SessionEvent): void {
  if (event.event === 'crypt_decrypt_fail' || event.event === 'session_cookie_reused') log.error(event)
  else if (event.event === 'session_unknown') log.warn(event)
  else log.info(event)
}
