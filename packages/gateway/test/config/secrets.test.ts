import { chmodSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { complaints, configFolder, configOf, corp, env, problemsOf, variant, warningsOf } from './folder.ts'

const withSecret = (clientSecret: unknown) => ({ providers: { corp: { ...corp, clientSecret } } })
const literal = 'a secret does not stand in this file; write { env: NAME } or { file: path }'

test('ST2 secrets come from the environment or from files, without the line end', () => {
  expect(configOf(variant(withSecret({ env: 'CLIENT_SECRET' }))).providers.corp?.clientSecret).toBe(env.CLIENT_SECRET)
  const files = { 'secret.txt': ' pass word \r\n' }
  expect(configOf(variant(withSecret({ file: 'secret.txt' })), files).providers.corp?.clientSecret).toBe(' pass word ')
})

test.each([
  'hunter2hunter2',
  123_456_789,
  true,
  ['hunter2hunter2'],
  { hunter2hunter2: null },
  { env: 'hunter2 hunter2' },
  { env: ['hunter2hunter2'] },
  { file: '' },
  { env: 'CLIENT_SECRET', file: 'hunter2hunter2' },
])('ST2 a secret in the file itself is refused and not repeated: %j', (value) => {
  expect(complaints(withSecret(value))).toEqual([`providers.corp.clientSecret: ${literal}`])
})

test('a fault in the YAML around a secret does not repeat it either', () => {
  const broken = [
    'clientSecret: "hunter2hunter2',
    'clientSecret: hunter2hunter2: x',
    'clientSecret: @hunter2hunter2',
    'clientSecret: "\\qhunter2hunter2"',
    'clientSecret: !hunter2hunter2 x',
    'clientSecret: *hunter2hunter2',
    "clientSecret: 'a' hunter2hunter2",
    '%hunter2hunter2\n---\na: 1',
  ]
  for (const text of broken) {
    const problems = problemsOf(text)
    expect(problems.length).toBeGreaterThan(0)
    expect(problems.join('\n')).not.toContain('hunter2')
  }
})

test('a secret that is not there, or empty', () => {
  expect(complaints(withSecret({ env: 'NOT_SET' }))).toEqual([
    'providers.corp.clientSecret: the environment variable NOT_SET is not set',
  ])
  expect(complaints(withSecret({ env: 'toString' }))).toEqual([
    'providers.corp.clientSecret: the environment variable toString is not set',
  ])
  expect(complaints(withSecret({ file: 'gone.txt' }))).toEqual([
    'providers.corp.clientSecret: the secret file gone.txt cannot be read: no such file',
  ])
  expect(complaints(withSecret({ file: 'public' }))).toEqual([
    'providers.corp.clientSecret: the secret file public cannot be read: it is a folder',
  ])
  expect(problemsOf(variant(withSecret({ file: 'empty.txt' })), { 'empty.txt': '\n' })).toEqual([
    expect.stringContaining('the secret file empty.txt is empty'),
  ])
  using folder = configFolder({ 'c.yaml': variant(withSecret({ env: 'EMPTY' })) })
  expect(loadConfig(folder.at('c.yaml'), { env: { EMPTY: '' } })).toMatchObject({
    problems: [{ message: 'the environment variable EMPTY is empty' }],
  })
})

test('secrets are looked up even if the rest is broken: all problems at once', () => {
  expect(complaints({ ...withSecret({ env: 'NOT_SET' }), origin: 'nonsense' })).toHaveLength(2)
})

test('a secret file that everyone can read is a warning with its line', () => {
  using folder = configFolder({ 'c.yaml': variant(withSecret({ file: 'secret.txt' })), 'secret.txt': 'x' })
  chmodSync(folder.at('secret.txt'), 0o644)
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  expect(loaded.config && loaded.warnings).toMatchObject([
    {
      path: 'providers.corp.clientSecret',
      message: 'every user of this machine can read secret.txt; run chmod o-rwx on it',
    },
  ])
  expect(warningsOf(variant(withSecret({ file: 'secret.txt' })), { 'secret.txt': 'x' })).toEqual([])
})

test('files are read through the given function', () => {
  const files: Record<string, string> = { '/etc/c.yaml': variant(withSecret({ file: 's' })), '/etc/s': 'from there' }
  const loaded = loadConfig('/etc/c.yaml', { env, readFile: (path) => files[path] ?? '' })
  expect(loaded.config?.providers.corp?.clientSecret).toBe('from there')
})
