// Where the gateway's time goes: own time by function under the load of `proxy`. Not part of the default run.
// `--only signed` looks at calls that are signed for AWS instead, `--only node-carrier,node-plain` at what the gateway is compared with.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { apiHeaders } from '../lib/headers.mjs'
import { signedPath, signingSettings, startPool } from '../lib/identity-pool.mjs'
import { freePort } from '../lib/process.mjs'
import { ownTimes, partOf, profileArguments } from '../lib/profile.mjs'
import { startProvider } from '../lib/provider.mjs'
import { startUpstream } from '../lib/upstream.mjs'
import { load } from '../lib/wrk.mjs'
import { coatcheckPeer } from '../peers/coatcheck.mjs'
import { nodeCarrierPeer } from '../peers/node-carrier.mjs'
import { nodePlainPeer } from '../peers/node-plain.mjs'

export const title = "The gateway's own time"

export async function run({ folder, core, seconds, only = ['coatcheck'] }) {
  const upstream = await startUpstream({ folder, core: core.load })
  const port = await freePort()
  const clients = [['coatcheck', `http://127.0.0.1:${port}${coatcheckPeer.redirectPath}`]]
  const { issuer } = await startProvider({ folder, core: core.load, port: await freePort(), clients })
  const signing = only.includes('signed') ? signingSettings(upstream, await startPool({ folder, core: core.load })) : {}
  const signed = (setting) => coatcheckPeer({ ...setting, ...signing })
  const peers = { coatcheck: coatcheckPeer, signed, 'node-carrier': nodeCarrierPeer, 'node-plain': nodePlainPeer }
  const profiles = {}
  for (const key of only) {
    const profileFolder = join(folder, `profile-${key}`)
    mkdirSync(profileFolder)
    const setting = { upstream, folder, issuer, port, core: core.server }
    const peer = peers[key]({ ...setting, nodeArguments: profileArguments(profileFolder) })
    const { url, cookie } = await peer.start()
    const target = url + (key === 'signed' ? signedPath : '/api/orders')
    const { requests } = await load(target, apiHeaders(url, cookie), { seconds: seconds * 2, core: core.load, folder })
    await peer.stop()
    profiles[key] = summary(ownTimes(profileFolder), requests)
  }
  return profiles
}

/** µs for each request, by whose code it is, and of the functions that take most. */
function summary(times, requests) {
  const parts = {}
  for (const { where, microseconds } of times)
    parts[partOf(where)] = (parts[partOf(where)] ?? 0) + microseconds / requests
  const functions = times.slice(0, shown).map(({ where, microseconds }) => ({ where, each: microseconds / requests }))
  return { parts, functions }
}

/** How many functions are listed. */
const shown = 45

export function report(profiles) {
  const body = []
  for (const [key, { parts, functions }] of Object.entries(profiles)) {
    for (const [part, each] of Object.entries(parts).sort((a, b) => b[1] - a[1]))
      body.push([`**${key}: ${part}**`, each.toFixed(2)])
    for (const { where, each } of functions) body.push([`\`${where}\``, each.toFixed(2)])
  }
  return { notes: 'Start and warm-up included; the profiler itself costs a few µs.', head: ['', 'µs/request'], body }
}
