import { randomBytes } from 'node:crypto'
import { createGlobalSignOut } from '../account/global-sign-out.ts'
import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { json } from '../protocol/json-response.ts'
import { isNavigation } from '../protocol/navigation.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import type { LiveSession } from '../session/record.ts'
import { refuseDuplicates } from './login-start.ts'
import { redirect } from './redirect.ts'

/**
 * `POST /auth/logout`: the session is over on the server before anything else happens; then the browser forgets it, and
 * is sent to end its session at the provider too. Signing out twice is no error. `?everywhere=1` ends all of the user's.
 */
export function createLogout(services: Services) {
  const { config, cookies, log, providers, sessions } = services
  const signOutAtProvider = createGlobalSignOut(services)

  return async (request: EndpointRequest): Promise<Respond> => {
    refuseDuplicates(request.parameters)
    const opened = await openOrRefuse(services, request)
    const session = opened?.kind === 'live' ? opened.session : undefined
    const everywhere = request.parameters.get('everywhere') === '1'
    if (session && everywhere) await signOutAtProvider(request, session)
    if (session) await end(session, everywhere)
    const redirectTo = session ? await providerLogout(session) : `${config.origin}/`
    const headers = [
      // @see ASVS 5.0 14.3.1 · https://www.w3.org/TR/clear-site-data/
      'Clear-Site-Data',
      '"cache", "cookies", "storage"',
      'Set-Cookie',
      cookies.endSession(),
      ...cookies.logins(request.fields.cookie).flatMap((name) => ['Set-Cookie', cookies.expire(name)]),
    ]
    if (isNavigation(request.fields)) {
      const answer = redirect(redirectTo)
      return { ...answer, headers: [...answer.headers, ...headers] }
    }
    return json(200, { redirectTo }, headers)
  }

  async function end(session: LiveSession, everywhere: boolean): Promise<void> {
    try {
      const others = everywhere ? await sessions.ofUser(session.record.subject) : []
      for (const { id } of others) await sessions.end(id, 'logout')
      await sessions.end(session.id, 'logout')
    } catch (cause) {
      // Not signed out, and so not told to be: the cookie stays until the store can say that the session is over.
      throw new Refusal('store_unavailable', { cause })
    }
  }

  /** Where the provider's own session ends. Its return carries a state that nothing here depends on. */
  async function providerLogout({ record, tokens }: LiveSession): Promise<string> {
    const home = `${config.origin}/`
    const provider = providers.get(record.provider)
    try {
      const url = await provider?.logoutUrl({
        returnTo: home,
        state: randomBytes(16).toString('base64url'),
        hint: record.providerSid ?? record.subject.sub,
        idToken: tokens.idToken,
      })
      return url?.href ?? home
    } catch (cause) {
      log.warn(
        { event: 'provider_unavailable', provider: record.provider, reason: String(cause) },
        'signed out here only',
      )
      return home
    }
  }
}
