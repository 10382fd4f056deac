// npm run bench [-- [--quick] [--rounds N] [--seconds N] [--only KEY,KEY] [SCENARIO…]]
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { debianPart, Missing } from './lib/parts.mjs'
import { cores, stopAll } from './lib/process.mjs'
import { machine, section, versions, write } from './lib/report.mjs'
import * as attacks from './scenarios/attacks.mjs'
import * as aws from './scenarios/aws.mjs'
import * as endurance from './scenarios/endurance.mjs'
import * as latency from './scenarios/latency.mjs'
import * as lifecycle from './scenarios/lifecycle.mjs'
import * as memory from './scenarios/memory.mjs'
import * as profile from './scenarios/profile.mjs'
import * as proxy from './scenarios/proxy.mjs'
import * as store from './scenarios/store.mjs'
import * as streams from './scenarios/streams.mjs'
import * as transfer from './scenarios/transfer.mjs'
import * as workers from './scenarios/workers.mjs'

/** A new scenario is a new row: { title, run(setting) → figures as JSON, report(figures) → notes, head, body, targets }. */
const scenarios = {
  proxy,
  latency,
  workers,
  streams,
  lifecycle,
  memory,
  store,
  transfer,
  aws,
  endurance,
  attacks,
  profile,
}
const usual = ['proxy', 'latency', 'workers', 'streams', 'lifecycle', 'memory', 'store', 'transfer', 'aws']

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    only: { type: 'string' },
  },
})
const unknown = positionals.filter((name) => !(name in scenarios))
if (unknown.length > 0) {
  console.error(`no scenario ${unknown.join(', ')}; there are: ${Object.keys(scenarios).join(', ')}`)
  process.exit(2)
}

const folder = mkdtempSync(join(tmpdir(), 'coatcheck-bench-'))
const setting = {
  core: cores(),
  quick: values.quick,
  rounds: Number(values.rounds ?? (values.quick ? 2 : 5)),
  seconds: Number(values.seconds ?? (values.quick ? 2 : 6)),
  warmUp: values.quick ? 2 : 4,
  only: values.only?.split(','),
  log: (line) => console.error(line),
}

let interrupted = false
async function finish() {
  await stopAll()
  rmSync(folder, { recursive: true, force: true })
}
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.once(signal, () => {
    interrupted = true
    finish().then(() => process.exit(130))
  })
}

try {
  debianPart(['/usr/bin/wrk', '/usr/local/bin/wrk'], ['wrk'])
  const done = {}
  for (const name of positionals.length > 0 ? positionals : usual) {
    const { title, run, report } = scenarios[name]
    setting.log(`— ${title}`)
    const home = mkdtempSync(join(folder, `${name}-`))
    const figures = await run({ ...setting, folder: home })
    await stopAll()
    done[name] = {
      title,
      date: new Date().toISOString().slice(0, 10),
      machine: machine(),
      versions: versions(),
      report: report(figures),
      figures,
    }
    console.log(`\n${section(done[name])}\n`)
  }
  // A quick run, or one of a few servers, shows that the bench works; it is no result.
  if (values.quick || values.only) setting.log('quick or partial run: bench/results.* left as they were')
  else write(done)
} catch (cause) {
  // What failed because its children were just ended is no news.
  if (!interrupted) console.error(cause instanceof Missing ? cause.message : cause)
  process.exitCode = 1
} finally {
  await finish()
}
