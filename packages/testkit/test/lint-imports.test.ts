import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const script = join(dirname(fileURLToPath(import.meta.url)), '../../../scripts/lint-imports.mjs')

const bad: [file: string, text: string, why: string][] = [
  ['guard.ts', "import { createNodeServer } from './node/server.ts'", 'must not import'],
  ['session/sessions.ts', "import { decide } from '../guard.ts'", 'must not import'],
  ['protocol/csrf.ts', "import { login } from '../oidc/login.ts'", 'protocol must not import rooms'],
  ['protocol/cookies.ts', "import { createHash } from 'node:crypto'", 'pure text'],
  ['errors.ts', "export * from './protocol/head.ts'", 'must not import'],
  ['session/seal.ts', "import * as client from 'openid-client'", 'only oidc/'],
  ['refuse.ts', "const oauth = await import('oauth4webapi')", 'only oidc/'],
  ['stores/memory.ts', "import { open } from 'lmdb'", 'only stores/lmdb.ts'],
  ['stores/redis.ts', "import { createSessions } from '../session/sessions.ts'", 'stores know'],
  ['stores/postgres.ts', "import { something } from '../session/store.ts'", 'stores know'],
  ['node/server.ts', "import { openStore } from '../stores/open.ts'", "don't import each other"],
  ['attic/junk.ts', "import { errors } from '../errors.ts'", 'is in no layer'],
  ['route.ts', "type Server = import('./node/server.ts').NodeServer", 'must not import'],
]

const good: [file: string, text: string][] = [
  ['guard.ts', "import { decide } from './session/sessions.ts'"],
  ['oidc/login.ts', "import type { Services } from '../services.ts'"],
  ['oidc/logout.ts', "import * as oauth from 'oauth4webapi'"],
  ['stores/lmdb.ts', "import { open } from 'lmdb'\nimport type { SessionStore } from '../session/store.ts'"],
  ['start.ts', "import { createNodeServer } from './node/server.ts'"],
  ['cli/main.ts', "import { startGateway } from '../start.ts'"],
]

/** Runs the lint over a house that consists of these files. */
function lint(files: readonly (readonly string[])[]): { code: number | null; output: string } {
  const root = mkdtempSync(join(tmpdir(), 'lint-imports-'))
  try {
    for (const [file = '', text = ''] of files) {
      mkdirSync(dirname(join(root, file)), { recursive: true })
      writeFileSync(join(root, file), `\n${text}\n`)
    }
    const { status, stderr } = spawnSync(process.execPath, [script, root], { encoding: 'utf8' })
    return { code: status, output: stderr }
  } finally {
    rmSync(root, { recursive: true })
  }
}

test('imports against the arrow are found, each with its file, line and reason', () => {
  const { code, output } = lint(bad)
  const lines = output.trim().split('\n')
  for (const [file, , why] of bad) {
    expect(lines).toContainEqual(expect.stringMatching(new RegExp(`/${file}:2: .*${why}`)))
  }
  expect(lines).toHaveLength(bad.length)
  expect(code).toBe(1)
})

test('imports along the arrow pass', () => {
  expect(lint(good)).toEqual({ code: 0, output: '' })
})
