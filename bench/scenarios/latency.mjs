// Time of a call at half load: requests at a fixed pace, the same for the gateway and for a bare Node proxy.
import { join } from 'node:path'
import { paced } from '../lib/h2load.mjs'
import { apiHeaders } from '../lib/headers.mjs'
import { freePort } from '../lib/process.mjs'
import { startProvider } from '../lib/provider.mjs'
import { median, quantile } from '../lib/statistics.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { load } from '../lib/wrk.mjs'
import { coatcheckPeer } from '../peers/coatcheck.mjs'
import { nodePlainPeer } from '../peers/node-plain.mjs'
import { connections, verify } from './proxy.mjs'

export const title = 'Time of a call at half load'

export async function run({ folder, core, rounds, seconds, warmUp, log }) {
  const upstream = await startUpstream({ folder, core: core.load })
  const port = await freePort()
  const clients = [['coatcheck', `http://127.0.0.1:${port}${coatcheckPeer.redirectPath}`]]
  const { issuer } = await startProvider({ folder, core: core.load, port: await freePort(), clients })
  const setting = { upstream, folder, issuer, port, core: core.server }
  const rows = []
  for (const peer of [nodePlainPeer(setting), coatcheckPeer(setting)]) {
    const server = await peer.start()
    await verify(peer, server, upstream)
    const target = [`${server.url}/api/orders`, apiHeaders(server.url, server.cookie)]
    await load(...target, { seconds: warmUp, core: core.load, folder })
    const { requests, microseconds } = await load(...target, { seconds, core: core.load, folder })
    rows.push({ key: peer.key, name: peer.name, peer, target, full: requests / (microseconds / 1e6), samples: [] })
  }
  const rate = Math.round(Math.min(...rows.map(({ full }) => full)) / 2)
  for (let round = 0; round < rounds; round += 1) {
    for (let i = 0; i < rows.length; i += 1) {
      const row = rows[(i + round) % rows.length]
      const times = await paced(...row.target, {
        rate,
        seconds,
        core: core.load,
        log: join(folder, 'h2load'),
        connections,
      })
      row.samples.push({ count: times.length, p50: median(times), p99: quantile(times, 0.99) })
      log(`round ${round + 1}/${rounds} ${row.key}: p99 ${quantile(times, 0.99).toFixed(2)} ms`)
    }
  }
  for (const { peer } of rows) await peer.stop()
  return { rate, rounds, seconds, rows: rows.map(({ key, name, full, samples }) => ({ key, name, full, samples })) }
}

export function report({ rate, rounds, seconds, rows }) {
  const of = (row, figure) => median(row.samples.map((sample) => sample[figure]))
  const row = (key) => rows.find((one) => one.key === key)
  const added = (figure) =>
    median(row('coatcheck').samples.map((sample, i) => sample[figure] - row('node-plain').samples[i][figure]))
  return {
    notes: `${rate.toLocaleString('en')} requests/s over ${connections} connections, half of what the slower one of the two reaches. Medians of ${rounds} interleaved rounds of ${seconds} s; the difference is the median of those within each round.`,
    head: ['server', 'most requests/s', 'p50 ms', 'p99 ms'],
    body: rows.map((one) => [
      one.name,
      Math.round(one.full).toLocaleString('en'),
      of(one, 'p50').toFixed(2),
      of(one, 'p99').toFixed(2),
    ]),
    targets: [{ what: 'p99 at half load, above the bare Node proxy', limit: 2, value: added('p99'), unit: ' ms' }],
  }
}
