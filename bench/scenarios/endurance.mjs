// Ten minutes of everything at once, with an upstream that dies and returns: nothing grows, nothing fails unseen, and
// nobody is answered with another's.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { startMixedLoad } from '../lib/mixed-load.mjs'
import { benchFolder } from '../lib/parts.mjs'
import { freePort, ready, residentBytes, start } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'Endurance'

const clients = 24

export async function run({ folder, core, quick, log }) {
  const [minutes, leaving] = quick ? [0.5, 200] : [10, 20_000]
  const home = join(folder, 'coatcheck')
  const cookies = await writeSessions({ home, count: clients + leaving, core: core.load })
  const people = cookies.map((cookie, i) => ({ cookie, sub: `user-${i}` }))
  const [steadyPort, dyingPort, port] = [await freePort(), await freePort(), await freePort()]
  const startApi = async (apiPort) => {
    const script = join(benchFolder, 'servers/marking-api.mjs')
    const api = start(process.execPath, [script, String(apiPort)], { core: core.load, log: join(folder, 'api.log') })
    await ready(api, apiPort)
    return api
  }
  await startApi(steadyPort)
  const routes = `  - path: /dying/*
    upstream: http://127.0.0.1:${dyingPort}
    access: authenticated
  - path: /live
    upstream: ws://127.0.0.1:${steadyPort}
    access: authenticated
`
  const nodeArguments = ['--expose-gc', '--import', join(benchFolder, 'lib/gc-on-signal.mjs')]
  const upstream = { url: `http://127.0.0.1:${steadyPort}` }
  const gateway = await startGateway({
    home,
    core: core.server,
    port,
    upstream,
    routes,
    nodeArguments,
    issuer: 'http://127.0.0.1:9',
  })
  const descriptors = () => readdirSync(`/proc/${gateway.pid}/fd`).length
  const atStart = descriptors()

  let over = false
  let deaths = 0
  const dying = (async () => {
    while (!over) {
      const api = await startApi(dyingPort)
      await sleep(4000)
      await api.stop()
      deaths += 1
      await sleep(1500)
    }
  })()
  const load = startMixedLoad({
    origin: `http://127.0.0.1:${port}`,
    users: people.slice(0, clients),
    leavers: people.slice(clients),
  })
  const memory = []
  const each = (minutes * 60_000) / 10
  for (let part = 1; part <= 10; part += 1) {
    await sleep(each)
    if (!gateway.running()) throw new Error(`the gateway ended: ${readFileSync(gateway.log, 'utf8').slice(-2000)}`)
    process.kill(gateway.pid, 'SIGUSR2')
    await sleep(1000)
    memory.push(residentBytes(gateway.pid).own)
    const total = Object.values(load.seen.done).reduce((sum, count) => sum + count, 0)
    log(`${part}/10: ${total} exchanges, ${(memory.at(-1) / 1e6).toFixed(0)} MB`)
  }
  const { seen } = load
  await load.stop()
  over = true
  await dying
  // Connections to upstreams stay for a moment of idleness.
  await sleep(quick ? 3000 : 70_000)
  const atEnd = descriptors()
  const lines = readFileSync(gateway.log, 'utf8').trim().split('\n')
  await gateway.stop()
  const faults = lines.filter((line) => !/^\{/.test(line) || JSON.parse(line).level >= 50)
  for (const fault of [...seen.wrong, ...seen.refused, ...faults].slice(0, 20)) log(fault)
  return {
    ...{ minutes, clients, deaths, memory, descriptors: [atStart, atEnd], done: seen.done, outages: seen.outages },
    ...{
      wrong: seen.wrong.length,
      refused: seen.refused.length,
      faults: faults.length,
      exitCode: await gateway.exited,
    },
  }
}

export function report({
  minutes,
  clients,
  deaths,
  memory,
  descriptors,
  done,
  outages,
  wrong,
  refused,
  faults,
  exitCode,
}) {
  const growth = (memory.at(-1) - memory[1]) / 1e6
  return {
    notes: `${clients} users for ${minutes} minutes, each doing one thing after the other, and more who sign out one after the other. Of two upstreams one is killed every 5.5 s (${deaths} times) and gone for 1.5 s. Every answer names its request and its user.`,
    head: ['', ''],
    body: [
      ...Object.entries(done).map(([name, count]) => [name, count.toLocaleString('en')]),
      ['answers while the upstream was dead (502, 503, 504 or cut)', outages.toLocaleString('en')],
      [
        'own memory after garbage collection, each tenth of the time, MB',
        memory.map((bytes) => (bytes / 1e6).toFixed(0)).join(' '),
      ],
      ['open descriptors before and after', descriptors.join(', ')],
      ['exit code', String(exitCode)],
    ],
    targets: [
      { what: "answers that were another's, or not as sent", limit: 0, value: wrong },
      { what: 'other answers than expected', limit: 0, value: refused },
      { what: 'faults in the log, unhandled rejections among them', limit: 0, value: faults },
      { what: 'growth of memory from the second tenth to the last', limit: 15, value: growth, unit: ' MB' },
      { what: 'descriptors left open', limit: 8, value: descriptors[1] - descriptors[0] },
    ],
  }
}
