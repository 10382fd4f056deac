import { type GenerateKeyPairResult, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'

/** What a test can make the hostile provider do. Absent means: as an honest one would. */
export interface Twists {
  // Discovery
  /** The issuer that discovery claims. */
  discoveryIssuer: string
  /** Members laid over the metadata; undefined removes one. */
  metadata: Readonly<Record<string, unknown>>

  // The way back to the application
  /** The `iss` of the callback; null leaves it out though discovery promises it. @see RFC 9207 */
  callbackIss: string | null
  /** More parameters of the callback, as given: a second `state` or `code` stands beside the first. */
  callbackExtra: ReadonlyArray<readonly [name: string, value: string]>
  /** An error instead of a code. */
  callbackError: { readonly error: string; readonly error_description?: string }

  // The ID token
  /** Claims laid over the honest ones; undefined removes one: `{ sub: undefined }`, `{ aud: ['web', 'other'] }`. */
  claims: Readonly<Record<string, unknown>>
  /** Laid over the protected header: `{ kid: 'unknown' }`, `{ jku: 'http://evil/jwks' }`. */
  header: Readonly<Record<string, unknown>>
  /** How the ID token is signed. `embedded-jwk`: by a stranger's key, which the header carries along. */
  signature: 'none' | 'hs256-client-secret' | 'hs256-public-key' | 'stranger' | 'embedded-jwk' | 'flipped-bit'
  /** No ID token in the answer. */
  noIdToken: boolean

  // UserInfo
  userinfo: Readonly<Record<string, unknown>>

  // Anything
  /** Milliseconds before each answer at this path; `*` for all. */
  slow: Readonly<Record<string, number>>
  /** A whole answer in place of the honest one at this path. */
  answer: Readonly<Record<string, { status: number; type?: string; body: string; headers?: Record<string, string> }>>
}

export interface SigningKeys {
  readonly kid: string
  readonly own: GenerateKeyPairResult
  readonly stranger: GenerateKeyPairResult
  readonly strangerJwk: Readonly<Record<string, unknown>>
  readonly clientSecret: string
  /** The public key in PEM: what a careless verifier would take for an HMAC secret. */
  readonly publicPem: string
}

/** The ID token, honest or twisted. */
export async function signIdToken(claims: JWTPayload, keys: SigningKeys, twist: Partial<Twists>): Promise<string> {
  const honest = { alg: 'RS256', kid: keys.kid }
  const sign = (header: JWTHeaderParameters, key: Parameters<SignJWT['sign']>[0]) =>
    new SignJWT(claims).setProtectedHeader({ ...header, ...twist.header }).sign(key)
  switch (twist.signature) {
    case 'none':
      return unsigned(claims, { alg: 'none', ...twist.header })
    case 'hs256-client-secret':
      return sign({ alg: 'HS256' }, Buffer.from(keys.clientSecret))
    case 'hs256-public-key':
      return sign({ alg: 'HS256', kid: keys.kid }, Buffer.from(keys.publicPem))
    case 'stranger':
      return sign(honest, keys.stranger.privateKey)
    case 'embedded-jwk':
      return sign({ alg: 'RS256', jwk: keys.strangerJwk }, keys.stranger.privateKey)
    case 'flipped-bit':
      return flipped(await sign(honest, keys.own.privateKey))
    default:
      return sign(honest, keys.own.privateKey)
  }
}

function unsigned(claims: JWTPayload, header: Readonly<Record<string, unknown>>): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  return `${part(header)}.${part(claims)}.`
}

/** The same token with one bit of its claims changed, the signature left as it was. */
function flipped(token: string): string {
  const [header = '', claims = '', signature = ''] = token.split('.')
  const text = Buffer.from(claims, 'base64url')
    .toString()
    .replace(/"sub":"(.)/, (_all, first) => `"sub":"${first === 'x' ? 'y' : 'x'}`)
  return `${header}.${Buffer.from(text).toString('base64url')}.${signature}`
}
