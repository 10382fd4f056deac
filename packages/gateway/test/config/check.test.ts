import { chmodSync } from 'node:fs'
import { expect, test } from 'vitest'
import { run } from '../../src/cli/check.ts'
import { output } from './command.ts'
import { configFolder, corp, minimal, route, variant } from './folder.ts'

test('a valid configuration: one line, exit 0', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal })
  expect(await output(run, [], folder.path)).toEqual({
    status: 0,
    stdout: 'coatcheck.yaml: the configuration is valid\n',
    stderr: '',
  })
})

test('a broken one: a line a problem on stderr, the file as it was named, exit 2', async () => {
  using folder = configFolder({ 'conf/c.yaml': minimal.replace('./public', './public/x').replace(' 8080', ' x') })
  expect(await output(run, ['--config', 'conf/c.yaml'], folder.path)).toEqual({
    status: 2,
    stdout: '',
    stderr:
      'conf/c.yaml:2: listen.port: write a port number from 0 (any free one) to 65535\n' +
      'conf/c.yaml:10: routes[1].static: there is no folder ./public/x\n',
  })
})

test('a file that is not there: exit 2', async () => {
  expect(await output(run, ['-c', 'gone.yaml'])).toEqual({
    status: 2,
    stdout: '',
    stderr: 'gone.yaml:1: cannot be read: no such file; name another with -c FILE\n',
  })
})

test('warnings are told and change nothing', async () => {
  const text = variant({ providers: { corp: { ...corp, clientSecret: { file: 's' } } } })
  using folder = configFolder({ 'coatcheck.yaml': text, s: 'x' })
  chmodSync(folder.at('s'), 0o644)
  const { status, stderr } = await output(run, [], folder.path)
  expect(status).toBe(0)
  expect(stderr).toMatch(/^coatcheck\.yaml:\d+: providers\.corp\.clientSecret: warning: every user [^\n]*\n$/)
})

test('--json is data on stdout, and stderr stays as it is', async () => {
  using folder = configFolder({ 'good.yaml': minimal, 'bad.yaml': variant({ routes: [route({ csrf: 'off' })] }) })
  const good = await output(run, ['-c', 'good.yaml', '--json'], folder.path)
  expect(JSON.parse(good.stdout)).toEqual({ file: 'good.yaml', problems: [], warnings: [], findings: [] })
  expect(good.stderr).toBe('')
  const bad = await output(run, ['-c', 'bad.yaml', '--json'], folder.path)
  expect(bad.status).toBe(2)
  expect(JSON.parse(bad.stdout).problems).toEqual([
    {
      file: 'bad.yaml',
      line: expect.any(Number),
      path: 'routes[0].csrf',
      message: expect.stringContaining('off is only'),
    },
  ])
  expect(bad.stderr.split('\n')).toHaveLength(2)
})

test('--help shows every option; nothing is read', async () => {
  expect(await output(run, ['--help'])).toEqual({
    status: 0,
    stderr: '',
    stdout: `Usage: coatcheck check [options]

Validates the configuration: all problems at once, with file, line and path.

  -c, --config FILE  the configuration (default: coatcheck.yaml)
      --online       also ask each provider, upstream and the store
      --json         print JSON
  -h, --help         show this
`,
  })
})

test.each([
  [['--onlin'], 'unknown option --onlin, did you mean --online?'],
  [['--verbose'], 'unknown option --verbose'],
  [['-x'], 'unknown option -x'],
  [['--constructor'], 'unknown option --constructor'],
  [['-c'], '--config needs a value'],
  [['--config='], '--config needs a value'],
  [['--json=yes'], '--json takes no value'],
  [['c.yaml'], 'unexpected argument c.yaml'],
  [['a\nb'], 'unexpected argument "a\\nb"'],
])('wrong usage %j: one line, exit 2', async (args, message) => {
  expect(await output(run, args)).toEqual({
    status: 2,
    stdout: '',
    stderr: `coatcheck check: ${message}; see coatcheck check --help\n`,
  })
})
