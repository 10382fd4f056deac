import { decidingClaims } from './access/attributes.ts'
import { rolesOf } from './access/roles.ts'
import type { Config } from './config/schema.ts'
import { transmittersOf } from './config/signals-schema.ts'
import { createDecisionLog } from './decision-log.ts'
import type { EventLog } from './event-log.ts'
import { createLimits } from './limits/limits.ts'
import { createRequestIds, createTraceparents } from './node/request-id.ts'
import { createProviderClient, type ProviderClient } from './oidc/provider-client.ts'
import { createRevocationQueue } from './oidc/revocation-queue.ts'
import { createSend, type Send } from './oidc/send.ts'
import { createTokenRefresh } from './oidc/token-refresh.ts'
import { createTokenRevocation } from './oidc/token-revocation.ts'
import type { Services } from './services.ts'
import { createFormTokens } from './session/form-token.ts'
import { createHandles } from './session/handle.ts'
import { type KeyFileEvent, openKeyFile } from './session/key-file.ts'
import { createLiveStreams } from './session/live-streams.ts'
import { createSessions, type SessionEvent } from './session/sessions.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { createGatewayCookies } from './session-cookie.ts'
import { createSignals } from './signals/signals.ts'
import { createDpopProofs } from './upstream/dpop-proofs.ts'
import { createExchanges } from './upstream/exchange.ts'
import { createMint } from './upstream/mint.ts'
import type { Metrics, ProviderMetrics } from './watch/metrics.ts'
import { openPlaces } from './watch/places.ts'

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
  const ring = openKeyFile(config.keys.file, now, (event) => reportKeys(log, event))
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
    rolesOf: (attributes) => rolesOf(config.roles, attributes),
    onEvent: (event) => report(log, event),
    onEnded: revocation.ended,
    onFault: (err) => log.error({ event: 'store_unavailable', err }, 'a write behind a request failed'),
  })
  return {
    config,
    store,
    sessions,
    liveStreams: createLiveStreams({
      ...{ store, ring, now, sessions, log },
      timeouts: config.session,
      max: config.session.streams.max,
    }),
    limits: createLimits({ config, now, log, handleOf: sessions.handleOf }),
    providers,
    refreshTokens: createTokenRefresh({ log, now, providers, revocation, sessions }),
    revocation,
    signals: createSignals({ config, log, now, ring, sessions, store }),
    dpopProofs: createDpopProofs(now),
    exchanges: createExchanges({ log, now, providers, sessions }),
    mint: createMint({ config, now, providers, ring, sessions }),
    ring,
    formTokens: createFormTokens(ring),
    cookies: createGatewayCookies(config.session),
    log,
    decisions: createDecisionLog({ config, log, sessions }),
    tally: metrics.tally,
    now,
    placeOf: openPlaces(config.watch.geo?.file),
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
    decidingClaims: decidingClaims(config),
    signalClaims: claimsForSignals(config),
    now,
    send: counted(metrics, createSend(provider)),
    onCircuit: metrics.circuit,
    onStale: (err) =>
      log.warn({ event: 'provider_unavailable', provider: name, err }, 'an older discovery document serves on'),
  })
}

function reportKeys(log: EventLog, event: KeyFileEvent): void {
  if (event.kind === 'changed') log.info({ event: 'keys_changed', current: event.current, keys: event.keys })
  else log.error({ event: 'keys_refused', err: event.cause }, 'the keys that were read before serve on')
}

/** The way to a provider, its answers counted. */
function counted({ request }: ProviderMetrics, send: Send): Send {
  return async (url, init, limits) => {
    try {
      const response = await send(url, init, limits)
      request(response.status >= 500 ? 'error' : 'ok')
      return response
    } catch (error) {
      request('failed')
      throw error
    }
  }
}

/** Who may be meant by an e-mail address has a verified one: asked for where somebody may mean them so. */
function claimsForSignals({ signals }: Config): string[] {
  const used = transmittersOf(signals).length > 0 || Object.keys(signals.revocation).length > 0
  return used ? ['email', 'email_verified'] : []
}

function report(log: EventLog, event: SessionEvent): void {
  if (event.event === 'crypt_decrypt_fail' || event.event === 'session_cookie_reused') log.error(event)
  else if (event.event === 'session_unknown' || event.event === 'privilege_permissions_changed') log.warn(event)
  else log.info(event)
}
