import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type FlattenedJWSInput,
  type JSONWebKeySet,
  type JWSHeaderParameters,
} from 'jose'
import * as oauth from 'oauth4webapi'
import type { Fetch } from './bounded-fetch.ts'
import { ProviderFault } from './provider-fault.ts'
import { createTokenBucket } from './token-bucket.ts'

export interface SigningKeys {
  /** Verifies the signature of the ID token (or signed UserInfo) in an answer that the library has processed. */
  verify(server: oauth.AuthorizationServer, response: Response): Promise<void>
  /** Finds the key of a token that came by itself (logout tokens), by the same rules. */
  keyOf(server: oauth.AuthorizationServer, header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey>
}

/** Keys are read again after this long, so that one that the provider withdrew is not trusted for ever. */
const freshFor = 10 * 60_000
/** While the JWKS can't be read, the last known keys still tell a true signature from a false one; but not for ever. */
const trustedFor = 60 * 60_000

interface KnownKeys {
  readonly jwks: oauth.JWKS
  /** Counts the requests for the JWKS. */
  readonly flight: number
  readonly readAt: number
}

/**
 * The keys of one issuer. Sign-ins share one request for them, however many arrive at once. An unknown `kid` is looked up
 * at once, so that a key rotation fails nobody, but only as often as a token bucket allows, so that a flood of invented
 * kids doesn't become a flood of requests.
 * Keys come from the issuer's JWKS only: `jku`, `x5u` and `jwk` of a token are never read. @see OpenID Connect Core §10.1.1
 */
export function createSigningKeys(options: { fetch: Fetch; allowHttp: boolean; now: () => number }): SigningKeys {
  const { now } = options
  const mayLookAgain = createTokenBucket(5, 12_000, now)
  let known: KnownKeys | undefined
  let flights = 0
  let flying: Promise<void> | undefined

  async function read(server: oauth.AuthorizationServer): Promise<void> {
    const flight = ++flights
    const url = jwksUri(server, options.allowHttp)
    const response = await options.fetch(url, { headers: { accept: 'application/json, application/jwk-set+json' } })
    if (response.status !== 200) throw new ProviderFault(`the JWKS was answered with ${response.status}`)
    const jwks = (await response.json().catch(() => undefined)) as oauth.JWKS | undefined
    if (!Array.isArray(jwks?.keys) || !jwks.keys.every((key) => typeof key === 'object' && key !== null)) {
      throw new ProviderFault('the JWKS is not a JSON object with keys')
    }
    known = { jwks, flight, readAt: now() }
  }

  /** One request for all who want its answer, whoever was the first. */
  async function renewed(server: oauth.AuthorizationServer): Promise<KnownKeys> {
    flying ??= read(server).finally(() => {
      flying = undefined
    })
    await flying
    return known as KnownKeys
  }

  async function usableKeys(server: oauth.AuthorizationServer): Promise<KnownKeys> {
    if (known && now() - known.readAt < freshFor) return known
    try {
      return await renewed(server)
    } catch (error) {
      if (known && now() - known.readAt < trustedFor) return known
      throw error
    }
  }

  /**
   * Tries with the keys at hand, and with newer ones as long as these lack the key: those that somebody else is getting cost
   * nothing, a request of one's own a token of the bucket. The answer to a request that began later than this look is the
   * last word; that of an earlier one may be older than the token, and is tried because it mostly does.
   */
  async function withKeys<Found>(server: oauth.AuthorizationServer, attempt: (jwks: oauth.JWKS) => Promise<Found>) {
    const before = flights
    let keys = await usableKeys(server)
    for (;;) {
      try {
        return await attempt(keys.jwks)
      } catch (error) {
        if (!isUnknownKey(error) || keys.flight > before) throw error
        if (known !== undefined && known.flight > keys.flight) keys = known
        else if (flying !== undefined || mayLookAgain()) keys = await renewed(server)
        else throw error
      }
    }
  }

  return {
    verify: (server, response) => withKeys(server, (jwks) => verifyWith(jwks, server, response)),
    keyOf: (server, header, token) =>
      withKeys(server, async (jwks) => (await createLocalJWKSet(jwks as JSONWebKeySet)(header, token)) as CryptoKey),
  }
}

function isUnknownKey(error: unknown): boolean {
  if (error instanceof oauth.OperationProcessingError) return error.code === oauth.KEY_SELECTION
  return error instanceof errors.JWKSNoMatchingKey
}

async function verifyWith(jwks: oauth.JWKS, server: oauth.AuthorizationServer, response: Response): Promise<void> {
  // A fresh object each time: the library keeps the keys of each metadata object that it has seen.
  await oauth.validateApplicationLevelSignature({ ...server }, response, {
    // As new as can be, so that the library never goes for the keys itself.
    [oauth.jwksCache]: { jwks, uat: Math.floor(Date.now() / 1000) },
    [oauth.customFetch]: refuseToFetch,
  })
}

const refuseToFetch = (): Promise<Response> => Promise.reject(new ProviderFault('the JWKS can not be used'))

function jwksUri({ jwks_uri: uri }: oauth.AuthorizationServer, allowHttp: boolean): string {
  if (typeof uri !== 'string' || !(uri.startsWith('https://') || (allowHttp && uri.startsWith('http://')))) {
    throw new ProviderFault('the discovery document has no usable jwks_uri')
  }
  return uri
}
