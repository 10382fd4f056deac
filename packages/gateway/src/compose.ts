import type { Config } from './config/schema.ts'
import type { EventLog } from './event-log.ts'
import { createRequestIds, createTraceparents } from './node/request-id.ts'
import { createProviderClient, type ProviderClient } from './oidc/provider-client.ts'
import { createTokenRefresh } from './oidc/token-refresh.ts'
import type { Services } from './services.ts'
import { openKeyFile } from './session/key-file.ts'
import { createLiveStreams } from './session/live-streams.ts'
import { createSessions, type SessionEvent } from './session/sessions.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { createGatewayCookies } from './session-cookie.ts'

/** Builds, once, what the guard and the endpoints work with. */
export function createServices(parts: { config: Config; now: Clock; log: EventLog; store: SessionStore }): Services {
  const { config, now, log, store } = parts
  const ring = openKeyFile(config.keys.file, now)
  const sessions = createSessions({
    store,
    ring,
    timeouts: config.session,
    now,
    onEvent: (event) => report(log, event),
    onFault: (err) => log.error({ event: 'store_unavailable', err }, 'a write behind a request failed'),
  })
  const providers = new Map(
    Object.keys(config.providers).map((name) => [name, createProvider(name, { config, now, log })] as const),
  )
  return {
    config,
    store,
    sessions,
    liveStreams: createLiveStreams({
      ...{ store, ring, now, sessions, log },
      timeouts: config.session,
      max: config.session.streams.max,
    }),
    providers,
    refreshTokens: createTokenRefresh({ log, providers, sessions }),
    ring,
    cookies: createGatewayCookies(config.session),
    log,
    now,
    newRequestId: createRequestIds(),
    newTraceparent: createTraceparents(),
  }
}

function createProvider(name: string, parts: { config: Config; now: Clock; log: EventLog }): ProviderClient {
  const { config, now, log } = parts
  const provider = config.providers[name] as Config['providers'][string]
  return createProviderClient({
    name,
    config: provider,
    redirectUri: `${config.origin}${config.basePath}/callback/${name}`,
    wantedClaims: [...provider.claims, ...config.roles.map((rule) => rule.claim)],
    now,
    onStale: (err) =>
      log.warn({ event: 'provider_unavailable', provider: name, err }, 'an older discovery document serves on'),
  })
}

function report(log: EventLog, event: SessionEvent): void {
  if (event.event === 'crypt_decrypt_fail' || event.event === 'session_cookie_reused') log.error(event)
  else if (event.event === 'session_unknown') log.warn(event)
  else log.info(event)
}
