// The API behind every peer: nginx that answers 1 KB of JSON and counts what reached it.
import { randomBytes } from 'node:crypto'
import { fetchText } from './http.mjs'
import { startNginx } from './nginx.mjs'
import { freePort } from './process.mjs'

export async function startUpstream({ folder, core }) {
  const port = await freePort()
  // A fresh nonce: a body that matches can only come from this run's upstream.
  const order = { id: randomBytes(16).toString('hex'), state: 'open', currency: 'CHF', note: '' }
  order.note = 'x'.repeat(1024 - JSON.stringify(order).length)
  const body = JSON.stringify(order)
  const child = await startNginx({
    name: 'upstream',
    folder,
    core,
    port,
    http: `  server {
    listen 127.0.0.1:${port} backlog=1024;
    default_type application/json;
    location = /api/orders { return 200 '${body}'; }
    location = /api/credential { return 200 '$http_authorization'; }
    location = /status { stub_status; }
  }`,
  })
  let asked = 0
  const url = `http://127.0.0.1:${port}`
  return {
    url,
    body,
    pid: child.pid,
    stop: child.stop,
    /** Requests that reached the API so far; asking is not counted. */
    async requests() {
      const { text } = await fetchText(`${url}/status`)
      asked += 1
      return Number(/^\s*\d+ \d+ (\d+)/m.exec(text)[1]) - asked
    },
  }
}
