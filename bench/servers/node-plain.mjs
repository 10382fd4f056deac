// node node-plain.mjs PORT UPSTREAM: the least that can be called a correct streaming proxy on node:http and undici:
// hop-by-hop headers dropped both ways, forwarding headers set, back-pressure and aborts passed on, a timeout. No guard.
import { createServer } from 'node:http'
import { Pool } from 'undici'

const [, , port, upstream] = process.argv
const { host } = new URL(upstream)
const pool = new Pool(upstream, { connections: 128, pipelining: 1 })
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'proxy-connection',
])

function requestHeaders(incoming) {
  const raw = incoming.rawHeaders
  const headers = ['Host', host]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toLowerCase()
    if (name !== 'host' && !HOP_BY_HOP.has(name)) headers.push(raw[i], raw[i + 1])
  }
  headers.push('X-Forwarded-For', incoming.socket.remoteAddress, 'X-Forwarded-Proto', 'http')
  return headers
}

function responseHeaders(raw) {
  const headers = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i].toString('latin1')
    if (!HOP_BY_HOP.has(name.toLowerCase())) headers.push(name, raw[i + 1].toString('latin1'))
  }
  return headers
}

const server = createServer((incoming, outgoing) => {
  const hasBody =
    incoming.headers['content-length'] !== undefined || incoming.headers['transfer-encoding'] !== undefined
  let abort
  outgoing.on('close', () => {
    if (!outgoing.writableFinished) abort?.()
  })
  pool.dispatch(
    {
      method: incoming.method,
      path: incoming.url,
      headers: requestHeaders(incoming),
      body: hasBody ? incoming : null,
      headersTimeout: 30_000,
      bodyTimeout: 30_000,
    },
    {
      onConnect(cancel) {
        abort = cancel
      },
      onHeaders(status, raw, resume) {
        if (status < 200) return true
        outgoing.writeHead(status, responseHeaders(raw))
        outgoing.on('drain', resume)
        return true
      },
      onData: (piece) => outgoing.write(piece),
      onComplete: () => outgoing.end(),
      onError() {
        if (outgoing.headersSent) outgoing.destroy()
        else outgoing.writeHead(502).end()
      },
    },
  )
})
server.keepAliveTimeout = 65_000
server.listen(Number(port), '127.0.0.1', 1024)
process.once('SIGTERM', () => process.exit())
