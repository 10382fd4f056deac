import { type ProviderKind, usualScope } from './kind.ts'

/**
 * Okta. Two kinds of authorization servers: of the organization, and custom ones below /oauth2. Refresh tokens rotate with a
 * leeway of 30 s, and reuse ends all access tokens since the sign-in. No back-channel logout, but Universal Logout.
 */
export const okta: ProviderKind = {
  settings: { groupsApi: 'optional' },
  issuerExample: 'https://ORG.okta.com or https://ORG.okta.com/oauth2/ID',
  // The admin console has another host, and it is no issuer.
  issuerProblem: (issuer) =>
    /^https:\/\/[^/]+-admin\.okta(?:preview|-emea)?\.com/.test(issuer)
      ? "is the admin console's host; write the organization's own, without -admin"
      : undefined,
  scope: usualScope,
  // /v1/logout refuses a request without the ID token.
  logout: { idTokenHint: true },
  mostGroups: 100,
  groups: ({ groupsApi, issuer }) =>
    groupsApi && {
      origin: groupsApi.endpoint ?? new URL(issuer).origin,
      path: (sub) => `/api/v1/users/${sub}/groups?limit=200`,
      authorization: (accessToken) =>
        groupsApi.token === undefined ? `Bearer ${accessToken}` : `SSWS ${groupsApi.token}`,
    },
}
