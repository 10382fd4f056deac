import * as oauth from 'oauth4webapi'
import { type ProviderPolicy, policyOf } from '../config/provider-policy.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { kindOf } from '../providers/kinds.ts'
import { createBoundedFetch } from './bounded-fetch.ts'
import { type OnCircuit, withCircuitBreaker } from './circuit-breaker.ts'
import { clientAuthentication } from './client-authentication.ts'
import { learningNonces } from './dpop-binding.ts'
import { createDpopNonces, type DpopNonces } from './dpop-nonces.ts'
import { asFapi2 } from './fapi2.ts'
import { createProviderMetadata, type ProviderMetadata } from './metadata.ts'
import { ProviderFault } from './provider-fault.ts'
import { createSend, type Send } from './send.ts'
import { createSigningKeys, type SigningKeys } from './signing-keys.ts'

/** What every request to one provider is made of: who we are, how we prove it, and the way there. */
export interface ProviderLink {
  readonly config: ProviderConfig
  readonly policy: ProviderPolicy
  readonly redirectUri: string
  readonly now: () => number
  /** As the policy lets us read it. */
  readonly metadata: ProviderMetadata
  readonly keys: SigningKeys
  readonly authentication: oauth.ClientAuth
  readonly nonces: DpopNonces
  /** The client, with the difference between the gateway's clock and the machine's as it is now. */
  client(): oauth.Client
  /** Options of the library's requests: bounded in time and size, and none while the provider is down. */
  readonly http: { readonly [oauth.customFetch]: never; readonly [oauth.allowInsecureRequests]: boolean }
}

export interface ProviderLinkOptions {
  readonly config: ProviderConfig
  readonly redirectUri: string
  readonly now: () => number
  readonly send?: Send
  readonly onStale: (fault: unknown) => void
  readonly onCircuit?: OnCircuit
}

export function createProviderLink(options: ProviderLinkOptions): ProviderLink {
  const { config, redirectUri, now } = options
  const policy = policyOf(config)
  const nonces = createDpopNonces()
  const allowHttp = config.issuer.startsWith('http://')
  const bounded = createBoundedFetch({ timeout: 10_000, maxBytes: 1024 * 1024 }, options.send ?? createSend(config))
  const fetch = learningNonces(withCircuitBreaker(bounded, options.onCircuit), nonces)
  const published = createProviderMetadata(config.issuer, { fetch, allowHttp, now, onStale: options.onStale })
  const own = kindOf(config).endpoints?.(config)
  const metadata: ProviderMetadata = own ? { get: async () => ({ ...(await published.get()), ...own }) } : published
  return {
    config,
    policy,
    redirectUri,
    now,
    metadata: policy.fapi2 ? { get: async () => asFapi2(await metadata.get()) } : metadata,
    keys: createSigningKeys({ fetch, allowHttp, now }),
    authentication: clientAuthentication(config),
    nonces,
    // The gateway has one clock; the library asks the machine's and is told how far it is from ours.
    client: () => ({
      client_id: config.clientId,
      use_mtls_endpoint_aliases: config.clientCertificate !== undefined,
      [oauth.clockTolerance]: 30,
      [oauth.clockSkew]: Math.round((now() - Date.now()) / 1000),
    }),
    http: { [oauth.customFetch]: fetch as never, [oauth.allowInsecureRequests]: allowHttp },
  }
}

/** Where a browser is sent: over TLS unless the issuer itself is on loopback, or state and nonce travel in the clear. */
export function frontEndpoint(
  { config }: ProviderLink,
  server: oauth.AuthorizationServer,
  name: 'authorization_endpoint' | 'end_session_endpoint',
): URL {
  const url = usable(config, server[name])
  if (url) return url
  throw new ProviderFault(`the discovery document has no usable ${name}`)
}

/** The address, if a browser may be sent there; see `frontEndpoint`. */
export function usable({ issuer }: Pick<ProviderConfig, 'issuer'>, text: string | undefined): URL | undefined {
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  const allowHttp = issuer.startsWith('http://')
  return url?.protocol === 'https:' || (allowHttp && url?.protocol === 'http:') ? url : undefined
}
