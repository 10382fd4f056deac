import { expect, test } from 'vitest'
import { keysAt } from '../../src/config/explain.ts'
import { loadConfig } from '../../src/config/load.ts'
import { configSchema } from '../../src/config/schema.ts'
import { env, minimal, problemsOf } from './folder.ts'

test('all problems at once, each with its line, its path and what to write instead', () => {
  const text = `origin: https://app.example.com/
listen: { port: 99999 }
providers:
  corp:
    issuer: http://idp.example.com
    clientId: web
    clientSecret: hunter2hunter2
    scpe: openid
session:
  idle: 30
  absolute: 5m
routes:
  - path: /api/*
    upstream: http://127.0.0.1:3000/v1
    access: authenticated
  - path: /admin/*
    upstream: http://127.0.0.1:3000

  - path: /open/*
    upstream: http://127.0.0.1:3000
    acess: public
    csrf: off
  - path: /files/*
    access:
    static: ./nowhere
  - path: /half
    upstream: http://127.0.0.1:3000
    access: authenticated
    csrf: off
colour: blue
`
  expect(problemsOf(text)).toEqual([
    'c.yaml:1: origin: write scheme, host and port only: https://app.example.com',
    'c.yaml:2: listen.port: write a port number from 0 (any free one) to 65535',
    'c.yaml:5: providers.corp.issuer: plain http works for localhost, 127.0.0.1 and [::1] only; write the https address that the provider publishes as its issuer',
    'c.yaml:7: providers.corp.clientSecret: a secret does not stand in this file; write { env: NAME } or { file: path }',
    'c.yaml:8: providers.corp.scpe: unknown key; did you mean scope?',
    'c.yaml:10: session.idle: write a duration with its unit, such as 30s, 15m, 12h or 30d',
    'c.yaml:14: routes[0].upstream: write scheme, host and port only: http://127.0.0.1:3000 (stripPrefix changes the path)',
    'c.yaml:16: routes[1].access: is missing; write public, authenticated or { roles: [...], acr: [...], maxAge: 5m }; a route that says nothing is open to nobody',
    'c.yaml:21: routes[2].acess: unknown key; did you mean access?',
    'c.yaml:24: routes[3].access: is empty; write public, authenticated or { roles: [...], acr: [...], maxAge: 5m }; a route that says nothing is open to nobody',
    'c.yaml:25: routes[3].static: there is no folder ./nowhere',
    'c.yaml:29: routes[4].csrf: off is only for access: public, or other sites could use the session; remove it',
    `c.yaml:30: colour: unknown key; known here: ${keysAt(configSchema, []).join(', ')}`,
  ])
})

test('what is missing is told at the line of what it is missing from', () => {
  const text = `# a comment first

session: { idle: 10m }
providers:
  corp:
    clientId: web
`
  expect(problemsOf(text)).toEqual([
    'c.yaml:3: origin: is missing; write it like https://app.example.com',
    'c.yaml:3: listen: is missing; write keys and values here',
    'c.yaml:3: routes: is missing; write a list, such as [a, b]',
    'c.yaml:5: providers.corp.issuer: is missing; write it like https://idp.example.com',
    'c.yaml:5: providers.corp.clientSecret: is missing; write { env: NAME } or { file: path }, or prove the client by clientKey (private_key_jwt) or clientCertificate (mutual TLS)',
  ])
})

test.each([
  ['a mistyped key of a section', 'sesion: {}', 'sesion: unknown key; did you mean session?'],
  ['a key in other capitals', 'basepath: /x', 'basepath: unknown key; did you mean basePath?'],
  ['a nested key', 'log: { levle: info }', 'log.levle: unknown key; did you mean level?'],
  ['a key of a variant', 'store: { kind: lmdb, pth: x }', 'store.pth: unknown key; did you mean path?'],
  [
    'a key that is nothing like any',
    'log: { verbosity: 3 }',
    'log.verbosity: unknown key; known here: level, decisions',
  ],
])('%s gets the nearest name', (_, line, expected) => {
  expect(problemsOf(`${minimal}${line}\n`)).toEqual([`c.yaml:11: ${expected}`])
})

test.each([
  [
    'an unclosed bracket',
    'listen: { port: 1\norigin: x\n',
    'c.yaml:2: is not valid YAML: the indentation does not fit the lines around it, or a bracket above is not closed',
  ],
  ['tabs', 'listen:\n\tport: 1\n', 'c.yaml:2: is not valid YAML: indent with spaces, not with tabs'],
  ['two documents', 'a: 1\n---\nb: 2\n', 'c.yaml:2: only one document'],
  ['an unknown alias', 'a: *b\n', 'c.yaml:1: a: an alias (*name) has no anchor'],
  ['nothing', '', 'c.yaml:1: the file is empty'],
  ['only a comment', '# later\n', 'c.yaml:1: the file is empty'],
])('%s: one line that says so', (_, text, start) => {
  const [first] = problemsOf(text)
  expect(first).toMatch(new RegExp(`^${start.replace(/[.*()[\]]/g, '\\$&')}`))
})

test('a list or a text instead of a configuration', () => {
  expect(problemsOf('[1, 2]')).toEqual(['c.yaml:1: write keys and values here'])
  expect(problemsOf('hello')).toEqual(['c.yaml:1: write keys and values here'])
})

test('a key that is there twice is refused, with both lines, beside all else', () => {
  const text = minimal.replace('    clientId: web\n', '    clientId: web\n    clientId: other\n')
  expect(problemsOf(`${text}log: { level: loud }\n`)).toEqual([
    'c.yaml:7: providers.corp.clientId: is there twice (first on line 6); remove one',
    'c.yaml:12: log.level: write debug or info or warn or error or silent',
  ])
})

test('tags, names that reach into objects, and keys that are no text are refused', () => {
  expect(problemsOf(`${minimal}log: !!js/function x\n`)).toContain(
    'c.yaml:11: tags (!name) are not supported; remove it',
  )
  expect(problemsOf(`${minimal}__proto__: { admin: true }\n`)).toEqual([
    'c.yaml:11: __proto__: this name cannot be a key; choose another',
  ])
  expect(problemsOf(`${minimal}? [a, b]\n: 1\n`)).toEqual(['c.yaml:11: a key must be plain text'])
})

test('a billion laughs, endless nesting and a huge file end in one line', () => {
  const laughs = ['a: &a [x, x, x, x, x, x, x, x, x]']
  for (const [from, to] of ['ab', 'bc', 'cd', 'de', 'ef', 'fg', 'gh', 'hi']) {
    laughs.push(`${to}: &${to} [${Array(9).fill(`*${from}`).join(', ')}]`)
  }
  expect(problemsOf(laughs.join('\n')).join('\n')).toContain('the file has too many values or is nested too deeply')
  expect(problemsOf('a: &a [*a]').join('\n')).toContain('nested too deeply')
  expect(problemsOf(`a: ${'['.repeat(200)}${']'.repeat(200)}`).join('\n')).toContain('nested too deeply')
  expect(problemsOf('['.repeat(100_000)).join('\n')).not.toBe('')
  expect(problemsOf(`# ${'x'.repeat(1_000_000)}`)).toEqual(['c.yaml:1: the file is too large'])
})

test('aliases are fine as long as they are few', () => {
  const text = minimal.replace('issuer: https', 'issuer: &issuer https')
  const other = `  other: { issuer: *issuer, clientId: b, clientSecret: { env: CLIENT_SECRET } }\n`
  expect(problemsOf(`${text.replace('routes:', `${other}routes:`)}defaultProvider: corp\n`)).toEqual([])
})

test('a key can not forge a line', () => {
  expect(problemsOf(`${minimal}"x\\nc.yaml:1: all": is well\n`)).toEqual([
    expect.stringMatching(/^c\.yaml:11: \["x\\nc\.yaml:1: all"\]: unknown key/),
  ])
})

test('a file that is not there', () => {
  expect(loadConfig('/nowhere/coatcheck.yaml', { env })).toEqual({
    problems: [
      {
        file: '/nowhere/coatcheck.yaml',
        line: 1,
        path: '',
        message: 'cannot be read: no such file; name another with -c FILE',
      },
    ],
  })
})
