import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { benchFolder, Missing, rootFolder } from '../lib/parts.mjs'
import { freePort, ready, start } from '../lib/process.mjs'

/** The gateway's own server and upstream client, with a decision that only forwards: what remains is the guard. */
export function nodeCarrierPeer({ upstream, folder, core, nodeArguments = [] }) {
  let child
  return {
    name: "Node, Coatcheck's carrier without the guard",
    key: 'node-carrier',
    async start() {
      if (!existsSync(join(rootFolder, 'packages/gateway/dist/node')))
        throw new Missing('the gateway is not built: npm run build')
      const port = await freePort()
      const args = [...nodeArguments, join(benchFolder, 'servers/node-carrier.mjs'), String(port), upstream.url]
      child = start(process.execPath, args, { core, log: join(folder, 'node-carrier.log') })
      await ready(child, port)
      return { pid: child.pid, url: `http://127.0.0.1:${port}`, cookie: '' }
    },
    stop: async () => child?.stop(),
  }
}
