// A large download and a large upload through the gateway: bodies are streamed, so memory must not grow with them.
import { request } from 'node:http'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { apiHeaders } from '../lib/headers.mjs'
import { benchFolder } from '../lib/parts.mjs'
import { freePort, ready, residentBytes, start } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'Large transfers'

export async function run({ folder, core, quick }) {
  const bytes = quick ? 2 ** 28 : 2 ** 31
  const home = join(folder, 'coatcheck')
  const [cookie] = await writeSessions({ home, count: 1, core: core.load })
  const apiPort = await freePort()
  const api = start(process.execPath, [join(benchFolder, 'servers/blob.mjs'), String(apiPort)], {
    core: core.load,
    log: join(folder, 'blob.log'),
  })
  await ready(api, apiPort)
  const port = await freePort()
  const upstream = { url: `http://127.0.0.1:${apiPort}` }
  const gateway = await startGateway({ home, core: core.server, port, upstream, issuer: 'http://127.0.0.1:9' })
  const headers = apiHeaders(`http://127.0.0.1:${port}`, cookie)
  const url = `http://127.0.0.1:${port}/api/blob?bytes=`

  // Small ones first: what the first transfer of any size needs is no growth with size.
  for (const transfer of [download, upload]) await transfer(`${url}${2 ** 24}`, headers, 2 ** 24)
  return {
    bytes,
    download: await watched(gateway.pid, bytes, () => download(`${url}${bytes}`, headers, bytes)),
    upload: await watched(gateway.pid, bytes, () => upload(url, headers, bytes)),
  }
}

function answerTo(outgoing) {
  return new Promise((resolve, reject) => {
    outgoing.on('error', reject)
    outgoing.on('response', resolve)
  })
}

async function download(url, headers, bytes) {
  const outgoing = request(url, { headers, agent: false })
  const answered = answerTo(outgoing)
  outgoing.end()
  const answer = await answered
  let received = 0
  for await (const piece of answer) received += piece.length
  if (answer.statusCode !== 200 || received !== bytes)
    throw new Error(`${answer.statusCode}, ${received} of ${bytes} bytes`)
}

async function upload(url, headers, bytes) {
  const piece = Buffer.alloc(65_536, 'coatcheck')
  const body = Readable.from(
    (function* () {
      for (let sent = 0; sent < bytes; sent += piece.length) yield piece
    })(),
  )
  const outgoing = request(url, { method: 'POST', headers: { ...headers, 'Content-Length': bytes }, agent: false })
  const answered = answerTo(outgoing)
  const [answer] = await Promise.all([answered, pipeline(body, outgoing)])
  let text = ''
  for await (const part of answer) text += part
  if (answer.statusCode !== 200 || Number(text) !== bytes)
    throw new Error(`${answer.statusCode}, ${text} of ${bytes} bytes`)
}

/** Runs a transfer and answers its speed and how far resident memory rose above where it began. */
async function watched(pid, bytes, transfer) {
  const total = () => {
    const { own, mapped } = residentBytes(pid)
    return own + mapped
  }
  const before = total()
  let peak = before
  const timer = setInterval(() => {
    peak = Math.max(peak, total())
  }, 50)
  const begin = performance.now()
  try {
    await transfer()
  } finally {
    clearInterval(timer)
  }
  return {
    megabytesPerSecond: bytes / 1e3 / (performance.now() - begin),
    before,
    growth: Math.max(peak, total()) - before,
  }
}

export function report({ bytes, ...transfers }) {
  return {
    notes: `${(bytes / 2 ** 30).toFixed(2)} GB each way through the gateway; API, client and gateway share two cores.`,
    head: ['', 'MB/s', 'resident at start, MB', 'growth at peak, MB'],
    body: Object.entries(transfers).map(([name, { megabytesPerSecond, before, growth }]) => [
      name,
      megabytesPerSecond.toFixed(0),
      (before / 1e6).toFixed(0),
      (growth / 1e6).toFixed(0),
    ]),
  }
}
