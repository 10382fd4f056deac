import { describe, expect, test } from 'vitest'
import { complaints, configOf, corp, variant, warningsOf } from './folder.ts'

const partner = { ...corp, issuer: 'https://partner.example.com' }
const providers = { corp, partner }
const rule = { providers: ['corp', 'partner'], by: 'verified-email' }
const written = (keys: object, others: object = {}) => ({
  providers,
  defaultProvider: 'corp',
  identity: keys,
  ...others,
})
const wrong = (keys: object, others?: object) => complaints(written(keys, others))
const warned = (keys: object, others?: object) => warningsOf(variant(written(keys, others)))

describe('identity', () => {
  test('nothing need be written, and then nobody is linked', () => {
    expect(configOf(variant({})).identity).toEqual({ claims: [], link: [] })
    expect(wrong({ claims: ['department'], link: [{ ...rule, domains: ['example.com'] }] })).toEqual([])
  })

  test.each([
    [{ ...rule, by: 'email' }, 'identity.link[0].by: write by: verified-email; an address that the provider did not'],
    [{ providers: rule.providers }, 'identity.link[0].by: is missing; write by: verified-email; an address'],
    [{ ...rule, providers: ['corp'] }, 'identity.link[0].providers: name at least two providers'],
    [{ ...rule, providers: ['corp', 'x'] }, 'identity.link[0].providers[1]: there is no provider x; write corp or'],
    [{ ...rule, providers: ['corp', 'corp'] }, 'identity.link[0].providers[1]: corp is there twice; remove one'],
    [{ ...rule, domains: [] }, 'identity.link[0].domains: name at least one, or remove the key'],
    [{ ...rule, domains: ['Example.com'] }, 'identity.link[0].domains[0]: write the domain of e-mail addresses in'],
    [{ ...rule, verified: false }, 'identity.link[0].verified: unknown key; known here: '],
  ])('%j', (link, complaint) => {
    const [first, ...more] = wrong({ link: [link] })
    expect(first?.startsWith(complaint), first).toBe(true)
    expect(more).toEqual([])
  })

  test('a provider whose users can not be linked is warned of', () => {
    expect(warned({ link: [rule] })).toEqual([])
    const silent = { ...partner, scope: 'openid profile' }
    expect(warned({ link: [rule] }, { providers: { corp, partner: silent } })).toEqual([
      expect.stringContaining('identity.link[0].providers[1]: partner is not asked for addresses'),
    ])
    const { issuer: _, ...entra } = { ...corp, kind: 'entra', tenant: '11111111-2222-3333-4444-555555555555' }
    expect(warned({ link: [rule] }, { providers: { corp, partner: entra } })).toEqual([
      expect.stringContaining('partner does not tell whether an address is verified'),
    ])
  })
})

describe('groupsApi', () => {
  const okta = { ...corp, kind: 'okta', issuer: 'https://example.okta.com' }
  const told = (provider: object) => complaints({ providers: { corp: provider } })
  const token = { env: 'CLIENT_SECRET' }

  test.each([
    [{ ...okta, groupsApi: { token } }, undefined],
    [{ ...okta, groupsApi: {}, scope: 'openid okta.users.read' }, undefined],
    [{ ...okta, groupsApi: { token }, issuer: 'https://example.okta.com/oauth2/default' }, undefined],
    [{ ...okta, groupsApi: {} }, 'providers.corp.groupsApi: needs a token, or okta.users.read in scope'],
    [
      { ...okta, groupsApi: {}, scope: 'openid okta.users.read', issuer: 'https://example.okta.com/oauth2/default' },
      'providers.corp.groupsApi: needs a token: Okta’s API takes no access tokens of a custom authorization server',
    ],
    [{ ...corp, groupsApi: { token } }, 'providers.corp.groupsApi: is for kind: okta; remove it'],
    [{ ...okta, groupsApi: { token: '00abc' } }, 'providers.corp.groupsApi.token: a secret does not stand in this'],
    [
      { ...okta, groupsApi: { token, endpoint: 'http://api.example.com' } },
      'providers.corp.groupsApi.endpoint: plain http works for localhost',
    ],
  ])('%j', (provider, complaint) => {
    const [first, ...more] = told(provider)
    expect(complaint === undefined ? first === undefined : first?.startsWith(complaint), first).toBe(true)
    expect(more).toEqual([])
  })

  test('a rule that grants for the lack of a group is warned of where the list may be cut', () => {
    const roles = [{ claim: 'groups', notEqual: 'contractors', grant: ['member'] }]
    expect(warningsOf(variant({ providers: { corp: okta }, roles }))).toEqual([
      expect.stringContaining('roles[0].notEqual: the groups of corp may be cut to 100'),
    ])
    expect(warningsOf(variant({ providers: { corp: { ...okta, groupsApi: { token } } }, roles }))).toEqual([])
  })
})
