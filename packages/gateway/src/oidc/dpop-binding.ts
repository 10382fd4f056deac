import * as oauth from 'oauth4webapi'
import type { Fetch } from './bounded-fetch.ts'
import { type DpopKey, newDpopKey, publicJwk } from './dpop-key.ts'
import type { DpopNonces } from './dpop-nonces.ts'
import type { ProviderLink } from './provider-link.ts'

/** Whether tokens of this provider are asked for with a key. */
export function bindsTokens({ policy }: ProviderLink, server: oauth.AuthorizationServer): boolean {
  if (policy.dpop !== 'auto') return policy.dpop === 'always'
  return server.dpop_signing_alg_values_supported?.includes('ES256') === true
}

/** A key for a sign-in; undefined where tokens are not bound. Throws a `ProviderFault` if that can't be told. */
export async function newBindingKey(link: ProviderLink): Promise<DpopKey | undefined> {
  if (link.policy.dpop === 'never') return undefined
  return bindsTokens(link, await link.metadata.get()) ? newDpopKey() : undefined
}

/** A request of the library's with a proof of the key, and once more with a nonce if the server asks for one. */
export async function withProof<Answer>(
  link: ProviderLink,
  key: DpopKey | undefined,
  send: (options: ProviderLink['http'] & oauth.DPoPRequestOptions) => Promise<Answer>,
): Promise<Answer> {
  if (key === undefined) return await send(link.http)
  const options = { ...link.http, DPoP: await proofsOf(link, key) }
  try {
    return await send(options)
  } catch (error) {
    // The code or refresh token is not used up by it; a second refusal stands. @see RFC 9449 §8
    if (!oauth.isDPoPNonceError(error)) throw error
    return await send(options)
  }
}

async function proofsOf(link: ProviderLink, key: DpopKey): Promise<oauth.DPoPHandle> {
  const jwk = publicJwk(key)
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' }
  const [privateKey, publicKey] = await Promise.all([
    crypto.subtle.importKey('jwk', { ...jwk, d: key }, algorithm, false, ['sign']),
    crypto.subtle.importKey('jwk', jwk, algorithm, true, ['verify']),
  ])
  return oauth.DPoP(
    link.client(),
    { privateKey, publicKey },
    {
      [oauth.modifyAssertion]: (_header, payload) => {
        payload.nonce = link.nonces.get(new URL(payload.htu as string).origin)
      },
    },
  )
}

/** The nonces that a provider sends with any answer are known to the next proof, of whichever session. */
export function learningNonces(fetch: Fetch, nonces: DpopNonces): Fetch {
  return async (url, init) => {
    const response = await fetch(url, init)
    nonces.learn(new URL(url).origin, response.headers.get('dpop-nonce'))
    return response
  }
}

/**
 * The key that the access token of an answer is bound to; undefined for a bearer token.
 * @throws Error for a token that is not what was asked for, or that nobody here could use
 */
export function bindingOf(
  { policy }: ProviderLink,
  answer: oauth.TokenEndpointResponse,
  key: DpopKey | undefined,
): DpopKey | undefined {
  if (answer.token_type === 'dpop') {
    if (key === undefined) throw new Error('the access token is bound to a key that was never shown (token_type DPoP)')
    return key
  }
  // A downgrade by whoever answers: a bearer token works for everybody who finds it. @see RFC 9449 §5
  if (policy.dpop === 'always') throw new Error('the access token is bound to no key (token_type is not DPoP)')
  return undefined
}
