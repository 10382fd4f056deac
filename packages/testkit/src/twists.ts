import { type CompactJWSHeaderParameters, CompactSign } from 'jose'
import type { HostileAlgorithm, HostileKeys } from './hostile-keys.ts'

/** What can be wrong with a JWT. Absent means: as an honest provider would. */
export interface JwtTwists {
  /** Claims laid over the honest ones; undefined removes one: `{ sub: undefined }`, `{ aud: ['web', 'other'] }`. */
  claims: Readonly<Record<string, unknown>>
  /** Laid over the protected header: `{ kid: 'unknown' }`, `{ jku: 'http://evil/jwks' }`. */
  header: Readonly<Record<string, unknown>>
  /** The algorithm of an honest signature; RS256 if absent. */
  alg: HostileAlgorithm
  /** How it is signed instead. `embedded-jwk`: by a stranger's key, which the header carries along. */
  signature: 'none' | 'hs256-client-secret' | 'hs256-public-key' | 'stranger' | 'embedded-jwk' | 'flipped-bit'
  /** Rewrites the text of the claims before it is signed: members given twice, numbers that JavaScript can't write. */
  text: (json: string) => string
  /** Rewrites the finished token: anything at all. */
  token: (honest: string) => string
}

/** What a test can make the hostile provider do. Absent means: as an honest one would. */
export interface Twists extends JwtTwists {
  // Discovery
  /** The issuer that discovery claims. */
  discoveryIssuer: string
  /** Members laid over the metadata; undefined removes one. */
  metadata: Readonly<Record<string, unknown>>
  /** The keys that it publishes, instead of its own. */
  jwks: readonly object[]

  // The way back to the application
  /** The `iss` of the callback; null leaves it out though discovery promises it. @see RFC 9207 */
  callbackIss: string | null
  /** More parameters of the callback, as given: a second `state` or `code` stands beside the first. */
  callbackExtra: ReadonlyArray<readonly [name: string, value: string]>
  /** An error instead of a code. */
  callbackError: { readonly error: string; readonly error_description?: string; readonly error_uri?: string }
  /** The response mode that it answers in, whatever was asked for. */
  responseMode: string
  /** What is wrong with a signed response (JARM); `callbackIss` and `callbackError` count inside of it. */
  response: Partial<JwtTwists>

  // The ID token: claims, header, signature and so on are its own
  /** Claims laid over those of a refreshed ID token. */
  refreshed: Readonly<Record<string, unknown>>
  /** No ID token in the answer. */
  noIdToken: boolean

  // Token endpoint
  /** Members laid over the answer; undefined removes one. */
  tokenAnswer: Readonly<Record<string, unknown>>

  // Sign-out
  /** The `state` of the return from sign-out; null leaves it out. */
  logoutState: string | null

  // UserInfo
  userinfo: Readonly<Record<string, unknown>>

  // Anything
  /** Milliseconds before each answer at this path; `*` for all. */
  slow: Readonly<Record<string, number>>
  /** A whole answer in place of the honest one at this path. */
  answer: Readonly<Record<string, { status: number; type?: string; body: string; headers?: Record<string, string> }>>
}

/** A JWT with these claims, honest or twisted. */
export async function signJwt(
  claims: Readonly<Record<string, unknown>>,
  keys: HostileKeys,
  twist: Partial<JwtTwists>,
): Promise<string> {
  const honest = JSON.stringify({ ...claims, ...twist.claims })
  const token = await signed(twist.text?.(honest) ?? honest, keys, twist)
  return twist.token?.(token) ?? token
}

async function signed(json: string, keys: HostileKeys, twist: Partial<JwtTwists>): Promise<string> {
  const { alg = 'RS256' } = twist
  const header = { alg, kid: keys.published[alg].kid }
  const sign = (own: CompactJWSHeaderParameters, key: Parameters<CompactSign['sign']>[0]) => {
    const all = withoutUndefined({ ...own, ...twist.header }) as CompactJWSHeaderParameters
    const crit = Object.fromEntries((Array.isArray(all.crit) ? all.crit : []).map((name) => [String(name), true]))
    return new CompactSign(new TextEncoder().encode(json)).setProtectedHeader(all).sign(key, { crit })
  }
  switch (twist.signature) {
    case 'none':
      return unsigned(json, { alg: 'none', ...twist.header })
    case 'hs256-client-secret':
      return sign({ alg: 'HS256' }, Buffer.from(keys.clientSecret))
    case 'hs256-public-key':
      return sign({ alg: 'HS256', kid: header.kid }, Buffer.from(keys.publicPem))
    case 'stranger':
      return sign(header, keys.stranger[alg].privateKey)
    case 'embedded-jwk':
      return sign({ alg: 'RS256', jwk: keys.strangerJwk }, keys.stranger.RS256.privateKey)
    case 'flipped-bit':
      return flipped(await sign(header, keys.own[alg].privateKey))
    default:
      return sign(header, keys.own[alg].privateKey)
  }
}

const withoutUndefined = (header: Readonly<Record<string, unknown>>) => JSON.parse(JSON.stringify(header)) as object

function unsigned(json: string, header: Readonly<Record<string, unknown>>): string {
  const part = (text: string) => Buffer.from(text).toString('base64url')
  return `${part(JSON.stringify(header))}.${part(json)}.`
}

/** The same token with one letter of its subject or state changed, the signature left as it was. */
function flipped(token: string): string {
  const [header = '', claims = '', signature = ''] = token.split('.')
  const text = Buffer.from(claims, 'base64url')
    .toString()
    .replace(/"(sub|state)":"(.)/, (_all, name, first) => `"${name}":"${first === 'x' ? 'y' : 'x'}`)
  return `${header}.${Buffer.from(text).toString('base64url')}.${signature}`
}
