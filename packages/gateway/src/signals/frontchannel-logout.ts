import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { refuseDuplicates } from '../oidc/login-start.ts'
import type { Services } from '../services.ts'
import { endSessions } from './end-sessions.ts'

/**
 * `GET /auth/frontchannel-logout/{provider}?iss=…&sid=…`: the provider's sign-out page loads it in a frame. Cookies don't
 * reach a frame on another site (SameSite), so the session is found by the provider's own session id, which only the
 * provider and we know. Without one, or with another issuer's, nothing happens. @see OpenID Connect Front-Channel Logout §2
 */
export function createFrontchannelLogout({ log, providers, sessions }: Services) {
  return async (request: EndpointRequest): Promise<Respond> => {
    const provider = providers.get(request.name)
    if (!provider) throw new Refusal('not_found')
    refuseDuplicates(request.parameters)
    const { issuer } = provider.config
    const [iss, sid] = [request.parameters.get('iss'), request.parameters.get('sid')]
    if ((iss === null) !== (sid === null)) throw new Refusal('bad_request', { cause: 'iss and sid: both or neither' })
    if (iss === issuer && sid !== null && sid !== '') await end(provider.name, issuer, sid)
    return {
      kind: 'respond',
      status: 200,
      headers: [
        ...['Content-Type', 'text/html; charset=utf-8'],
        ...['Cache-Control', 'no-store'],
        // Framed by the provider, and by nobody else.
        ...['Content-Security-Policy', `default-src 'none'; frame-ancestors ${new URL(issuer).origin}`],
        ...['X-Content-Type-Options', 'nosniff'],
      ],
      body: '<!doctype html><title>Signed out</title>',
    }
  }

  async function end(provider: string, iss: string, sid: string): Promise<void> {
    const find = async () =>
      (await sessions.ofProviderSid(iss, sid)).filter(({ record }) => record.provider === provider)
    const ended = await endSessions(sessions, find, 'provider-logout').catch((cause: unknown) => {
      throw new Refusal('store_unavailable', { cause })
    })
    log.info({ event: 'authn_frontchannel_logout', provider, ended })
  }
}
