import type { JWTVerifyGetKey } from 'jose'
import * as oauth from 'oauth4webapi'
import { wanted } from '../access/attributes.ts'
import type { ExchangeConfig, ProviderConfig } from '../config/schema.ts'
import type { Tokens } from '../session/record.ts'
import { type AccountApi, createAccountApi } from './account-api.ts'
import { authorizationUrl, type LoginHints } from './authorization-request.ts'
import { newBindingKey } from './dpop-binding.ts'
import type { DpopKey } from './dpop-key.ts'
import { type EndSession, endSessionUrl } from './end-session.ts'
import { createGroupsApi } from './groups-api.ts'
import { openSignedResponse } from './jarm.ts'
import { type LogoutToken, verifyLogoutToken } from './logout-token.ts'
import type { ProviderMetadata } from './metadata.ts'
import type { PendingLogin } from './pending-login.ts'
import { createProviderLink, type ProviderLinkOptions } from './provider-link.ts'
import { createRevocation, type Revoke } from './revocation.ts'
import { type Exchanged, exchange } from './token-exchange.ts'
import { type CheckedCallback, type Refresh, redeem, refresh, type SignedIn } from './token-requests.ts'
import { createWholeGroups, type WholeGroups } from './whole-groups.ts'

export type { CheckedCallback, Refresh, SignedIn }

export interface ProviderClient {
  readonly name: string
  readonly config: ProviderConfig
  readonly metadata: ProviderMetadata
  /** The key that a sign-in's tokens will be bound to (DPoP); undefined where they will not. */
  newBindingKey(): Promise<DpopKey | undefined>
  /** Where to send the browser. Throws a `ProviderFault` when the provider was never reached. */
  authorizationUrl(login: PendingLogin, hints: LoginHints): Promise<URL>
  /** Issuer (RFC 9207 §2.4), then state, then `error` (RFC 6749 §4.1.2); no request is made before they hold. */
  checkCallback(parameters: URLSearchParams, login: PendingLogin): Promise<CheckedCallback>
  /** Redeems the code, and trusts nothing of the answer until its signature, nonce and subject are verified. */
  redeem(callback: CheckedCallback): Promise<SignedIn>
  /** The claims of a sign-in with all groups of the user. Throws a `ProviderFault` when they were asked for in vain. */
  wholeGroups(signedIn: SignedIn): Promise<WholeGroups>
  refresh(tokens: Tokens, sub: string): Promise<Refresh>
  /** A token of the same user for one upstream. Never rejects. */
  exchange(tokens: Tokens, what: ExchangeConfig): Promise<Exchanged>
  readonly decidingClaims: readonly string[]
  /** The parameters in a signed authorization response (JARM). @throws as `verifyLogoutToken` */
  openSignedResponse(response: string): Promise<URLSearchParams>
  /** @throws Error that says which rule the token breaks, or a `ProviderFault` */
  verifyLogoutToken(token: string): Promise<LogoutToken>
  /** The provider's key for another token that it signed; rejects with a `ProviderFault` when its keys can't be had. */
  readonly keyOf: JWTVerifyGetKey
  /** Tells the provider that a token is over. Never rejects. */
  readonly revoke: Revoke
  /** Where users manage their own account; undefined where the kind of provider has no such API. */
  readonly account: AccountApi | undefined
  /** RP-initiated logout; undefined where the provider has none. Throws a `ProviderFault` when it was never reached. */
  logoutUrl(logout: EndSession): Promise<URL | undefined>
}

export interface ProviderClientOptions extends ProviderLinkOptions {
  readonly name: string
  /** Claims by which access is decided: UserInfo is asked when an ID token lacks one, at sign-in and at a refresh. */
  readonly decidingClaims: readonly string[]
  /** Further claims that must be known after a sign-in: by which others may name the user, or that the directory keeps. */
  readonly furtherClaims?: readonly string[]
}

export function createProviderClient(options: ProviderClientOptions): ProviderClient {
  const { config, decidingClaims, name, now, furtherClaims = [] } = options
  const needed = wanted(decidingClaims, config)
  const link = createProviderLink(options)
  const { keys, metadata } = link
  const groups = createWholeGroups(config, decidingClaims, createGroupsApi(link, options.send))

  async function checkCallback(parameters: URLSearchParams, login: PendingLogin): Promise<CheckedCallback> {
    const server = await metadata.get()
    return {
      parameters: oauth.validateAuthResponse(server, link.client(), parameters, login.state),
      login,
    } as CheckedCallback
  }

  async function openResponse(response: string): Promise<URLSearchParams> {
    const server = await metadata.get()
    return await openSignedResponse(response, (header, input) => keys.keyOf(server, header, input), {
      issuer: config.issuer,
      clientId: config.clientId,
      algorithms: server.authorization_signing_alg_values_supported,
      now: now(),
    })
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

  async function refreshed(tokens: Tokens, sub: string): Promise<Refresh> {
    const outcome = await refresh(link, { tokens, sub }, needed)
    if (outcome.kind !== 'usable' || outcome.user === undefined) return outcome
    const { accessToken } = outcome.tokens
    return { ...outcome, user: await groups.atRefresh(outcome.user, { sub, accessToken }) }
  }

  return {
    name,
    config,
    metadata,
    newBindingKey: () => newBindingKey(link),
    authorizationUrl: (login, hints) => authorizationUrl(link, login, hints),
    checkCallback,
    redeem: (callback) => redeem(link, callback, [...config.claims, ...needed, ...furtherClaims]),
    wholeGroups: ({ claims, sub, tokens: { accessToken } }) => groups.atSignIn({ claims, sub, accessToken }),
    decidingClaims,
    exchange: (tokens, what) => exchange(link, tokens, what),
    refresh: refreshed,
    openSignedResponse: openResponse,
    verifyLogoutToken: checkLogoutToken,
    keyOf,
    revoke: createRevocation(link, options.send),
    account: createAccountApi(link, options.send),
    logoutUrl: (logout) => endSessionUrl(link, logout),
  }
}
