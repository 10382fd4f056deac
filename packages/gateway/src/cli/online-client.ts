import { authenticationMethods, policyOf } from '../config/provider-policy.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { lackOfFapi2 } from '../oidc/fapi2.ts'
import type { Finding } from './online.ts'
import type { Metadata } from './online-provider.ts'

/** Where a provider's metadata and the configured client don't fit: how it proves itself, PAR, DPoP, FAPI 2.0. */
export function compareClient(name: string, provider: ProviderConfig, metadata: Metadata): Finding[] {
  return [proof, pushing, binding]
    .flatMap((compare) => compare(provider, metadata))
    .map(([key, message]) => ({ path: ['providers', name, key], message }))
}

/** A key of the provider, and what is wrong with it. */
type Remark = readonly [key: keyof ProviderConfig, message: string]

function proof(provider: ProviderConfig, metadata: Metadata): Remark[] {
  const { clientCertificate, clientKey } = provider
  const listed = metadata.token_endpoint_auth_methods_supported
  const ours = authenticationMethods(provider)
  if (listed && !ours.some((method) => listed.includes(method))) {
    const key = clientKey ? 'clientKey' : clientCertificate ? 'clientCertificate' : 'clientAuth'
    return [[key, `the provider does not list ${ours.join(' or ')}; ${instead(provider, listed)}`]]
  }
  const algorithms = metadata.token_endpoint_auth_signing_alg_values_supported
  if (!clientKey || !algorithms) return []
  const { algorithm } = clientKey
  const names = algorithm === 'EdDSA' ? ['EdDSA', 'Ed25519'] : [algorithm]
  if (names.some((one) => algorithms.includes(one))) return []
  const weaker = algorithm === 'PS256' && algorithms.includes('RS256')
  const hint = weaker ? 'write algorithm: RS256' : `it takes ${algorithms.join(', ').slice(0, 200)}`
  return [['clientKey', `the provider does not list ${algorithm} for private_key_jwt; ${hint}`]]
}

function instead({ clientSecret }: ProviderConfig, listed: readonly string[]): string {
  const method = listed.find((one) => one === 'client_secret_basic' || one === 'client_secret_post')
  if (method) return `write clientAuth: ${method}${clientSecret === undefined ? ' and a clientSecret' : ''}`
  if (listed.includes('private_key_jwt')) return 'write clientKey: { file: key.pem }'
  if (listed.some((one) => one.endsWith('tls_client_auth'))) return 'write clientCertificate: { cert, key }'
  return 'it takes no proof that this version has'
}

function pushing(provider: ProviderConfig, metadata: Metadata): Remark[] {
  const { par, fapi2 } = policyOf(provider)
  const offered = metadata.pushed_authorization_request_endpoint !== undefined
  if (par === 'always' && !offered) {
    const missing = 'the provider names no pushed_authorization_request_endpoint'
    return [fapi2 ? ['profile', missing] : ['par', `${missing}; write par: auto`]]
  }
  if (metadata.require_pushed_authorization_requests !== true) return []
  if (par === 'never') return [['par', 'the provider requires pushed authorization requests; write par: auto']]
  return offered
    ? []
    : [['issuer', 'the provider requires pushed authorization requests and names no endpoint for them']]
}

function binding(provider: ProviderConfig, metadata: Metadata): Remark[] {
  const { dpop, fapi2 } = policyOf(provider)
  const unbound = dpop === 'always' && metadata.dpop_signing_alg_values_supported?.includes('ES256') !== true
  const noDpop = 'the provider does not list ES256 in dpop_signing_alg_values_supported'
  if (!fapi2) return unbound ? [['dpop', `${noDpop}; write auto or never`]] : []
  const noIssuer =
    'the provider does not say that its callback names the issuer (authorization_response_iss_parameter_supported)'
  const lacks = [
    lackOfFapi2(metadata, provider),
    unbound ? noDpop : undefined,
    metadata.authorization_response_iss_parameter_supported === true ? undefined : noIssuer,
  ]
  return lacks.flatMap((lack) => (lack === undefined ? [] : [['profile', lack] as const]))
}
