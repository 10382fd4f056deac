import { type ProviderKind, usualLogout, usualScope } from './kind.ts'

/**
 * Salesforce. `sub` is an address, access tokens are opaque, and their lifetime may stay untold: they are renewed when an
 * upstream refuses them. There is no claim for groups, and no back-channel logout.
 */
export const salesforce: ProviderKind = {
  settings: {},
  issuerExample: 'https://login.salesforce.com, https://test.salesforce.com or https://MYDOMAIN.my.salesforce.com',
  scope: usualScope,
  logout: usualLogout,
}
