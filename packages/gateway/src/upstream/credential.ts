import type { RouteConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'

/** The value of the Authorization header for an upstream; synchronous while the token is good. */
export type CredentialOf = (request: GatewayRequest, session: LiveSession) => string | undefined | Promise<string>

/** A token this near to its end may be over when the upstream reads it. */
const margin = 5_000

export function createCredential(kind: RouteConfig['credential'], services: Services): CredentialOf {
  if (kind === 'none') return () => undefined
  const { now, refreshTokens } = services
  const tokenOf = (session: LiveSession) => (kind === 'id-token' ? session.tokens.idToken : session.tokens.accessToken)
  const isGood = ({ tokens: { accessTokenExpiresAt } }: LiveSession) =>
    accessTokenExpiresAt === undefined || now() < accessTokenExpiresAt - margin

  return (request, session) => {
    if (isGood(session)) return `Bearer ${tokenOf(session)}`
    return refreshed(request, session)
  }

  async function refreshed(request: GatewayRequest, session: LiveSession): Promise<string> {
    const outcome = await refreshTokens(session, request.cookie as string)
    if (outcome.kind === 'refreshed') return `Bearer ${tokenOf(outcome.session)}`
    // The provider is down: the session stays, and this request fails. Signing out would punish the user for an outage.
    if (outcome.kind === 'provider-unavailable') {
      throw new Refusal('provider_unavailable', { cause: outcome.cause, headers: ['Retry-After', '5'] })
    }
    throw new Refusal(outcome.kind === 'ended' ? 'session_expired' : 'login_required', { cause: outcome.cause })
  }
}
