import { jwtVerify } from 'jose'
import type * as oauth from 'oauth4webapi'
import { kindOf } from '../providers/kinds.ts'
import { readPlain } from './plain-token.ts'
import type { ProviderLink } from './provider-link.ts'
import { acceptedAlgorithms } from './signature-algorithms.ts'

/**
 * Where access tokens are known to be signed, the one of an answer is held to be one, of this client and of the user whom the
 * ID token names: an ID token in its place would pass for one at an upstream that looks at the signature only, and another
 * client's carries rights that were never granted to us.
 * @throws Error that says which rule it breaks
 * @see RFC 9068 §4 · RFC 8725 §3.12
 */
export async function checkAccessToken(
  { config, keys, now }: ProviderLink,
  server: oauth.AuthorizationServer,
  { accessToken, sub }: { accessToken: string; sub: string },
): Promise<void> {
  const check = kindOf(config).checkAccessToken
  if (!check) return
  readPlain(accessToken)
  const { payload } = await jwtVerify(accessToken, (header, input) => keys.keyOf(server, header, input), {
    issuer: config.issuer,
    algorithms: acceptedAlgorithms(server.id_token_signing_alg_values_supported),
    currentDate: new Date(now()),
    clockTolerance: 60,
  })
  check(payload, config)
  if (payload.sub !== sub) throw new Error('sub of the access token is not that of the ID token')
}
