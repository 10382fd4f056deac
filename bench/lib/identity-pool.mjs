// What signed calls need beside an upstream: a pool that gives out credentials, and a route that signs with them.
import { join } from 'node:path'
import { fetchText } from './http.mjs'
import { benchFolder } from './parts.mjs'
import { freePort, ready, start } from './process.mjs'

export const signedPath = '/aws/api/orders'

export async function startPool({ folder, core }) {
  const port = await freePort()
  const script = join(benchFolder, 'servers', 'identity-pool.mjs')
  const child = start(process.execPath, [script, String(port)], { core, log: join(folder, 'pool.log') })
  const url = `http://127.0.0.1:${port}`
  await ready(child, port, { path: '/counts' })
  return { url, counts: async () => JSON.parse((await fetchText(`${url}/counts`)).text) }
}

/** For the gateway's configuration: the paths that it proxies with a token are there signed, under `/aws`. */
export const signingSettings = (upstream, pool) => ({
  provider: `    identityPool: { id: "eu-west-1:12345678-1234-1234-1234-123456789abc", endpoint: "${pool.url}" }\n`,
  routes: `  - path: /aws/*
    upstream: ${upstream.url}
    stripPrefix: /aws
    access: authenticated
    credential: { aws: { service: execute-api, region: eu-west-1 } }
`,
})
