import type { ProviderConfig } from './schema.ts'

/** Whether something is done where the provider offers it, in any case, or not at all. */
export type Use = 'auto' | 'always' | 'never'

/** How strictly one provider is dealt with: its keys and its profile, read together. */
export interface ProviderPolicy {
  readonly par: Use
  readonly dpop: Use
  readonly fapi2: boolean
}

type Read = Pick<ProviderConfig, 'profile' | 'par' | 'dpop' | 'clientCertificate'>

/** FAPI 2.0 leaves nothing to the provider: every request is pushed, and every token is bound to a key of ours. */
export function policyOf({ profile, par, dpop, clientCertificate }: Read): ProviderPolicy {
  if (profile === 'fapi2') return { par: 'always', dpop: clientCertificate ? (dpop ?? 'never') : 'always', fapi2: true }
  return { par: par ?? 'auto', dpop: dpop ?? 'never', fapi2: false }
}

/** The methods of RFC 8414 under which a provider may have registered the client; the first is what is sent. */
export function authenticationMethods(config: Pick<ProviderConfig, 'clientAuth' | 'clientKey' | 'clientCertificate'>) {
  if (config.clientCertificate) return ['tls_client_auth', 'self_signed_tls_client_auth'] as const
  if (config.clientKey) return ['private_key_jwt'] as const
  return [config.clientAuth ?? 'client_secret_basic'] as const
}
