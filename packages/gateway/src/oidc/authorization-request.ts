import * as oauth from 'oauth4webapi'
import { kindOf } from '../providers/kinds.ts'
import { thumbprint } from './dpop-key.ts'
import { demandFapi2 } from './fapi2.ts'
import { challengeOf, type PendingLogin } from './pending-login.ts'
import { ProviderFault } from './provider-fault.ts'
import { frontEndpoint, type ProviderLink } from './provider-link.ts'

/** What the one who opens the sign-in may add to it. */
export interface LoginHints {
  readonly loginHint: string | undefined
}

/**
 * Where to send the browser. With PAR it carries a reference and nothing else: what is asked for can neither be read nor
 * changed on the way. @see RFC 9126 §4 · FAPI 2.0 Security Profile §5.3.3.2
 * Throws a `ProviderFault` when the provider was never reached, or lacks what the configuration insists on.
 */
export async function authorizationUrl(link: ProviderLink, login: PendingLogin, hints: LoginHints): Promise<URL> {
  const server = await link.metadata.get()
  if (link.policy.fapi2) demandFapi2(server, link.config)
  const url = frontEndpoint(link, server, 'authorization_endpoint')
  const parameters = parametersOf(link, login, hints)
  const carried = isPushed(link, server) ? await push(link, server, parameters) : parameters
  for (const [key, value] of Object.entries(carried)) url.searchParams.set(key, value)
  return url
}

function isPushed({ policy }: ProviderLink, server: oauth.AuthorizationServer): boolean {
  const offered = server.pushed_authorization_request_endpoint !== undefined
  const wanted = policy.par === 'always' || server.require_pushed_authorization_requests === true
  // Never in the clear where that was not wanted: somebody who can change discovery must not switch PAR off unnoticed.
  if (policy.par !== 'never' && wanted && !offered) {
    throw new ProviderFault(
      policy.par === 'always'
        ? 'par is always, and the provider names no pushed_authorization_request_endpoint; write par: auto'
        : 'the provider requires pushed authorization requests, and names no endpoint for them',
    )
  }
  return policy.par !== 'never' && offered
}

async function push(
  link: ProviderLink,
  server: oauth.AuthorizationServer,
  parameters: Record<string, string>,
): Promise<Record<string, string>> {
  const client = link.client()
  const { authentication, http } = link
  const response = await oauth.pushedAuthorizationRequest(server, client, authentication, { ...parameters }, http)
  const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, response)
  return { client_id: client.client_id, request_uri }
}

/** Ours come last: configuration adds parameters, it never weakens what a sign-in stands on. */
function parametersOf(
  { config, redirectUri }: ProviderLink,
  login: PendingLogin,
  { loginHint }: LoginHints,
): Record<string, string> {
  const kind = kindOf(config)
  return {
    ...config.authorizationParams,
    ...(login.behind !== undefined && kind.behind?.(login.behind)),
    ...(login.stepUp && kind.reauthentication),
    ...(loginHint !== undefined && { login_hint: loginHint }),
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
    // The code is worth nothing without the key either. @see RFC 9449 §10
    ...(login.dpopKey !== undefined && { dpop_jkt: thumbprint(login.dpopKey) }),
  }
}
