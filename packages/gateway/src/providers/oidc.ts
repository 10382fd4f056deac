import { type ProviderKind, usualLogout, usualScope } from './kind.ts'

/** Any provider that keeps to the standards. */
export const oidc: ProviderKind = {
  settings: {},
  issuerExample: 'https://idp.example.com',
  scope: usualScope,
  logout: usualLogout,
}
