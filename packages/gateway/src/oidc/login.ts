import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { isPrefetch, isTopLevelNavigation } from '../protocol/navigation.ts'
import { safeReturnTo } from '../protocol/return-to.ts'
import type { Services } from '../services.ts'
import type { SessionId } from '../session/store.ts'
import { asRefusal } from './faults.ts'
import { openOrRefuse } from './late-callback.ts'
import { newPendingLogin, sealPendingLogin } from './pending-login.ts'
import { redirect } from './redirect.ts'

/** Sign-ins that one browser may have under way; the oldest makes room, so that cookies never pile up to a 431. */
const maxPendingLogins = 5

/** `GET /auth/login`: sends the browser to the provider. */
export function createLogin(services: Services) {
  const { config, cookies, log, now, providers, ring, sessions } = services

  return async (request: EndpointRequest): Promise<Respond> => {
    // Login CSRF by image, frame or script, and prefetches that nobody finishes, start nothing. @see ASVS 5.0 7.6.2
    if (!isTopLevelNavigation(request.fields) || isPrefetch(request.fields)) throw new Refusal('login_not_navigation')
    refuseDuplicates(request.parameters)

    const name = request.parameters.get('provider') ?? config.defaultProvider
    const provider = providers.get(name)
    if (!provider) throw new Refusal('bad_request', { cause: 'no such provider' })

    const login = newPendingLogin({
      provider: name,
      returnTo: safeReturnTo(request.parameters.get('return_to'), config.basePath),
      silent: request.parameters.get('silent') === '1',
      previous: await sessionOf(request),
      now: now(),
    })
    const loginHint = request.parameters.get('login_hint') ?? undefined
    const url = await provider.authorizationUrl(login, { loginHint }).catch((error: unknown) => {
      throw asRefusal(error)
    })
    const pending = cookies.logins(request.fields.cookie)
    const outdated = pending.slice(0, Math.max(0, pending.length - maxPendingLogins + 1))
    log.debug({ event: 'authn_login_start', provider: name, requestId: request.requestId })
    return redirect(url.href, [
      cookies.login(login.id, sealPendingLogin(ring, login)),
      ...outdated.map((cookie) => cookies.expire(cookie)),
    ])
  }

  /** Only a session that the browser proves to hold is remembered: an id alone must not end anybody's session. */
  async function sessionOf(request: EndpointRequest): Promise<SessionId | undefined> {
    if (request.cookie === undefined) return undefined
    const opened = await openOrRefuse(sessions, request.cookie)
    return opened.kind === 'live' ? opened.session.id : undefined
  }
}

/** A parameter given twice is read differently by different readers. @see ASVS 5.0 15.3.7 · RFC 6749 §3.1 */
export function refuseDuplicates(parameters: URLSearchParams): void {
  const names = [...parameters.keys()]
  if (new Set(names).size !== names.length) throw new Refusal('bad_request', { cause: 'a parameter was given twice' })
}
