import { randomBytes } from 'node:crypto'
import type {
  AdapterFactory,
  ClientMetadata,
  Configuration,
  interactionPolicy as InteractionPolicy,
  JWKS,
  KoaContextWithOIDC,
} from 'oidc-provider'
import { strongFeatures } from './provider-features.ts'
import { errorPage, logoutPage, type Page, signedOutPage } from './provider-pages.ts'
import { claimsOf, claimsOfScopes, type DevelopmentClient, type DevelopmentUser } from './provider-users.ts'

/** Lifetimes in seconds. */
export interface ProviderLifetimes {
  readonly accessToken?: number
  readonly authorizationCode?: number
  readonly idToken?: number
  readonly refreshToken?: number
  readonly session?: number
}

export interface ProviderInput {
  readonly clients: readonly DevelopmentClient[]
  /** Read anew at each sign-in and refresh: a user added or changed later counts at once. */
  readonly users: readonly DevelopmentUser[]
  readonly ttl?: ProviderLifetimes
  /** Audience (an absolute URI) of JWT access tokens. Without it access tokens are opaque. */
  readonly resource?: string
  /** Takes pushed authorization requests (RFC 9126); `required`: and no others. Not offered by default. */
  readonly par?: 'offered' | 'required'
  /** Binds tokens to the client's key (RFC 9449); `nonce`: every proof carries a nonce of ours. Not offered by default. */
  readonly dpop?: 'offered' | 'nonce'
  /** Knows clients by their certificate, and binds their tokens to it (RFC 8705). The server has to ask for one. */
  readonly mtls?: boolean
  /** Holds clients to the FAPI 2.0 Security Profile. */
  readonly fapi2?: boolean
}

export interface ProviderParts {
  readonly storage: AdapterFactory
  readonly jwks: JWKS
  readonly cookieKeys: readonly string[]
  /** Cookies know no ports: two providers on one host must not share names. */
  readonly cookieSuffix: string
  readonly policy: InteractionPolicy.DefaultPolicy
  readonly dpopNonceSecret: Buffer
}

const day = 86_400

/** Where the forms of the sign-in and sign-out pages may lead. */
export function formTargets(clients: readonly DevelopmentClient[]): string[] {
  const uris = clients.flatMap((client) => [...client.redirectUris, ...client.postLogoutRedirectUris])
  return [...new Set(uris.map((uri) => new URL(uri).origin))]
}

/** The whole configuration of oidc-provider: strict where the standards are, friendly where a demo needs it. */
export function providerConfiguration(input: ProviderInput, parts: ProviderParts): Configuration {
  const { ttl = {} } = input
  return {
    adapter: parts.storage,
    jwks: parts.jwks,
    clients: input.clients.map(clientMetadata),
    claims: claimsOfScopes,
    scopes: ['openid', 'offline_access'],
    responseTypes: ['code'],
    // Role mapping reads the ID token, so it carries the claims of the scopes even though UserInfo exists.
    conformIdTokenClaims: false,
    pkce: { required: () => true },
    rotateRefreshToken: true,
    cookies: {
      keys: parts.cookieKeys,
      names: {
        session: `op_session_${parts.cookieSuffix}`,
        interaction: `op_interaction_${parts.cookieSuffix}`,
        resume: `op_resume_${parts.cookieSuffix}`,
      },
    },
    interactions: { policy: parts.policy, url: (_ctx, interaction) => `/interaction/${interaction.uid}` },
    findAccount: async (_ctx, sub) => {
      const user = input.users.find((candidate) => candidate.sub === sub)
      return user && { accountId: sub, claims: async () => claimsOf(user) }
    },
    loadExistingGrant: grantEverything,
    clientBasedCORS: () => false,
    renderError: async (ctx, out) => show(ctx, errorPage({ ...out })),
    features: {
      devInteractions: { enabled: false },
      revocation: { enabled: true, allowedPolicy: async (_ctx, client, token) => token.clientId === client.clientId },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: async (ctx, form) => {
          const confirmed = namesSignedInUser(ctx, input.users)
          show(ctx, logoutPage({ form, confirmed, formTargets: formTargets(input.clients) }))
        },
        postLogoutSuccessSource: async (ctx) => show(ctx, signedOutPage()),
      },
      resourceIndicators: resourceIndicators(input),
      ...strongFeatures(input, parts),
    },
    enabledJWA: { clientAuthSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'] },
    clientAuthMethods: [
      ...(['client_secret_basic', 'client_secret_post', 'private_key_jwt'] as const),
      ...(input.mtls ? (['tls_client_auth', 'self_signed_tls_client_auth'] as const) : []),
    ],
    ttl: {
      AccessToken: ttl.accessToken ?? 600,
      AuthorizationCode: ttl.authorizationCode ?? 60,
      IdToken: ttl.idToken ?? 600,
      RefreshToken: ttl.refreshToken ?? 14 * day,
      Session: ttl.session ?? 14 * day,
      Grant: 14 * day,
      Interaction: 3600,
    },
  }
}

function clientMetadata(client: DevelopmentClient): ClientMetadata {
  return {
    client_id: client.clientId,
    client_secret: client.clientSecret,
    client_name: client.name ?? client.clientId,
    redirect_uris: [...client.redirectUris],
    post_logout_redirect_uris: [...client.postLogoutRedirectUris],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    ...client.metadata,
  }
}

/** Consent is not the subject here: whatever a registered application asks for is granted. */
async function grantEverything(ctx: KoaContextWithOIDC) {
  const { oidc } = ctx
  const { client, session } = oidc
  if (!client || !session?.accountId) return undefined
  const grantId = session.grantIdFor(client.clientId)
  const existing = grantId === undefined ? undefined : await oidc.provider.Grant.find(grantId)
  const grant = existing ?? new oidc.provider.Grant({ clientId: client.clientId, accountId: session.accountId })
  grant.addOIDCScope([...oidc.requestParamScopes].join(' '))
  for (const [resource, server] of Object.entries(oidc.resourceServers ?? {})) {
    grant.addResourceScope(resource, [...server.scopes].join(' '))
  }
  await grant.save()
  return grant
}

/**
 * Sign-out goes ahead without a question when `logout_hint` names the very user who is signed in; another site that
 * merely links to the endpoint can't sign people out unasked.
 */
function namesSignedInUser(ctx: KoaContextWithOIDC, users: readonly DevelopmentUser[]): boolean {
  const hint = ctx.oidc.params?.logout_hint
  const signedIn = users.find((user) => user.sub === ctx.oidc.session?.accountId)
  return signedIn !== undefined && (hint === signedIn.sub || hint === signedIn.email)
}

function resourceIndicators({ resource, ttl = {}, fapi2 = false }: ProviderInput) {
  if (resource === undefined) return { enabled: false }
  return {
    enabled: true,
    defaultResource: async () => resource,
    useGrantedResource: async () => true,
    getResourceServerInfo: async () => ({
      scope: 'api',
      audience: resource,
      accessTokenTTL: ttl.accessToken ?? 600,
      accessTokenFormat: 'jwt' as const,
      ...(fapi2 && { jwt: { sign: { alg: 'ES256' as const } } }),
    }),
  }
}

function show(ctx: KoaContextWithOIDC, page: Page): void {
  ctx.type = 'html'
  ctx.set('content-security-policy', page.csp)
  ctx.set('referrer-policy', 'no-referrer')
  ctx.body = page.html
}

export function newCookieKeys(): string[] {
  return [randomBytes(32).toString('base64url')]
}
