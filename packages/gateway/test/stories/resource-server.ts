import * as oauth from 'oauth4webapi'
import type { UpstreamExchange } from '../../../testkit/src/upstream-routes.ts'
import type { World } from '../../../testkit/src/world.ts'

export const audience = 'https://api.example.com/'

export interface ResourceServer {
  /** What the server holds of each request that it took. */
  readonly accepted: oauth.JWTAccessTokenClaims[]
  /** The nonce that a proof must carry; none at first. */
  nonce: string | undefined
}

/** A path of the sample API that takes DPoP-bound tokens of the provider only, checked by a library for resource servers. */
export function resourceServer(world: World, path: string): ResourceServer {
  const server: ResourceServer = { accepted: [], nonce: undefined }
  const seen = new Set<string>()
  const { issuer } = world.provider
  world.upstream.on(path, async (exchange) => {
    try {
      const proof = proofOf(exchange)
      if (server.nonce !== undefined && proof.nonce !== server.nonce) {
        exchange.response.setHeader('dpop-nonce', server.nonce)
        return refuse(exchange, 'use_dpop_nonce')
      }
      if (seen.has(proof.jti)) return refuse(exchange, 'invalid_dpop_proof')
      seen.add(proof.jti)
      const as = { issuer, jwks_uri: `${issuer}/jwks` }
      const claims = await oauth.validateJwtAccessToken(as, requestOf(exchange, world.upstream.url), audience, {
        requireDPoP: true,
        signingAlgorithms: ['RS256', 'ES256'],
        [oauth.allowInsecureRequests]: true,
        [oauth.clockSkew]: Math.round((world.clock.now() - Date.now()) / 1000),
      })
      server.accepted.push(claims)
      exchange.response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
    } catch (error) {
      refuse(exchange, String(error))
    }
  })
  return server
}

function requestOf({ request }: UpstreamExchange, base: string): Request {
  const headers = Object.entries(request.headers).map(([name, value]): [string, string] => [name, String(value)])
  return new Request(`${base}${request.url}`, { method: request.method ?? '', headers })
}

export function proofOf({ request }: UpstreamExchange): { jti: string; nonce?: string; htu: string; htm: string } {
  return JSON.parse(Buffer.from(String(request.headers.dpop).split('.')[1] ?? '', 'base64url').toString())
}

function refuse({ response }: UpstreamExchange, error: string): void {
  response
    .writeHead(401, { 'www-authenticate': `DPoP error="${error.replaceAll('"', "'")}"`, 'content-type': 'text/plain' })
    .end(error)
}
