/** Someone who can sign in at the development provider. */
export interface DevelopmentUser {
  readonly sub: string
  readonly name: string
  readonly email: string
  readonly groups: readonly string[]
  readonly picture?: string
  /** Asked for at sign-in; without it, one click signs the user in. */
  readonly password?: string
  /** Claims that are left out of what is told of this user, as providers do when they have nothing to tell. */
  readonly withheld?: readonly string[]
}

/** An application that is registered at the development provider. */
export interface DevelopmentClient {
  readonly clientId: string
  readonly clientSecret: string
  /** Shown on the sign-in page; the client id if absent. */
  readonly name?: string
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris: readonly string[]
  /** Further metadata as RFC 7591 names it, over what is registered otherwise: another way to authenticate, keys. */
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** Which claims each scope releases, in the ID token and from UserInfo alike. */
export const claimsOfScopes = {
  openid: ['sub'],
  profile: ['name', 'preferred_username', 'picture', 'groups'],
  email: ['email', 'email_verified'],
  groups: ['groups'],
} as const

/** All that the provider knows of a user; oidc-provider filters it by scope. */
export function claimsOf(user: DevelopmentUser): { sub: string; [claim: string]: unknown } {
  const claims = {
    sub: user.sub,
    name: user.name,
    preferred_username: user.sub,
    ...(user.picture === undefined ? {} : { picture: user.picture }),
    groups: [...user.groups],
    email: user.email,
    email_verified: true,
  }
  const told = Object.entries(claims).filter(([name]) => !user.withheld?.includes(name))
  return { ...Object.fromEntries(told), sub: user.sub }
}
