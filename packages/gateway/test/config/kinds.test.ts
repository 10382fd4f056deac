import { describe, expect, test } from 'vitest'
import { configOf, corp, problemsOf, route, variant, warningsOf } from './folder.ts'

const { issuer: _, ...bare } = corp
const pool = {
  kind: 'cognito',
  userPoolId: 'eu-west-1_AbCdEf123',
  domain: 'https://login.example.com',
  clientId: 'web',
}
const tenant = '11111111-2222-3333-4444-555555555555'

const withProvider = (provider: object) => variant({ providers: { corp: provider } })
const told = (provider: object) =>
  problemsOf(withProvider(provider)).map((line) => line.replace(/^c\.yaml:\d+: providers\.corp\.?/, ''))
const complete = (provider: object) => configOf(withProvider(provider)).providers.corp

describe('kinds of providers', () => {
  test('cognito needs pool id, domain and client; the rest follows', () => {
    expect(told(pool)).toEqual([])
    expect(complete(pool)).toMatchObject({
      issuer: 'https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123',
      scope: 'openid profile email',
      logout: { idTokenHint: false, revoke: true },
    })
  })

  test('both forms of the issuer: the newer one is written', () => {
    const issuer = 'https://issuer-cognito-idp.eu-west-1.amazonaws.com/eu-west-1_AbCdEf123'
    expect(complete({ ...pool, issuer })?.issuer).toBe(issuer)
  })

  test.each([
    [
      'a pool without id',
      { ...pool, userPoolId: undefined },
      'userPoolId: is missing; write the id of the user pool, ',
    ],
    [
      'an id without region',
      { ...pool, userPoolId: 'AbCdEf123' },
      'userPoolId: write the id of the user pool, such as',
    ],
    ['a pool without domain', { ...pool, domain: undefined }, "domain: is missing; write the user pool's domain, such"],
    ['a domain with a path', { ...pool, domain: 'https://login.example.com/oauth2' }, 'domain: write scheme, host and'],
    [
      'a domain in the clear',
      { ...pool, domain: 'http://login.example.com' },
      'domain: plain http works for localhost',
    ],
    [
      'a domain on loopback, of a pool that is not',
      { ...pool, domain: 'http://localhost:1' },
      'domain: is plain http, and the',
    ],
    ['a domain that is no address', { ...pool, domain: 'login.example.com' }, 'domain: write it like https://login.e'],
    ['an API in the clear', { ...pool, apiEndpoint: 'http://api.example.com/' }, 'apiEndpoint: plain http works for'],
    ['a key of another kind', { ...pool, tenant }, 'tenant: is for kind: entra; remove it'],
    [
      'a key of cognito elsewhere',
      { ...corp, userPoolId: 'eu-west-1_A' },
      'userPoolId: is for kind: cognito; remove it',
    ],
    ['a provider listed twice', { ...pool, identityProviders: ['Okta', 'Okta'] }, 'identityProviders: "Okta" is there'],
    ['no provider in the list', { ...pool, identityProviders: [] }, 'identityProviders: name at least one, or remove'],
    [
      'two that decide',
      { ...pool, identityProvider: 'Okta', homeRealms: { 'example.com': 'Okta' } },
      'homeRealms: identityProvider decides for everybody; remove one of the two',
    ],
    [
      'a parameter beside the key',
      { ...pool, identityProviders: ['Okta'], authorizationParams: { identity_provider: 'Okta' } },
      'authorizationParams.identity_provider: another key says which identity provider; remove it here',
    ],
    [
      'a realm that is an address',
      { ...pool, homeRealms: { 'ada@example.com': 'Okta' } },
      'homeRealms["ada@example.com"]: write the domain',
    ],
    [
      'a realm in capitals',
      { ...pool, homeRealms: { 'Example.com': 'Okta' } },
      'homeRealms["Example.com"]: write the domain',
    ],
    ['okta without issuer', { ...bare, kind: 'okta' }, 'issuer: is missing; write it like https://ORG.okta.com or'],
    [
      'the console of okta',
      { ...bare, kind: 'okta', issuer: 'https://dev-1-admin.okta.com' },
      'issuer: is the admin co',
    ],
    [
      'salesforce without issuer',
      { ...bare, kind: 'salesforce' },
      'issuer: is missing; write it like https://login.sal',
    ],
    ['oidc without issuer', bare, 'issuer: is missing; write it like https://idp.example.com'],
    [
      'auth0 without the slash',
      { ...bare, kind: 'auth0', issuer: 'https://t.eu.auth0.com' },
      'issuer: Auth0 writes its',
    ],
    [
      'keycloak without realm',
      { ...bare, kind: 'keycloak', issuer: 'https://id.example.com' },
      'issuer: a realm is the',
    ],
    [
      'entra without tenant',
      { ...bare, kind: 'entra' },
      'issuer: is missing; write it like https://login.microsoftonline',
    ],
    [
      'a client without any proof',
      { kind: 'okta', issuer: 'https://o.okta.com', clientId: 'w' },
      'clientSecret: is missin',
    ],
  ])('%s is refused with what to write instead', (_name, provider, expected) => {
    expect(told(provider)).toEqual([expect.stringContaining(expected)])
  })

  test.each(['common', 'organizations', 'consumers', '{tenantid}', 'example.onmicrosoft.com'])(
    'entra: %s is the users of every tenant, or a name that is not the issuer; neither is accepted',
    (name) => {
      const issuer = `https://login.microsoftonline.com/${name}/v2.0`
      expect(told({ ...bare, kind: 'entra', issuer })).toEqual([
        expect.stringContaining('issuer: write the id of the te'),
      ])
      expect(told({ ...bare, kind: 'entra', tenant: name })).toEqual([
        expect.stringContaining('tenant: write the id of the tenant'),
      ])
    },
  )

  test('entra: the issuer follows from the tenant, and refresh tokens are asked for', () => {
    expect(complete({ ...bare, kind: 'entra', tenant })).toMatchObject({
      issuer: `https://login.microsoftonline.com/${tenant}/v2.0`,
      scope: 'openid profile email offline_access',
    })
    const issuer = 'https://login.microsoftonline.us/99999999-2222-3333-4444-555555555555/v2.0'
    expect(complete({ ...bare, kind: 'entra', issuer })?.issuer).toBe(issuer)
    expect(told({ ...bare, kind: 'entra', tenant, issuer })).toEqual([
      'tenant: is another tenant than that of issuer; remove one of the two',
    ])
  })

  test('google: issuer and refresh tokens by themselves; what is written goes first', () => {
    expect(complete({ ...bare, kind: 'google', hostedDomain: 'example.com' })).toMatchObject({
      issuer: 'https://accounts.google.com',
      authorizationParams: { access_type: 'offline', hd: 'example.com' },
    })
    const online = { ...bare, kind: 'google', authorizationParams: { access_type: 'online' } }
    expect(complete(online)?.authorizationParams).toEqual({ access_type: 'online' })
  })

  test('auth0: the audience goes with the request', () => {
    const provider = { ...bare, kind: 'auth0', issuer: 'https://t.eu.auth0.com/', audience: 'https://api.example.com' }
    expect(complete(provider)?.authorizationParams).toEqual({ audience: 'https://api.example.com' })
  })

  test('okta insists on an ID token at sign-out, unless the operator says otherwise', () => {
    const provider = { ...bare, kind: 'okta', issuer: 'https://o.okta.com' }
    expect(complete(provider)?.logout.idTokenHint).toBe(true)
    expect(complete({ ...provider, logout: { idTokenHint: false } })?.logout.idTokenHint).toBe(false)
    expect(complete(corp)?.logout.idTokenHint).toBe(false)
  })

  test('check warns where the scope for passwords, attributes and sign-out everywhere is missing', () => {
    const warnings = (provider: object) => warningsOf(withProvider({ ...provider }))
    expect(warnings(pool)).toEqual([
      expect.stringMatching(/providers\.corp\.scope: lacks aws\.cognito\.signin\.user\.admin: .*; write scope: openid/),
    ])
    expect(warnings({ ...pool, scope: 'openid aws.cognito.signin.user.admin' })).toEqual([])
    expect(warnings(corp)).toEqual([])
  })

  test('check warns of a role rule on an attribute that a pool keeps when the identity provider sends it no more', () => {
    const roles = (claim: string) => [{ claim, equals: 'admin', grant: ['admin'] }]
    const text = (claim: string) =>
      variant({
        providers: { corp: { ...pool, scope: 'openid aws.cognito.signin.user.admin' } },
        roles: roles(claim),
        routes: [route({ access: { roles: ['admin'] } })],
      })
    expect(warningsOf(text('custom:groups'))).toEqual([expect.stringContaining('roles[0].claim: a user pool keeps ')])
    expect(warningsOf(text('cognito:groups'))).toEqual([])
  })
})
