import * as oauth from 'oauth4webapi'
import { kindOf } from '../providers/kinds.ts'
import type { JsonObject } from '../session/json.ts'
import { withProof } from './dpop-binding.ts'
import type { DpopKey } from './dpop-key.ts'
import type { ProviderLink } from './provider-link.ts'

/** The claims of UserInfo about `sub`; none where the provider has no UserInfo. */
export async function userInfo(
  link: ProviderLink,
  { accessToken, dpopKey }: { accessToken: string; dpopKey: DpopKey | undefined },
  sub: string,
): Promise<JsonObject> {
  const { keys, metadata } = link
  const server = await metadata.get()
  if (server.userinfo_endpoint === undefined) return {}
  const { claims, response } = await withProof(link, dpopKey, async (http) => {
    const response = await oauth.userInfoRequest(server, link.client(), accessToken, http)
    // A UserInfo answer about somebody else is a token substitution: it is discarded and the sign-in fails. @see §5.3.2
    return { claims: await oauth.processUserInfoResponse(server, link.client(), sub, response), response }
  })
  if (response.headers.get('content-type')?.includes('jwt')) await keys.verify(server, response)
  const told = claims as unknown as JsonObject
  return aboutUser(kindOf(link.config).userInfo?.(told) ?? told)
}

/**
 * UserInfo tells who the user is. How and when they signed in is told by the ID token alone: profiles hold attributes that
 * users may edit, and one that is called `acr` must not pass for a step-up.
 */
function aboutUser(claims: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => !ofAuthentication.has(name)))
}

const ofAuthentication: ReadonlySet<string> = new Set(
  'iss aud azp exp nbf iat jti nonce auth_time acr amr sid at_hash c_hash s_hash'.split(' '),
)
