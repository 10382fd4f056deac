import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { reservePort } from '../../../testkit/src/listen.ts'
import { startUpstream } from '../../../testkit/src/upstream.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))

interface Run {
  readonly child: ChildProcess
  readonly out: { text: string }
  readonly err: { text: string }
  readonly ended: Promise<number | null>
}

/** The built command line, as a user runs it. */
function coatcheck(args: string[], options: { cwd: string; env?: Record<string, string> }): Run {
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const child = spawn(process.execPath, [main, ...args], {
    cwd: options.cwd,
    env: { PATH: process.env.PATH, ...options.env },
  })
  const out = { text: '' }
  const err = { text: '' }
  child.stdout?.on('data', (chunk) => (out.text += chunk))
  child.stderr?.on('data', (chunk) => (err.text += chunk))
  return { child, out, err, ended: new Promise((resolve) => child.once('close', resolve)) }
}

function folder(files: Record<string, string>) {
  const path = mkdtempSync(join(tmpdir(), 'coatcheck-cli-'))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text)
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

test('coatcheck start: runs by its file, is healthy, drains on SIGTERM (the request in flight finishes) and exits 0', async () => {
  const [port, adminPort] = [await reservePort(), await reservePort()]
  await using upstream = await startUpstream()
  using home = folder({
    'coatcheck.yaml': `
origin: http://127.0.0.1:${port}
listen: { port: ${port} }
admin: { port: ${adminPort} }
providers:
  corp: { issuer: http://127.0.0.1:1, clientId: web, clientSecret: { env: CLIENT_SECRET } }
routes:
  - { path: /open/*, upstream: '${upstream.url}', stripPrefix: /open, access: public, csrf: off }
`,
  })
  const run = coatcheck(['start'], { cwd: home.path, env: { CLIENT_SECRET: 'canary-secret' } })
  try {
    const health = async () => (await fetch(`http://127.0.0.1:${adminPort}/healthz`)).status
    await expect.poll(() => health().catch(() => 0)).toBe(200)
    expect((await fetch(`http://127.0.0.1:${adminPort}/readyz`)).status).toBe(200)
    const slow = fetch(`http://127.0.0.1:${port}/open/slow?ms=700`)
    await expect.poll(() => upstream.requests.length).toBe(1)
    run.child.kill('SIGTERM')
    expect((await slow).status).toBe(200)
    expect(await run.ended).toBe(0)
    await expect(fetch(`http://127.0.0.1:${port}/open/echo`)).rejects.toThrow()
  } finally {
    run.child.kill('SIGKILL')
  }
  const lines = run.out.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event?: string; time: string })
  expect(lines.map((line) => line.event)).toContain('started')
  expect(lines.at(-1)?.event).toBe('stopped')
  for (const line of lines) expect(new Date(line.time).toISOString()).toBe(line.time)
  expect(run.out.text + run.err.text).not.toContain('canary-secret')
})

test.each([
  ['listen', 1],
  ['admin', 1],
  ['admin', 2],
] as const)(
  'coatcheck start where the port of %s is taken, workers: %d: one line that names it, exit 1, nothing left listening',
  async (taken, workers) => {
    const [free, adminPort] = [await reservePort(), await reservePort()]
    await using other = await startUpstream()
    const theirs = Number(new URL(other.url).port)
    const port = taken === 'listen' ? theirs : free
    using home = folder({
      'coatcheck.yaml': `
origin: http://127.0.0.1:${port}
listen: { port: ${port} }
admin: { port: ${taken === 'admin' ? theirs : adminPort} }
workers: ${workers}
providers:
  corp: { issuer: http://127.0.0.1:1, clientId: web, clientSecret: { env: CLIENT_SECRET } }
routes:
  - { path: /x, upstream: 'http://127.0.0.1:1', access: public, csrf: off }
`,
    })
    const run = coatcheck(['start'], { cwd: home.path, env: { CLIENT_SECRET: 'x' } })
    try {
      expect(await run.ended).toBe(1)
    } finally {
      run.child.kill('SIGKILL')
    }
    expect(run.err.text).toBe(
      `coatcheck: ${taken}: 127.0.0.1:${theirs} is taken; write another port, or end who has it (EADDRINUSE)\n`,
    )
    expect(run.out.text).not.toContain('"started"')
  },
)

test('coatcheck start with a broken file: all problems at once, FILE:LINE: path: message, on stderr; exit 2', async () => {
  using home = folder({
    'bad.yaml': `origin: http://app.example.com
listen: { port: 80800 }
providers:
  corp: { issuer: https://idp.example.com, clientId: web, clientSecret: { env: MISSING } }
routs: []
routes:
  - { path: /api/*, upstream: http://127.0.0.1:1 }
`,
  })
  const run = coatcheck(['start', '-c', 'bad.yaml'], { cwd: home.path })
  expect(await run.ended).toBe(2)
  expect(run.out.text).toBe('')
  const lines = run.err.text.trim().split('\n')
  for (const line of lines) expect(line).toMatch(/^bad\.yaml:\d+: [\w.[\]]+: .+/)
  const text = run.err.text
  expect(text).toContain('bad.yaml:1: origin:')
  expect(text).toContain('bad.yaml:2: listen.port:')
  expect(text).toContain('bad.yaml:4: providers.corp.clientSecret')
  expect(text).toContain('MISSING')
  expect(text).toMatch(/bad\.yaml:5: routs: .*did you mean routes/)
  expect(text).toContain('bad.yaml:7: routes[0].access')
})

test('wrong usage is one line and exit 2; help and version are exit 0', async () => {
  using home = folder({})
  const cases: [string[], number, RegExp][] = [
    [[], 2, /Usage: coatcheck COMMAND/],
    [['strat'], 2, /unknown command "strat", did you mean start\?/],
    [['start', '--confg', 'x'], 2, /did you mean --config\?/],
    [['start', '-c', 'none.yaml'], 2, /none\.yaml/],
    [['--help'], 0, /start +run the gateway/],
    [['start', '--help'], 0, /--config FILE/],
    [['--version'], 0, /^\d+\.\d+\.\d+/],
    [['schema'], 0, /"\$schema"/],
  ]
  await Promise.all(
    cases.map(async ([args, status, text]) => {
      const run = coatcheck(args, { cwd: home.path })
      expect(await run.ended, args.join(' ')).toBe(status)
      expect(status === 0 ? run.out.text : run.err.text).toMatch(text)
    }),
  )
})

test('a port that is taken is said in one line, with exit 1', async () => {
  await using upstream = await startUpstream()
  const port = Number(new URL(upstream.url).port)
  using home = folder({
    'coatcheck.yaml': `
origin: http://127.0.0.1:${port}
listen: { port: ${port} }
providers:
  corp: { issuer: http://127.0.0.1:1, clientId: web, clientSecret: { env: CLIENT_SECRET } }
routes: [{ path: /x, upstream: http://127.0.0.1:1, access: public }]
`,
  })
  const run = coatcheck(['start'], { cwd: home.path, env: { CLIENT_SECRET: 's' } })
  expect(await run.ended).toBe(1)
  expect(run.err.text.trim().split('\n')).toHaveLength(1)
  expect(run.err.text).toContain(String(port))
})
