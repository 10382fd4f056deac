import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Answer, formPage, json, metadata, problem, redirect, reply } from './answers.ts'
import { isCanary } from './canaries.ts'
import { type HostileAlgorithm, hostileKeys, type PublicKey } from './hostile-keys.ts'
import { closeServer, listen } from './listen.ts'
import { type JwtTwists, signJwt, type Twists } from './twists.ts'

export type { JwtTwists, Twists } from './twists.ts'

export interface HostileProviderOptions {
  readonly clientId: string
  readonly clientSecret: string
  readonly issuerHost?: '127.0.0.1' | 'localhost'
  readonly now?: () => number
}

export interface HostileProvider extends AsyncDisposable {
  readonly issuer: string
  /** What it does wrong from now on: set and delete members as you like. */
  readonly twist: Partial<Twists>
  /** Requests to the token endpoint, refused ones too. */
  readonly tokenRequests: number
  readonly userinfoRequests: number
  readonly jwksFetches: number
  readonly codesRedeemed: number
  /** The paths of all requests, in order. */
  readonly requests: readonly string[]
  /** Refresh tokens that became new tokens. */
  readonly refreshes: number
  /** Its public keys, as it publishes them without `twist.jwks`. */
  readonly keys: Readonly<Record<HostileAlgorithm, PublicKey>>
  /** Those that can be looked for; a twisted token such as `..` is none. */
  readonly issuedTokens: Set<string>
  /** Plays the user: takes the authorization URL, returns the callback URL of a plain answer, whatever mode was asked for. */
  authorizeRedirect(authorizationUrl: string): string
  /** The same in the mode that was asked for: the fields, and how and where they go. */
  authorize(authorizationUrl: string): Promise<AuthorizationAnswer>
  /** A JWT of its own with these claims, honest or twisted: a logout token, signed UserInfo. */
  sign(claims: Readonly<Record<string, unknown>>, twist?: Partial<JwtTwists>): Promise<string>
  /** Publishes a public key (JWK) beside its own, for tokens that a test makes itself. */
  publish(jwk: object): void
  close(): Promise<void>
}

export interface AuthorizationAnswer {
  readonly mode: string
  readonly redirectUri: string
  readonly parameters: URLSearchParams
}

interface Pending {
  readonly nonce: string | null
  readonly challenge: string
  readonly redirectUri: string
  readonly scope: string
}

/** What a refresh token stands for. */
interface Grant {
  readonly authTime: number
}

/** The subject that it vouches for. */
export const hostileSubject = 'mallory'

/**
 * A small OpenID provider made by hand, every answer of which a test can twist. It is strict where it is asked: PKCE S256,
 * client_secret_basic, the redirect URI, one-time codes and refresh tokens are checked.
 */
export async function startHostileProvider(options: HostileProviderOptions): Promise<HostileProvider> {
  const { now = Date.now, issuerHost = 'localhost', clientId } = options
  const keys = await hostileKeys(options.clientSecret)
  const twist: Partial<Twists> = {}
  const published: object[] = Object.values(keys.published)
  const codes = new Map<string, Pending>()
  const grants = new Map<string, Grant>()
  const accessTokens = new Set<string>()
  const issuedTokens = new Set<string>()
  const requests: string[] = []
  const counts = { token: 0, userinfo: 0, jwks: 0, redeemed: 0, refreshed: 0 }
  let issuer = ''

  /** What is said to the application, by whatever way. */
  const said = (asked: URLSearchParams): URLSearchParams => {
    const parameters = new URLSearchParams()
    const state = asked.get('state')
    if (state !== null) parameters.append('state', state)
    if (twist.callbackError) {
      for (const [name, value] of Object.entries(twist.callbackError)) parameters.append(name, value)
    } else {
      const code = randomBytes(24).toString('base64url')
      const redirectUri = asked.get('redirect_uri') ?? ''
      const scope = asked.get('scope') ?? ''
      codes.set(code, { nonce: asked.get('nonce'), challenge: challengeOf(asked), redirectUri, scope })
      parameters.append('code', code)
    }
    const iss = twist.callbackIss === undefined ? issuer : twist.callbackIss
    if (iss !== null) parameters.append('iss', iss)
    return parameters
  }

  const withExtra = (parameters: URLSearchParams): URLSearchParams => {
    for (const [name, value] of twist.callbackExtra ?? []) parameters.append(name, value)
    return parameters
  }

  const authorizeRedirect = (authorizationUrl: string): string => {
    const { searchParams: asked } = new URL(authorizationUrl)
    return withParameters(asked.get('redirect_uri') ?? '', withExtra(said(asked)))
  }

  const authorize = async (authorizationUrl: string): Promise<AuthorizationAnswer> => {
    const { searchParams: asked } = new URL(authorizationUrl)
    const mode = twist.responseMode ?? asked.get('response_mode') ?? 'query'
    const redirectUri = asked.get('redirect_uri') ?? ''
    const plain = said(asked)
    if (!mode.endsWith('jwt')) return { mode, redirectUri, parameters: withExtra(plain) }
    const seconds = Math.floor(now() / 1000)
    const claims = { aud: clientId, iat: seconds, exp: seconds + 120, ...Object.fromEntries(plain) }
    const response = await signJwt(claims, keys, twist.response ?? {})
    return { mode, redirectUri, parameters: withExtra(new URLSearchParams({ response })) }
  }

  /** The way back, for the browser. */
  const sendBack = ({ mode, redirectUri, parameters }: AuthorizationAnswer): Answer =>
    mode.startsWith('form_post') ? formPage(redirectUri, parameters) : redirect(withParameters(redirectUri, parameters))

  const token: Handler = async ({ request, body }) => {
    counts.token++
    if (!isClient(request, options)) return problem(401, 'invalid_client')
    const form = new URLSearchParams(body)
    if (form.get('grant_type') === 'refresh_token') return await refreshed(form.get('refresh_token') ?? '')
    const pending = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    if (!pending) return problem(400, 'invalid_grant')
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (verifier !== pending.challenge) return problem(400, 'invalid_grant')
    if (form.get('redirect_uri') !== pending.redirectUri) return problem(400, 'invalid_grant')
    counts.redeemed++
    const grant: Grant = { authTime: Math.floor(now() / 1000) }
    const own = pending.nonce === null ? {} : { nonce: pending.nonce }
    return await tokens(own, pending.scope.split(' ').includes('offline_access') ? grant : undefined, grant.authTime)
  }

  /** A new set of tokens, and a new refresh token for the one that was redeemed. */
  async function refreshed(refreshToken: string): Promise<Answer> {
    const grant = grants.get(refreshToken)
    grants.delete(refreshToken)
    if (!grant) return problem(400, 'invalid_grant')
    counts.refreshed++
    return await tokens({ ...twist.refreshed }, grant, grant.authTime)
  }

  async function tokens(own: object, grant: Grant | undefined, authTime: number): Promise<Answer> {
    const seconds = Math.floor(now() / 1000)
    const access_token = randomBytes(24).toString('base64url')
    accessTokens.add(access_token)
    const claims = {
      ...{ iss: issuer, sub: hostileSubject, aud: clientId, iat: seconds, exp: seconds + 300, auth_time: authTime },
      ...{ at_hash: accessTokenHash(access_token), ...own },
    }
    const id_token = twist.noIdToken ? undefined : await signJwt(claims, keys, twist)
    const refresh_token = grant && randomBytes(24).toString('base64url')
    if (grant && refresh_token) grants.set(refresh_token, grant)
    for (const issued of [access_token, id_token, refresh_token])
      if (issued && isCanary(issued)) issuedTokens.add(issued)
    const answer = { access_token, token_type: 'Bearer', expires_in: 300, id_token, refresh_token }
    return json({ ...answer, ...twist.tokenAnswer })
  }

  const handlers: Readonly<Record<string, Handler>> = {
    '/.well-known/openid-configuration': () =>
      json({ ...metadata(issuer), issuer: twist.discoveryIssuer ?? issuer, ...twist.metadata }),
    '/authorize': async ({ request }) => sendBack(await authorize(`${issuer}${request.url}`)),
    '/token': token,
    '/jwks': () => {
      counts.jwks++
      return json({ keys: twist.jwks ?? published })
    },
    '/userinfo': ({ request }) => {
      counts.userinfo++
      const bearer = request.headers.authorization?.replace(/^Bearer /, '') ?? ''
      if (!accessTokens.has(bearer)) return problem(401, 'invalid_token')
      return json({ sub: hostileSubject, name: 'Mallory', email: 'mallory@example.com', ...twist.userinfo })
    },
    '/logout': ({ request }) => {
      const { searchParams } = new URL(request.url ?? '', issuer)
      const back = new URL(searchParams.get('post_logout_redirect_uri') ?? issuer)
      const state = twist.logoutState === undefined ? searchParams.get('state') : twist.logoutState
      if (state !== null) back.searchParams.set('state', state)
      return redirect(back.href)
    },
  }

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://provider')
    requests.push(pathname)
    let body = ''
    for await (const chunk of request.setEncoding('utf8')) body += String(chunk)
    const pause = twist.slow?.[pathname] ?? twist.slow?.['*']
    if (pause !== undefined) await sleep(pause)
    const honest = await handlers[pathname]?.({ request, body })
    const own = twist.answer?.[pathname]
    const wanted: Answer = own ? { type: 'text/html', ...own } : (honest ?? problem(404, 'not_found'))
    reply(response, wanted)
  })
  issuer = `http://${issuerHost}:${await listen(server)}`
  const close = () => closeServer(server)
  return {
    issuer,
    twist,
    get tokenRequests() {
      return counts.token
    },
    get userinfoRequests() {
      return counts.userinfo
    },
    get jwksFetches() {
      return counts.jwks
    },
    get codesRedeemed() {
      return counts.redeemed
    },
    get refreshes() {
      return counts.refreshed
    },
    requests,
    keys: keys.published,
    issuedTokens,
    authorizeRedirect,
    authorize,
    sign: (claims, jwtTwist = {}) => signJwt(claims, keys, jwtTwist),
    publish: (key) => void published.push(key),
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Handler = (asked: { request: IncomingMessage; body: string }) => Answer | Promise<Answer>

function challengeOf(asked: URLSearchParams): string {
  const challenge = asked.get('code_challenge')
  if (!challenge || asked.get('code_challenge_method') !== 'S256') throw new Error('PKCE with S256 is required.')
  return challenge
}

/** @see RFC 6749 §2.3.1: both halves are form-encoded */
function isClient({ headers }: IncomingMessage, { clientId, clientSecret }: HostileProviderOptions): boolean {
  const pair = Buffer.from(headers.authorization?.replace(/^Basic /, '') ?? '', 'base64').toString()
  const [id = '', secret = ''] = pair.split(':').map((part) => new URLSearchParams(`=${part}`).get('') ?? '')
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return id === clientId && timingSafeEqual(digest(secret), digest(clientSecret))
}

function withParameters(address: string, parameters: URLSearchParams): string {
  const url = new URL(address)
  for (const [name, value] of parameters) url.searchParams.append(name, value)
  return url.href
}

/** @see OpenID Connect Core §3.1.3.6; every algorithm here hashes by SHA-256 */
function accessTokenHash(accessToken: string): string {
  return createHash('sha256').update(accessToken).digest().subarray(0, 16).toString('base64url')
}
