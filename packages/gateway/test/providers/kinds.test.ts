import { describe, expect, test } from 'vitest'
import { behindNamed, listed } from '../../src/providers/behind.ts'
import { cognito } from '../../src/providers/cognito.ts'
import { explainCognito } from '../../src/providers/cognito-errors.ts'
import { google } from '../../src/providers/google.ts'
import type { KnownSettings } from '../../src/providers/kind.ts'

const settings = { kind: 'cognito', clientId: 'web', issuer: 'https://pool', domain: 'https://login' } as KnownSettings

describe('cognito', () => {
  test('ID token and access token are told apart by token_use, and clients by client_id', () => {
    const id = { aud: 'web', token_use: 'id' }
    const access = { client_id: 'web', token_use: 'access' }
    expect(() => cognito.checkIdToken?.(id, settings)).not.toThrow()
    expect(() => cognito.checkAccessToken?.(access, settings)).not.toThrow()
    expect(() => cognito.checkIdToken?.({ ...access, aud: 'web' }, settings)).toThrow('token_use of the ID token')
    expect(() => cognito.checkIdToken?.({ aud: 'web' }, settings)).toThrow('token_use of the ID token')
    expect(() => cognito.checkAccessToken?.(id, settings)).toThrow('token_use of the access token')
    expect(() => cognito.checkAccessToken?.({ ...access, client_id: 'other' }, settings)).toThrow('another client')
    expect(() => cognito.checkAccessToken?.({ token_use: 'access', aud: 'web' }, settings)).toThrow('another client')
  })

  test('UserInfo writes booleans as text; other texts stay texts', () => {
    const told = { email_verified: 'true', phone_number_verified: 'false', 'custom:flag': 'true', name: 'true' }
    expect(cognito.userInfo?.(told)).toEqual({ ...told, email_verified: true, phone_number_verified: false })
    expect(cognito.userInfo?.({ email_verified: 'yes' })).toEqual({ email_verified: 'yes' })
  })

  test('what a session shows: a list of groups however it came, and a provider of federated users only', () => {
    const user = { 'cognito:username': 'Okta_ada' }
    const identities = (primary: unknown) => [{ providerName: 'Okta', userId: 'ada', primary }]
    expect(cognito.profile?.(user)).toEqual({ username: 'Okta_ada', groups: [] })
    expect(
      cognito.profile?.({ ...user, identities: identities('true'), 'cognito:groups': '[nonadmin, users]' }),
    ).toEqual({
      username: 'Okta_ada',
      groups: ['nonadmin', 'users'],
      identityProvider: 'Okta',
    })
    expect(cognito.profile?.({ ...user, identities: identities(true) })).toMatchObject({ identityProvider: 'Okta' })
    // A native user to whom an administrator has linked another identity.
    expect(cognito.profile?.({ ...user, identities: identities('false') })).not.toHaveProperty('identityProvider')
    expect(cognito.profile?.({ sub: 'of UserInfo' })).toEqual({})
  })

  test('identity providers by name, by identifier, and by the domain of an address', () => {
    const all = {
      identityProviders: ['Okta', { identifier: 'partner.example' }],
      homeRealms: { 'example.com': 'Okta' },
    }
    expect(listed(all)).toEqual(['Okta', { identifier: 'partner.example' }])
    expect(cognito.behind?.(behindNamed(all, 'Okta') ?? '')).toEqual({ identity_provider: 'Okta' })
    expect(cognito.behind?.(behindNamed(all, 'partner.example') ?? '')).toEqual({ idp_identifier: 'partner.example' })
    expect(behindNamed(all, 'Evil')).toBeUndefined()
    expect(behindNamed(all, 'toString')).toBeUndefined()
  })

  test.each([
    [
      'Okta Error - access_denied User is not assigned to the client application.',
      'Okta did not let this account in. ',
    ],
    ['Okta Error - 503 Service Unavailable', 'Okta can not be reached from the user pool. Try again shortly.'],
    ['Okta Error - Connection to the identity provider failed', 'Okta can not be reached from the user pool.'],
    ['Okta Error - invalid attribute mapping', 'Okta says something of this account that the user pool can not keep.'],
    ['Okta Error - <script>alert(1)</script>', 'Okta did not complete the sign-in. '],
    ['<b>Evil</b> Error - call 555-1234', 'The identity provider did not complete the sign-in. '],
    ['PreSignUp failed with error call 555-1234.', 'The rules of this application do not let this account in. '],
  ])('%s becomes words for a person, none of them the answer’s', (description, expected) => {
    const says = explainCognito({ error: 'invalid_request', description }, ['Okta']) ?? ''
    expect(says).toContain(expected)
    expect(says).not.toMatch(/[<>]|555|Evil/)
  })

  test('other errors are left to the error table', () => {
    expect(explainCognito({ error: 'access_denied', description: '' }, ['Okta'])).toBeUndefined()
  })
})

test('google: accounts of another organization are refused by the ID token, whatever the parameter said', () => {
  const ours = { ...settings, kind: 'google', hostedDomain: 'example.com' } as KnownSettings
  expect(() => google.checkIdToken?.({ hd: 'example.com' }, ours)).not.toThrow()
  expect(() => google.checkIdToken?.({ hd: 'evil.example' }, ours)).toThrow('hd of the ID token')
  expect(() => google.checkIdToken?.({}, ours)).toThrow('hd of the ID token')
  expect(() => google.checkIdToken?.({}, { ...settings, kind: 'google' } as KnownSettings)).not.toThrow()
})
