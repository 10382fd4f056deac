import type { Config } from './config/schema.ts'
import { transmittersOf } from './config/signals-schema.ts'
import type { EventLog } from './event-log.ts'
import { createRequestIds, createTraceparents } from './node/request-id.ts'
import { createProviderClient, type ProviderClient } from './oidc/provider-client.ts'
import { createTokenRefresh } from './oidc/token-refresh.ts'
import type { Services } from './services.ts'
import { openKeyFile } from './session/key-file.ts'
import { createSessions, type SessionEvent } from './session/sessions.ts'
import type { Clock, SessionStore } from './session/store.ts'
import { createGatewayCookies } from './session-cookie.ts'
import { createSignals } from './signals/signals.ts'

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
    providers,
    refreshTokens: createTokenRefresh({ log, providers, sessions }),
    signals: createSignals({ config, log, now, ring, sessions, store }),
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
    wantedClaims: [...provider.claims, ...config.roles.map((rule) => rule.claim), ...claimsForSignals(config)],
    now,
    onStale: (err) =>
      log.warn({ event: 'provider_unavailable', provider: name, err }, 'an older discovery document serves on'),
  })
}

/** Who may be meant by an e-mail address has a verified one: asked for where somebody may mean them so. */
function claimsForSignals({ signals }: Config): string[] {
  const used = transmittersOf(signals).length > 0 || Object.keys(signals.revocation).length > 0
  return used ? ['email', 'email_verified'] : []
}

function report(log: EventLog, event: SessionEvent): void {
  if (event.event === 'crypt_decrypt_fail' || event.event === 'session_cookie_reused') log.error(event)
  else if (event.event === 'session_unknown') log.warn(event)
  else log.info(event)
}
