// A worker that does as the configuration says: what it is told shows in files of the folder `at`.
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const number = process.env.COATCHECK_WORKER
let stuck = false

async function run({ number: order, files }) {
  const at = files.get('at')
  // Set up once it runs: those that come later end at their start.
  if (existsSync(join(at, 'trap'))) process.exit(3)
  const what = files.get(`do ${number}`) ?? 'run'
  if (what === 'die') process.exit(3)
  if (what === 'hang') {
    stuck = true
    return
  }
  if (what === 'refuse') {
    writeFileSync(join(at, `asked ${number}`), '')
    while (!existsSync(join(at, 'refuse'))) await sleep(5)
    process.send({ kind: 'refused', number: order, fault: { message: 'it is bad' } })
    return
  }
  writeFileSync(join(at, `runs ${number}`), files.get('name'))
  process.send({ kind: 'running', number: order })
}

process.on('message', (message) => {
  if (message.kind === 'run') void run(message.order)
  else if (message.kind === 'stop' && !stuck) process.exit(0)
})
process.send({ kind: 'waiting' })
