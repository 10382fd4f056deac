import type { RouteConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import { retryAfter } from '../oidc/faults.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession, Tokens } from '../session/record.ts'
import type { BoundTokens } from './dpop-proofs.ts'

/** The value of the Authorization header, or tokens that each request proves anew: see dpop-proofs.ts. */
export type Credential = string | BoundTokens

/** What an upstream gets; synchronous while the token is good. */
export type CredentialOf = (
  request: GatewayRequest,
  session: LiveSession,
) => Credential | undefined | Promise<Refreshed>

export interface Refreshed {
  readonly credential: Credential
  /** As it is after the refresh, with which the provider may have told other roles. */
  readonly session: LiveSession
}

export function createCredential(route: Pick<RouteConfig, 'credential' | 'offline'>, services: Services): CredentialOf {
  const kind = route.credential
  if (kind === 'none') return () => undefined
  const { config, log, now, refreshTokens, sessions } = services
  const offlineReads = (route.offline ?? config.session.offline)?.reads ?? 0
  const given = ({ tokens }: LiveSession): Credential => {
    if (kind === 'id-token') return `Bearer ${tokens.idToken}`
    return isBound(tokens) ? tokens : `Bearer ${tokens.accessToken}`
  }

  return (request, session) => {
    const { accessTokenExpiresAt } = session.tokens
    if (accessTokenExpiresAt === undefined) return given(session)
    const left = accessTokenExpiresAt - now()
    const lead = leadOf(session.tokens, accessTokenExpiresAt)
    if (left > lead) return given(session)
    if (left <= Math.min(lead, aboutToExpire)) return refreshed(request, session, accessTokenExpiresAt)
    // Still good for this request: the next ones find a new one, and nobody waits.
    refreshTokens(session, request.cookie as string, request.arrivedAt).catch((err: unknown) => {
      log.error({ event: 'store_unavailable', requestId: request.requestId, err }, 'a refresh ahead of time failed')
    })
    return given(session)
  }

  async function refreshed(request: GatewayRequest, session: LiveSession, expiresAt: number): Promise<Refreshed> {
    const outcome = await refreshTokens(session, request.cookie as string, request.arrivedAt)
    if (outcome.kind === 'refreshed') return { credential: given(outcome.session), session: outcome.session }
    if (outcome.kind !== 'provider-unavailable') {
      throw new Refusal(outcome.kind === 'ended' ? 'session_expired' : 'login_required', { cause: outcome.cause })
    }
    // The last known authorization, for reading, for a while: the operator chose it, and the upstream has the last word.
    const { method } = request.head
    if ((method === 'GET' || method === 'HEAD') && now() < expiresAt + offlineReads) {
      log.warn({ event: 'offline_read', session: sessions.handleOf(session.id), requestId: request.requestId })
      return { credential: given(session), session }
    }
    // The provider is down: the session stays, and this request fails. Signing out would punish the user for an outage.
    throw new Refusal('provider_unavailable', {
      cause: outcome.cause,
      headers: ['Retry-After', String(retryAfter(outcome.cause))],
    })
  }
}

function isBound(tokens: Tokens): tokens is BoundTokens {
  return tokens.dpopKey !== undefined
}

/** A token this near to its end may be over when the upstream reads it; milliseconds. */
const aboutToExpire = 5_000

/** A token is renewed in the last tenth of its life, but not more than a minute ahead. */
function leadOf({ obtainedAt }: Tokens, expiresAt: number): number {
  return Math.min(60_000, (expiresAt - obtainedAt) / 10)
}
