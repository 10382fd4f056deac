import type { EndpointRequest } from '../endpoint.ts'
import { reasonOf } from '../oidc/faults.ts'
import { providerOf } from '../oidc/provider-of.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createFreshTokens } from '../upstream/fresh-tokens.ts'
import { demandRecent } from './recent.ts'

/**
 * Signing out everywhere at the provider too, in all of its applications, where it has an API for that and the session the
 * scope. It reaches beyond this application, so it wants a recent sign-in; what the provider makes of it holds nobody here.
 * @throws Refusal `step_up_required`
 */
export function createGlobalSignOut(services: Services) {
  const { log, providers, sessions } = services
  const tokens = createFreshTokens({}, services)

  return async (request: EndpointRequest, session: LiveSession): Promise<void> => {
    const { record } = session
    const api = providerOf(providers, record)?.account
    if (!api || !record.scopes?.includes(api.scope)) return
    demandRecent(services, request, session)
    const event = { provider: record.provider, session: sessions.handleOf(session.id), requestId: request.requestId }
    const failed = (cause: unknown) =>
      log.warn({ event: 'provider_unavailable', ...event, reason: reasonOf(cause) }, 'signed out everywhere here only')
    try {
      const { accessToken } = ((await tokens.renew(request, session)) ?? session).tokens
      const answer = await api.call('GlobalSignOut', { AccessToken: accessToken })
      if (answer.kind === 'done') log.info({ event: 'authn_global_sign_out', ...event })
      else failed(answer.kind === 'unavailable' ? answer.cause : new Error(`GlobalSignOut: ${answer.type}`))
    } catch (cause) {
      failed(cause)
    }
  }
}
