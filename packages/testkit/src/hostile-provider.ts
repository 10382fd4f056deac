import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportJWK, exportSPKI, generateKeyPair } from 'jose'
import { type Answer, json, metadata, problem, redirect, reply } from './answers.ts'
import { closeServer, listen } from './listen.ts'
import { type SigningKeys, signIdToken, type Twists } from './twists.ts'

export type { Twists } from './twists.ts'

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
  readonly issuedTokens: Set<string>
  /** Plays the user: takes the authorization URL, returns the callback URL to which the browser would be sent. */
  authorizeRedirect(authorizationUrl: string): string
  /** Publishes a public key (JWK) beside its own, for tokens that a test makes itself. */
  publish(jwk: object): void
  close(): Promise<void>
}

interface Pending {
  readonly nonce: string | null
  readonly challenge: string
  readonly redirectUri: string
}

/** The subject that it vouches for. */
export const hostileSubject = 'mallory'

/**
 * A small OpenID provider made by hand, every answer of which a test can twist. It is strict where it is asked: PKCE S256,
 * client_secret_basic, the redirect URI and one-time codes are checked.
 */
export async function startHostileProvider(options: HostileProviderOptions): Promise<HostileProvider> {
  const { now = Date.now, issuerHost = 'localhost', clientId } = options
  const keys = await makeKeys(options.clientSecret)
  const jwk = { ...(await exportJWK(keys.own.publicKey)), kid: keys.kid, alg: 'RS256', use: 'sig' }
  const twist: Partial<Twists> = {}
  const published: object[] = [jwk]
  const codes = new Map<string, Pending>()
  const accessTokens = new Set<string>()
  const issuedTokens = new Set<string>()
  const counts = { token: 0, userinfo: 0, jwks: 0, redeemed: 0 }
  let issuer = ''

  const authorizeRedirect = (authorizationUrl: string): string => {
    const { searchParams: asked } = new URL(authorizationUrl)
    const redirectUri = asked.get('redirect_uri') ?? ''
    const back = new URL(redirectUri)
    const state = asked.get('state')
    if (state !== null) back.searchParams.append('state', state)
    if (twist.callbackError) {
      for (const [name, value] of Object.entries(twist.callbackError)) back.searchParams.append(name, value)
    } else {
      const code = randomBytes(24).toString('base64url')
      codes.set(code, { nonce: asked.get('nonce'), challenge: challengeOf(asked), redirectUri })
      back.searchParams.append('code', code)
    }
    const iss = twist.callbackIss === undefined ? issuer : twist.callbackIss
    if (iss !== null) back.searchParams.append('iss', iss)
    for (const [name, value] of twist.callbackExtra ?? []) back.searchParams.append(name, value)
    return back.href
  }

  const token: Handler = async ({ request, body }) => {
    counts.token++
    if (!isClient(request, options)) return problem(401, 'invalid_client')
    const form = new URLSearchParams(body)
    if (form.get('grant_type') === 'refresh_token') return problem(400, 'invalid_grant')
    const pending = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    if (!pending) return problem(400, 'invalid_grant')
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (verifier !== pending.challenge) return problem(400, 'invalid_grant')
    if (form.get('redirect_uri') !== pending.redirectUri) return problem(400, 'invalid_grant')
    counts.redeemed++
    const seconds = Math.floor(now() / 1000)
    const honest = {
      iss: issuer,
      sub: hostileSubject,
      aud: clientId,
      iat: seconds,
      exp: seconds + 300,
      auth_time: seconds,
    }
    const claims = { ...honest, ...(pending.nonce !== null && { nonce: pending.nonce }), ...twist.claims }
    const access_token = randomBytes(24).toString('base64url')
    accessTokens.add(access_token)
    const id_token = twist.noIdToken ? undefined : await signIdToken(JSON.parse(JSON.stringify(claims)), keys, twist)
    for (const issued of [access_token, id_token]) if (issued) issuedTokens.add(issued)
    return json({ access_token, token_type: 'Bearer', expires_in: 300, ...(id_token && { id_token }) })
  }

  const handlers: Readonly<Record<string, Handler>> = {
    '/.well-known/openid-configuration': () =>
      json({ ...metadata(issuer), issuer: twist.discoveryIssuer ?? issuer, ...twist.metadata }),
    '/authorize': ({ request }) => redirect(authorizeRedirect(`${issuer}${request.url}`)),
    '/token': token,
    '/jwks': () => {
      counts.jwks++
      return json({ keys: published })
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
      back.searchParams.set('state', searchParams.get('state') ?? '')
      return redirect(back.href)
    },
  }

  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://provider')
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
    issuedTokens,
    authorizeRedirect,
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

let made: Promise<Omit<SigningKeys, 'clientSecret'>> | undefined

/** RSA keys are slow to make: one pair serves a test file. */
async function makeKeys(clientSecret: string): Promise<SigningKeys> {
  made ??= (async () => {
    const [own, stranger] = await Promise.all([rsa(), rsa()])
    const strangerJwk = { ...(await exportJWK(stranger.publicKey)) }
    return { kid: 'honest-key', own, stranger, strangerJwk, publicPem: await exportSPKI(own.publicKey) }
  })()
  return { ...(await made), clientSecret }
}

const rsa = () => generateKeyPair('RS256', { extractable: true })
