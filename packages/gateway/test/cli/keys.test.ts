import { execFile } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { type ConfigFolder, configFolder, env, minimal } from '../config/folder.ts'

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const hour = 60 * 60_000

interface Ran {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** The built command line, as an operator runs it. */
function keys(folder: ConfigFolder, ...args: string[]): Promise<Ran> {
  if (!existsSync(main)) throw new Error('run `npm run build` first: this test runs the built command line')
  const options = { cwd: folder.path, env: { PATH: process.env.PATH, ...env } }
  return new Promise((resolve) => {
    execFile(process.execPath, [main, 'keys', ...args], options, (error, stdout, stderr) => {
      resolve({ status: Number(error?.code ?? 0), stdout, stderr })
    })
  })
}

interface Ring {
  readonly version: number
  readonly keys: { id: string; createdAt: string; key: string }[]
}
const ringIn = (folder: ConfigFolder, name = 'coatcheck.keys') =>
  JSON.parse(readFileSync(folder.at(name), 'utf8')) as Ring

/** A ring whose keys are this many hours old. */
function ringText(...hours: number[]): string {
  const one = (age: number, index: number) => ({
    id: `key-${index}`,
    createdAt: new Date(Date.now() - age * hour).toISOString(),
    key: Buffer.alloc(32, index + 1).toString('base64url'),
  })
  return JSON.stringify({ version: 1, keys: hours.map(one) })
}

test('ST2 generate makes a ring for its owner alone, and never a second one over it', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal })
  const made = await keys(folder, 'generate')
  expect(made).toMatchObject({ status: 0, stderr: '' })
  const ring = ringIn(folder)
  expect(made.stdout).toBe(`${folder.at('coatcheck.keys')}: a new key ring with the key ${ring.keys[0]?.id}\n`)
  expect(ring.keys).toHaveLength(1)
  expect(Buffer.from(ring.keys[0]?.key ?? '', 'base64url')).toHaveLength(32)
  expect(statSync(folder.at('coatcheck.keys')).mode & 0o777).toBe(0o600)
  const again = await keys(folder, 'generate')
  expect(again).toMatchObject({
    status: 1,
    stdout: '',
    stderr: expect.stringMatching(/^[^\n]*is there already; rotate[^\n]*\n$/),
  })
  expect(ringIn(folder)).toEqual(ring)
})

test('ST2 rotate adds a newest key, keeps the others byte for byte, mode and owner too, and leaves nothing beside the file', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'coatcheck.keys': ringText(2, 1) })
  const before = ringIn(folder)
  const root = process.getuid?.() === 0
  if (root) chownSync(folder.at('coatcheck.keys'), 65534, 65534)
  const rotated = await keys(folder, 'rotate', '--json')
  const after = ringIn(folder)
  expect(after.keys.slice(0, 2)).toEqual(before.keys)
  expect(after.keys).toHaveLength(3)
  const { id, createdAt } = after.keys[2] ?? {}
  expect(JSON.parse(rotated.stdout)).toEqual({
    file: folder.at('coatcheck.keys'),
    added: { id, createdAt },
    retired: [],
  })
  const { mode, uid } = statSync(folder.at('coatcheck.keys'))
  expect([mode & 0o777, root ? uid : 65534]).toEqual([0o600, 65534])
  expect(readdirSync(folder.path).sort()).toEqual(['coatcheck.keys', 'coatcheck.yaml', 'public'])
})

test('ST2 two rotations at once: both keys are in the ring, or one of the two says that it did nothing', async () => {
  using folder = configFolder({ 'coatcheck.keys': ringText(1) })
  const runs = await Promise.all(Array.from({ length: 4 }, () => keys(folder, 'rotate', '--file', 'coatcheck.keys')))
  const done = runs.filter(({ status }) => status === 0)
  expect(done.length).toBeGreaterThan(0)
  expect(ringIn(folder).keys).toHaveLength(1 + done.length)
  for (const { id } of ringIn(folder).keys.slice(1)) expect(done.map(({ stdout }) => stdout).join()).toContain(id)
  for (const { status, stderr } of runs.filter((one) => one.status !== 0)) {
    expect(status).toBe(1)
    expect(stderr).toMatch(/^[^\n]*another rotation is under way[^\n]*\n$/)
  }
  expect(existsSync(folder.at('coatcheck.keys.lock'))).toBe(false)
})

test('ST2 --retire drops what no session can need any more, and nothing else', async () => {
  // absolute is 12 h: key-0 was replaced 20 h ago, key-1 10 h ago.
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'coatcheck.keys': ringText(40, 20, 10) })
  const listed = await keys(folder, 'list', '--json')
  expect(
    JSON.parse(listed.stdout).keys.map(({ retirable, state }: Record<string, unknown>) => [state, retirable]),
  ).toEqual([
    ['opens', true],
    ['opens', false],
    ['seals', false],
  ])
  const kept = await keys(folder, 'rotate')
  expect(kept.status).toBe(0)
  expect(ringIn(folder).keys).toHaveLength(4)
  const { stdout } = await keys(folder, 'rotate', '--retire')
  expect(stdout).toContain('key-0 is retired')
  expect(
    ringIn(folder)
      .keys.map(({ id }) => id)
      .slice(0, 2),
  ).toEqual(['key-1', 'key-2'])
  expect(ringIn(folder).keys).toHaveLength(4)
})

test('ST2 a ring without readable dates, or with one key, loses none', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal })
  for (const text of [ringText(1000), ringText(1000, 900).replace(/"createdAt":"[^"]*"/g, '"createdAt":"once"')]) {
    writeFileSync(folder.at('coatcheck.keys'), text, { mode: 0o600 })
    const before = ringIn(folder).keys
    const { status, stdout } = await keys(folder, 'rotate', '--retire')
    expect(status).toBe(0)
    expect(stdout).toContain('no key can be retired yet')
    expect(ringIn(folder).keys.slice(0, -1)).toEqual(before)
  }
})

test('ST2 a ring behind a link stays behind it', async () => {
  using folder = configFolder({ 'real.keys': ringText(1) })
  symlinkSync('real.keys', folder.at('link.keys'))
  expect((await keys(folder, 'rotate', '--file', 'link.keys')).status).toBe(0)
  expect(ringIn(folder, 'real.keys').keys).toHaveLength(2)
  expect(readdirSync(folder.path).sort()).toEqual(['link.keys', 'public', 'real.keys'])
})

test('LG2 no action shows a key; list shows ids, dates and which one seals', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'coatcheck.keys': ringText(3, 2) })
  const runs = [await keys(folder, 'list'), await keys(folder, 'list', '--json'), await keys(folder, 'rotate')]
  expect(runs[0]?.stdout).toMatch(/^key-0 {2}20\d\d-\S+Z {2}opens\nkey-1 {2}20\d\d-\S+Z {2}seals, signs\n$/)
  for (const { key } of ringIn(folder).keys)
    for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(key)
})

test('what is wrong is one line, and the ring stays as it was', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'broken.keys': '{', 'open.keys': ringText(1) })
  chmodSync(folder.at('open.keys'), 0o644)
  const rows: [string[], number, RegExp][] = [
    [[], 2, /generate\|rotate\|list is missing/],
    [['spin'], 2, /unknown action "spin"/],
    [['list', '--retire'], 2, /--retire goes with rotate/],
    [['list', '--withdraw'], 2, /--withdraw goes with rotate/],
    [['rotate', '--retire', '--file', 'x'], 2, /--retire needs session.absolute/],
    [['list', '-c', 'none.yaml'], 2, /none\.yaml:1: cannot be read/],
    [['list'], 1, /coatcheck\.keys: the key ring can not be read: no such file$/m],
    [['rotate'], 1, /coatcheck\.keys: the key ring can not be read: no such file$/m],
    [['generate', '--file', 'open.keys/ring'], 1, /open\.keys\/ring: the key ring can not be written: E\w+$/m],
    [['rotate', '--file', 'broken.keys'], 1, /not a key ring \(not JSON\)/],
    [['rotate', '--file', 'open.keys'], 1, /can be read by others; run: chmod 600/],
  ]
  await Promise.all(
    rows.map(async ([args, status, message]) => {
      const ran = await keys(folder, ...args)
      expect([args, ran.status, ran.stdout]).toEqual([args, status, ''])
      expect(ran.stderr).toMatch(message)
      expect(ran.stderr.trim().split('\n')).toHaveLength(1)
    }),
  )
  expect(readdirSync(folder.path).sort()).toEqual(['broken.keys', 'coatcheck.yaml', 'open.keys', 'public'])
})

test('PX7 list shows which key signs minted tokens, which one will, and which is still published', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'coatcheck.keys': ringText(30, 0.5, 0.1) })
  const { stdout } = await keys(folder, 'list', '--json')
  expect(JSON.parse(stdout).keys.map(({ state, signing }: Record<string, unknown>) => [state, signing])).toEqual([
    ['opens', 'published'],
    ['opens', 'signs'],
    ['seals', 'published'],
  ])
  expect((await keys(folder, 'list')).stdout).toMatch(/opens, published\n.*opens, signs\n.*seals, published\n$/)
})

test('PX7 rotate --withdraw: the new key signs at once, the others no more; all of them still open sessions', async () => {
  using folder = configFolder({ 'coatcheck.yaml': minimal, 'coatcheck.keys': ringText(30, 20) })
  const before = ringIn(folder).keys
  expect((await keys(folder, 'rotate', '--withdraw')).stdout).toMatch(/signs from now on; what other keys signed/)
  // An ordinary rotation after it leaves the mark where it is.
  await keys(folder, 'rotate')
  expect(ringIn(folder).keys.slice(0, 2)).toEqual(before)
  const { stdout } = await keys(folder, 'list', '--json')
  expect(JSON.parse(stdout).keys.map(({ state, signing }: Record<string, unknown>) => [state, signing])).toEqual([
    ['opens', 'over'],
    ['opens', 'over'],
    ['opens', 'signs'],
    ['seals', 'published'],
  ])
})
