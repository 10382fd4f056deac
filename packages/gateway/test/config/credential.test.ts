import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { decidingClaims } from '../../src/access/attributes.ts'
import { complaints, configOf, problemsOf, route, variant } from './folder.ts'

const withCredential = (credential: unknown) => ({ routes: [route({ credential })] })
const credentialOf = (credential: unknown, files: Record<string, string> = {}) =>
  configOf(variant(withCredential(credential)), files).routes[0]?.credential

test('PX7 exchange and mint, with what they leave out', () => {
  expect(credentialOf({ exchange: { audience: 'orders' } })).toEqual({
    kind: 'exchange',
    exchange: { audience: 'orders' },
  })
  expect(credentialOf({ exchange: { resource: 'urn:orders', scope: 'read write' } })).toEqual({
    kind: 'exchange',
    exchange: { resource: 'urn:orders', scope: 'read write' },
  })
  expect(credentialOf({ mint: { audience: 'https://orders.example.com' } })).toEqual({
    kind: 'mint',
    mint: { audience: 'https://orders.example.com', ttl: 60_000, claims: ['roles'] },
  })
})

test.each([
  [{ exchange: {} }, 'credential.exchange.audience: is missing; write audience, resource, or both'],
  [
    { exchange: { audience: 'a b' } },
    'credential.exchange.audience: write the name of the API, such as https://orders.example.com or orders',
  ],
  [
    { exchange: { resource: '/orders' } },
    'credential.exchange.resource: write an absolute URI without #, such as https://orders.example.com/',
  ],
  [
    { exchange: { resource: 'https://a.test/#x' } },
    'credential.exchange.resource: write an absolute URI without #, such as https://orders.example.com/',
  ],
  [{ exchange: { audience: 'a', scope: 'a  b' } }, 'credential.exchange.scope: write scopes with one space between'],
  [
    { exchange: { audience: 'a', ttl: '60s' } },
    'credential.exchange.ttl: unknown key; known here: audience, resource, scope',
  ],
  [
    { mint: {} },
    'credential.mint.audience: is missing; write the name of the API, such as https://orders.example.com or orders',
  ],
  [
    { mint: { audience: '' } },
    'credential.mint.audience: write the name of the API, such as https://orders.example.com or orders',
  ],
  [{ mint: { audience: 'a', ttl: '5s' } }, 'credential.mint.ttl: is too little; write at least 10s'],
  [{ mint: { audience: 'a', ttl: '16m' } }, 'credential.mint.ttl: is too much; write at most 15m'],
  [{ mint: { audience: 'a', claims: ['email'] } }, 'credential.mint.claims[0]: write roles, groups or scope'],
  [
    { mint: { audience: 'a', encryptTo: { file: 'none.jwk' } } },
    'credential.mint.encryptTo.file: the file none.jwk cannot be read: no such file',
  ],
  [
    { exchange: { audience: 'a' }, mint: { audience: 'a' } },
    'credential.mint: a token is made in one way; remove exchange or mint',
  ],
  [
    {},
    'credential: write none, access-token, id-token, { exchange: { audience: … } }, { mint: { audience: … } } or { aws: { service: …, region: … } }',
  ],
  [
    null,
    'credential: is empty; write none, access-token, id-token, { exchange: { audience: … } }, { mint: { audience: … } } or { aws: { service: …, region: … } }',
  ],
  [{ mnit: { audience: 'a' } }, 'credential.mnit: unknown key; did you mean mint?'],
  [
    'bearer',
    'credential: write none, access-token, id-token, { exchange: { audience: … } }, { mint: { audience: … } } or { aws: { service: …, region: … } }',
  ],
])('PX7 %j is refused: %s', (credential, message) => {
  expect(complaints(withCredential(credential))).toEqual([`routes[0].${message}`])
})

test.each([{ exchange: { audience: 'a' } }, { mint: { audience: 'a' } }])('PX7 %j needs a user', (credential) => {
  expect(complaints({ routes: [route({ credential, access: 'public' })] })).toEqual([
    expect.stringContaining('access: public has no user whose token could be sent'),
  ])
})

const publicJwk = (pair: { publicKey: { export(options: { format: 'jwk' }): object } }) =>
  pair.publicKey.export({ format: 'jwk' })
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })

test('PX7 encryptTo: the algorithm follows from the key', () => {
  const rows: [object, string][] = [
    [publicJwk(ec), 'ECDH-ES+A256KW'],
    [publicJwk(generateKeyPairSync('ec', { namedCurve: 'P-521' })), 'ECDH-ES+A256KW'],
    [publicJwk(generateKeyPairSync('x25519')), 'ECDH-ES+A256KW'],
    [
      { ...publicJwk(generateKeyPairSync('rsa', { modulusLength: 2048 })), use: 'enc', alg: 'RSA-OAEP-256', kid: 'k' },
      'RSA-OAEP-256',
    ],
  ]
  for (const [jwk, algorithm] of rows) {
    const credential = { mint: { audience: 'a', encryptTo: { file: 'a.jwk' } } }
    expect(credentialOf(credential, { 'a.jwk': JSON.stringify(jwk) })).toMatchObject({
      mint: { encryptTo: { algorithm } },
    })
  }
})

test.each([
  ['{', 'is not JSON'],
  ['7', 'is not a JWK'],
  [JSON.stringify({ keys: [] }), 'holds a set of keys'],
  [JSON.stringify(ec.privateKey.export({ format: 'jwk' })), 'holds a private key; the upstream keeps that'],
  [JSON.stringify({ kty: 'oct', k: 'AAAA' }), 'holds a private key; the upstream keeps that'],
  [JSON.stringify({ ...publicJwk(ec), use: 'sig' }), 'holds a key that is not for encryption (use)'],
  [JSON.stringify({ ...publicJwk(ec), alg: 'ECDH-ES' }), 'wants another alg than ECDH-ES+A256KW'],
  [JSON.stringify({ ...publicJwk(ec), x: 'AAAA' }), 'is not a usable JWK'],
  [JSON.stringify(publicJwk(generateKeyPairSync('ed25519'))), 'holds a key that nothing is encrypted for'],
  [
    JSON.stringify(publicJwk(generateKeyPairSync('rsa', { modulusLength: 1024 }))),
    'holds an RSA key of 1024 bits, which is too short',
  ],
])('PX7 encryptTo: a file with %s is refused, and nothing of it repeated', (text, message) => {
  const config = variant(withCredential({ mint: { audience: 'a', encryptTo: { file: 'a.jwk' } } }))
  const [problem = '', ...more] = problemsOf(config, { 'a.jwk': text })
  expect(more).toEqual([])
  expect(problem).toContain(`routes[0].credential.mint.encryptTo.file: the file a.jwk ${message}`)
})

test('PX7 groups that a token carries are asked of the provider, as those that decide are', () => {
  const claimsWith = (claims: string[]) =>
    decidingClaims(configOf(variant(withCredential({ mint: { audience: 'a', claims } }))))
  expect(claimsWith(['roles', 'groups'])).toEqual(['groups', 'cognito:groups'])
  expect(claimsWith(['roles'])).toEqual([])
})
