import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { chmodSync } from 'node:fs'
import selfsigned from 'selfsigned'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { policyOf } from '../../src/config/provider-policy.ts'
import { configFolder, configOf, corp, env, problemsOf, route, variant, warningsOf } from './folder.ts'

const pem = (key: KeyObject, options: object = {}) => String(key.export({ type: 'pkcs8', format: 'pem', ...options }))
const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve })
const rsa = (modulusLength: number) => pem(generateKeyPairSync('rsa', { modulusLength }).privateKey)
const p256 = ec('P-256')
const key = { 'key.pem': pem(p256.privateKey) }
let pair: { 'c.crt': string; 'c.key': string }
beforeAll(async () => {
  const made = await selfsigned.generate([{ name: 'commonName', value: 'web' }], { keyType: 'ec' })
  pair = { 'c.crt': made.cert, 'c.key': made.private }
})

const { clientSecret, ...bare } = corp
const clientKey = { file: 'key.pem' }
const clientCertificate = { cert: 'c.crt', key: 'c.key' }
const provider = (keys: object) => variant({ providers: { corp: { ...bare, ...keys } } })

/** The problems of a provider with these keys, `key: message`. */
const told = (keys: object, files: Record<string, string> = {}) =>
  problemsOf(provider(keys), { ...key, ...pair, ...files }).map((line) =>
    line.replace(/^c\.yaml:\d+: providers\.corp\./, ''),
  )

describe('how the client proves itself', () => {
  test.each([
    ['P-256', pem(p256.privateKey), 'ES256'],
    ['P-384', pem(ec('P-384').privateKey), 'ES384'],
    ['P-521', pem(ec('P-521').privateKey), 'ES512'],
    ['P-256 in the older form', String(p256.privateKey.export({ type: 'sec1', format: 'pem' })), 'ES256'],
    ['RSA', rsa(2048), 'PS256'],
    ['Ed25519', pem(generateKeyPairSync('ed25519').privateKey), 'EdDSA'],
  ])('clientKey: the algorithm goes with the key: %s', (_, text, algorithm) => {
    const { providers } = configOf(provider({ clientKey: { ...clientKey, kid: 'one' } }), { 'key.pem': text })
    expect(providers.corp?.clientKey).toMatchObject({ algorithm, kid: 'one', key: { type: 'private' } })
    expect(providers.corp?.clientSecret).toBeUndefined()
  })

  test('RS256 is there for RSA keys, by name only', () => {
    const files = { 'key.pem': rsa(2048) }
    const chosen = configOf(provider({ clientKey: { ...clientKey, algorithm: 'RS256' } }), files)
    expect(chosen.providers.corp?.clientKey?.algorithm).toBe('RS256')
    expect(told({ clientKey: { ...clientKey, algorithm: 'RS256' } })).toEqual([
      'clientKey.algorithm: is for RSA keys; this key signs with ES256, so remove it',
    ])
    expect(told({ clientKey: { ...clientKey, algorithm: 'HS256' } })).toEqual([
      'clientKey.algorithm: write PS256 or RS256',
    ])
  })

  test.each([
    ['that is not there', undefined, 'the file gone.pem cannot be read: no such file'],
    ['that is no key', 'hunter2hunter2', 'the file key.pem is not a private key in PEM form; make one with: openssl'],
    [
      'that is public',
      String(p256.publicKey.export({ type: 'spki', format: 'pem' })),
      'the file key.pem holds the public key',
    ],
    [
      'with a passphrase',
      pem(p256.privateKey, { cipher: 'aes-256-cbc', passphrase: 'x' }),
      'the file key.pem has a passphrase',
    ],
    ['that is too short', rsa(1024), 'the file key.pem holds an RSA key of 1024 bits, which is too short'],
    ['on another curve', pem(ec('secp256k1').privateKey), 'the file key.pem holds a key on another curve than P-256'],
    ['that does not sign', pem(generateKeyPairSync('x25519').privateKey), 'the file key.pem holds a key that signs no'],
  ])('ST2 a key %s is told, and not repeated', (_, text, expected) => {
    const found = told(
      { clientKey: { file: text === undefined ? 'gone.pem' : 'key.pem' } },
      text ? { 'key.pem': text } : {},
    )
    expect(found).toEqual([expect.stringContaining(`clientKey.file: ${expected}`)])
    expect(found.join()).not.toContain('hunter2')
  })

  test('ST2 the key does not stand in this file, and nothing repeats one that does', () => {
    for (const written of [key['key.pem'], { env: 'CLIENT_SECRET' }, { file: 'key.pem', pem: key['key.pem'] }]) {
      const found = told({ clientKey: written }).join('\n')
      expect(found).toMatch(/^clientKey/)
      expect(found).not.toContain('BEGIN')
    }
    expect(JSON.stringify(configOf(provider({ clientKey }), key))).not.toContain('BEGIN')
  })

  test('a key that every user can read is a warning', () => {
    using folder = configFolder({ ...key, 'c.yaml': provider({ clientKey }) })
    chmodSync(folder.at('key.pem'), 0o644)
    const loaded = loadConfig(folder.at('c.yaml'), { env })
    expect(loaded.config && loaded.warnings).toMatchObject([
      {
        path: 'providers.corp.clientKey.file',
        message: expect.stringContaining('every user of this machine can read'),
      },
    ])
  })

  test('exactly one proof: none, two and three are told at their key', () => {
    expect(told({})).toEqual([expect.stringMatching(/^clientSecret: is missing; write \{ env: NAME \}/)])
    expect(told({ clientSecret, clientKey })).toEqual([
      'clientKey: a client proves itself in one way; remove it or clientSecret',
    ])
    expect(told({ clientSecret, clientKey, clientCertificate })).toEqual([
      'clientKey: a client proves itself in one way; remove it or clientSecret',
      'clientCertificate: a client proves itself in one way; remove it or clientSecret',
    ])
    expect(told({ clientCertificate })).toEqual([])
    expect(told({ clientKey, clientAuth: 'client_secret_post' })).toEqual([
      'clientAuth: says how clientSecret is sent, and there is none; remove it',
    ])
    // A secret that can't be had is a secret all the same: one complaint, not two.
    expect(told({ clientSecret: { env: 'NOT_SET' } })).toEqual([
      'clientSecret: the environment variable NOT_SET is not set',
    ])
  })

  test('clientCertificate: files are checked like those of listen.tls, and TLS is needed', () => {
    expect(told({ clientCertificate: { cert: 'c.crt', key: 'key.pem' } })).toEqual([
      'clientCertificate.key: this key does not belong to the certificate in cert',
    ])
    expect(told({ clientCertificate: { cert: 'gone', key: 'c.key' } })).toEqual([
      'clientCertificate.cert: the file gone cannot be read: no such file',
    ])
    const issuer = 'http://localhost:4000'
    expect(told({ clientCertificate, ca: 'c.crt', issuer })).toEqual([
      'clientCertificate: is shown over TLS only, and the issuer is plain http; write an https issuer',
      'ca: is for TLS, and the issuer is plain http; remove it',
    ])
    expect(told({ clientSecret, ca: 'gone' })).toEqual(['ca: the file gone cannot be read: no such file'])
    expect(told({ clientSecret, ca: 'key.pem' })).toEqual([
      'ca: the file key.pem is not one certificate or more in PEM form',
    ])
  })
})

describe('how strictly a provider is dealt with', () => {
  const policy = (keys: object) =>
    policyOf(configOf(provider(keys), { ...key, ...pair }).providers.corp ?? ({} as never))

  test('without a word: PAR where it is offered, bearer tokens', () => {
    expect(policy({ clientSecret })).toEqual({ par: 'auto', dpop: 'never', fapi2: false })
    expect(policy({ clientSecret, par: 'never', dpop: 'auto' })).toEqual({ par: 'never', dpop: 'auto', fapi2: false })
    expect(told({ clientSecret, par: 'sometimes', dpop: true })).toEqual([
      'par: write auto or always or never',
      'dpop: write auto or always or never',
    ])
  })

  test('profile: fapi2 is one switch', () => {
    expect(policy({ profile: 'fapi2', clientKey })).toEqual({ par: 'always', dpop: 'always', fapi2: true })
    expect(policy({ profile: 'fapi2', clientKey, dpop: 'auto' })).toMatchObject({ dpop: 'always' })
    expect(policy({ profile: 'fapi2', clientCertificate })).toMatchObject({ par: 'always', dpop: 'never' })
    expect(policy({ profile: 'fapi2', clientCertificate, dpop: 'always' })).toMatchObject({ dpop: 'always' })
  })

  test.each([
    [{}, 'clientKey: is missing; profile: fapi2 needs clientKey: { file: key.pem }, or clientCertificate'],
    [{ clientSecret }, 'clientSecret: profile: fapi2 knows no shared secret; write clientKey: { file: key.pem }'],
    [{ clientKey, clientSecret }, 'clientSecret: profile: fapi2 knows no shared secret; write clientKey'],
    [{ clientKey, par: 'never' }, 'par: profile: fapi2 pushes every authorization request; remove it or write always'],
    [{ clientKey, dpop: 'never' }, 'dpop: profile: fapi2 wants tokens that only their owner can use; remove it'],
    [
      { clientKey: { file: 'rsa.pem', algorithm: 'RS256' } },
      'clientKey: profile: fapi2 signs with ES256, PS256 or EdDSA',
    ],
    [{ clientKey: { file: 'p384.pem' } }, 'clientKey: profile: fapi2 signs with ES256, PS256 or EdDSA'],
  ])('profile: fapi2 with %j says what to write instead', (keys, expected) => {
    const files = { 'rsa.pem': rsa(2048), 'p384.pem': pem(ec('P-384').privateKey) }
    const found = told({ profile: 'fapi2', ...keys }, files)
    expect(found).toEqual([expect.stringContaining(expected)])
  })

  test('tokens that are bound to the certificate, on a route that hands them out: a warning', () => {
    const warnings = (keys: object, credential: string) => {
      const routes = [route({ credential })]
      const text = variant({ providers: { corp: { ...bare, profile: 'fapi2', ...keys } }, routes })
      return warningsOf(text, { ...key, ...pair })
    }
    expect(warnings({ clientCertificate }, 'access-token')).toEqual([
      expect.stringContaining('providers.corp.clientCertificate: binds the access token'),
    ])
    expect(warnings({ clientCertificate }, 'none')).toEqual([])
    expect(warnings({ clientCertificate, dpop: 'always' }, 'access-token')).toEqual([])
    expect(warnings({ clientKey }, 'access-token')).toEqual([])
  })
})
