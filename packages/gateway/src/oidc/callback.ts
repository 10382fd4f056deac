import { hash } from 'node:crypto'
import { rolesOf } from '../access/roles.ts'
import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { printable } from '../protocol/printable.ts'
import { timingSafeEqual } from '../protocol/timing-safe.ts'
import type { Services } from '../services.ts'
import { type CookieValue, parseCookieValue } from '../session/cookie-value.ts'
import { federatedIdentities } from '../session/federated.ts'
import type { JsonObject } from '../session/json.ts'
import type { SessionId } from '../session/store.ts'
import { makeRoom } from '../session/user-limit.ts'
import { asRefusal, reasonOf } from './faults.ts'
import { lateCallback, openOrRefuse } from './late-callback.ts'
import { refuseDuplicates } from './login-start.ts'
import { loginCookiePrefix, loginIdOf, openPendingLogin, type PendingLogin, sealPendingLogin } from './pending-login.ts'
import type { CheckedCallback, ProviderClient, SignedIn } from './provider-client.ts'
import { redirect } from './redirect.ts'
import { checkStepUp } from './step-up.ts'

/**
 * `GET /auth/callback/{provider}`: completes a sign-in in the browser that began it.
 * Order: parameters → the sign-in of this browser → issuer, state, error → state used up → token request → verification →
 * new session, old one ended → 303 to a clean address. Nothing is asked of the provider before the state is ours.
 */
export function createCallback(services: Services) {
  const { config, cookies, log, now, providers, ring, sessions, store } = services

  return async (request: EndpointRequest): Promise<Respond> => {
    const provider = providers.get(request.name)
    if (!provider) throw new Refusal('not_found')
    refuseDuplicates(request.parameters)
    const login = findLogin(request)
    // Mix-up: each provider has its own redirect URI, and a sign-in begun at one can't end at another. @see RFC 9700 §4.4
    if (!login || login.provider !== provider.name) return await lateCallback(services, request)
    try {
      return await complete(request, provider, login)
    } catch (error) {
      const refusal = asRefusal(error)
      const { cause, options } = refusal
      log.warn({
        event: 'authn_login_fail',
        code: refusal.code,
        provider: provider.name,
        reason: printable(cause === undefined ? refusal.code : reasonOf(cause)),
        address: request.address,
        requestId: request.requestId,
      })
      throw new Refusal(refusal.code, { ...options, setCookies: [cookies.endLogin(login.id)] })
    }
  }

  /** The state names the cookie; the cookie, sealed by us, holds the state that it must be equal to. */
  function findLogin({ parameters, fields }: EndpointRequest): PendingLogin | undefined {
    const state = parameters.get('state') ?? ''
    const id = loginIdOf(state)
    const value = id === undefined ? undefined : cookies.readLogin(fields.cookie, id)
    const login = id !== undefined && value !== undefined ? openPendingLogin(ring, id, value) : undefined
    return login && timingSafeEqual(login.state, state) && login.expiresAt > now() ? login : undefined
  }

  async function complete(request: EndpointRequest, provider: ProviderClient, login: PendingLogin): Promise<Respond> {
    let callback: CheckedCallback
    try {
      callback = await provider.checkCallback(request.parameters, login)
    } catch (error) {
      if (login.silent && request.parameters.has('error')) return redirect(login.returnTo, [cookies.endLogin(login.id)])
      throw error
    }
    // One use only: the callback seen by two (history, a proxy's log) redeems nothing twice.
    if (!(await claimState(login))) return await lateCallback(services, request)
    const signedIn = await provider.redeem(callback)
    if (login.stepUp) checkStepUp(login.stepUp, provider.config.issuer, signedIn)
    const others = otherLogins(request, login)
    const replaced = await replacedBy(request, [login, ...others])
    await makeRoom(services, { iss: provider.config.issuer, sub: signedIn.sub }, replaced)
    const cookie = await startSession(request, provider, signedIn)
    const { id } = parseCookieValue(cookie) as CookieValue
    await endAll(replaced)
    log.info({
      event: 'authn_login_success',
      provider: provider.name,
      session: sessions.handleOf(id),
      address: request.address,
      requestId: request.requestId,
    })
    return redirect(login.returnTo, [
      cookies.session(cookie),
      cookies.endLogin(login.id),
      // Whichever tab completes next replaces this session, and Strict will hide this session's cookie from it.
      ...others.map((other) => cookies.login(other.id, sealPendingLogin(ring, { ...other, previous: id }))),
    ])
  }

  /** The sign-ins that other tabs of this browser have under way. */
  function otherLogins({ fields }: EndpointRequest, login: PendingLogin): PendingLogin[] {
    const ids = cookies.logins(fields.cookie).map((name) => name.slice(loginCookiePrefix.length))
    return ids.flatMap((id) => {
      const value = id === login.id ? undefined : cookies.readLogin(fields.cookie, id)
      const other = value === undefined ? undefined : openPendingLogin(ring, id, value)
      return other && other.expiresAt > now() ? [other] : []
    })
  }

  async function claimState(login: PendingLogin): Promise<boolean> {
    return await store
      .claim(`login:${hash('sha256', login.state, 'base64url')}`, login.expiresAt)
      .catch((cause: unknown) => {
        throw new Refusal('store_unavailable', { cause })
      })
  }

  async function startSession(
    request: EndpointRequest,
    provider: ProviderClient,
    { tokens, sub, claims, authenticatedAt, email }: SignedIn,
  ) {
    const sid = claims.sid
    const acr = claims.acr
    const federated = federatedIdentities(claims)
    const session = {
      subject: { iss: provider.config.issuer, sub },
      provider: provider.name,
      authenticatedAt: authenticatedAt ?? now(),
      roles: rolesOf(config.roles, claims),
      claims: pick(claims, provider.config.claims),
      userAgent: (request.fields.userAgent ?? '').slice(0, 512),
      address: request.address,
      ...(typeof sid === 'string' && { providerSid: sid }),
      ...(email !== undefined && { email }),
      ...(federated.length > 0 && { federated }),
      ...(typeof acr === 'string' && { acr }),
    }
    return await sessions.create(session, tokens).catch((cause: unknown) => {
      throw new Refusal('store_unavailable', { cause })
    })
  }

  /** The sessions that this sign-in replaces die with it: no fixation, no orphans. @see ASVS 5.0 7.2.4 */
  async function replacedBy(request: EndpointRequest, logins: readonly PendingLogin[]): Promise<Set<SessionId>> {
    const ids = new Set(logins.flatMap(({ previous }) => (previous === undefined ? [] : [previous])))
    const visible = request.cookie === undefined ? undefined : await openOrRefuse(sessions, request.cookie)
    if (visible?.kind === 'live') ids.add(visible.session.id)
    return ids
  }

  async function endAll(ids: ReadonlySet<SessionId>): Promise<void> {
    for (const id of ids) {
      await sessions.end(id, 'replaced').catch((cause: unknown) => {
        throw new Refusal('store_unavailable', { cause })
      })
    }
  }
}

function pick(claims: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])))
}
