import * as oauth from 'oauth4webapi'
import { kindOf } from '../providers/kinds.ts'
import { verifiedEmail } from '../session/email.ts'
import type { JsonObject } from '../session/json.ts'
import type { Tokens } from '../session/record.ts'
import { checkAccessToken } from './access-token.ts'
import { type ClaimsNow, claimsNow } from './claims-now.ts'
import { bindingOf, bindsTokens, withProof } from './dpop-binding.ts'
import { type DpopKey, newDpopKey } from './dpop-key.ts'
import { endsSession } from './faults.ts'
import { checkIdToken } from './id-token.ts'
import type { PendingLogin } from './pending-login.ts'
import type { ProviderLink } from './provider-link.ts'
import { checkRefreshedIdToken, signInOf, signInTold } from './refreshed-id-token.ts'
import { unquoted } from './unquoted.ts'
import { userInfo } from './user-info.ts'

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
  /** What was granted: as the answer says, else as it was asked for. @see RFC 6749 §5.1 */
  readonly scopes: readonly string[]
  /** Milliseconds since the epoch, when the provider says so. */
  readonly authenticatedAt: number | undefined
  /** The address that the provider vouches for: normalised, and verified by it. */
  readonly email: string | undefined
}

export type Refresh =
  | { readonly kind: 'usable'; readonly tokens: Tokens; readonly user?: ClaimsNow }
  | { readonly kind: 'login-required'; readonly cause: unknown }
  /** Keep the session. */
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }

/**
 * Redeems the code, and trusts nothing of the answer until its signature, nonce and subject are verified.
 * @param wantedClaims must be known after a sign-in: UserInfo is asked when the ID token lacks one
 */
export async function redeem(
  link: ProviderLink,
  { parameters, login }: CheckedCallback,
  wantedClaims: readonly string[],
): Promise<SignedIn> {
  const { authentication, config, keys, metadata, now, redirectUri } = link
  const client = link.client()
  const server = await metadata.get()
  const { answer, response } = await withProof(link, login.dpopKey, async (http) => {
    const sent = [server, client, authentication, parameters, redirectUri, login.verifier] as const
    const response = await oauth.authorizationCodeGrantRequest(...sent, http)
    const answer = await oauth.processAuthorizationCodeResponse(server, client, response, {
      expectedNonce: login.nonce,
      requireIdToken: true,
      // Asked for is not given: that the user proved anew who they are is checked by auth_time. @see ASVS 5.0 7.6.1
      ...(login.stepUp?.maxAge !== undefined && { maxAge: login.stepUp.maxAge }),
    })
    return { answer, response }
  }).catch((cause: unknown) => {
    throw unquoted(cause, [parameters.get('code'), login.verifier, login.nonce])
  })
  const dpopKey = bindingOf(link, answer, login.dpopKey)
  // TLS would do in the code flow (OpenID Connect Core §3.1.3.7, rule 6); the signature also holds when TLS did not.
  await keys.verify(server, response)
  const idToken = answer.id_token as string
  const idClaims = oauth.getValidatedIdTokenClaims(answer) as oauth.IDToken
  checkIdToken(idClaims, { idToken, accessToken: answer.access_token, clientId: config.clientId, now: now() })
  kindOf(config).checkIdToken?.(idClaims, config)
  await checkAccessToken(link, server, { accessToken: answer.access_token, sub: idClaims.sub })
  const wanted = wantedClaims.some((claim) => idClaims[claim] === undefined)
  const known = wanted ? await userInfo(link, { accessToken: answer.access_token, dpopKey }, idClaims.sub) : {}
  return {
    tokens: { ...tokensOf(answer, { idToken, dpopKey, now: now() }), signIn: signInTold(idClaims) },
    sub: idClaims.sub,
    claims: { ...known, ...(idClaims as unknown as JsonObject) },
    scopes: (answer.scope ?? config.scope).split(' '),
    authenticatedAt: idClaims.auth_time === undefined ? undefined : idClaims.auth_time * 1000,
    // Address and verification from one source: what one document calls verified says nothing of another's address.
    email: verifiedEmail(idClaims as unknown as JsonObject) ?? verifiedEmail(known),
  }
}

/** @param wantedClaims by which access is decided: see `claimsNow` */
export async function refresh(
  link: ProviderLink,
  { tokens, sub }: { tokens: Tokens; sub: string },
  wantedClaims: readonly string[],
): Promise<Refresh> {
  const { authentication, config, keys, metadata, now } = link
  try {
    const { refreshToken } = tokens
    if (refreshToken === undefined) return { kind: 'login-required', cause: 'no refresh token' }
    const server = await metadata.get()
    const client = link.client()
    // The session keeps its key; where binding was switched on since, it gets one now.
    const key = bindsTokens(link, server) ? (tokens.dpopKey ?? newDpopKey()) : undefined
    const { answer, response } = await withProof(link, key, async (http) => {
      const response = await oauth.refreshTokenGrantRequest(server, client, authentication, refreshToken, http)
      return { answer: await oauth.processRefreshTokenResponse(server, client, response), response }
    })
    const dpopKey = bindingOf(link, answer, key)
    const idClaims = oauth.getValidatedIdTokenClaims(answer)
    const idToken = answer.id_token ?? tokens.idToken
    if (idClaims) {
      await keys.verify(server, response)
      const { clientId } = config
      const about = { idToken, accessToken: answer.access_token, clientId, sub, now: now() }
      checkRefreshedIdToken(idClaims, signInOf(tokens), about)
      kindOf(config).checkIdToken?.(idClaims, config)
    }
    await checkAccessToken(link, server, { accessToken: answer.access_token, sub })
    const user = await claimsNow(link, { idClaims, accessToken: answer.access_token, dpopKey, sub }, wantedClaims)
    const next = tokensOf(answer, { idToken, dpopKey, now: now(), before: tokens })
    return { kind: 'usable', tokens: { ...next, signIn: signInOf(tokens) }, ...(user && { user }) }
  } catch (error) {
    const cause = unquoted(error, [tokens.refreshToken, tokens.accessToken, tokens.idToken])
    return { kind: endsSession(cause) ? 'login-required' : 'provider-unavailable', cause }
  }
}

/** Milliseconds. More than a century is a mistake or a trick: no such date can be written down. */
export function lifetime(seconds: number): number {
  return Math.min(seconds, 100 * 365 * 86_400) * 1000
}

function tokensOf(
  answer: oauth.TokenEndpointResponse,
  known: { idToken: string; dpopKey: DpopKey | undefined; now: number; before?: Tokens },
): Tokens {
  const { idToken, dpopKey, now, before } = known
  // A provider that does not rotate sends no new refresh token: the old one stays good. @see RFC 6749 §6
  const refreshToken = answer.refresh_token ?? before?.refreshToken
  return {
    accessToken: answer.access_token,
    idToken,
    obtainedAt: now,
    ...(answer.expires_in !== undefined && { accessTokenExpiresAt: now + lifetime(answer.expires_in) }),
    ...(refreshToken !== undefined && { refreshToken }),
    ...(dpopKey !== undefined && { dpopKey }),
  }
}
