import { join } from 'node:path'
import { benchFolder } from './parts.mjs'
import { ready, start } from './process.mjs'

/** Starts a real oidc-provider with one client for each [id, redirect URI]; the secret of all is `bench-secret`. */
export async function startProvider({ folder, core, port, clients }) {
  const args = [join(benchFolder, 'servers/provider.mjs'), String(port), JSON.stringify(clients)]
  const child = start(process.execPath, args, { core, log: join(folder, 'provider.log') })
  await ready(child, port, { path: '/.well-known/openid-configuration' })
  return { issuer: `http://127.0.0.1:${port}`, stop: child.stop }
}
