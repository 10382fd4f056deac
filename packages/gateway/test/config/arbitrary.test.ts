import fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig } from '../../src/config/load.ts'
import { formatProblem } from '../../src/config/problem.ts'
import { minimal, variant } from './folder.ts'

const canary = 'hunter2hunter2'

/** Nothing on disk: every file but the configuration is empty. */
function load(text: string) {
  return loadConfig('/nowhere/c.yaml', { env: {}, readFile: (path) => (path === '/nowhere/c.yaml' ? text : '') })
}

/** Whatever is loaded, there is a configuration or at least one problem, and each problem is one line. */
function expectAnswer(text: string): void {
  const loaded = load(text)
  if (loaded.config) return
  expect(loaded.problems.length).toBeGreaterThan(0)
  const lines = text.split('\n').length
  for (const problem of loaded.problems) {
    expect(formatProblem(problem)).toMatch(/^\/nowhere\/c\.yaml:\d+: [^\r\n\u2028\u2029]+$/)
    expect(problem.line).toBeGreaterThanOrEqual(1)
    expect(problem.line).toBeLessThanOrEqual(lines)
  }
}

test('no text crashes the loader', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), expectAnswer), { numRuns: 300 })
  const pieces = fc.constantFrom(
    'a',
    ':',
    ' ',
    '\n',
    '- ',
    '{',
    '}',
    '[',
    ']',
    ',',
    '&a',
    '*a',
    '!t',
    '"',
    "'",
    '|',
    '>',
    '#',
    '?',
    '%',
    '---',
    '<<',
    '~',
    '\t',
    '@',
    'x',
  )
  fc.assert(
    fc.property(
      fc.array(pieces, { maxLength: 60 }).map((all) => all.join('')),
      expectAnswer,
    ),
    { numRuns: 300 },
  )
})

test('no data crashes the loader, at the top or deep inside', () => {
  const top = fc.constantFrom(
    'origin',
    'listen',
    'trustedProxies',
    'workers',
    'admin',
    'keys',
    'basePath',
    'providers',
    'defaultProvider',
    'session',
    'store',
    'roles',
    'routes',
    'headers',
    'log',
    'watch',
    '__proto__',
  )
  const inner = fc.constantFrom(
    'path',
    'methods',
    'upstream',
    'static',
    'access',
    'roles',
    'kind',
    'file',
    'env',
    'issuer',
    'clientSecret',
    'tls',
    'cert',
    'key',
    'port',
    'idle',
    'absolute',
    'claim',
    'grant',
    'equals',
    'constructor',
    'csrf',
  )
  const leaf = fc.oneof(
    fc.constantFrom('public', 'lmdb', '/a/*', '30s', 'http://a', '10.0.0.0/8', '\0'),
    fc.string(),
    fc.integer(),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
  )
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: 'small' },
      leaf,
      fc.array(tie('tree'), { maxLength: 4 }),
      fc.dictionary(fc.oneof(inner, fc.string()), tie('tree'), { maxKeys: 5 }),
    ),
  }))
  fc.assert(
    fc.property(fc.dictionary(fc.oneof(top, fc.string()), tree, { maxKeys: 6 }), (data) =>
      expectAnswer(stringify(data)),
    ),
    { numRuns: 300 },
  )
  fc.assert(
    fc.property(top, tree, (key, value) => expectAnswer(variant({ [key]: value }))),
    { numRuns: 300 },
  )
})

test('a secret that was written into the file, in whatever shape, is never repeated', () => {
  const shape = fc.letrec((tie) => ({
    any: fc.oneof(
      { depthSize: 'small' },
      fc.constant(canary),
      fc.array(tie('any'), { maxLength: 2 }),
      fc.dictionary(fc.constantFrom('env', 'file', 'value', canary), tie('any'), { minKeys: 1, maxKeys: 2 }),
    ),
  })).any
  fc.assert(
    fc.property(shape, fc.nat(), (value, cut) => {
      // { env: canary } names a variable: to say which one is missing is the point.
      fc.pre(!/^\{"(env|file)":"[^"]*"\}$/.test(JSON.stringify(value)))
      const text = minimal.replace('{ env: CLIENT_SECRET }', JSON.stringify(value))
      for (const whole of [text, text.slice(0, text.indexOf('clientSecret') + 14 + (cut % 60))]) {
        const { problems } = load(whole) as { problems: never[] }
        expect(problems.map(formatProblem).join('\n')).not.toContain(canary)
      }
    }),
    { numRuns: 300 },
  )
})
