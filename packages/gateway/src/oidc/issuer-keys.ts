import type { JWTVerifyGetKey } from 'jose'
import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'
import { createBoundedFetch, type Fetch } from './bounded-fetch.ts'
import { withCircuitBreaker } from './circuit-breaker.ts'
import { createKeptDocument } from './kept-document.ts'
import { createProviderMetadata } from './metadata.ts'
import { ProviderFault } from './provider-fault.ts'
import type { Send } from './send.ts'
import { createSigningKeys } from './signing-keys.ts'

/** Somebody who signs, and at whom nobody signs in here: a transmitter of security events, the caller of a revocation. */
export interface Issuer {
  readonly issuer: string
  /** Where its keys are; without it, its metadata says. */
  readonly jwksUri?: string | undefined
  /** Which metadata it publishes: OpenID Connect Discovery, or that of the Shared Signals Framework. */
  readonly metadata: 'openid-configuration' | 'ssf-configuration'
}

export interface IssuerKeys {
  readonly keyOf: JWTVerifyGetKey
  /** Members of its metadata; throws a `ProviderFault` when it was never reached. Empty where `jwksUri` is configured. */
  describe(): Promise<Readonly<Record<string, unknown>>>
}

/** Keys of an issuer, by the rules of signing-keys.ts: shared requests, a bounded look for unknown ones. */
export function createIssuerKeys(
  { issuer, jwksUri, metadata }: Issuer,
  options: { now: () => number; onStale: (fault: unknown) => void; send?: Send },
): IssuerKeys {
  const { now, onStale } = options
  const fetch = withCircuitBreaker(createBoundedFetch({ timeout: 10_000, maxBytes: 1024 * 1024 }, options.send))
  const allowHttp = (jwksUri ?? issuer).startsWith('http://')
  const keys = createSigningKeys({ fetch, allowHttp, now })
  const document =
    metadata === 'openid-configuration'
      ? createProviderMetadata(issuer, { fetch, allowHttp, now, onStale })
      : createKeptDocument(`the configuration of ${issuer}`, () => readTransmitter(issuer, fetch), { now, onStale })

  const describe = async () => (jwksUri === undefined ? { ...(await document.get()) } : {})
  return {
    describe,
    async keyOf(header, token) {
      const uri = jwksUri ?? (await describe()).jwks_uri
      return await keys.keyOf({ issuer, ...(typeof uri === 'string' && { jwks_uri: uri }) }, header, token)
    },
  }
}

/** The issuer that the document names is the one that was asked, byte for byte. @see SSF 1.0 §7.2.4 */
async function readTransmitter(issuer: string, fetch: Fetch): Promise<Readonly<Record<string, unknown>>> {
  const response = await fetch(transmitterConfigurationUrl(issuer), { headers: { accept: 'application/json' } })
  if (response.status !== 200) throw new ProviderFault(`it was answered with ${response.status}`)
  const document = await response.text().then(parseStrictJson, () => undefined)
  if (!isJsonObject(document)) throw new ProviderFault('it is not a JSON object')
  if (document.issuer !== issuer) throw new ProviderFault('it names another issuer')
  return document
}

/** Between host and path, unlike that of OpenID Connect. @see SSF 1.0 §7.2 */
export function transmitterConfigurationUrl(issuer: string): string {
  const { origin, pathname } = new URL(issuer)
  return `${origin}/.well-known/ssf-configuration${pathname.replace(/\/$/, '')}`
}
