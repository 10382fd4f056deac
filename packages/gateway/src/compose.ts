import { isDeepStrictEqual } from 'node:util'
import { decidingClaims } from './access/attributes.ts'
import { rolesOf } from './access/roles.ts'
import type { Config } from './config/schema.ts'
import { transmittersOf } from './config/signals-schema.ts'
import type { ReadFile } from './config/snapshot.ts'
import { createDecisionLog } from './decision-log.ts'
import type { EventLog } from './event-log.ts'
import { createDirectory } from './identity/directory.ts'
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
import { createSessions, type SessionEvent, type Sessions } from './session/sessions.ts'
import type { Clock, EndReason, SessionId, SessionStore } from './session/store.ts'
import { createGatewayCookies } from './session-cookie.ts'
import { createSignals } from './signals/signals.ts'
import { createIdentities } from './upstream/aws/identities.ts'
import { createRoleCredentials } from './upstream/aws/role-credentials.ts'
import { createDpopProofs } from './upstream/dpop-proofs.ts'
import { createExchanges } from './upstream/exchange.ts'
import { createMint } from './upstream/mint.ts'
import type { Metrics, ProviderMetrics } from './watch/metrics.ts'
import { openPlaces } from './watch/places.ts'

export interface ServiceParts {
  readonly config: Config
  readonly now: Clock
  readonly log: EventLog
  readonly metrics: Metrics
  readonly store: SessionStore
  readonly readFile: ReadFile
  /** See sessions.ts. */
  readonly onEndedUnopened?: ((id: SessionId, reason: EndReason) => void) | undefined
  /** Those that hold now: what outlives a configuration asks them. */
  readonly current: () => Pick<Services, 'providers' | 'sessions'>
  /** Those of the configuration before: what is still right of them, and what they know, goes on. */
  readonly before?: Services | undefined
}

/** Builds, once for each configuration, what the guard and the endpoints work with. */
export function createServices(parts: ServiceParts): Services {
  const { config, now, metrics, store, readFile, before } = parts
  const log = before?.log ?? metrics.counting(parts.log)
  const ring = before?.ring ?? openKeyFile(config.keys.file, now, (event) => reportKeys(log, event))
  const providers = new Map(
    Object.keys(config.providers).map((name) => {
      const known = before && isSameProvider(name, before, parts) ? before.providers.get(name) : undefined
      return [name, known ?? createProvider(name, { ...parts, log })] as const
    }),
  )
  const revocation =
    before?.revocation ??
    createTokenRevocation({
      providers: { get: (name) => parts.current().providers.get(name) },
      queue: createRevocationQueue({ outbox: store.outbox, ring, now, random: Math.random }),
      log,
      handleOf: createHandles(ring).handleOf,
    })
  const roleCredentials =
    before?.roleCredentials ??
    createRoleCredentials({
      ...{ log, now, sessions: () => parts.current().sessions },
      identities: createIdentities({ store, ring, now }),
    })
  const sameSessions =
    before !== undefined &&
    isDeepStrictEqual(before.config.session, config.session) &&
    isDeepStrictEqual(before.config.roles, config.roles) &&
    before.config.rolesMatch === config.rolesMatch
  const sessions = sameSessions
    ? before.sessions
    : openSessions(config, { ...parts, log, ring, revocation, roleCredentials })
  const directory = createDirectory({ config, users: store.users, ring, log, now })
  const sameLimits =
    before !== undefined &&
    isDeepStrictEqual(before.config.limits, config.limits) &&
    before.config.basePath === config.basePath &&
    before.config.defaultProvider === config.defaultProvider
  return {
    config,
    store,
    sessions,
    liveStreams: sameSessions
      ? before.liveStreams
      : createLiveStreams({
          ...{ store, ring, now, sessions, log, watched: before?.liveStreams.watched },
          timeouts: config.session,
          max: config.session.streams.max,
        }),
    limits: sameLimits ? before.limits : createLimits({ config, now, log, handleOf: createHandles(ring).handleOf }),
    directory,
    providers,
    refreshTokens: createTokenRefresh({ directory, log, now, providers, revocation, sessions }),
    revocation,
    signals: createSignals({ config, log, now, ring, sessions, store }),
    dpopProofs: before?.dpopProofs ?? createDpopProofs(now),
    exchanges: createExchanges({ log, now, providers, sessions }),
    roleCredentials,
    clockOffsets: before?.clockOffsets ?? new Map(),
    mint: createMint({ config, now, providers, ring, sessions }),
    ring,
    formTokens: createFormTokens(ring),
    cookies: createGatewayCookies(config.session),
    log,
    decisions: createDecisionLog({ config, log, sessions }),
    tally: metrics.tally,
    now,
    placeOf: openPlaces(config.watch.geo?.file, before?.placeOf),
    newRequestId: before?.newRequestId ?? createRequestIds(),
    newTraceparent: before?.newTraceparent ?? createTraceparents(),
    readFile,
  }
}

/**
 * Apart from what makes the services, so that what these functions hold on to is of one configuration only: each would hold
 * the one before it otherwise, and that one its own.
 */
function openSessions(
  { roles, rolesMatch, session: timeouts }: Config,
  parts: Pick<ServiceParts, 'store' | 'now' | 'onEndedUnopened'> &
    Pick<Services, 'log' | 'ring' | 'revocation' | 'roleCredentials'>,
): Sessions {
  const { store, now, onEndedUnopened, log, ring, revocation, roleCredentials } = parts
  return createSessions({
    ...{ store, ring, timeouts, now, onEndedUnopened },
    rolesOf: (attributes) => rolesOf({ roles, rolesMatch }, attributes),
    onEvent: (event) => report(log, event),
    onEnded(session, reason) {
      roleCredentials.forget(session.id)
      revocation.ended(session, reason)
    },
    onFault: (err) => log.error({ event: 'store_unavailable', err }, 'a write behind a request failed'),
  })
}

/** What it was told stays known, and its circuit open or shut, where nothing that concerns it has changed. */
function isSameProvider(name: string, before: Services, { config, readFile }: ServiceParts): boolean {
  const [old, next] = [before.config, config]
  const provider = next.providers[name]
  const files = [provider?.ca, provider?.clientCertificate?.cert, provider?.clientCertificate?.key]
  return (
    isDeepStrictEqual(old.providers[name], provider) &&
    files.every((file) => file === undefined || before.readFile(file) === readFile(file)) &&
    old.origin === next.origin &&
    old.basePath === next.basePath &&
    isDeepStrictEqual(decidingClaims(old), decidingClaims(next)) &&
    isDeepStrictEqual(furtherClaims(old, name), furtherClaims(next, name))
  )
}

function createProvider(
  name: string,
  parts: { config: Config; now: Clock; log: EventLog; metrics: Metrics; readFile: ReadFile },
): ProviderClient {
  const { config, now, log } = parts
  const metrics = parts.metrics.provider(name)
  const provider = config.providers[name] as Config['providers'][string]
  return createProviderClient({
    name,
    config: provider,
    redirectUri: `${config.origin}${config.basePath}/callback/${name}`,
    decidingClaims: decidingClaims(config),
    furtherClaims: furtherClaims(config, name),
    now,
    send: counted(metrics, createSend(provider, parts.readFile)),
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

/** What a sign-in must know beyond what is shown and what decides. */
function furtherClaims({ identity, signals }: Config, provider: string): string[] {
  // Who may be meant by an e-mail address has a verified one: asked for where somebody may mean them so, or a rule links by it.
  const meant = transmittersOf(signals).length > 0 || Object.keys(signals.revocation).length > 0
  const linked = identity.link.some(({ providers }) => providers.includes(provider))
  return [...identity.claims, ...(meant || linked ? ['email', 'email_verified'] : [])]
}

function report(log: EventLog, event: SessionEvent): void {
  if (event.event === 'crypt_decrypt_fail' || event.event === 'session_cookie_reused') log.error(event)
  else if (event.event === 'session_unknown' || event.event === 'privilege_permissions_changed') log.warn(event)
  else log.info(event)
}
