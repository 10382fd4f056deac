import { elementsOf } from '../protocol/claim-elements.ts'
import { explainCognito } from './cognito-errors.ts'
import { type Claims, type ProviderKind, type Settings, usualScope } from './kind.ts'

/** What ChangePassword, GetUser and their like demand of an access token. */
const accountScope = 'aws.cognito.signin.user.admin'

/**
 * Amazon Cognito user pools. Discovery lies at the issuer, all that browsers and applications use at the *domain*. What it
 * says about PKCE, groups and logout is nothing, and the logout is one of its own.
 */
export const cognito: ProviderKind = {
  settings: {
    userPoolId: true,
    domain: true,
    apiEndpoint: 'optional',
    identityProvider: 'optional',
    identityProviders: 'optional',
    homeRealms: 'optional',
  },
  issuer: ({ userPoolId }) => (userPoolId === undefined ? undefined : `${regional(userPoolId)}/${userPoolId}`),
  issuerExample: 'https://issuer-cognito-idp.REGION.amazonaws.com/POOL, or leave it out',
  // `offline_access` would be `invalid_scope`: a pool gives refresh tokens in any case.
  scope: usualScope,
  publicClient: true,
  // The domain that was configured, not the one that discovery would choose where a pool has two.
  endpoints: ({ domain = '' }) => ({
    authorization_endpoint: `${domain}/oauth2/authorize`,
    token_endpoint: `${domain}/oauth2/token`,
    userinfo_endpoint: `${domain}/oauth2/userInfo`,
    revocation_endpoint: `${domain}/oauth2/revoke`,
    end_session_endpoint: `${domain}/logout`,
  }),
  logout: {
    idTokenHint: false,
    // It refuses post_logout_redirect_uri.
    own: { endpoint: ({ domain = '' }) => `${domain}/logout`, returnTo: 'logout_uri', when: 'always' },
  },
  // A pool does not heed max_age.
  reauthentication: { prompt: 'login' },
  checkIdToken({ token_use }) {
    if (token_use !== 'id') throw new Error('token_use of the ID token is not id')
  },
  checkAccessToken({ token_use, client_id }, { clientId }) {
    if (token_use !== 'access') throw new Error('token_use of the access token is not access')
    // There is no aud: another client's token of the same pool has the same issuer and the same user.
    if (client_id !== clientId) throw new Error('client_id of the access token is another client')
  },
  keepsAttributes: true,
  userInfo: (claims) => ({ ...claims, ...booleans(claims) }),
  onlyInIdToken: (claim) => claim === 'groups' || claim.startsWith('cognito:'),
  profile,
  behind: (name) => (typeof name === 'string' ? { identity_provider: name } : { idp_identifier: name.identifier }),
  ownUsers: 'COGNITO',
  explain: explainCognito,
  account: (settings) => ({ endpoint: apiEndpoint(settings), scope: accountScope }),
}

/** `eu-west-1_Abc` is a pool of eu-west-1. */
function regional(userPoolId: string): string {
  return `https://cognito-idp.${userPoolId.slice(0, userPoolId.indexOf('_'))}.amazonaws.com`
}

function apiEndpoint({ apiEndpoint: written, userPoolId = '' }: Settings): string {
  return written ?? `${regional(userPoolId)}/`
}

/** UserInfo writes them as text. */
function booleans(claims: Claims): Record<string, boolean> {
  const names = ['email_verified', 'phone_number_verified'].filter(
    (name) => claims[name] === 'true' || claims[name] === 'false',
  )
  return Object.fromEntries(names.map((name) => [name, claims[name] === 'true']))
}

/** Nothing where the claims are not those of an ID token: what was known stays. */
function profile(claims: Claims): Record<string, string | readonly string[]> {
  const { 'cognito:username': username, 'cognito:groups': groups, identities } = claims
  if (typeof username !== 'string') return {}
  const identityProvider = primaryOf(identities)
  return { username, groups: elementsOf(groups), ...(identityProvider !== undefined && { identityProvider }) }
}

/** Who the user is at heart. A native user may be linked to others, which makes them no federated one. */
function primaryOf(identities: unknown): string | undefined {
  if (!Array.isArray(identities)) return undefined
  const primary = (identities as readonly unknown[])
    .map((one) => (one ?? {}) as Claims)
    .find(({ primary }) => primary !== false && primary !== 'false')
  return typeof primary?.providerName === 'string' ? primary.providerName : undefined
}
