import { authenticationMethods, policyOf } from '../config/provider-policy.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { lackOfFapi2 } from '../oidc/fapi2.ts'
import type { Finding } from './online.ts'
import type { Metadata } from './online-provider.ts'

/** Where a provider's metadata and the configured client don't fit: how it proves itself, PAR, DPoP, FAPI 2.0. */
export function compareClient(name: string, provider: ProviderConfig, metadata: Metadata): Finding[] {
  const messages = { ...proof(provider, metadata), ...pushing(provider, metadata), ...binding(provider, metadata) }
  return Object.entries(messages).map(([key, message]) => ({ path: ['providers', name, key], message }))
}

type Messages = Partial<Record<keyof ProviderConfig, string>>

function proof(provider: ProviderConfig, metadata: Metadata): Messages {
  const listed = metadata.token_endpoint_auth_methods_supported
  const ours = authenticationMethods(provider)
  if (listed && !ours.some((method) => listed.includes(method))) {
    if (provider.clientKey)
      return { clientKey: `the provider does not list private_key_jwt; ${instead(provider, listed)}` }
    if (provider.clientCertificate) {
      return { clientCertificate: `the provider lists neither ${ours.join(' nor ')}; ${instead(provider, listed)}` }
    }
    return { clientAuth: `the provider does not list ${ours[0]}; ${instead(provider, listed)}` }
  }
  const algorithms = metadata.token_endpoint_auth_signing_alg_values_supported
  const algorithm = provider.clientKey?.algorithm
  const names = algorithm === 'EdDSA' ? ['EdDSA', 'Ed25519'] : algorithm === undefined ? [] : [algorithm]
  if (!algorithms || names.length === 0 || names.some((one) => algorithms.includes(one))) return {}
  const hint =
    algorithm === 'PS256' && algorithms.includes('RS256')
      ? 'write algorithm: RS256'
      : `it takes ${algorithms.join(', ').slice(0, 200)}`
  return { clientKey: `the provider does not list ${algorithm} for private_key_jwt; ${hint}` }
}

function instead({ clientSecret }: ProviderConfig, listed: readonly string[]): string {
  const secret = listed.find((method) => method === 'client_secret_basic' || method === 'client_secret_post')
  if (secret !== undefined)
    return `write clientAuth: ${secret}${clientSecret === undefined ? ' and a clientSecret' : ''}`
  if (listed.includes('private_key_jwt')) return 'write clientKey: { file: key.pem }'
  if (listed.some((method) => method.endsWith('tls_client_auth'))) return 'write clientCertificate: { cert, key }'
  return 'it takes no proof that this version has'
}

function pushing(provider: ProviderConfig, metadata: Metadata): Messages {
  const { par } = policyOf(provider)
  const offered = metadata.pushed_authorization_request_endpoint !== undefined
  if (par === 'always' && !offered) {
    const key = provider.profile === undefined ? 'par' : 'profile'
    return {
      [key]: `the provider names no pushed_authorization_request_endpoint${key === 'par' ? '; write par: auto' : ''}`,
    }
  }
  if (metadata.require_pushed_authorization_requests !== true) return {}
  if (par === 'never') return { par: 'the provider requires pushed authorization requests; write par: auto' }
  return offered ? {} : { issuer: 'the provider requires pushed authorization requests and names no endpoint for them' }
}

function binding(provider: ProviderConfig, metadata: Metadata): Messages {
  const { dpop, fapi2 } = policyOf(provider)
  const unbound = dpop === 'always' && metadata.dpop_signing_alg_values_supported?.includes('ES256') !== true
  const noDpop = 'the provider does not list ES256 in dpop_signing_alg_values_supported'
  if (!fapi2) return unbound ? { dpop: `${noDpop}; write auto or never` } : {}
  const noIssuer =
    metadata.authorization_response_iss_parameter_supported === true
      ? undefined
      : 'the provider does not say that its callback names the issuer (authorization_response_iss_parameter_supported)'
  const profile = lackOfFapi2(metadata, provider) ?? (unbound ? noDpop : noIssuer)
  return profile === undefined ? {} : { profile }
}
