import type { RouteConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import { retryAfter } from '../oidc/faults.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession, Tokens } from '../session/record.ts'

export interface FreshTokens {
  /**
   * Undefined while the session's tokens are good for this request; they are renewed ahead of their end. Else the session as
   * it is with new ones.
   * @throws Refusal
   */
  renew(request: GatewayRequest, session: LiveSession): Promise<LiveSession> | undefined
  /**
   * New tokens in any case, since somebody would not take those of the session. Undefined where there are none to be had.
   * @throws Refusal where the session is over, or the provider is down
   */
  replace(request: GatewayRequest, session: LiveSession): Promise<LiveSession | undefined>
  /** The provider is down, and a token ran out at `expiresAt`: may this request go on with it all the same? */
  mayReadOffline(request: GatewayRequest, session: LiveSession, expiresAt: number): boolean
}

/** The tokens of a session, as a route that passes them on, or makes others of them, needs them. */
export function createFreshTokens(route: Pick<RouteConfig, 'offline'>, services: Services): FreshTokens {
  const { config, log, now, refreshTokens, sessions } = services
  const offlineReads = (route.offline ?? config.session.offline)?.reads ?? 0

  async function replaced(request: GatewayRequest, session: LiveSession, expiresAt: number): Promise<LiveSession> {
    const outcome = await refreshTokens(session, request.cookie as string, request.arrivedAt)
    if (outcome.kind === 'refreshed') return outcome.session
    if (outcome.kind !== 'provider-unavailable') {
      throw new Refusal(outcome.kind === 'ended' ? 'session_expired' : 'login_required', { cause: outcome.cause })
    }
    if (mayReadOffline(request, session, expiresAt)) return session
    // The provider is down: the session stays, and this request fails. Signing out would punish the user for an outage.
    throw unavailable(outcome.cause)
  }

  /** The last known authorization, for reading, for a while: the operator chose it, and the upstream has the last word. */
  function mayReadOffline(request: GatewayRequest, session: LiveSession, expiresAt: number): boolean {
    const { method } = request.head
    if ((method !== 'GET' && method !== 'HEAD') || now() >= expiresAt + offlineReads) return false
    log.warn({ event: 'offline_read', session: sessions.handleOf(session.id), requestId: request.requestId })
    return true
  }

  return {
    mayReadOffline,
    renew(request, session) {
      const { accessTokenExpiresAt } = session.tokens
      if (accessTokenExpiresAt === undefined) return undefined
      const left = accessTokenExpiresAt - now()
      const lead = leadOf(session.tokens, accessTokenExpiresAt)
      if (left > lead) return undefined
      if (left <= Math.min(lead, aboutToExpire)) return replaced(request, session, accessTokenExpiresAt)
      // Still good for this request: the next ones find a new one, and nobody waits.
      refreshTokens(session, request.cookie as string, request.arrivedAt).catch((err: unknown) => {
        log.error({ event: 'store_unavailable', requestId: request.requestId, err }, 'a refresh ahead of time failed')
      })
      return undefined
    },
    async replace(request, session) {
      const outcome = await refreshTokens(session, request.cookie as string, request.arrivedAt)
      if (outcome.kind === 'ended') throw new Refusal('session_expired', { cause: outcome.cause })
      // Said as for a token of which we know that it is over. A 401 would read "signed out", and nobody was.
      if (outcome.kind === 'provider-unavailable') throw unavailable(outcome.cause)
      if (outcome.kind === 'login-required') return undefined
      const unchanged = outcome.session.record.tokensVersion === session.record.tokensVersion
      return unchanged ? undefined : outcome.session
    },
  }
}

export function unavailable(cause: unknown): Refusal {
  return new Refusal('provider_unavailable', { cause, headers: ['Retry-After', String(retryAfter(cause))] })
}

/** A token this near to its end may be over when the upstream reads it; milliseconds. */
export const aboutToExpire = 5_000

/** A token is renewed in the last tenth of its life, but not more than a minute ahead. Milliseconds. */
export function leadOf({ obtainedAt }: Pick<Tokens, 'obtainedAt'>, expiresAt: number): number {
  return Math.min(60_000, (expiresAt - obtainedAt) / 10)
}
