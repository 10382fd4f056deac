// Authenticated API calls through each server, interleaved in one run: CPU per request, requests/s, p50 and p99.

import { apiHeaders } from '../lib/headers.mjs'
import { fetchText } from '../lib/http.mjs'
import { Missing } from '../lib/parts.mjs'
import { cpuMicroseconds, freePort } from '../lib/process.mjs'
import { startProvider } from '../lib/provider.mjs'
import { median } from '../lib/statistics.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { load } from '../lib/wrk.mjs'
import { coatcheckPeer } from '../peers/coatcheck.mjs'
import { expressKeepAlivePeer, expressOpenidConnectPeer } from '../peers/express-openid-connect.mjs'
import { modAuthOpenidcPeer } from '../peers/mod-auth-openidc.mjs'
import { nginxPeer } from '../peers/nginx.mjs'
import { nodeCarrierPeer } from '../peers/node-carrier.mjs'
import { nodePlainPeer } from '../peers/node-plain.mjs'
import { upstreamPeer } from '../peers/upstream.mjs'

export const title = 'Authenticated proxied calls'

const bare = [upstreamPeer, nginxPeer, nodePlainPeer, nodeCarrierPeer]
const signedIn = {
  coatcheck: coatcheckPeer,
  'mod-auth-openidc': modAuthOpenidcPeer,
  'express-openid-connect': expressOpenidConnectPeer,
  'express-keep-alive': expressKeepAlivePeer,
}
export const connections = 64

export async function run({ folder, core, rounds, seconds, warmUp, only, log }) {
  const upstream = await startUpstream({ folder, core: core.load })
  const guarded = []
  for (const [key, peer] of Object.entries(signedIn)) guarded.push({ key, peer, port: await freePort() })
  const clients = guarded.map(({ key, peer, port }) => [key, `http://127.0.0.1:${port}${peer.redirectPath}`])
  const { issuer } = await startProvider({ folder, core: core.load, port: await freePort(), clients })

  const setting = { upstream, folder, issuer, core: core.server }
  const peers = [...bare.map((peer) => peer(setting)), ...guarded.map(({ peer, port }) => peer({ ...setting, port }))]
  const rows = []
  for (const peer of peers.filter(({ key }) => !only || only.includes(key))) {
    const row = { key: peer.key, name: peer.name, samples: [] }
    rows.push(row)
    try {
      row.server = await peer.start()
      await verify(peer, row.server, upstream)
      log(`${peer.key}: verified`)
    } catch (cause) {
      if (!(cause instanceof Missing) && !only) log(`${peer.key}: ${cause.stack}`)
      row.notMeasured = cause.message.replaceAll(/\s+/g, ' ')
      row.server = undefined
    }
  }

  const measured = rows.filter((row) => row.server)
  for (const row of measured) await sample(row, { upstream, core, folder, seconds: warmUp })
  for (let round = 0; round < rounds; round += 1) {
    // Each round begins with another server, so that none always follows the same neighbour.
    for (let i = 0; i < measured.length; i += 1) {
      const row = measured[(i + round) % measured.length]
      await sample(row, { upstream, core, folder, seconds: 1 })
      const figures = await sample(row, { upstream, core, folder, seconds })
      row.samples.push(figures)
      log(`round ${round + 1}/${rounds} ${row.key}: ${figures.cpu.toFixed(1)} µs, ${Math.round(figures.rate)}/s`)
    }
  }
  for (const peer of peers) await peer.stop()
  return { connections, rounds, seconds, rows: rows.map(({ server, ...row }) => ({ ...row, ...summary(row.samples) })) }
}

/** Nothing is measured that was not seen to work: it refuses without the cookie, and with it the right body comes through. */
export async function verify(peer, { url, cookie }, upstream) {
  const target = `${url}/api/orders`
  const before = await upstream.requests()
  const expect = (condition, message) => {
    if (!condition) throw new Error(`not as expected: ${message}`)
  }
  if (peer.guarded) {
    const anonymous = await fetchText(target, { headers: apiHeaders(url, '') })
    expect(anonymous.status >= 300, `status ${anonymous.status} without the session cookie`)
    expect((await upstream.requests()) === before, 'a request without the session cookie reached the API')
    const credential = await fetchText(`${url}/api/credential`, { headers: apiHeaders(url, cookie) })
    expect(/^Bearer .{20,}/.test(credential.text), 'the API got no access token')
  }
  const answer = await fetchText(target, { headers: apiHeaders(url, cookie) })
  expect(
    answer.status === 200 && answer.text === upstream.body,
    `status ${answer.status}, ${answer.text.slice(0, 100)}`,
  )
  expect((await upstream.requests()) > before, 'the answer did not come from the API')
}

export async function sample({ server }, { upstream, core, folder, seconds, ...options }) {
  const reachedBefore = await upstream.requests()
  const cpuBefore = cpuMicroseconds(server.pid)
  const headers = apiHeaders(server.url, server.cookie)
  const how = { seconds, core: core.load, folder, connections, ...options }
  const figures = await load(`${server.url}/api/orders`, headers, how)
  const cpu = cpuMicroseconds(server.pid) - cpuBefore
  const reached = (await upstream.requests()) - reachedBefore
  return {
    cpu: cpu / figures.requests,
    rate: figures.requests / (figures.microseconds / 1e6),
    p50: figures.p50 / 1000,
    p99: figures.p99 / 1000,
    // wrk takes a redirect to a sign-in page for a success; the API's own count tells.
    errors: figures.broken + figures.refused + Math.max(0, figures.requests - reached),
  }
}

function summary(samples) {
  if (samples.length === 0) return {}
  const of = (name) => median(samples.map((figures) => figures[name]))
  return {
    cpu: of('cpu'),
    rate: of('rate'),
    p50: of('p50'),
    p99: of('p99'),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
  }
}

/** Median over the rounds of `figure(one, other)`: both are from the same minute, so the machine's mood cancels out. */
function paired(one, other, figure) {
  if (!one?.cpu || !other?.cpu) return undefined
  return median(one.samples.map((sampleOfOne, i) => figure(sampleOfOne.cpu, other.samples[i].cpu)))
}

const fixed = (value, digits) => (value === undefined ? '–' : value.toFixed(digits))

export function report({ rows, rounds, seconds }) {
  const row = (key) => rows.find((one) => one.key === key)
  const ratio = (one, key) =>
    fixed(
      paired(one, row(key), (a, b) => a / b),
      2,
    )
  const head = [
    'server',
    'CPU µs/request',
    '(min–max)',
    'requests/s',
    'p50 ms',
    'p99 ms',
    'of nginx',
    'of bare Node',
    'of mod_auth_openidc',
    'of express-openid-connect',
    'errors',
  ]
  const body = rows.map((one) => {
    if (one.notMeasured) return [one.name, `not measured: ${one.notMeasured}`]
    const all = one.samples.map(({ cpu }) => cpu)
    return [
      one.name,
      fixed(one.cpu, 1),
      `${fixed(Math.min(...all), 1)}–${fixed(Math.max(...all), 1)}`,
      Math.round(one.rate).toLocaleString('en'),
      fixed(one.p50, 2),
      fixed(one.p99, 1),
      ratio(one, 'nginx'),
      ratio(one, 'node-carrier'),
      ratio(one, 'mod-auth-openidc'),
      ratio(one, 'express-openid-connect'),
      String(one.errors),
    ]
  })
  const notes = `Medians of ${rounds} interleaved rounds of ${seconds} s. Ratios are of CPU per request, medians of the ratios within each round.`
  return { notes, head, body, targets: targets(row) }
}

function targets(row) {
  const added = (key) => paired(row('coatcheck'), row(key), (a, b) => a - b)
  const share = (key) => paired(row('coatcheck'), row(key), (a, b) => a / b)
  const [own, nginx] = [row('coatcheck')?.samples ?? [], row('nginx')?.samples ?? []]
  const pace = own.length && nginx.length ? median(own.map(({ rate }, i) => rate / nginx[i].rate)) : undefined
  return [
    { what: 'the guard adds to the bare Node proxy, CPU µs/request', limit: 12, value: added('node-carrier') },
    { what: 'CPU per request, of a bare Node proxy on undici', limit: 1, value: share('node-plain') },
    { what: 'CPU per request, of mod_auth_openidc', limit: 0.38, value: share('mod-auth-openidc') },
    { what: 'CPU per request, of express-openid-connect', limit: 0.12, value: share('express-openid-connect') },
    { what: 'requests/s, of bare nginx', least: 0.35, value: pace },
  ]
}
