import { join } from 'node:path'
import { benchFolder } from '../lib/parts.mjs'
import { freePort, ready, start } from '../lib/process.mjs'

/** A bare reverse proxy on Node, written plainly: node:http and undici's dispatch. */
export function nodePlainPeer({ upstream, folder, core, nodeArguments = [] }) {
  let child
  return {
    name: 'Node, bare proxy (node:http + undici)',
    key: 'node-plain',
    async start() {
      const port = await freePort()
      const args = [...nodeArguments, join(benchFolder, 'servers/node-plain.mjs'), String(port), upstream.url]
      child = start(process.execPath, args, { core, log: join(folder, 'node-plain.log') })
      await ready(child, port)
      return { pid: child.pid, url: `http://127.0.0.1:${port}`, cookie: '' }
    },
    stop: async () => child?.stop(),
  }
}
