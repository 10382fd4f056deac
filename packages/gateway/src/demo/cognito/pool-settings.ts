/** A group of the user pool. */
export interface PoolGroup {
  readonly name: string
  /** The lowest wins `cognito:preferred_role`; none: after all others. */
  readonly precedence?: number
  readonly roleArn?: string
}

/** An application that is registered at the user pool. */
export interface PoolClient {
  readonly clientId: string
  /** Two may be live while a secret is changed. None: a public client. */
  readonly clientSecrets: readonly string[]
  readonly redirectUris: readonly string[]
  readonly logoutUris: readonly string[]
  readonly scopes: readonly string[]
  /** Names; `COGNITO` for the pool's own users. */
  readonly identityProviders: readonly string[]
  /** Refresh tokens are replaced at each use; the old one works for so many seconds (0–60) more. */
  readonly rotation?: { readonly graceSeconds: number }
}

/** An OpenID provider to which the pool federates. */
export interface PoolIdentityProvider {
  readonly name: string
  readonly issuer: string
  readonly clientId: string
  readonly clientSecret: string
  readonly scope: string
  /** Other names by which `idp_identifier` picks it: domains of e-mail addresses. */
  readonly identifiers?: readonly string[]
  /** The pool's attribute → the provider's claim. */
  readonly attributeMap: Readonly<Record<string, string>>
}

export interface PoolIdentity {
  readonly userId: string
  readonly providerName: string
  readonly issuer: string
  readonly dateCreated: number
}

export interface PoolUser {
  /** As tokens carry it; of a federated user `<IdP>_<sub>`. */
  readonly username: string
  /** The pool's own, a UUID. */
  readonly sub: string
  /** Native users only. */
  password?: string | undefined
  /** All strings, as the pool keeps them. */
  readonly attributes: Map<string, string>
  readonly groups: Set<string>
  readonly identity?: PoolIdentity | undefined
  enabled: boolean
}

/** Lifetimes in seconds. */
export interface PoolLifetimes {
  readonly accessToken: number
  readonly idToken: number
  readonly refreshToken: number
  readonly code: number
  /** Of the managed login's cookie. */
  readonly cookie: number
}

export const defaultLifetimes: PoolLifetimes = {
  accessToken: 3600,
  idToken: 3600,
  refreshToken: 30 * 86_400,
  code: 300,
  cookie: 3600,
}
