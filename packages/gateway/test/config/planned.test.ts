import { expect, test } from 'vitest'
import { complaints, configOf, corp, route, variant } from './folder.ts'

const remove = 'is planned, but not in this version; remove it'
const value = 'this value is planned, but not in this version; write'

test.each([
  ['watch', { watch: { audit: { file: 'a' } } }, remove],
  ['signals', { signals: {} }, remove],
  ...['perUser', 'binding'].map((key) => [`session.${key}`, { session: { [key]: '1m' } }, remove] as const),
  ...[
    'par',
    'dpop',
    'clientKey',
    'userPoolId',
    'domain',
    'apiEndpoint',
    'identityProvider',
    'identityProviders',
    'identityPool',
  ].map((key) => [`providers.corp.${key}`, { providers: { corp: { ...corp, [key]: 'x' } } }, remove] as const),
  ['providers.corp.logout.typ', { providers: { corp: { ...corp, logout: { typ: 'lax' } } } }, remove],
  ['routes[0].origins', { routes: [route({ origins: [] })] }, remove],
  ['workers', { workers: 4 }, `${value} 1`],
  ['workers', { workers: 'auto' }, `${value} 1`],
  ['providers.aws.kind', { providers: { aws: { kind: 'cognito', clientId: 'x' } } }, `${value} oidc`],
  ['store.kind', { store: { kind: 'redis', url: 'redis://:hunter2@x' } }, `${value} lmdb or memory`],
  ['routes[0].csrf', { routes: [route({ csrf: 'token' })] }, `${value} header`],
  [
    'routes[0].credential',
    { routes: [route({ credential: { mint: { audience: 'x' } } })] },
    `${value} none, access-token or id-token`,
  ],
  ['routes[0].upstream', { routes: [route({ upstream: 'ws://127.0.0.1:3000' })] }, `${value} an http address`],
] as const)('%s is refused in words of its own, and only once', (path, sections, message) => {
  expect(complaints(sections)).toEqual([`${path}: ${message}`])
})

test('one worker is what there is', () => {
  expect(configOf(variant({ workers: 1 })).workers).toBe(1)
  expect(complaints({ workers: 0 })).toEqual(['workers: write 1'])
})
