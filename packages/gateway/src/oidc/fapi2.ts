import type * as oauth from 'oauth4webapi'
import type { ProviderConfig } from '../config/schema.ts'
import { ProviderFault } from './provider-fault.ts'

/** @see FAPI 2.0 Security Profile §5.4.1 */
const algorithms: ReadonlySet<string> = new Set(['PS256', 'ES256', 'EdDSA', 'Ed25519'])

/**
 * The discovery document as FAPI 2.0 lets us read it: a callback without `iss` is another provider's (mix-up), whatever
 * the document promises, and a signature of a weaker kind is none.
 */
export function asFapi2(server: oauth.AuthorizationServer): oauth.AuthorizationServer {
  const { id_token_signing_alg_values_supported: idToken, userinfo_signing_alg_values_supported: userInfo } = server
  return {
    ...server,
    authorization_response_iss_parameter_supported: true,
    id_token_signing_alg_values_supported: strong(idToken),
    ...(userInfo && { userinfo_signing_alg_values_supported: strong(userInfo) }),
  }
}

function strong(names: readonly string[] | undefined): string[] {
  return (names ?? []).filter((name) => algorithms.has(name))
}

/** What a discovery document says of the profile's demands. */
interface Promises {
  readonly id_token_signing_alg_values_supported?: readonly string[] | undefined
  readonly tls_client_certificate_bound_access_tokens?: boolean | undefined
}

/** Why a provider can't keep the promises of FAPI 2.0, by what its discovery document says; undefined if it can. */
export function lackOfFapi2(
  server: Promises,
  { clientCertificate, dpop }: Pick<ProviderConfig, 'clientCertificate' | 'dpop'>,
): string | undefined {
  if (strong(server.id_token_signing_alg_values_supported).length === 0) {
    return 'the provider signs ID tokens with none of PS256, ES256 and EdDSA'
  }
  // Without DPoP the certificate must be what the tokens are bound to, and opaque tokens don't tell.
  const byCertificate = clientCertificate !== undefined && (dpop === undefined || dpop === 'never')
  if (byCertificate && server.tls_client_certificate_bound_access_tokens !== true) {
    return 'the provider does not say that it binds tokens to the client certificate (tls_client_certificate_bound_access_tokens); write dpop: always'
  }
  return undefined
}

/** No sign-in begins that could only end with less than the profile promises. */
export function demandFapi2(server: oauth.AuthorizationServer, config: ProviderConfig): void {
  const lack = lackOfFapi2(server, config)
  if (lack !== undefined) throw new ProviderFault(`profile: fapi2: ${lack}`)
}
