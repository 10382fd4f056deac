/** What differs between providers, as data and small functions: a file for each kind. The rest of the house reads it. */

export const kindNames = ['oidc', 'cognito', 'okta', 'salesforce', 'entra', 'keycloak', 'auth0', 'google'] as const
export type KindName = (typeof kindNames)[number]

/** An identity provider behind the provider: its name there, or another that it goes by (`idp_identifier`). */
export type Behind = string | { readonly identifier: string }

/** Settings that only some kinds have. */
export interface KindSettings {
  readonly userPoolId?: string | undefined
  readonly domain?: string | undefined
  readonly apiEndpoint?: string | undefined
  readonly identityProvider?: Behind | undefined
  readonly identityProviders?: readonly Behind[] | undefined
  readonly homeRealms?: Readonly<Record<string, Behind>> | undefined
  readonly tenant?: string | undefined
  readonly hostedDomain?: string | undefined
  readonly audience?: string | undefined
  readonly groupsApi?: { readonly token?: string | undefined; readonly endpoint?: string | undefined } | undefined
}

/** What of a provider's configuration the kinds read. */
export interface Settings extends KindSettings {
  readonly kind: KindName
  readonly clientId: string
}

/** As completed: the issuer is known. */
export interface KnownSettings extends Settings {
  readonly issuer: string
}

export type Claims = Readonly<Record<string, unknown>>
export type Parameters = Readonly<Record<string, string>>

export interface ProviderKind {
  /** Of those that only some kinds have; with `true`, one without which there is no provider. */
  readonly settings: Partial<Readonly<Record<keyof KindSettings, true | 'optional'>>>
  /** The issuer that follows from the settings; undefined where it has to be written. */
  readonly issuer?: (settings: Settings) => string | undefined
  readonly issuerExample: string
  /** What is wrong with an issuer that was written. */
  readonly issuerProblem?: (issuer: string) => string | undefined
  readonly scope: string
  readonly authorizationParams?: (settings: Settings) => Parameters
  /** A client without any proof is allowed: PKCE is all that it has. */
  readonly publicClient?: true
  /** Addresses that go before those of the discovery document. */
  readonly endpoints?: (settings: KnownSettings) => Parameters
  readonly logout: LogoutStyle
  /** Parameters of a step-up, where `max_age` alone is not heeded. */
  readonly reauthentication?: Parameters
  /** @throws Error that says which rule the ID token breaks */
  readonly checkIdToken?: (claims: Claims, settings: KnownSettings) => void
  /** Access tokens are JWTs, signed with the issuer's keys. @throws Error that says which rule the token breaks */
  readonly checkAccessToken?: (claims: Claims, settings: KnownSettings) => void
  /** Attributes mapped from an identity provider keep their last value when it is sent no more. */
  readonly keepsAttributes?: true
  /** What UserInfo says, in the types of the ID token. */
  readonly userInfo?: <Told extends Claims>(claims: Told) => Told
  /** UserInfo has no such claim, so it is not asked for it. */
  readonly onlyInIdToken?: (claim: string) => boolean
  /** What `/auth/session` shows of the user beside the configured claims. */
  readonly profile?: (claims: Claims) => Readonly<Record<string, string | readonly string[]>>
  /** The parameters that lead to an identity provider behind this one. */
  readonly behind?: (name: Behind) => Parameters
  /** By what name of `behind` the provider's own users sign in. */
  readonly ownUsers?: string
  /** A failed sign-in, in words for the person at the window; undefined where there are none of its own. */
  readonly explain?: (answer: { error: string; description: string }, known: readonly string[]) => string | undefined
  /** The API by which users manage their own account. */
  readonly account?: (settings: KnownSettings) => AccountService
  /** A token never lists more groups than this. */
  readonly mostGroups?: number
  /** The API that lists all groups of a user; undefined where the settings want none. */
  readonly groups?: (settings: KnownSettings) => GroupsService | undefined
}

export interface GroupsService {
  readonly origin: string
  /** The first page. */
  readonly path: (sub: string) => string
  readonly authorization: (accessToken: string) => string
}

export interface LogoutStyle {
  /** The provider insists on an ID token, see `logout.idTokenHint`. */
  readonly idTokenHint: boolean
  /** It does not know the standard's parameters, or knows them only where discovery says so. @see RP-Initiated Logout §2 */
  readonly own?: {
    readonly endpoint: (settings: KnownSettings) => string
    /** The parameter that takes the address to return to. */
    readonly returnTo: string
    readonly when: 'always' | 'no-standard'
  }
}

export interface AccountService {
  readonly endpoint: string
  /** That an access token must have been granted. */
  readonly scope: string
}

/** What nobody has reason to deviate from. */
export const usualScope = 'openid profile email'
export const usualLogout: LogoutStyle = { idTokenHint: false }
