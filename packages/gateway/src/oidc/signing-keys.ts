import * as oauth from 'oauth4webapi'
import { type Fetch, ProviderFault } from './bounded-fetch.ts'
import { createTokenBucket } from './token-bucket.ts'

export interface SigningKeys {
  /** Verifies the signature of the ID token (or signed UserInfo) in an answer that the library has processed. */
  verify(server: oauth.AuthorizationServer, response: Response): Promise<void>
}

/** Keys are read again after this long, so that one that the provider withdrew is not trusted for ever. */
const freshFor = 10 * 60_000

/**
 * The keys of one issuer. The library looks an unknown `kid` up again only when its copy is older than a minute, so ours
 * is always handed over as that old, and the limit is kept here: a token bucket, so that the first unknown kid after a
 * key rotation is looked up at once, and a flood of invented kids doesn't become a flood of requests.
 * Keys come from the issuer's JWKS only: `jku`, `x5u` and `jwk` of a token are never read. @see OpenID Connect Core §10.1.1
 */
export function createSigningKeys(options: { fetch: Fetch; allowHttp: boolean; now: () => number }): SigningKeys {
  const mayFetch = createTokenBucket(5, 12_000, options.now)
  let keys: oauth.JWKS | undefined
  let readAt = 0

  const limitedFetch: Fetch = (url, init) => {
    if (!mayFetch()) throw new Error('an unknown kid, and the JWKS was read too often lately')
    return options.fetch(url, init)
  }

  async function verifyWith(server: oauth.AuthorizationServer, response: Response, known: oauth.JWKS | undefined) {
    const cache: oauth.JWKSCacheInput = known ? { jwks: known, uat: Math.floor(Date.now() / 1000) - 61 } : {}
    try {
      // A fresh object each time: the library keeps the keys of each metadata object that it has seen.
      await oauth.validateApplicationLevelSignature({ ...server }, response, {
        [oauth.jwksCache]: cache,
        [oauth.customFetch]: limitedFetch as never,
        [oauth.allowInsecureRequests]: options.allowHttp,
      })
    } finally {
      if (cache.jwks !== undefined && cache.jwks !== known) {
        keys = cache.jwks
        readAt = options.now()
      }
    }
  }

  return {
    async verify(server, response) {
      const stale = keys
      if (keys && options.now() - readAt >= freshFor) keys = undefined
      try {
        await verifyWith(server, response, keys)
      } catch (error) {
        // The provider's JWKS can't be read: the last known keys still tell a true signature from a false one.
        if (stale === undefined || keys !== undefined || !(error instanceof ProviderFault)) throw error
        keys = stale
        await verifyWith(server, response, stale)
      }
    },
  }
}
