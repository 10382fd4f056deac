// The life of sessions under load: refresh storms, rotations, and how soon a sign-out holds in another process.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { apiHeaders } from '../lib/headers.mjs'
import { fetchText } from '../lib/http.mjs'
import { benchFolder } from '../lib/parts.mjs'
import { cpuMicroseconds, freePort, ready, start } from '../lib/process.mjs'
import { writeSessions } from '../lib/sessions.mjs'
import { median, quantile } from '../lib/statistics.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { startGateway } from '../peers/coatcheck.mjs'

export const title = 'The life of a session'

/** Milliseconds that the provider takes for a token request. */
const latency = 100

/** Storms that a gateway has seen before one is measured, as every other scenario warms up: the code is compiled by then. */
const warmUp = 4

export async function run({ folder, core, quick, log }) {
  const upstream = await startUpstream({ folder, core: core.load })
  const shared = { folder, core, upstream }
  const storm = await refreshStorms(shared, { count: quick ? 200 : 1000, storms: warmUp + (quick ? 1 : 5) })
  const each = storm.measured.map(
    ({ p99, cpu }) => `${p99.toFixed(0)} ms (${(cpu / 1000).toFixed(2)} ms CPU a refresh)`,
  )
  log(`refresh storms: p99 ${each.join(', ')}; the first ${storm.first.p99.toFixed(0)} ms`)
  const rotation = await rotations(shared, quick ? 500 : 5000)
  log(`rotation: ${(rotation.rotating - rotation.plain).toFixed(0)} µs`)
  const revocation = await revocations(shared, quick ? 50 : 500)
  log(`sign-out to refusal in another process: p99 ${revocation.p99.toFixed(1)} ms`)
  return { storm, rotation, revocation }
}

/**
 * The access tokens of all sessions run out within one second, and each session calls twice at that moment. Several storms
 * meet one gateway, one after the other, each with sessions of its own: the first finds code that has never run, the others
 * a gateway that has been serving.
 */
async function refreshStorms({ folder, core, upstream }, { count, storms }) {
  const home = join(folder, 'storm')
  const [port, providerPort] = [await freePort(), await freePort()]
  const issuer = `http://127.0.0.1:${providerPort}`
  const program = join(benchFolder, 'servers/slow-provider.mjs')
  const provider = start(process.execPath, [program, String(providerPort), String(latency)], {
    core: core.load,
    log: join(folder, 'slow-provider.log'),
  })
  await ready(provider, providerPort)
  const both = `${core.server},${core.load}`
  const url = `http://127.0.0.1:${port}`
  const rounds = []
  let gateway
  let before = {}
  for (let storm = 0; storm < storms; storm += 1) {
    const expiry = Date.now() + 15_000
    const cookies = await writeSessions({ home, count, core: core.load, expiry, issuer })
    gateway ??= await startGateway({ home, core: both, port, upstream, issuer })
    // What isn't measured: the first look at each session, long before its tokens run out.
    for (const cookie of cookies) await call(url, cookie)
    if (Date.now() > expiry) throw new Error('the sessions took too long to prepare')
    await sleep(expiry - Date.now())
    const cpu = cpuMicroseconds(gateway.pid)
    const answers = await Promise.all(
      cookies.map(async (cookie, at) => {
        await sleep(expiry + (at * 1000) / count - Date.now())
        return Promise.all([call(url, cookie), call(url, cookie)])
      }),
    )
    const all = answers.flat()
    const counts = JSON.parse((await fetchText(`${issuer}/counts`)).text)
    const redeemed = Object.entries(counts).map(([session, total]) => total - (before[session] ?? 0))
    before = counts
    rounds.push({
      answered: all.filter(({ status }) => status === 200).length,
      requests: all.length,
      tokenRequests: redeemed.reduce((sum, one) => sum + one, 0),
      most: Math.max(...redeemed),
      cpu: (cpuMicroseconds(gateway.pid) - cpu) / count,
      p50: median(all.map(({ ms }) => ms)),
      p99: quantile(
        all.map(({ ms }) => ms),
        0.99,
      ),
    })
  }
  await gateway.stop()
  await provider.stop()
  const measured = rounds.slice(warmUp)
  const total = (name) => rounds.reduce((sum, round) => sum + round[name], 0)
  return {
    sessions: count,
    storms,
    first: rounds[0],
    measured,
    p50: median(measured.map((round) => round.p50)),
    p99: median(measured.map((round) => round.p99)),
    cpu: median(measured.map((round) => round.cpu)),
    answered: total('answered'),
    requests: total('requests'),
    tokenRequests: total('tokenRequests'),
    most: Math.max(...rounds.map(({ most }) => most)),
  }
}

/** CPU of a request that brings a new cookie value, beside one that doesn't. */
async function rotations({ folder, core, upstream }, count) {
  const home = join(folder, 'rotation')
  const port = await freePort()
  const cookies = await writeSessions({ home, count, core: core.load })
  const due = Date.now() + 20_000
  const issuer = 'http://127.0.0.1:9'
  const gateway = await startGateway({ home, core: core.server, port, upstream, issuer, session: { rotate: '20s' } })
  const url = `http://127.0.0.1:${port}`
  const each = async (rotated) => {
    const before = cpuMicroseconds(gateway.pid)
    let next = 0
    await Promise.all(
      Array.from({ length: 64 }, async () => {
        while (next < count) {
          const { status, headers } = await call(url, cookies[next++])
          if (status !== 200 || (headers['set-cookie'] !== undefined) !== rotated)
            throw new Error(`${status}, ${rotated ? 'without' : 'with'} a new cookie`)
        }
      }),
    )
    return (cpuMicroseconds(gateway.pid) - before) / count
  }
  await each(false)
  const plain = await each(false)
  if (Date.now() > due) throw new Error('the sessions took too long to prepare')
  await sleep(due - Date.now() + 500)
  const rotating = await each(true)
  await gateway.stop()
  return { sessions: count, plain, rotating }
}

/** Signed out in one process; how long another process, which knows the session, lets it in. */
async function revocations({ folder, core, upstream }, count) {
  const home = join(folder, 'revocation')
  const [port, otherPort] = [await freePort(), await freePort()]
  const cookies = await writeSessions({ home, count, core: core.load })
  const origin = `http://127.0.0.1:${port}`
  const issuer = 'http://127.0.0.1:9'
  const one = await startGateway({ home, core: core.server, port, upstream, issuer })
  const other = await startGateway({ home, core: core.load, port: otherPort, origin, upstream, issuer })
  const times = []
  for (const cookie of cookies) {
    const there = () => call(origin, cookie, `http://127.0.0.1:${otherPort}`)
    if ((await there()).status !== 200) throw new Error('the other process does not know the session')
    let over = false
    const began = performance.now()
    const refused = (async () => {
      while ((await there()).status === 200)
        if (over && performance.now() - began > 5000) throw new Error('not refused')
      return performance.now()
    })()
    const headers = apiHeaders(origin, cookie)
    const answer = await fetchText(`${origin}/auth/logout`, { method: 'POST', headers: { ...headers, origin } })
    over = true
    if (answer.status !== 200) throw new Error(`sign-out answered ${answer.status}`)
    times.push((await refused) - began)
  }
  await one.stop()
  await other.stop()
  return { sessions: count, p50: median(times), p99: quantile(times, 0.99) }
}

/** As many connections as there are calls: none waits for another on its way. The load shares the machine: it is to be light. */
const dispatcher = new Agent({ pipelining: 1 })

async function call(origin, cookie, url = origin) {
  const began = performance.now()
  const { host } = new URL(origin)
  const { statusCode, headers, body } = await request(`${url}/api/orders`, {
    dispatcher,
    headers: { ...apiHeaders(origin, cookie), host },
  })
  await body.dump()
  return { status: statusCode, headers, ms: performance.now() - began }
}

export function report({ storm, rotation, revocation }) {
  const ms = (value) => `${value.toFixed(1)} ms`
  const us = (value) => `${value.toFixed(0)} µs CPU`
  return {
    notes:
      `Refresh storm: the access tokens of ${storm.sessions.toLocaleString('en')} sessions run out within one second, each session calls twice at that moment, ` +
      `and the provider takes ${latency} ms for a token request and rotates refresh tokens. Store: lmdb, durable writes. Gateway (one process), provider, API and load share two cores. ` +
      `${storm.storms} storms meet one gateway; the figures are medians of the last ${storm.measured.length}, the first one, which meets a process that has just started, is shown by itself.`,
    head: ['', 'p50', 'p99', ''],
    body: [
      [
        'a call during the storm',
        ms(storm.p50),
        ms(storm.p99),
        `${storm.answered} of ${storm.requests} answered; ${storm.tokenRequests} token requests, at most ${storm.most} a session; ${us(storm.cpu)} for a refresh with its two calls`,
      ],
      [
        'the same, first storm after the start',
        ms(storm.first.p50),
        ms(storm.first.p99),
        `${us(storm.first.cpu)} for a refresh with its two calls`,
      ],
      ['from sign-out sent to refusal in another process', ms(revocation.p50), ms(revocation.p99), ''],
      [
        'a rotation of the cookie',
        us(rotation.rotating - rotation.plain),
        '',
        `a request with it ${us(rotation.rotating)}, without ${us(rotation.plain)} (node:http client, one request a session)`,
      ],
    ],
    targets: [
      { what: 'calls not answered with 200 during the storm', limit: 0, value: storm.requests - storm.answered },
      { what: 'token requests for one session', limit: 1, value: storm.most },
      { what: 'p99 of a call during the storm', limit: 2 * latency + 100, value: storm.p99, unit: ' ms' },
      { what: 'p99 from sign-out to refusal in another process', limit: 50, value: revocation.p99, unit: ' ms' },
    ],
  }
}
