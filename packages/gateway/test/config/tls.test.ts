import { chmodSync } from 'node:fs'
import selfsigned from 'selfsigned'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { configFolder, env, problemsOf, variant } from './folder.ts'

const pair = (until = new Date(Date.now() + 86_400_000)) =>
  selfsigned.generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    notBeforeDate: new Date('2020-01-01'),
    notAfterDate: until,
  })
const text = variant({ listen: { port: 8443, tls: { cert: 'tls.crt', key: 'tls.key' } } })

test('a certificate and its key are checked; their paths become absolute', async () => {
  const { cert, private: key } = await pair()
  using folder = configFolder({ 'c.yaml': text, 'tls.crt': cert, 'tls.key': key })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  expect(loaded.config?.listen.tls).toEqual({ cert: folder.at('tls.crt'), key: folder.at('tls.key') })
  expect(loaded.config && loaded.warnings).toEqual([])
})

test('missing, unreadable and foreign files are told apart, each at its key', async () => {
  const [one, other] = [await pair(), await pair()]
  const told = (files: Record<string, string>) =>
    problemsOf(text, files).map((line) => line.replace(/^c\.yaml:\d+: listen\.tls\./, ''))
  expect(told({})).toEqual([
    'cert: the file tls.crt cannot be read: no such file',
    'key: the file tls.key cannot be read: no such file',
  ])
  expect(told({ 'tls.crt': 'hunter2', 'tls.key': 'hunter2' })).toEqual([
    'cert: the file tls.crt is not a certificate in PEM form',
    'key: the file tls.key is not a private key in PEM form without passphrase',
  ])
  expect(told({ 'tls.crt': one.cert, 'tls.key': other.private })).toEqual([
    'key: this key does not belong to the certificate in cert',
  ])
})

test('an expired certificate and a key that everyone can read are warnings', async () => {
  const { cert, private: key } = await pair(new Date('2021-01-01'))
  using folder = configFolder({ 'c.yaml': text, 'tls.crt': cert, 'tls.key': key })
  chmodSync(folder.at('tls.key'), 0o644)
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  expect(loaded.config && loaded.warnings.map(({ path, message }) => `${path}: ${message}`)).toEqual([
    'listen.tls.cert: the certificate has expired',
    'listen.tls.key: every user of this machine can read tls.key; run chmod o-rwx on it',
  ])
})
