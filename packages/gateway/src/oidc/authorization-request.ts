import { challengeOf, type PendingLogin } from './pending-login.ts'
import { frontEndpoint, type ProviderLink } from './provider-link.ts'

/** What the one who opens the sign-in may add to it. */
export interface LoginHints {
  readonly loginHint: string | undefined
}

/** Where to send the browser. Throws a `ProviderFault` when the provider was never reached. */
export async function authorizationUrl(link: ProviderLink, login: PendingLogin, hints: LoginHints): Promise<URL> {
  const server = await link.metadata.get()
  const url = frontEndpoint(link, server, 'authorization_endpoint')
  const parameters = parametersOf(link, login, hints)
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined) url.searchParams.set(key, value)
  return url
}

/** Ours come last: configuration adds parameters, it never weakens what a sign-in stands on. */
function parametersOf(
  { config, redirectUri }: ProviderLink,
  login: PendingLogin,
  { loginHint }: LoginHints,
): Record<string, string | undefined> {
  return {
    ...config.authorizationParams,
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
  }
}
