// What idle sessions cost the process: they are in the store, each was opened once by a request with its cookie.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { apiHeaders } from '../lib/headers.mjs'
import { fetchText } from '../lib/http.mjs'
import { benchFolder } from '../lib/parts.mjs'
import { freePort, residentBytes } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'Memory of idle sessions'

export async function run({ folder, core, quick, log }) {
  const count = quick ? 10_000 : 100_000
  const home = join(folder, 'coatcheck')
  const started = performance.now()
  const [warmUp, ...cookies] = await writeSessions({ home, count: count + 1, core: core.load })
  log(`${count} sessions written in ${((performance.now() - started) / 1000).toFixed(1)} s`)

  const upstream = await startUpstream({ folder, core: core.load })
  const port = await freePort()
  const nodeArguments = ['--expose-gc', '--import', join(benchFolder, 'lib/gc-on-signal.mjs')]
  const gateway = await startGateway({
    home,
    core: core.server,
    port,
    upstream,
    issuer: 'http://127.0.0.1:9',
    nodeArguments,
  })
  const url = `http://127.0.0.1:${port}`

  // The same load on one session first: code, connections and buffers are there before the sessions come.
  await openEach(url, Array(20_000).fill(warmUp), upstream.body)
  const before = await settled(gateway.pid)
  await openEach(url, cookies, upstream.body)
  const after = await settled(gateway.pid)
  return { count, before, after }
}

async function openEach(url, cookies, body) {
  let next = 0
  async function worker() {
    while (next < cookies.length) {
      const cookie = cookies[next]
      next += 1
      const answer = await fetchText(`${url}/api/orders`, { headers: apiHeaders(url, cookie) })
      if (answer.status !== 200 || answer.text !== body)
        throw new Error(`a session answered ${answer.status}: ${answer.text}`)
    }
  }
  await Promise.all(Array.from({ length: 64 }, worker))
}

async function settled(pid) {
  process.kill(pid, 'SIGUSR2')
  await sleep(3000)
  process.kill(pid, 'SIGUSR2')
  await sleep(3000)
  return residentBytes(pid)
}

const megabytes = (bytes) => (bytes / 1e6).toFixed(1)

export function report({ count, before, after }) {
  const own = after.own - before.own
  const line = (name, memory) => [name, megabytes(memory.own), megabytes(memory.mapped)]
  return {
    notes: `Resident memory of the gateway after garbage collection, on an lmdb store of ${count.toLocaleString('en')} sessions with 3 KB of tokens each.`,
    head: ['', 'own, MB', 'pages of mapped files, MB'],
    body: [
      line('before: one session opened 20,000 times', before),
      line(`after: each of ${count.toLocaleString('en')} sessions opened once`, after),
      line('growth', { own, mapped: after.mapped - before.mapped }),
    ],
    targets: [
      { what: `own memory for ${count.toLocaleString('en')} idle sessions`, limit: 100, value: own / 1e6, unit: ' MB' },
    ],
    remarks: [
      'Mapped pages are the lmdb file as the kernel caches it: shared by all processes, given back when memory is short. They count in RSS, but not as memory of the process.',
    ],
  }
}
