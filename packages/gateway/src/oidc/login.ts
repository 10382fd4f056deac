import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { realmPage } from '../protocol/realm-page.ts'
import { safeReturnTo } from '../protocol/return-to.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import type { SessionId } from '../session/store.ts'
import { chooseBehind } from './behind.ts'
import { lookAgain, refuseUnlessNavigation, startLogin } from './login-start.ts'
import { readThirdPartyLogin } from './third-party-login.ts'

/** `GET /auth/login`: sends the browser to the provider, at our own wish or a third party's. */
export function createLogin(services: Services) {
  const { config, providers } = services

  return async (request: EndpointRequest): Promise<Respond> => {
    refuseUnlessNavigation(request)
    const again = lookAgain(request)
    if (again) return again
    const elsewhere = readThirdPartyLogin(services, request.parameters)
    const provider = elsewhere?.provider ?? providers.get(request.parameters.get('provider') ?? config.defaultProvider)
    if (!provider) throw new Refusal('bad_request', { cause: 'no such provider' })
    const loginHint = request.parameters.get('login_hint')
    const chosen = chooseBehind(provider.config, { idp: request.parameters.get('idp'), loginHint })
    const silent = request.parameters.get('silent') === '1'
    const returnTo = elsewhere?.returnTo ?? safeReturnTo(request.parameters.get('return_to'), config.basePath)
    // Silently nothing can be asked: the provider knows the user, or nobody is signed in.
    if (chosen.kind === 'ask' && !silent) {
      const fields = [
        ['return_to', returnTo],
        ['provider', provider.name],
      ] as const
      return realmPage(request.path, fields, { again: chosen.why === 'no-address' })
    }
    return await startLogin(services, request, {
      provider,
      silent,
      returnTo,
      previous: await sessionOf(request),
      ...(loginHint !== null && { loginHint }),
      ...(chosen.kind === 'behind' && { behind: chosen.behind }),
    })
  }

  /** Only a session that the browser proves to hold is remembered: an id alone must not end anybody's session. */
  async function sessionOf(request: EndpointRequest): Promise<SessionId | undefined> {
    const opened = await openOrRefuse(services, request)
    return opened?.kind === 'live' ? opened.session.id : undefined
  }
}
