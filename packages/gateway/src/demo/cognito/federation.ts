import { createHash, randomBytes } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import type { PoolIdentityProvider } from './pool-settings.ts'

/** The identity provider refused, or answered what the pool can't use. The message starts with its name, as Cognito's does. */
export class FederationError extends Error {
  constructor({ name }: PoolIdentityProvider, detail: string) {
    super(`${name} Error - ${detail}`)
  }
}

interface Metadata {
  readonly issuer: string
  readonly authorization_endpoint: string
  readonly token_endpoint: string
  readonly userinfo_endpoint?: string
  readonly jwks_uri: string
}

/** What the pool remembers of a sign-in while the browser is at the identity provider. */
export interface UpstreamLogin {
  readonly state: string
  readonly nonce: string
  readonly verifier: string
}

export interface Federation {
  begin(
    provider: PoolIdentityProvider,
    hints: Readonly<Record<string, string>>,
  ): Promise<UpstreamLogin & { url: string }>
  /** The user's claims: of the ID token, and of UserInfo over them. */
  finish(
    provider: PoolIdentityProvider,
    login: UpstreamLogin,
    answer: URLSearchParams,
  ): Promise<Record<string, unknown>>
}

const random = () => randomBytes(32).toString('base64url')

/** The pool as a client of other OpenID providers: authorization code, client_secret_post, as the real pool does it. */
export function createFederation({ redirectUri, now }: { redirectUri: string; now: () => number }): Federation {
  async function metadataOf(provider: PoolIdentityProvider): Promise<Metadata> {
    return (await ask(provider, `${provider.issuer}/.well-known/openid-configuration`)) as unknown as Metadata
  }

  return {
    async begin(provider, hints) {
      const { authorization_endpoint } = await metadataOf(provider)
      const login = { state: random(), nonce: random(), verifier: random() }
      const url = new URL(authorization_endpoint)
      const parameters = {
        client_id: provider.clientId,
        redirect_uri: redirectUri,
        response_type: 'code',
        scope: provider.scope,
        state: login.state,
        nonce: login.nonce,
        code_challenge: createHash('sha256').update(login.verifier).digest('base64url'),
        code_challenge_method: 'S256',
        ...hints,
      }
      for (const [name, value] of Object.entries(parameters)) url.searchParams.set(name, value)
      return { ...login, url: url.href }
    },

    async finish(provider, login, answer) {
      const refused = answer.get('error')
      if (refused !== null) {
        throw new FederationError(provider, [refused, answer.get('error_description')].filter(Boolean).join(' '))
      }
      const metadata = await metadataOf(provider)
      const tokens = await ask(provider, metadata.token_endpoint, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'authorization_code',
          code: answer.get('code') ?? '',
          redirect_uri: redirectUri,
          client_id: provider.clientId,
          client_secret: provider.clientSecret,
          code_verifier: login.verifier,
        }),
      })
      const keys = createRemoteJWKSet(new URL(metadata.jwks_uri))
      const { payload } = await jwtVerify(String(tokens.id_token), keys, {
        issuer: metadata.issuer,
        audience: provider.clientId,
        currentDate: new Date(now()),
        clockTolerance: 5,
      }).catch((error: Error) => {
        throw new FederationError(provider, `Bad id_token: ${error.message}`)
      })
      if (payload.nonce !== login.nonce) throw new FederationError(provider, 'Bad id_token: nonce')
      const { userinfo_endpoint } = metadata
      if (userinfo_endpoint === undefined) return payload
      const headers = { authorization: `Bearer ${tokens.access_token}` }
      const info = await ask(provider, userinfo_endpoint, { headers })
      // OpenID Connect Core §5.3.2: an answer about someone else is not used.
      if (info.sub !== payload.sub) throw new FederationError(provider, 'UserInfo is of another user')
      return { ...payload, ...info }
    },
  }
}

async function ask(
  provider: PoolIdentityProvider,
  url: string,
  init: RequestInit = {},
): Promise<Record<string, unknown>> {
  let response: Response
  try {
    response = await fetch(url, { ...init, signal: AbortSignal.timeout(5000) })
  } catch {
    throw new FederationError(provider, 'Connection to the identity provider failed')
  }
  const body = (await response.json().catch(() => ({}))) as Record<string, unknown>
  if (response.ok) return body
  const words = [response.status, response.statusText, body.error, body.error_description]
  throw new FederationError(provider, words.filter(Boolean).join(' '))
}
