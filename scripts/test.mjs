// `npm test`: build, lint, types, then every test; `npm test -- path` hands its arguments to vitest.
// The last line is `N passed, N failed`, with `, N skipped` if anything was. Build, lint and types count as one check each.
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const total = { passed: 0, failed: 0, skipped: 0 }

/** Runs a command; resolves with its exit code and, if asked to hold it back, its output. */
function run(command, args, { quiet }) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd: root,
      stdio: ['ignore', quiet ? 'pipe' : 'inherit', quiet ? 'pipe' : 'inherit'],
    })
    const chunks = []
    child.stdout?.on('data', (chunk) => chunks.push(chunk))
    child.stderr?.on('data', (chunk) => chunks.push(chunk))
    child.once('error', (error) => resolve({ code: 1, output: `${command}: ${error.message}\n` }))
    child.once('close', (code, signal) =>
      resolve({ code: code ?? 1, signal, output: Buffer.concat(chunks).toString() }),
    )
  })
}

async function check(name) {
  const began = performance.now()
  process.stdout.write(`${name} … `)
  const { code, output } = await run('npm', ['run', '--silent', name], { quiet: true })
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  console.log(code === 0 ? `ok (${seconds} s)` : `FAILED (${seconds} s)\n${output}`)
  if (code === 0) total.passed++
  else total.failed++
}

/** Vitest prints its own progress and writes a report, from which we count. */
async function tests(filters) {
  console.log('tests …')
  const folder = await mkdtemp(join(tmpdir(), 'coatcheck-test-'))
  const file = join(folder, 'report.json')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
  const vitest = join(root, 'node_modules/vitest/vitest.mjs')
  const { code } = await run(process.execPath, [vitest, 'run', '--allowOnly=false', ...reporters, ...filters], {
    quiet: false,
  })
  const report = await readFile(file, 'utf8').then(JSON.parse, () => undefined)
  await rm(folder, { recursive: true, force: true })
  count(report, code)
}

function count(report, code) {
  const results = (report?.testResults ?? []).flatMap((file) => {
    const statuses = file.assertionResults.map((one) => one.status)
    // A file that can't be loaded has no test to fail.
    return file.status === 'failed' && !statuses.includes('failed') ? [...statuses, 'failed'] : statuses
  })
  const passed = results.filter((status) => status === 'passed').length
  const failed = results.filter((status) => status === 'failed').length
  total.passed += passed
  total.skipped += results.length - passed - failed
  // Vitest also fails for what no test answers for: an unhandled rejection, no test at all, no Chromium.
  total.failed += code !== 0 && failed === 0 ? 1 : failed
}

for (const name of ['build', 'lint', 'types']) await check(name)
await tests(process.argv.slice(2))

const { passed, failed, skipped } = total
if (failed > 0) process.exitCode = 1
console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
