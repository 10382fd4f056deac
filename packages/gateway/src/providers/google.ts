import { type ProviderKind, usualLogout, usualScope } from './kind.ts'

/** Google. Refresh tokens come by `access_type`, not by a scope, and there is no sign-out by redirect. */
export const google: ProviderKind = {
  settings: { hostedDomain: 'optional' },
  issuer: () => 'https://accounts.google.com',
  issuerExample: 'https://accounts.google.com, or leave it out',
  scope: usualScope,
  authorizationParams: ({ hostedDomain }) => ({
    access_type: 'offline',
    ...(hostedDomain !== undefined && { hd: hostedDomain }),
  }),
  logout: usualLogout,
  checkIdToken({ hd }, { hostedDomain }) {
    // The parameter only sorts the page that Google shows; anybody can take it out of the address.
    if (hostedDomain !== undefined && hd !== hostedDomain) throw new Error('hd of the ID token is another organization')
  },
}
