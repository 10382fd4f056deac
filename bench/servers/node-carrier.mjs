// node node-carrier.mjs PORT UPSTREAM: the gateway's own server and upstream client. The decision only copies the headers
// that a proxy must copy and adds two: whatever Coatcheck costs beyond this is the guard.
import { createForwarder } from '../../packages/gateway/dist/node/proxy.js'
import { createNodeServer } from '../../packages/gateway/dist/node/server.js'

const [, , port, upstream] = process.argv
const NOT_FORWARDED = new Set(['host', 'connection', 'keep-alive', 'te', 'trailer', 'upgrade', 'proxy-connection'])
const response = { allowSetCookie: [], dropCors: false, noStore: false, defaults: [], pageDefaults: [], add: [] }
const refusal = { kind: 'respond', status: 500, headers: [], body: '' }
const log = { error: console.error, warn: console.error, debug() {} }

function decide({ target, rawHeaders, peer }) {
  const headers = []
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!NOT_FORWARDED.has(rawHeaders[i].toLowerCase())) headers.push(rawHeaders[i], rawHeaders[i + 1])
  }
  headers.push('X-Forwarded-For', peer, 'X-Forwarded-Proto', 'http')
  return { kind: 'forward', upstream, path: target, headers, response, timeout: 30_000, maxBody: 10_000_000 }
}

const forwarder = createForwarder({ log, unavailable: () => refusal })
const server = createNodeServer({
  decide,
  forward: forwarder.forward,
  serveStatic: () => {},
  internalError: () => refusal,
  framingError: () => refusal,
  log,
})
await server.listen('127.0.0.1', Number(port))
process.once('SIGTERM', () => process.exit())
