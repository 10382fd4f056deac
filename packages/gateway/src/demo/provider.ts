import { randomBytes } from 'node:crypto'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { TlsOptions } from 'node:tls'
import { exportJWK, generateKeyPair } from 'jose'
import type { JWKS, default as Provider } from 'oidc-provider'
import { listen } from './listen.ts'
import { formTargets, newCookieKeys, type ProviderInput, providerConfiguration } from './provider-config.ts'
import { handleInteraction, interactionPath } from './provider-login.ts'
import { createProviderStorage } from './provider-storage.ts'

export interface DevelopmentProviderOptions extends ProviderInput {
  /** The host in the issuer. It listens on loopback only. Take another than the application's, to have two sites. */
  readonly issuerHost?: '127.0.0.1' | 'localhost'
  /** The name of the provider that it stands for, for its sign-in page. */
  readonly plays?: string
  /** 0, the default: any free port. */
  readonly port?: number
  /** PEM certificate and key, and whether clients are asked for theirs; without them plain HTTP. */
  readonly tls?: TlsOptions & { readonly cert: string; readonly key: string }
  /** Private signing keys; freshly made if absent. The first is used, all are published. */
  readonly jwks?: JWKS
  /** Told of each oidc-provider instance before it serves: adds what it doesn't have, such as grants. */
  readonly extend?: (provider: Provider) => void
  /** Wraps the whole server: tests count, delay and twist what passes. */
  readonly around?: (handler: RequestListener) => RequestListener
}

export interface DevelopmentProvider extends AsyncDisposable {
  readonly issuer: string
  readonly server: Server
  /** The oidc-provider instance that answers now: another one after `useKeys`. */
  readonly provider: Provider
  /** Signs with other keys from now on; sessions, codes and tokens stay. */
  useKeys(jwks: JWKS): void
  close(): Promise<void>
}

/**
 * A real OpenID provider in this process, for demos and tests: Authorization Code with PKCE, rotating refresh tokens,
 * UserInfo, revocation and RP-initiated logout, with a page that offers sample users. Nothing is kept on disk.
 */
export async function startDevelopmentProvider(options: DevelopmentProviderOptions): Promise<DevelopmentProvider> {
  const { default: ProviderClass, interactionPolicy } = await loadOidcProvider()
  const firstKeys = options.jwks ?? { keys: [await newSigningKey()] }

  let handler: RequestListener = (_request, response) => response.writeHead(503).end()
  const listener: RequestListener = (request, response) => handler(request, response)
  const wrapped = options.around?.(listener) ?? listener
  const server = options.tls ? createTlsServer(options.tls, wrapped) : createServer(wrapped)
  const port = await listen(server, options.port ?? 0)
  const issuer = `${options.tls ? 'https' : 'http'}://${options.issuerHost ?? '127.0.0.1'}:${port}`

  const lasting = {
    storage: createProviderStorage(),
    cookieKeys: newCookieKeys(),
    cookieSuffix: String(port),
    dpopNonceSecret: randomBytes(32),
  }
  const { users, clients, plays } = options
  const loginOptions = { users, formTargets: formTargets(clients), ...(plays !== undefined && { plays }) }

  function assemble(jwks: JWKS): Provider {
    const policy = interactionPolicy.base()
    // Consent is granted without a page, also when `prompt=consent` (which offline_access requires) asks for one.
    policy.get('consent')?.checks.clear()
    const made = new ProviderClass(issuer, providerConfiguration(options, { ...lasting, jwks, policy }))
    made.use(allowOfflineAccess)
    options.extend?.(made)
    const answer = made.callback()
    handler = (request, response) => {
      if (!request.url?.startsWith(interactionPath)) return answer(request, response)
      return handleInteraction(made, { request, response }, loginOptions)
    }
    return made
  }

  let provider = assemble(firstKeys)
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      server.closeAllConnections()
    })
  return {
    issuer,
    server,
    get provider() {
      return provider
    },
    useKeys(jwks) {
      provider = assemble(jwks)
    },
    close,
    [Symbol.asyncDispose]: close,
  }
}

type Middleware = Parameters<Provider['use']>[0]

/**
 * oidc-provider drops `offline_access` unless the request says `prompt=consent`, as OpenID Connect Core §11 asks.
 * Most providers in use grant it by the application's settings instead; so does this one.
 */
const allowOfflineAccess: Middleware = (ctx, next) => {
  const { scope, prompt } = ctx.query
  const asks = typeof scope === 'string' && scope.split(' ').includes('offline_access')
  const prompts = typeof prompt === 'string' ? prompt.split(' ') : []
  if (asks && !Array.isArray(prompt) && !prompts.includes('none') && !prompts.includes('consent')) {
    ctx.query = { ...ctx.query, prompt: [...prompts, 'consent'].join(' ') }
  }
  return next()
}

/** A private key; for RS256, which is what most providers sign with. */
export async function newSigningKey(alg: 'RS256' | 'ES256' = 'RS256'): Promise<JWKS['keys'][number]> {
  const { privateKey } = await generateKeyPair(alg, { extractable: true })
  const jwk = await exportJWK(privateKey)
  return { ...jwk, alg, use: 'sig', kid: crypto.randomUUID() } as JWKS['keys'][number]
}

/** oidc-provider is optional, and prints at load time that it would rather have Node 22: that one line is dropped. */
async function loadOidcProvider(): Promise<typeof import('oidc-provider')> {
  const warn = console.warn
  console.warn = (...args: unknown[]) => {
    if (!String(args[0]).includes('oidc-provider WARNING: Unsupported runtime')) warn(...args)
  }
  try {
    return await import('oidc-provider')
  } finally {
    console.warn = warn
  }
}
