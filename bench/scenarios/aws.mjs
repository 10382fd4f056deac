// Signed calls: what a signature costs, how many fewer of them go through than calls with a token, and what a pool is asked.
import { Agent } from 'node:http'
import { join } from 'node:path'
import { apiHeaders } from '../lib/headers.mjs'
import { fetchText } from '../lib/http.mjs'
import { signedPath, signingSettings, startPool } from '../lib/identity-pool.mjs'
import { cpuMicroseconds, freePort } from '../lib/process.mjs'
import { startProvider } from '../lib/provider.mjs'
import { runScript } from '../lib/sessions.mjs'
import { median } from '../lib/statistics.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { load } from '../lib/wrk.mjs'
import { coatcheckPeer } from '../peers/coatcheck.mjs'
import { connections, verify } from './proxy.mjs'

export const title = 'Signed calls to AWS'

const atOnce = 1000
const paths = { bearer: '/api/orders', signed: signedPath }

export async function run({ folder, core, rounds, seconds, warmUp, quick, log }) {
  const signing = await runScript('signing-cost.mjs', [quick ? 50 : 500, rounds], {
    core: core.server,
    log: join(folder, 'signing.log'),
  })
  log('signing: done')
  const upstream = await startUpstream({ folder, core: core.load })
  const pool = await startPool({ folder, core: core.load })
  const port = await freePort()
  const clients = [['coatcheck', `http://127.0.0.1:${port}${coatcheckPeer.redirectPath}`]]
  const { issuer } = await startProvider({ folder, core: core.load, port: await freePort(), clients })
  const peer = coatcheckPeer({
    ...{ upstream, folder, core: core.server, port, issuer },
    ...signingSettings(upstream, pool),
  })
  const server = await peer.start()
  await verify(peer, server, upstream)
  const asked = await storm(server, pool)
  log(`${atOnce} calls at once: ${JSON.stringify(asked)}`)
  const credential = await fetchText(`${server.url}/aws/api/credential`, {
    headers: apiHeaders(server.url, server.cookie),
  })
  if (!credential.text.startsWith('AWS4-HMAC-SHA256 ')) throw new Error(`not signed: ${credential.text.slice(0, 100)}`)

  const samples = { bearer: [], signed: [] }
  const once = (name, length) => sample(server, paths[name], { upstream, core, folder, seconds: length })
  for (const name of Object.keys(paths)) await once(name, warmUp)
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? ['bearer', 'signed'] : ['signed', 'bearer']
    for (const name of order) {
      await once(name, 1)
      const figures = await once(name, seconds)
      samples[name].push(figures)
      log(`round ${round + 1}/${rounds} ${name}: ${figures.cpu.toFixed(1)} µs, ${Math.round(figures.rate)}/s`)
    }
  }
  await peer.stop()
  return { rounds, seconds, asked, signing: JSON.parse(signing.trim().split('\n').at(-1)), samples }
}

/** Calls of one session that all find no credentials. */
async function storm({ url, cookie }, pool) {
  const agent = new Agent({ keepAlive: true, maxSockets: atOnce })
  const call = () => fetchText(`${url}${paths.signed}`, { headers: apiHeaders(url, cookie), agent })
  const answers = await Promise.all(Array.from({ length: atOnce }, call))
  agent.destroy()
  const failed = answers.filter(({ status }) => status !== 200)
  if (failed.length > 0)
    throw new Error(`${failed.length} calls failed: ${failed[0].status} ${failed[0].text.slice(0, 200)}`)
  return await pool.counts()
}

async function sample({ url, cookie, pid }, path, { upstream, core, folder, seconds }) {
  const reachedBefore = await upstream.requests()
  const before = cpuMicroseconds(pid)
  const how = { seconds, core: core.load, folder, connections }
  const figures = await load(`${url}${path}`, apiHeaders(url, cookie), how)
  const cpu = cpuMicroseconds(pid) - before
  const reached = (await upstream.requests()) - reachedBefore
  return {
    cpu: cpu / figures.requests,
    rate: figures.requests / (figures.microseconds / 1e6),
    errors: figures.broken + figures.refused + Math.max(0, figures.requests - reached),
  }
}

export function report({ rounds, seconds, asked, signing, samples }) {
  const of = (name, figure) => median(samples[name].map((one) => one[figure]))
  const ratio = median(samples.signed.map(({ rate }, i) => rate / samples.bearer[i].rate))
  const errors = (name) => samples[name].reduce((sum, one) => sum + one.errors, 0)
  const cost = (bytes) => Object.values(signing[bytes]).map((all) => median(all).toFixed(1))
  const sizes = { 0: 'no body', 1024: '1 KB', [1024 * 1024]: '1 MB' }
  const body = [
    ...Object.keys(paths).map((name) => [
      `${name} calls: CPU µs/request · requests/s · errors`,
      [of(name, 'cpu').toFixed(1), Math.round(of(name, 'rate')).toLocaleString('en'), errors(name)].join(' · '),
    ]),
    ['signed calls, of bearer calls', ratio.toFixed(2)],
    ...Object.keys(signing).map((bytes) => [
      `one signature, ${sizes[bytes]}, CPU µs: ours · @smithy/signature-v4`,
      cost(bytes).join(' · '),
    ]),
    [
      `${atOnce.toLocaleString('en')} calls at once: GetId · GetCredentialsForIdentity`,
      Object.values(asked).join(' · '),
    ],
  ]
  return {
    notes: `Gateway on one core; load, upstream and pool on the other; ${connections} connections. Medians of ${rounds} rounds of ${seconds} s, the two kinds of calls in turns; the ratio is the median of the ratios within each round.`,
    head: ['figure', 'value'],
    body,
    targets: [
      { what: 'signed calls a second, of bearer ones', least: 0.6, value: ratio },
      {
        what: 'calls to the identity pool of 1,000 calls at once',
        limit: 2,
        value: asked.GetId + asked.GetCredentialsForIdentity,
      },
    ],
  }
}
