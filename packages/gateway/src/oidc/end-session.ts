import type { LogoutStyle } from '../providers/kind.ts'
import { kindOf } from '../providers/kinds.ts'
import { frontEndpoint, type ProviderLink, usable } from './provider-link.ts'

export interface EndSession {
  readonly returnTo: string
  readonly state: string
  /** The provider's session id or the subject. */
  readonly hint: string
  readonly idToken: string
}

/** RP-initiated logout; undefined where the provider has none. Throws a `ProviderFault` when it was never reached. */
export async function endSessionUrl(link: ProviderLink, logout: EndSession): Promise<URL | undefined> {
  const { config, metadata } = link
  const { own } = kindOf(config).logout
  if (own?.when === 'always') return ownLogout(link, logout, own)
  const server = await metadata.get()
  if (own && server.end_session_endpoint === undefined) return ownLogout(link, logout, own)
  if (server.end_session_endpoint === undefined) return undefined
  const url = frontEndpoint(link, server, 'end_session_endpoint')
  url.searchParams.set('client_id', config.clientId)
  url.searchParams.set('post_logout_redirect_uri', logout.returnTo)
  url.searchParams.set('state', logout.state)
  // An id_token_hint would put a token into the browser's history: opt-in only. @see OpenID Connect RP-Initiated Logout §2
  if (config.logout.idTokenHint) url.searchParams.set('id_token_hint', logout.idToken)
  else url.searchParams.set('logout_hint', logout.hint)
  return url
}

/** A logout that knows nothing of the standard: the client, and where to return to, exactly as it is registered. */
function ownLogout(
  { config }: ProviderLink,
  { returnTo }: EndSession,
  own: NonNullable<LogoutStyle['own']>,
): URL | undefined {
  const url = usable(config, own.endpoint(config))
  url?.searchParams.set('client_id', config.clientId)
  url?.searchParams.set(own.returnTo, returnTo)
  return url
}
