// What stays on the line: how much later the first event of a stream comes through the gateway, and what open WebSockets hold.
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { apiHeaders } from '../lib/headers.mjs'
import { benchFolder } from '../lib/parts.mjs'
import { freePort, mostFiles, ready, residentBytes, start, withMostFiles } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { median, quantile } from '../lib/statistics.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'Streams'

export async function run({ folder, core, quick, log }) {
  // Each takes two descriptors of the gateway, and some are needed besides.
  const sockets = quick ? 500 : Math.min(10_000, Math.floor((mostFiles() - 1000) / 2))
  const events = quick ? 50 : 500
  const home = join(folder, 'coatcheck')
  const [cookie] = await writeSessions({ home, count: 1000, core: core.load })
  const apiPort = await freePort()
  const script = (name, args, out) => {
    const command = withMostFiles([process.execPath, join(benchFolder, 'servers', name), ...args])
    return start(command[0], command.slice(1), { core: core.load, log: join(folder, out) })
  }
  const api = script('live.mjs', [String(apiPort)], 'live.log')
  await ready(api, apiPort)
  const port = await freePort()
  const upstream = { url: `http://127.0.0.1:${apiPort}` }
  const routes = `  - path: /live
    upstream: ws://127.0.0.1:${apiPort}
    access: authenticated
`
  const gateway = await startGateway({
    ...{ home, core: core.server, port, upstream, routes, issuer: 'http://127.0.0.1:9' },
    manySockets: true,
  })
  const origin = `http://127.0.0.1:${port}`
  const ways = { direct: upstream.url, gateway: origin }
  const firstEvents = { direct: [], gateway: [] }
  for (const [way, url] of Object.entries(ways))
    for (let i = 0; i < 50; i += 1) await firstEvent(url, origin, cookie, way)
  for (let i = 0; i < events; i += 1)
    for (const [way, url] of Object.entries(ways)) firstEvents[way].push(await firstEvent(url, origin, cookie, way))
  const before = residentBytes(gateway.pid)
  const args = [`ws://127.0.0.1:${port}/live`, origin, String(sockets), join(home, 'cookies.txt')]
  const client = script('open-sockets.mjs', args, 'sockets.log')
  const said = () => readFileSync(join(folder, 'sockets.log'), 'utf8')
  while (!said().startsWith('open')) {
    if (!client.running()) throw new Error(`the WebSockets did not open: ${said().trim().slice(0, 500)}`)
    await sleep(200)
  }
  log(`${sockets} WebSockets are open`)
  const after = residentBytes(gateway.pid)
  await client.stop()
  return { events, sockets, firstEvents, before, after }
}

/** Milliseconds from the request, over a new connection, until the first event is here. */
function firstEvent(url, origin, cookie, way) {
  const headers = { ...apiHeaders(origin, cookie), Accept: 'text/event-stream' }
  const begin = performance.now()
  return new Promise((resolve, reject) => {
    const outgoing = request(`${url}/api/events`, { headers, agent: false }, (answer) => {
      answer.once('data', (piece) => {
        const took = performance.now() - begin
        if (answer.statusCode === 200 && String(piece).includes('data: here')) resolve(took)
        else reject(new Error(`${way}: ${answer.statusCode} ${piece}`))
        outgoing.destroy()
      })
      // Ends when it is destroyed above.
      answer.on('error', () => {})
    })
    outgoing.on('error', reject)
    outgoing.end()
  })
}

export function report({ events, sockets, firstEvents, before, after }) {
  const { direct, gateway } = firstEvents
  const each = (after.own - before.own) / sockets
  const megabytes = (bytes) => (bytes / 1e6).toFixed(0)
  const row = (what, of) => [what, of(direct).toFixed(2), of(gateway).toFixed(2), (of(gateway) - of(direct)).toFixed(2)]
  const p99 = (values) => quantile(values, 0.99)
  return {
    notes: `First event of ${events} event streams each way, in turns, each over a new connection; then ${sockets.toLocaleString('en')} WebSockets of 1,000 sessions, as many as a process may have here, each with one message there and back.`,
    head: ['', 'from the API', 'through the gateway', 'difference'],
    body: [
      row('first event, p50 ms', median),
      row('first event, p99 ms', p99),
      ['own memory before, MB', '', megabytes(before.own), ''],
      [
        `own memory with ${sockets.toLocaleString('en')} WebSockets, MB`,
        '',
        megabytes(after.own),
        megabytes(after.own - before.own),
      ],
      ['KB for each WebSocket', '', '', (each / 1e3).toFixed(1)],
    ],
    targets: [
      {
        what: 'first event of a stream, added at the median',
        limit: 5,
        value: median(gateway) - median(direct),
        unit: ' ms',
      },
      { what: 'first event of a stream, added at p99', limit: 5, value: p99(gateway) - p99(direct), unit: ' ms' },
      {
        what: 'own memory with 10,000 WebSockets, by what each takes',
        limit: 400,
        value: (before.own + each * 10_000) / 1e6,
        unit: ' MB',
      },
    ],
  }
}
