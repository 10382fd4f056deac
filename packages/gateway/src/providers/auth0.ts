import { type ProviderKind, usualScope } from './kind.ts'

/** Auth0. Without an audience access tokens are opaque, and good for UserInfo only. */
export const auth0: ProviderKind = {
  settings: { audience: 'optional' },
  issuerExample: 'https://TENANT.eu.auth0.com/',
  issuerProblem: (issuer) =>
    issuer.endsWith('/') ? undefined : `Auth0 writes its issuer with a slash at the end: ${issuer}/`,
  scope: usualScope,
  authorizationParams: ({ audience }) => (audience === undefined ? {} : { audience }),
  logout: {
    idTokenHint: false,
    // Tenants that don't announce the standard's endpoint have this one.
    own: { endpoint: ({ issuer }) => `${issuer}v2/logout`, returnTo: 'returnTo', when: 'no-standard' },
  },
}
