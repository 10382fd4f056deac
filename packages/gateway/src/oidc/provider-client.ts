import type { JWTVerifyGetKey } from 'jose'
import * as oauth from 'oauth4webapi'
import type { ProviderConfig } from '../config/schema.ts'
import { verifiedEmail } from '../session/email.ts'
import type { JsonObject } from '../session/json.ts'
import type { Tokens } from '../session/record.ts'
import { createBoundedFetch, type Fetch, ProviderFault } from './bounded-fetch.ts'
import { withCircuitBreaker } from './circuit-breaker.ts'
import { endsSession } from './faults.ts'
import { checkIdToken } from './id-token.ts'
import { type LogoutToken, verifyLogoutToken } from './logout-token.ts'
import { createProviderMetadata, type ProviderMetadata } from './metadata.ts'
import { challengeOf, type PendingLogin } from './pending-login.ts'
import { createSigningKeys } from './signing-keys.ts'

/** A callback that passed every check that can be made before the code is redeemed. */
export interface CheckedCallback {
  readonly parameters: URLSearchParams
  readonly login: PendingLogin
  readonly [checked]: true
}
declare const checked: unique symbol

/** What a completed sign-in gives. */
export interface SignedIn {
  readonly tokens: Tokens
  readonly sub: string
  /** Claims of UserInfo and of the ID token, the latter winning. */
  readonly claims: JsonObject
  /** Milliseconds since the epoch, when the provider says so. */
  readonly authenticatedAt: number | undefined
  /** The address that the provider vouches for: normalised, and verified by it. */
  readonly email: string | undefined
}

export type Refresh =
  | { readonly kind: 'usable'; readonly tokens: Tokens }
  | { readonly kind: 'login-required'; readonly cause: unknown }
  /** Keep the session. */
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }

export interface ProviderClient {
  readonly name: string
  readonly config: ProviderConfig
  readonly metadata: ProviderMetadata
  /** Where to send the browser. Throws a `ProviderFault` when the provider was never reached. */
  authorizationUrl(login: PendingLogin, hints: { loginHint: string | undefined }): Promise<URL>
  /** Issuer (RFC 9207 §2.4), then state, then `error` (RFC 6749 §4.1.2); no request is made before they hold. */
  checkCallback(parameters: URLSearchParams, login: PendingLogin): Promise<CheckedCallback>
  /** Redeems the code, and trusts nothing of the answer until its signature, nonce and subject are verified. */
  redeem(callback: CheckedCallback): Promise<SignedIn>
  refresh(tokens: Tokens, sub: string): Promise<Refresh>
  /** @throws Error that says which rule the token breaks, or a `ProviderFault` */
  verifyLogoutToken(token: string): Promise<LogoutToken>
  /** The provider's key for another token that it signed; rejects with a `ProviderFault` when its keys can't be had. */
  readonly keyOf: JWTVerifyGetKey
  /** RP-initiated logout; undefined where the provider has none or was never reached. */
  logoutUrl(options: { returnTo: string; state: string; hint: string; idToken: string }): Promise<URL | undefined>
}

export interface ProviderClientOptions {
  readonly name: string
  readonly config: ProviderConfig
  readonly redirectUri: string
  /** Claims that must be known after a sign-in: UserInfo is asked when the ID token lacks one. */
  readonly wantedClaims: readonly string[]
  readonly now: () => number
  readonly fetch?: Fetch
  readonly onStale: (fault: unknown) => void
}

export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const { name, config, redirectUri, now } = options
  const fetch = withCircuitBreaker(createBoundedFetch({ timeout: 10_000, maxBytes: 1024 * 1024 }, options.fetch))
  const allowHttp = config.issuer.startsWith('http://')
  const http = { [oauth.customFetch]: fetch as never, [oauth.allowInsecureRequests]: allowHttp }
  // The gateway has one clock; the library asks the machine's and is told how far it is from ours.
  const clientNow = (): oauth.Client => ({
    client_id: config.clientId,
    [oauth.clockTolerance]: 30,
    [oauth.clockSkew]: Math.round((now() - Date.now()) / 1000),
  })
  const authentication =
    config.clientAuth === 'client_secret_post'
      ? oauth.ClientSecretPost(config.clientSecret)
      : clientSecretBasic(config.clientSecret)
  const metadata = createProviderMetadata(config.issuer, { fetch, allowHttp, now, onStale: options.onStale })
  const keys = createSigningKeys({ fetch, allowHttp, now })

  async function authorizationUrl(login: PendingLogin, hints: { loginHint: string | undefined }): Promise<URL> {
    const server = await metadata.get()
    const url = endpoint(server, 'authorization_endpoint', allowHttp)
    // Ours come last: configuration adds parameters, it never weakens what a sign-in stands on.
    const parameters: Record<string, string | undefined> = {
      ...config.authorizationParams,
      ...(hints.loginHint !== undefined && { login_hint: hints.loginHint }),
      ...(login.silent && { prompt: 'none' }),
      ...(login.stepUp?.acr !== undefined && { acr_values: login.stepUp.acr }),
      ...(login.stepUp?.maxAge !== undefined && { max_age: String(login.stepUp.maxAge) }),
      response_type: 'code',
      client_id: config.clientId,
      redirect_uri: redirectUri,
      scope: config.scope,
      state: login.state,
      nonce: login.nonce,
      // Always S256, also where discovery doesn't mention it. @see RFC 9700 §2.1.1
      code_challenge: challengeOf(login),
      code_challenge_method: 'S256',
    }
    for (const [key, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(key, value)
    return url
  }

  async function checkCallback(parameters: URLSearchParams, login: PendingLogin): Promise<CheckedCallback> {
    const server = await metadata.get()
    return {
      parameters: oauth.validateAuthResponse(server, clientNow(), parameters, login.state),
      login,
    } as CheckedCallback
  }

  async function redeem({ parameters, login }: CheckedCallback): Promise<SignedIn> {
    const client = clientNow()
    const server = await metadata.get()
    const response = await oauth.authorizationCodeGrantRequest(
      server,
      client,
      authentication,
      parameters,
      redirectUri,
      login.verifier,
      http,
    )
    const answer = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: login.nonce,
      requireIdToken: true,
      // Asked for is not given: that the user proved anew who they are is checked by auth_time. @see ASVS 5.0 7.6.1
      ...(login.stepUp?.maxAge !== undefined && { maxAge: login.stepUp.maxAge }),
    })
    // TLS would do in the code flow (OpenID Connect Core §3.1.3.7, rule 6); the signature also holds when TLS did not.
    await keys.verify(server, response)
    const idToken = answer.id_token as string
    const idClaims = oauth.getValidatedIdTokenClaims(answer) as oauth.IDToken
    checkIdToken(idClaims, { idToken, accessToken: answer.access_token, clientId: config.clientId, now: now() })
    const userInfo = await userInfoIfNeeded(server, answer.access_token, idClaims)
    return {
      tokens: tokensOf(answer, idToken, undefined),
      sub: idClaims.sub,
      claims: { ...aboutUser(userInfo), ...(idClaims as unknown as JsonObject) },
      authenticatedAt: idClaims.auth_time === undefined ? undefined : idClaims.auth_time * 1000,
      // Address and verification from one source: what one document calls verified says nothing of another's address.
      email: verifiedEmail(idClaims as unknown as JsonObject) ?? verifiedEmail(userInfo),
    }
  }

  async function userInfoIfNeeded(server: oauth.AuthorizationServer, accessToken: string, idClaims: oauth.IDToken) {
    if (server.userinfo_endpoint === undefined || options.wantedClaims.every((claim) => idClaims[claim] !== undefined))
      return {}
    const response = await oauth.userInfoRequest(server, clientNow(), accessToken, http)
    // A UserInfo answer about somebody else is a token substitution: it is discarded and the sign-in fails. @see §5.3.2
    const claims = await oauth.processUserInfoResponse(server, clientNow(), idClaims.sub, response)
    if (response.headers.get('content-type')?.includes('jwt')) await keys.verify(server, response)
    return claims as unknown as JsonObject
  }

  async function refresh(tokens: Tokens, sub: string): Promise<Refresh> {
    try {
      if (tokens.refreshToken === undefined) return { kind: 'login-required', cause: 'no refresh token' }
      const server = await metadata.get()
      const client = clientNow()
      const response = await oauth.refreshTokenGrantRequest(server, client, authentication, tokens.refreshToken, http)
      const answer = await oauth.processRefreshTokenResponse(server, client, response)
      if (answer.id_token !== undefined) await keys.verify(server, response)
      const claims = oauth.getValidatedIdTokenClaims(answer)
      // OpenID Connect Core §12.2: a refreshed ID token is about the same user, or the answer is worth nothing.
      if (claims && claims.sub !== sub)
        return { kind: 'login-required', cause: 'the refreshed ID token has another sub' }
      return { kind: 'usable', tokens: tokensOf(answer, answer.id_token ?? tokens.idToken, tokens.refreshToken) }
    } catch (cause) {
      return { kind: endsSession(cause) ? 'login-required' : 'provider-unavailable', cause }
    }
  }

  function tokensOf(answer: oauth.TokenEndpointResponse, idToken: string, oldRefreshToken: string | undefined): Tokens {
    // A provider that does not rotate sends no new refresh token: the old one stays good. @see RFC 6749 §6
    const refreshToken = answer.refresh_token ?? oldRefreshToken
    return {
      accessToken: answer.access_token,
      idToken,
      obtainedAt: now(),
      ...(answer.expires_in !== undefined && { accessTokenExpiresAt: now() + answer.expires_in * 1000 }),
      ...(refreshToken !== undefined && { refreshToken }),
    }
  }

  const keyOf: JWTVerifyGetKey = async (header, input) => await keys.keyOf(await metadata.get(), header, input)

  async function checkLogoutToken(token: string): Promise<LogoutToken> {
    const server = await metadata.get()
    return await verifyLogoutToken(token, keyOf, {
      issuer: config.issuer,
      clientId: config.clientId,
      typ: config.logout.typ,
      algorithms: server.id_token_signing_alg_values_supported,
      now: now(),
    })
  }

  async function logoutUrl(logout: {
    returnTo: string
    state: string
    hint: string
    idToken: string
  }): Promise<URL | undefined> {
    const server = await metadata.get()
    if (server.end_session_endpoint === undefined) return undefined
    const url = endpoint(server, 'end_session_endpoint', allowHttp)
    url.searchParams.set('client_id', config.clientId)
    url.searchParams.set('post_logout_redirect_uri', logout.returnTo)
    url.searchParams.set('state', logout.state)
    // An id_token_hint would put a token into the browser's history: opt-in only. @see OpenID Connect RP-Initiated Logout §2
    if (config.logout.idTokenHint) url.searchParams.set('id_token_hint', logout.idToken)
    else url.searchParams.set('logout_hint', logout.hint)
    return url
  }

  return {
    name,
    config,
    metadata,
    authorizationUrl,
    checkCallback,
    redeem,
    refresh,
    verifyLogoutToken: checkLogoutToken,
    keyOf,
    logoutUrl,
  }
}

/** Where a browser is sent: over TLS unless the issuer itself is on loopback, or state and nonce travel in the clear. */
function endpoint(
  server: oauth.AuthorizationServer,
  name: 'authorization_endpoint' | 'end_session_endpoint',
  allowHttp: boolean,
): URL {
  const text = server[name]
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  if (url?.protocol === 'https:' || (allowHttp && url?.protocol === 'http:')) return url
  throw new ProviderFault(`the discovery document has no usable ${name}`)
}

/**
 * UserInfo tells who the user is. How and when they signed in is told by the ID token alone: profiles hold attributes that
 * users may edit, and one that is called `acr` must not pass for a step-up.
 */
function aboutUser(userInfo: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(userInfo).filter(([name]) => !ofAuthentication.has(name)))
}

const ofAuthentication: ReadonlySet<string> = new Set(
  'iss aud azp exp nbf iat jti nonce auth_time acr amr sid at_hash c_hash s_hash'.split(' '),
)

/**
 * The secret in the Authorization header, form-encoded as RFC 6749 §2.3.1 asks. The library's own encodes `-`, `_` and `.`
 * as well, which a provider that doesn't decode takes for a wrong secret (oauth4webapi #148, #199).
 */
function clientSecretBasic(secret: string): oauth.ClientAuth {
  const formEncoded = (text: string) => new URLSearchParams({ '': text }).toString().slice(1)
  return (_server, client, _body, headers) => {
    const pair = `${formEncoded(client.client_id)}:${formEncoded(secret)}`
    headers.set('authorization', `Basic ${Buffer.from(pair).toString('base64')}`)
  }
}
