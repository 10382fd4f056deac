import { hash } from 'node:crypto'
import { decidingClaims, pick } from '../access/attributes.ts'
import { loginUrl } from '../access/login-url.ts'
import { rolesOf } from '../access/roles.ts'
import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { printable } from '../protocol/printable.ts'
import { timingSafeEqual } from '../protocol/timing-safe.ts'
import type { Services } from '../services.ts'
import { type CookieValue, parseCookieValue } from '../session/cookie-value.ts'
import { federatedIdentities } from '../session/federated.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import type { Subject } from '../session/record.ts'
import type { SessionId } from '../session/store.ts'
import { makeRoom } from '../session/user-limit.ts'
import { idpParameter } from './behind.ts'
import { refuseDeep } from './claims-depth.ts'
import { adviceOf } from './failed-sign-in.ts'
import { asRefusal, reasonOf } from './faults.ts'
import { isSecondPost, postAgain, readForm } from './form-post.ts'
import { lateCallback } from './late-callback.ts'
import { refuseDuplicates } from './login-start.ts'
import { loginCookiePrefix, openPendingLogin, type PendingLogin, sealPendingLogin } from './pending-login.ts'
import type { CheckedCallback, ProviderClient, SignedIn } from './provider-client.ts'
import { redirect } from './redirect.ts'
import { isApart, sortReplaced } from './replaced-tokens.ts'
import { responseModeOf } from './response-mode.ts'
import { shownClaims } from './shown-claims.ts'
import { checkStepUp } from './step-up.ts'

/** An answer of the provider's to a sign-in that this browser began there. */
interface Answered {
  readonly provider: ProviderClient
  readonly login: PendingLogin
  /** The sign-ins that other tabs of this browser have under way. */
  readonly others: readonly PendingLogin[]
  readonly answer: URLSearchParams
}

/**
 * `GET` or `POST /auth/callback/{provider}`: completes a sign-in in the browser that began it.
 * Order: parameters → sign-ins of this browser → signature of a signed answer → state → issuer, error, mode →
 * state used up → token request → verification → new session, old one ended → 303 to a clean address. But for the keys of a
 * signed answer nothing is asked of the provider before the state is ours. See docs/sign-in.md.
 */
export function createCallback(services: Services) {
  const { config, cookies, directory, log, now, providers, revocation, ring, sessions, store } = services
  const deciding = decidingClaims(config)

  return async (request: EndpointRequest): Promise<Respond> => {
    const provider = providers.get(request.name)
    if (!provider) throw new Refusal('not_found')
    const posted = request.head.method === 'POST'
    const secondPost = posted && isSecondPost(request)
    const parameters = posted ? readForm(request) : request.parameters
    refuseDuplicates(parameters)
    const logins = loginsOf(request)
    if (logins.length === 0) {
      const again = posted && !secondPost ? postAgain(request, parameters) : undefined
      return again ?? (await lateCallback(services, request, 'no sign-in is under way in this browser'))
    }
    // The page of a late callback looks again without any.
    if (parameters.size === 0) return await lateCallback(services, request, 'no parameters')
    const answer = responseModeOf(provider.config).signed
      ? await openAnswer(parameters, provider).catch((error: unknown) => {
          // Whose it is stands unread in the answer; where to start again is the latest sign-in's page.
          const latest = logins.findLast((one) => one.provider === provider.name)
          throw failed(error, request, { provider, returnTo: latest?.returnTo ?? '/', behind: latest?.behind })
        })
      : parameters
    const state = answer.get('state') ?? ''
    const login = logins.find((one) => timingSafeEqual(one.state, state))
    if (!login) return await lateCallback(services, request, 'no sign-in of this browser has this state')
    // Mix-up: each provider has its own redirect URI, and a sign-in begun at one can't end at another. @see RFC 9700 §4.4
    if (login.provider !== provider.name)
      return await lateCallback(services, request, 'the sign-in began at another provider')
    try {
      return await complete(request, { provider, login, answer, others: logins.filter((one) => one !== login) })
    } catch (error) {
      const refusal = failed(error, request, { provider, returnTo: login.returnTo, behind: login.behind })
      throw new Refusal(refusal.code, { ...refusal.options, setCookies: [cookies.endLogin(login.id)] })
    }
  }

  /** The sign-ins that this browser has under way: each cookie, sealed by us, holds the state of its own. */
  function loginsOf({ fields }: EndpointRequest): PendingLogin[] {
    return cookies.logins(fields.cookie).flatMap((name) => {
      const id = name.slice(loginCookiePrefix.length)
      const value = cookies.readLogin(fields.cookie, id)
      const login = value === undefined ? undefined : openPendingLogin(ring, id, value)
      return login && login.expiresAt > now() ? [login] : []
    })
  }

  /** The parameters in the signed answer, where one was asked for. */
  async function openAnswer(parameters: URLSearchParams, provider: ProviderClient): Promise<URLSearchParams> {
    const response = parameters.get('response')
    // A plain answer is a downgrade, and a parameter beside the signed ones is signed by nobody. @see JARM §2.4
    if (!response || parameters.size !== 1) throw new Error('the answer is not one signed response, as was asked for')
    return await provider.openSignedResponse(response)
  }

  /** Says why in the log. What the sign-in knew is not lost: starting again leads to the same page. */
  function failed(
    error: unknown,
    request: EndpointRequest,
    at: { provider: ProviderClient; returnTo: string; behind?: PendingLogin['behind'] | undefined },
  ): Refusal {
    const { cause, code, options } = asRefusal(error)
    const provider = at.provider.name
    log.warn({
      event: 'authn_login_fail',
      code,
      provider,
      reason: printable(cause === undefined ? code : reasonOf(cause)),
      address: request.address,
      requestId: request.requestId,
    })
    const advice = adviceOf(at.provider.config, error)
    return new Refusal(code, {
      ...options,
      retry: loginUrl(config, at.returnTo, provider) + idpParameter(at.provider.config, at.behind),
      ...(advice !== undefined && { advice }),
    })
  }

  async function complete(request: EndpointRequest, answered: Answered): Promise<Respond> {
    const { answer, login, others, provider } = answered
    let callback: CheckedCallback
    try {
      callback = await provider.checkCallback(answer, login)
    } catch (error) {
      if (login.silent && answer.has('error')) return redirect(login.returnTo, [cookies.endLogin(login.id)])
      throw error
    }
    // In an address it is in the history, in logs and in a Referer: what form_post was configured against.
    if (responseModeOf(provider.config).posted && request.head.method !== 'POST') {
      throw new Refusal('login_failed', { cause: 'the code came in the address, where form_post was asked for' })
    }
    // One use only: the callback seen by two (history, a proxy's log) redeems nothing twice.
    if (!(await claimState(login))) return await lateCallback(services, request, 'the state was used already')
    const replaced = await replacedBy(request, [login, ...others])
    const signedIn = await provider.redeem(callback)
    const who = { provider: provider.name, sub: signedIn.sub, sid: signedIn.claims.sid }
    const cookie = await establish(request, { provider, login, signedIn, replaced }).catch((error: unknown) => {
      // A sign-in that came to nothing leaves no tokens, unless they hang together with those of a session that lives on.
      if (isApart(sessions, replaced, who)) revocation.revoke({ provider: who.provider, tokens: signedIn.tokens })
      throw error
    })
    const { id } = parseCookieValue(cookie) as CookieValue
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

  /** The new session in place of those that the browser had. */
  async function establish(
    request: EndpointRequest,
    parts: { provider: ProviderClient; login: PendingLogin; signedIn: SignedIn; replaced: ReadonlySet<SessionId> },
  ): Promise<string> {
    const { provider, login, signedIn, replaced } = parts
    refuseDeep(signedIn.claims)
    if (login.stepUp) checkStepUp(login.stepUp, provider.config.issuer, signedIn)
    const subject = { iss: provider.config.issuer, sub: signedIn.sub }
    const { claims, lack } = await provider.wholeGroups(signedIn)
    const roles = rolesOf(config, claims)
    // Before any session makes room: somebody who is disabled must not end one.
    const user = await directory.signIn(provider, { subject, claims, roles, email: signedIn.email })
    if (lack !== undefined) {
      log.warn(
        { event: 'user_groups_incomplete', user, provider: provider.name, reason: lack },
        'the token does not hold all groups of the user; have the provider send those of this application only, or ask its API (groupsApi)',
      )
    }
    await makeRoom(services, subject, replaced)
    const successor = { provider: provider.name, sub: signedIn.sub, sid: signedIn.claims.sid }
    const { inherited, revocable } = sortReplaced(sessions, replaced, successor)
    const tokens = inherited.length === 0 ? signedIn.tokens : { ...signedIn.tokens, inherited }
    const cookie = await startSession(request, provider, { ...signedIn, claims, tokens, roles })
    await stayedEnabled(subject, cookie)
    await endAll(replaced)
    for (const { id, tokens, record } of revocable) revocation.revoke({ id, tokens, provider: record.provider })
    return cookie
  }

  /**
   * Who was disabled between the look into the directory and the new session: whoever disabled them may have looked for
   * sessions in between, and found none.
   */
  async function stayedEnabled(subject: Subject, cookie: string): Promise<void> {
    await directory.demandEnabled(subject).catch(async (refusal: unknown) => {
      const { id } = parseCookieValue(cookie) as CookieValue
      await sessions.end(id, 'revoked')
      throw refusal
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
    { tokens, sub, claims, roles, scopes, authenticatedAt, email }: SignedIn & { readonly roles: readonly string[] },
  ) {
    const sid = claims.sid
    const acr = claims.acr
    const federated = federatedIdentities(claims)
    const session = {
      subject: { iss: provider.config.issuer, sub },
      provider: provider.name,
      authenticatedAt: authenticatedAt ?? now(),
      roles,
      attributes: pick(claims, deciding),
      scopes,
      claims: shownClaims(provider.config, claims),
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
    const visible = await openOrRefuse(services, request)
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
