import { z } from 'zod'
import type { ProviderConfig } from '../config/schema.ts'
import { createSend } from '../oidc/send.ts'
import { exchangeGrant } from '../oidc/token-exchange.ts'
import { kindOf } from '../providers/kinds.ts'
import { fetchJson } from './fetch-json.ts'
import type { Finding } from './online.ts'
import { compareClient } from './online-client.ts'

/** The part of a discovery document that sign-in depends on. @see OpenID Connect Discovery §3 */
const metadataSchema = z.looseObject({
  issuer: z.string(),
  authorization_endpoint: z.string().optional(),
  token_endpoint: z.string().optional(),
  jwks_uri: z.string().optional(),
  end_session_endpoint: z.string().optional(),
  response_types_supported: z.array(z.string()).optional(),
  grant_types_supported: z.array(z.string()).optional(),
  code_challenge_methods_supported: z.array(z.string()).optional(),
  token_endpoint_auth_methods_supported: z.array(z.string()).optional(),
  token_endpoint_auth_signing_alg_values_supported: z.array(z.string()).optional(),
  pushed_authorization_request_endpoint: z.string().optional(),
  require_pushed_authorization_requests: z.boolean().optional(),
  dpop_signing_alg_values_supported: z.array(z.string()).optional(),
  authorization_response_iss_parameter_supported: z.boolean().optional(),
  id_token_signing_alg_values_supported: z.array(z.string()).optional(),
  tls_client_certificate_bound_access_tokens: z.boolean().optional(),
})
export type Metadata = z.output<typeof metadataSchema>

export interface ProviderQuestion {
  /** Milliseconds. */
  readonly timeout: number
  /** The first route whose upstream gets exchanged tokens; -1 if there is none. */
  readonly exchange: number
}

/** Reads a provider's discovery document and compares it with what is configured. */
export async function askProvider(
  name: string,
  provider: ProviderConfig,
  { timeout, exchange }: ProviderQuestion,
): Promise<Finding[]> {
  const path = ['providers', name, 'issuer']
  const url = `${provider.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const document = await fetchJson(url, timeout, createSend(provider))
  if ('failed' in document) return [{ path, message: `${url} ${document.failed}` }]
  const parsed = metadataSchema.safeParse(document.json)
  if (!parsed.success) return [{ path, message: `${url} is not a discovery document` }]
  const metadata = parsed.data

  const findings: Finding[] = []
  if (metadata.issuer !== provider.issuer) {
    findings.push({
      path,
      message: `the provider says that its issuer is ${JSON.stringify(metadata.issuer.slice(0, 200))}; write exactly that`,
    })
  }
  for (const endpoint of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    if (metadata[endpoint] === undefined) findings.push({ path, message: `the provider names no ${endpoint}` })
  }
  if (metadata.response_types_supported?.includes('code') === false) {
    findings.push({ path, message: 'the provider does not list the response type code' })
  }
  findings.push(...compareClient(name, provider, metadata))
  const own = kindOf(provider).endpoints?.(provider).authorization_endpoint
  const published = metadata.authorization_endpoint
  if (own !== undefined && published !== undefined && own !== published) {
    const message = `the user pool says that sign-ins go to ${JSON.stringify(published.slice(0, 200))}; they go to the domain that is configured`
    findings.push({ path: ['providers', name, 'domain'], message, note: true })
  }
  if (exchange >= 0 && metadata.grant_types_supported?.includes(exchangeGrant) === false) {
    const message = `${name} does not list the grant type ${exchangeGrant} (RFC 8693); switch it on there, or write another credential`
    findings.push({ path: ['routes', exchange, 'credential', 'exchange'], message })
  }
  // Cognito checks PKCE and doesn't list it, so this proves nothing.
  if (!metadata.code_challenge_methods_supported?.includes('S256')) {
    findings.push({ path, message: 'the provider does not list PKCE with S256; it is sent all the same', note: true })
  }
  if (metadata.end_session_endpoint === undefined) {
    findings.push({
      path,
      message: 'the provider names no end_session_endpoint: sign-out ends the session here only',
      note: true,
    })
  }
  return findings
}
