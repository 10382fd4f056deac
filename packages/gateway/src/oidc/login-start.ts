import { loginUrl } from '../access/login-url.ts'
import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { HostCookieName } from '../protocol/cookies.ts'
import { isPrefetch, isTopLevelNavigation } from '../protocol/navigation.ts'
import { bouncePage } from '../protocol/page.ts'
import { safeReturnTo } from '../protocol/return-to.ts'
import type { Services } from '../services.ts'
import type { SessionId } from '../session/store.ts'
import { idpParameter } from './behind.ts'
import { asRefusal } from './faults.ts'
import { loginCookiePrefix, newPendingLogin, type PendingLogin, sealPendingLogin } from './pending-login.ts'
import type { ProviderClient } from './provider-client.ts'
import { redirect } from './redirect.ts'

/**
 * Sign-ins that one browser may have under way, and the bytes of their cookies together; the oldest make room, so that
 * cookies never pile up to a 431. Bytes count too: a page that opens sign-ins with long return addresses reaches it with few.
 */
const maxPendingLogins = 5
const maxPendingBytes = 4 * 1024

/** Login CSRF by image, frame or script, and prefetches that nobody finishes, start nothing. @see ASVS 5.0 7.6.2 */
export function refuseUnlessNavigation(request: EndpointRequest): void {
  if (!isTopLevelNavigation(request.fields) || isPrefetch(request.fields)) throw new Refusal('login_not_navigation')
  refuseDuplicates(request.parameters)
}

/**
 * From another site SameSite=Strict hides the session, which the sign-in is to replace: a page that opens the same
 * address anew, from here. Undefined where nothing can be hidden.
 */
export function lookAgain({ cookie, fields, path, query }: EndpointRequest): Respond | undefined {
  return cookie === undefined && fields.secFetchSite === 'cross-site' ? bouncePage(path + query) : undefined
}

/** A parameter given twice is read differently by different readers. @see ASVS 5.0 15.3.7 · RFC 6749 §3.1 */
export function refuseDuplicates(parameters: URLSearchParams): void {
  const names = [...parameters.keys()]
  if (new Set(names).size !== names.length) throw new Refusal('bad_request', { cause: 'a parameter was given twice' })
}

/** Remembers the sign-in in a cookie of its own, and sends the browser to the provider. */
export async function startLogin(
  { config, cookies, now, ring }: Services,
  request: EndpointRequest,
  login: { provider: ProviderClient; previous: SessionId | undefined; loginHint?: string; returnTo?: string } & Partial<
    Pick<PendingLogin, 'behind' | 'silent' | 'stepUp'>
  >,
): Promise<Respond> {
  const { behind, loginHint, provider } = login
  const returnTo = login.returnTo ?? safeReturnTo(request.parameters.get('return_to'), config.basePath)
  const refuse = (error: unknown): never => {
    const { code, options } = asRefusal(error)
    const retry = loginUrl(config, returnTo, provider.name) + idpParameter(provider.config, behind)
    throw new Refusal(code, { ...options, retry })
  }
  const pending = newPendingLogin({
    provider: provider.name,
    returnTo,
    silent: login.silent ?? false,
    previous: login.previous,
    dpopKey: await provider.newBindingKey().catch(refuse),
    now: now(),
    ...(login.stepUp && { stepUp: login.stepUp }),
    ...(behind !== undefined && { behind }),
  })
  const url = await provider.authorizationUrl(pending, { loginHint }).catch(refuse)
  const sealed = sealPendingLogin(ring, pending)
  const outdated = outdatedLogins(cookies, request.fields.cookie, sealed.length)
  return redirect(url.href, [cookies.login(pending.id, sealed), ...outdated.map((cookie) => cookies.expire(cookie))])
}

/** The login cookies that must go for one more of `bytes`. */
function outdatedLogins(cookies: Services['cookies'], header: string | undefined, bytes: number): HostCookieName[] {
  let room = maxPendingBytes - bytes
  const newestFirst = cookies.logins(header).reverse()
  return newestFirst.filter((name, at) => {
    room -= cookies.readLogin(header, name.slice(loginCookiePrefix.length))?.length ?? maxPendingBytes
    return at >= maxPendingLogins - 1 || room < 0
  })
}
