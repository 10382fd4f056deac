import { type ProviderKind, usualLogout } from './kind.ts'

const expected =
  'write the id of the tenant (a GUID): with common, organizations or consumers the users of every tenant could sign in'

/**
 * Microsoft Entra ID. Its endpoints for many tenants publish an issuer with a placeholder in it, and ID tokens of whatever
 * tenant come back: who compares loosely lets the whole world in. So a provider is one tenant, by its id.
 */
export const entra: ProviderKind = {
  settings: { tenant: 'optional' },
  issuer: ({ tenant }) => (tenant === undefined ? undefined : `https://login.microsoftonline.com/${tenant}/v2.0`),
  issuerExample: 'https://login.microsoftonline.com/TENANT-ID/v2.0, or give tenant: TENANT-ID instead',
  // Plain http is loopback only: what plays Entra there has an issuer of its own.
  issuerProblem: (issuer) =>
    /^\/[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\//.test(new URL(issuer).pathname) || /^http:/.test(issuer)
      ? undefined
      : expected,
  // Refresh tokens come for offline_access only, and always.
  scope: 'openid profile email offline_access',
  logout: usualLogout,
}
