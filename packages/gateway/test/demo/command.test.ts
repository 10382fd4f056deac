import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { expect, test } from 'vitest'
import { run } from '../../src/cli/demo.ts'
import { serve } from '../../src/demo/api.ts'

async function demo(...args: string[]) {
  const cwd = mkdtempSync(`${tmpdir()}/coatcheck-demo-`)
  const out: string[] = []
  const err: string[] = []
  const io = {
    stdout: { write: (text: string) => out.push(text) },
    stderr: { write: (text: string) => err.push(text) },
    env: {},
    cwd,
  }
  const status = await run(args, io).finally(() => rmSync(cwd, { recursive: true, force: true }))
  return { status, out: out.join(''), err: err.join('') }
}

test.each([
  [['--port', 'many'], '--port is a number from 0 to 65535, not "many"'],
  [['--port', '65536'], '--port is a number'],
  [['--prot', '1'], 'did you mean --port?'],
  [['now'], 'unexpected argument now'],
])('wrong usage is said in one line, exit 2: %j', async (args, message) => {
  const { status, err } = await demo(...args)
  expect(status).toBe(2)
  expect(err).toContain(message)
  expect(err.trim().split('\n')).toHaveLength(1)
})

test('a port that was asked for and is taken: one line, exit 1', async () => {
  const other = await serve((_request, response) => response.end())
  const { status, err } = await demo('--port', String(other.port)).finally(other.close)
  expect(status).toBe(1)
  expect(err).toBe(`coatcheck demo: port ${other.port} is taken; name another with --port, or 0 for any\n`)
})

test('--help names the options', async () => {
  const { status, out } = await demo('--help')
  expect(status).toBe(0)
  expect(out).toMatch(/--https[\s\S]*--port N[\s\S]*--data DIR/)
})
