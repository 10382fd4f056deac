import { randomBytes } from 'node:crypto'
import { errorPage } from '../provider-pages.ts'
import { createFederation, FederationError, type UpstreamLogin } from './federation.ts'
import { jsonReply } from './json-error.ts'
import { managedLoginPage, pageReply } from './managed-login.ts'
import { AccessTokenError, type CheckAccessToken } from './pool-access.ts'
import { type Authorization, checkAuthorization, PageError, RedirectError } from './pool-authorize.ts'
import type { PoolGrants } from './pool-grants.ts'
import type { PoolClient, PoolIdentityProvider, PoolLifetimes, PoolUser } from './pool-settings.ts'
import { createTokenEndpoint } from './pool-token-endpoint.ts'
import { type IssueTokens, userInfoOf } from './pool-tokens.ts'
import { AttributeError, type PoolUsers } from './pool-users.ts'
import type { Call, Reply } from './service.ts'

export interface DomainParts {
  /** `http://host:port` of this listener. */
  readonly domain: string
  readonly clients: readonly PoolClient[]
  readonly identityProviders: readonly PoolIdentityProvider[]
  readonly users: PoolUsers
  readonly grants: PoolGrants
  readonly issue: IssueTokens
  readonly check: CheckAccessToken
  readonly lifetimes: PoolLifetimes
  readonly now: () => number
}

/** The cookie's session: who is signed in at the managed login. */
interface HostedSession {
  readonly user: PoolUser
  readonly authTime: number
  readonly expiresAt: number
}

interface Pending extends UpstreamLogin {
  readonly authorization: Authorization
  readonly provider: PoolIdentityProvider
}

/** The pool's domain host: what browsers see, and the endpoints of OAuth. */
export function createDomain(parts: DomainParts): (call: Call) => Promise<Reply> {
  const { domain, clients, identityProviders, users, grants, issue, check, lifetimes, now } = parts
  // Cookies know no ports: other services of this host must not share the names.
  const suffix = new URL(domain).port
  const [sessionCookie, stateCookie] = [`cognito_${suffix}`, `csrf-state_${suffix}`]
  const sessions = new Map<string, HostedSession>()
  const pending = new Map<string, Pending>()
  const federation = createFederation({ redirectUri: `${domain}/oauth2/idpresponse`, now })
  const tokenEndpoint = createTokenEndpoint({ clients, grants, issue })
  const registered = {
    clients,
    nameOf: (identifier: string) => identityProviders.find((one) => one.identifiers?.includes(identifier))?.name,
  }

  function sessionOf(call: Call): HostedSession | undefined {
    const session = sessions.get(cookieOf(call, sessionCookie) ?? '')
    return session && session.expiresAt > now() && session.user.enabled ? session : undefined
  }

  async function authorize(call: Call): Promise<Reply> {
    const authorization = checkAuthorization(call.url.searchParams, registered)
    const { prompt, provider } = authorization
    const session = sessionOf(call)
    const fits = session && (provider === undefined || provider === (session.user.identity?.providerName ?? 'COGNITO'))
    if (fits && prompt !== 'login' && prompt !== 'select_account') return finish(authorization, session)
    if (prompt === 'none') throw new RedirectError('login_required', 'login_required', authorization)
    if (provider === undefined || provider === 'COGNITO') return redirect(`/login?${call.url.searchParams}`)
    return sendUpstream(authorization, provider)
  }

  async function sendUpstream(authorization: Authorization, name: string): Promise<Reply> {
    const provider = identityProviders.find((one) => one.name === name)
    if (!provider) throw new RedirectError('invalid_request', `Unknown identity provider ${name}`, authorization)
    const { prompt, loginHint } = authorization
    const hints = { ...(prompt && { prompt }), ...(loginHint !== undefined && { login_hint: loginHint }) }
    try {
      const { url, ...login } = await federation.begin(provider, hints)
      pending.set(login.state, { ...login, authorization, provider })
      return { ...redirect(url), headers: { location: url, 'set-cookie': cookie(stateCookie, login.state, 600) } }
    } catch (error) {
      throw federated(error, authorization)
    }
  }

  /** The identity provider sends the browser back. */
  async function idpResponse(call: Call): Promise<Reply> {
    const answer = call.url.searchParams
    const state = answer.get('state') ?? ''
    const login = pending.get(state)
    pending.delete(state)
    // The cookie binds the answer to the browser that began: login CSRF at the pool.
    if (!login || cookieOf(call, stateCookie) !== state) throw new PageError('Invalid state')
    const { authorization, provider } = login
    try {
      const user = users.federated(provider, await federation.finish(provider, login, answer))
      if (!user.enabled) throw new FederationError(provider, 'User is not enabled')
      // Where the application sent no nonce, the pool invents one on federated sign-ins.
      const nonce = authorization.nonce ?? randomBytes(24).toString('base64url')
      return open({ ...authorization, nonce }, user)
    } catch (error) {
      throw federated(error, authorization)
    }
  }

  function showLogin(authorization: Authorization, message?: string): Reply {
    const { client, parameters, loginHint } = authorization
    const offered = client.identityProviders.filter((name) => name !== 'COGNITO')
    const origins = [...clients.flatMap((one) => one.redirectUris), ...identityProviders.map((one) => one.issuer)]
    const page = managedLoginPage({
      parameters,
      providers: authorization.provider === 'COGNITO' ? [] : offered,
      native: client.identityProviders.includes('COGNITO'),
      hint: loginHint,
      formTargets: [...new Set(origins.map((uri) => new URL(uri).origin))],
      ...(message !== undefined && { message }),
    })
    return pageReply(page, message === undefined ? 200 : 401)
  }

  function logIn(call: Call): Reply {
    const authorization = checkAuthorization(call.url.searchParams, registered)
    if (call.method !== 'POST') return showLogin(authorization)
    const form = new URLSearchParams(call.body.toString('utf8'))
    const user = users.find(form.get('username') ?? '')
    const native = authorization.client.identityProviders.includes('COGNITO')
    if (!native || !user?.enabled || user.password === undefined || user.password !== form.get('password')) {
      return showLogin(authorization, 'Incorrect username or password.')
    }
    return open(authorization, user)
  }

  function open(authorization: Authorization, user: PoolUser): Reply {
    const id = randomBytes(32).toString('base64url')
    const session = {
      user,
      authTime: Math.floor(now() / 1000),
      expiresAt: now() + lifetimes.cookie * 1000,
    }
    sessions.set(id, session)
    const reply = finish(authorization, session)
    return { ...reply, headers: { ...reply.headers, 'set-cookie': cookie(sessionCookie, id, lifetimes.cookie) } }
  }

  function finish(authorization: Authorization, { user, authTime }: HostedSession): Reply {
    const { client, redirectUri, scopes, state, nonce, challenge } = authorization
    const grant = grants.begin({ clientId: client.clientId, user, scopes, nonce, authTime })
    return back({ redirectUri, state }, { code: grants.issueCode({ grant, redirectUri, challenge }) })
  }

  /** Ends the managed login's own session: not the one at the identity provider, and no tokens. */
  function logout(call: Call): Reply {
    const query = call.url.searchParams
    const client = clients.find((one) => one.clientId === query.get('client_id'))
    if (!client) throw new PageError("Required String parameter 'client_id' is not present or unknown")
    if (query.has('post_logout_redirect_uri')) throw new PageError('post_logout_redirect_uri is not supported')
    sessions.delete(cookieOf(call, sessionCookie) ?? '')
    const gone = { 'set-cookie': cookie(sessionCookie, '', 0) }
    const logoutUri = query.get('logout_uri')
    if (logoutUri !== null) {
      if (!client.logoutUris.includes(logoutUri)) throw new PageError('logout_uri: invalid_request')
      return { status: 302, headers: { location: logoutUri, ...gone } }
    }
    if (!query.has('redirect_uri')) throw new PageError("Required String parameter 'redirect_uri' is not present")
    checkAuthorization(query, registered)
    return { status: 302, headers: { location: `/oauth2/authorize?${query}`, ...gone } }
  }

  async function userInfo(call: Call): Promise<Reply> {
    const token = /^Bearer (.+)$/i.exec(String(call.headers.authorization ?? ''))?.[1]
    if (token === undefined) return bearerError('invalid_request', 400)
    try {
      const { user, scopes } = await check(token)
      if (!scopes.includes('openid')) return bearerError('insufficient_scope', 403)
      return jsonReply(userInfoOf(user, scopes), 200, 'application/json;charset=UTF-8')
    } catch (error) {
      if (error instanceof AccessTokenError) return bearerError('invalid_token', 401)
      throw error
    }
  }

  const routes: Readonly<Record<string, readonly [methods: string, (call: Call) => Reply | Promise<Reply>]>> = {
    '/oauth2/authorize': ['GET', authorize],
    '/login': ['GET POST', logIn],
    '/oauth2/idpresponse': ['GET', idpResponse],
    '/oauth2/token': ['POST', tokenEndpoint.token],
    '/oauth2/revoke': ['POST', tokenEndpoint.revoke],
    '/oauth2/userInfo': ['GET POST', userInfo],
    '/logout': ['GET', logout],
  }

  return async (call) => {
    const [methods, handle] = (Object.hasOwn(routes, call.url.pathname) && routes[call.url.pathname]) || []
    if (!handle) return pageReply(errorPage({ error: 'Not found' }), 404)
    if (!methods?.split(' ').includes(call.method)) return { status: 405, headers: { allow: methods ?? '' } }
    try {
      return await handle(call)
    } catch (error) {
      if (error instanceof PageError) return pageReply(errorPage({ error: error.message }), 400)
      if (!(error instanceof RedirectError)) throw error
      const { code, message, to } = error
      return back(to, { error: code, ...(message !== code && { error_description: message }) })
    }
  }
}

/** Failures of the identity provider reach the application as an `invalid_request` with the provider's name in it. */
function federated(error: unknown, authorization: Authorization): unknown {
  const known = error instanceof FederationError || error instanceof AttributeError
  return known ? new RedirectError('invalid_request', error.message, authorization) : error
}

const redirect = (location: string): Reply => ({ status: 302, headers: { location } })

function back(to: Pick<Authorization, 'redirectUri' | 'state'>, answer: Record<string, string>): Reply {
  const url = new URL(to.redirectUri)
  for (const [name, value] of Object.entries(answer)) url.searchParams.set(name, value)
  if (to.state !== undefined) url.searchParams.set('state', to.state)
  return redirect(url.href)
}

const cookie = (name: string, value: string, maxAge: number) =>
  `${name}=${value}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Lax`

function cookieOf(call: Call, name: string): string | undefined {
  const pairs = (call.headers.cookie ?? '').split('; ').map((pair) => pair.split('='))
  return pairs.find(([key]) => key === name)?.[1]
}

function bearerError(code: string, status: number): Reply {
  const reply = jsonReply({ error: code }, status, 'application/json;charset=UTF-8')
  return { ...reply, headers: { ...reply.headers, 'www-authenticate': `Bearer error="${code}"` } }
}
