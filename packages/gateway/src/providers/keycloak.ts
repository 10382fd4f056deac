import { type ProviderKind, usualLogout, usualScope } from './kind.ts'

/** Keycloak. Refresh tokens come without `offline_access`, which asks for sessions that outlive the one of the user. */
export const keycloak: ProviderKind = {
  settings: {},
  issuerExample: 'https://HOST/realms/REALM',
  issuerProblem: (issuer) =>
    /\/realms\/[^/]+$/.test(issuer) ? undefined : 'a realm is the issuer: write it like https://HOST/realms/REALM',
  scope: usualScope,
  logout: usualLogout,
}
