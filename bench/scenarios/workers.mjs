// What several workers cost: CPU of all of their processes together for an authenticated call, one worker against two.
import { join } from 'node:path'
import { paced } from '../lib/h2load.mjs'
import { apiHeaders } from '../lib/headers.mjs'
import { cpuMicroseconds, freePort } from '../lib/process.mjs'
import { startProvider } from '../lib/provider.mjs'
import { median } from '../lib/statistics.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { coatcheckPeer } from '../peers/coatcheck.mjs'
import { connections, sample, verify } from './proxy.mjs'

export const title = 'Several workers'

/** The last one is what the target is about. */
const counts = [1, 2]

/**
 * Requests in a second to each worker, over connections of its own. The pace is fixed, since a process that is less busy
 * reads fewer requests at a time and pays more for each: what several processes cost shows where all are equally busy.
 */
const pace = 6_000

export async function run({ folder, core: { server, load }, rounds: usual, seconds, warmUp, log }) {
  // The difference is smaller than what one round differs from another.
  const rounds = 2 * usual
  // Several workers are for several cores. Everything may run on both, in either case: held on one core, two processes
  // would pay for taking turns on it, and for half of its caches each.
  const core = { server: `${server},${load}`, load: `${server},${load}` }
  const upstream = await startUpstream({ folder, core: core.load })
  const ports = await freePorts(counts.length)
  // The provider knows a client by its name: one for all, under as many addresses.
  const rows = []
  for (const [at, workers] of counts.entries()) {
    const port = ports[at]
    const clients = [['coatcheck', `http://127.0.0.1:${port}${coatcheckPeer.redirectPath}`]]
    const { issuer } = await startProvider({ folder, core: core.load, port: await freePort(), clients })
    const peer = coatcheckPeer({ upstream, folder, core: core.server, port, issuer, workers })
    const row = { workers, samples: [], peer, server: await peer.start() }
    await verify(peer, row.server, upstream)
    log(`${workers} worker(s): verified`)
    rows.push(row)
  }
  // Each worker has its own code to warm up, with its part of the requests.
  for (const row of rows) await sample(row, { upstream, core, folder, seconds: warmUp * row.workers })
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < rows.length; i += 1) {
      const row = rows[(i + round) % rows.length]
      row.samples.push(await atPace(row, { upstream, core, folder, seconds }))
      log(`round ${round + 1}/${rounds} ${row.workers} worker(s): ${row.samples.at(-1).cpu.toFixed(1)} µs`)
    }
  }
  for (const { peer } of rows) await peer.stop()
  return { pace, connections, rounds, seconds, rows: rows.map(({ workers, samples }) => ({ workers, samples })) }
}

/** CPU of all of the gateway's processes for each request that the API got. Rejects where a request fails. */
async function atPace({ server, workers }, { upstream, core, folder, seconds }) {
  const [reachedBefore, cpuBefore] = [await upstream.requests(), cpuMicroseconds(server.pid)]
  await paced(`${server.url}/api/orders`, apiHeaders(server.url, server.cookie), {
    rate: pace * workers,
    connections: connections * workers,
    seconds,
    core: core.load,
    log: join(folder, 'h2load'),
  })
  return { cpu: (cpuMicroseconds(server.pid) - cpuBefore) / ((await upstream.requests()) - reachedBefore) }
}

async function freePorts(count) {
  const ports = []
  while (ports.length < count) ports.push(await freePort())
  return ports
}

export function report({ rows, rounds, seconds, pace, connections }) {
  const [one] = rows
  const ratio = ({ samples }) => median(samples.map(({ cpu }, i) => cpu / one.samples[i].cpu))
  const body = rows.map((row) => {
    const all = row.samples.map(({ cpu }) => cpu)
    return [
      String(row.workers),
      median(all).toFixed(1),
      `${Math.min(...all).toFixed(1)}–${Math.max(...all).toFixed(1)}`,
      ratio(row).toFixed(3),
    ]
  })
  return {
    notes:
      `CPU of all processes of the gateway, its primary included, at ${pace.toLocaleString('en')} requests/s to each worker over ${connections} connections each. ` +
      `Gateway, load and upstream share two cores. Medians of ${rounds} interleaved rounds of ${seconds} s; the ratio is the median of the ratios within each round.`,
    head: ['workers', 'CPU µs/request', '(min–max)', 'of one worker'],
    body,
    targets: [{ what: 'CPU per request of two workers, of one', limit: 1.05, value: ratio(rows.at(-1)) }],
  }
}
