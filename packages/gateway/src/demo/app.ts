import type { IncomingMessage, RequestListener } from 'node:http'
import { fileURLToPath } from 'node:url'
import sirv from 'sirv'
import type { DevelopmentClient } from './provider-users.ts'

/** The files of the sample app, which the gateway serves. */
export const appFolder = fileURLToPath(new URL('../../demo/app', import.meta.url))
const beforeFolder = fileURLToPath(new URL('../../demo/before', import.meta.url))

/** Of the sample app, the "before" page uses the very same attacker's script, and its looks. */
const shared = /^\/(attacker\/[\w-]+\.js|base\.css|attacker\.css|ui\.js|icon\.svg)$/

export interface BeforePageOptions {
  /** Its own origin. */
  readonly origin: string
  /** The origin of the app behind Coatcheck, which frames this page. */
  readonly demo: string
  readonly issuer: string
  readonly clientId: string
  /** Called with the token itself, as such pages do. */
  readonly api: RequestListener
}

/** The page to compare with: a public client that keeps its tokens in localStorage. It has an origin of its own. */
export function createBeforePage({ origin, demo, issuer, clientId, api }: BeforePageOptions): RequestListener {
  const options = { dev: true, etag: true, single: false } as const
  const own = sirv(beforeFolder, options)
  const common = sirv(appFolder, options)
  const config = JSON.stringify({ issuer, clientId, redirectUri: `${origin}/callback`, demo })
  const csp = `default-src 'self'; connect-src 'self' ${issuer}; frame-src 'self' ${issuer}; frame-ancestors ${demo} ${origin}`

  return (request, response) => {
    const [path = '/', query] = (request.url ?? '/').split('?', 2)
    if (path.startsWith('/api/')) {
      request.url = request.url?.slice('/api'.length)
      return api(request, response)
    }
    response.setHeader('content-security-policy', csp)
    response.setHeader('cache-control', 'no-store')
    response.setHeader('x-content-type-options', 'nosniff')
    if (path === '/config.json') {
      response.setHeader('content-type', 'application/json')
      return response.end(config)
    }
    if (path === '/callback') request.url = `/?${query ?? ''}`
    const files = shared.test(path) ? common : own
    files(request, response, () => {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('Not found')
    })
  }
}

interface PublicClientOptions {
  readonly client: DevelopmentClient
  /** The origin of its page. */
  readonly origin: string
}

/**
 * Makes a client of the development provider public: its page may call the provider from the browser (CORS), and needs
 * no secret, because this adds it. PKCE holds as before.
 */
export function asPublicClient({ client, origin }: PublicClientOptions) {
  const credentials = `Basic ${Buffer.from(`${client.clientId}:${client.clientSecret}`).toString('base64')}`
  return (provider: RequestListener): RequestListener =>
    (request, response) => {
      if (request.headers.origin !== origin || !isPublicPath(request)) return provider(request, response)
      response.setHeader('access-control-allow-origin', origin)
      response.setHeader('vary', 'Origin')
      if (request.method === 'OPTIONS') return response.writeHead(204, { 'access-control-allow-headers': '*' }).end()
      if (request.method === 'POST') request.headers.authorization = credentials
      provider(request, response)
    }
}

function isPublicPath({ url }: IncomingMessage): boolean {
  return url === '/token' || url?.startsWith('/.well-known/') === true
}
