import type { KeyObject } from 'node:crypto'
import { compactDecrypt, createLocalJWKSet, type JWTPayload, jwtVerify } from 'jose'
import type { World } from '../../../testkit/src/world.ts'

/** What a service expects of a token, as its author would write it. */
export interface Expectations {
  readonly audience: string
  readonly issuer: string
  readonly jwksUri: string
  readonly typ: string
  readonly algorithms: readonly string[]
  /** Of a service that takes encrypted tokens only. */
  readonly decryptWith?: KeyObject
}

export interface VerifyingUpstream {
  /** The claims of every token that it took, in order. */
  readonly accepted: JWTPayload[]
  /** The tokens as they came, in order. */
  readonly tokens: string[]
  /** Why it refused one. */
  readonly refused: string[]
  /** How often it read the keys. */
  keyRequests: number
}

/**
 * A path of the sample API that believes a token only by the published keys. It keeps them for as long as their answer says,
 * and not a second less: a key that it doesn't know by then is a refused request.
 */
export function verifyingUpstream(world: World, path: string, expected: Expectations): VerifyingUpstream {
  const { audience, issuer, jwksUri, typ, algorithms, decryptWith } = expected
  const seen: VerifyingUpstream = { accepted: [], tokens: [], refused: [], keyRequests: 0 }
  let kept: { keys: ReturnType<typeof createLocalJWKSet>; until: number } | undefined

  async function keys() {
    if (kept !== undefined && world.clock.now() < kept.until) return kept.keys
    seen.keyRequests++
    const answer = await fetch(jwksUri)
    const maxAge = Number(/max-age=(\d+)/.exec(answer.headers.get('cache-control') ?? '')?.[1] ?? 600)
    kept = { keys: createLocalJWKSet((await answer.json()) as never), until: world.clock.now() + maxAge * 1000 }
    return kept.keys
  }

  world.upstream.on(path, async ({ request, response }) => {
    const token = String(request.headers.authorization).replace(/^Bearer /, '')
    seen.tokens.push(token)
    try {
      const signed = decryptWith ? await opened(token, decryptWith) : token
      const checks = { audience, issuer, typ, algorithms: [...algorithms], requiredClaims: ['exp', 'iat', 'sub'] }
      const { payload } = await jwtVerify(signed, await keys(), { ...checks, currentDate: new Date(world.clock.now()) })
      seen.accepted.push(payload)
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ sub: payload.sub }))
    } catch (error) {
      seen.refused.push(String(error))
      response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":"invalid_token"}')
    }
  })
  return seen
}

async function opened(token: string, key: KeyObject): Promise<string> {
  const { plaintext } = await compactDecrypt(token, key)
  return new TextDecoder().decode(plaintext)
}

/** What a service expects of tokens that the gateway mints. */
export const ofGateway = (world: World, audience: string): Expectations => ({
  audience,
  issuer: `${world.origin}/auth`,
  jwksUri: `${world.origin}/auth/jwks.json`,
  typ: 'at+jwt',
  algorithms: ['ES256'],
})

/** What a service expects of tokens that the provider issues. */
export const ofProvider = (world: World, audience: string): Expectations => ({
  audience,
  issuer: world.provider.issuer,
  jwksUri: `${world.provider.issuer}/jwks`,
  typ: 'at+jwt',
  algorithms: ['RS256'],
})
