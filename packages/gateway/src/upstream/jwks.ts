import type { EndpointHandler } from '../endpoint.ts'
import type { Services } from '../services.ts'
import { keysMaxAge } from '../session/signing-schedule.ts'

/**
 * `GET /auth/jwks.json`: the public keys of the tokens that the gateway mints. For anybody: they are no secret, and are there
 * before a route mints anything, so that upstreams can be made ready first. @see RFC 7517 §5, §8.5.1
 */
export function createJwks({ mint }: Pick<Services, 'mint'>): EndpointHandler {
  const headers = [
    'Content-Type',
    'application/jwk-set+json',
    'Cache-Control',
    `public, max-age=${keysMaxAge / 1000}`,
    'X-Content-Type-Options',
    'nosniff',
    'Cross-Origin-Resource-Policy',
    'same-origin',
  ]
  return async () => ({
    kind: 'respond',
    status: 200,
    headers: [...headers],
    body: JSON.stringify({ keys: mint.published() }),
  })
}
