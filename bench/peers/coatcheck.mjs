import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchText, signIn } from '../lib/http.mjs'
import { Missing, rootFolder } from '../lib/parts.mjs'
import { ready, start, withMostFiles } from '../lib/process.mjs'

export const gatewayProgram = join(rootFolder, 'packages/gateway/dist/cli/main.js')

/** The configuration of a deployment: lmdb store, an access token for the API, the header rule against CSRF. */
const configuration = ({
  port,
  origin,
  upstream,
  issuer,
  session,
  routes = '',
  provider = '',
  tls,
  workers = 1,
}) => `origin: ${origin}
listen: ${JSON.stringify({ host: '127.0.0.1', port, tls })}
workers: ${workers}
providers:
  bench:
    kind: oidc
    issuer: ${issuer}
    clientId: coatcheck
    clientSecret: { env: BENCH_CLIENT_SECRET }
    scope: openid profile email
${provider}defaultProvider: bench
# wrk keeps the cookie that it began with.
session: ${JSON.stringify({ idle: '8h', absolute: '12h', rotate: '8h', ...session })}
store: { kind: lmdb, path: data/sessions }
routes:
  - path: /api/*
    upstream: ${upstream.url}
    access: authenticated
    credential: access-token
    maxBody: 10gb
${routes}`

/**
 * Writes a configuration into a folder of its own and starts the real command line on it. Several on one `home`, each with
 * a port of its own, share the store and the key ring; `origin` is then that of the first.
 */
export async function startGateway({ home, core, port, nodeArguments = [], manySockets = false, ...settings }) {
  if (!existsSync(gatewayProgram)) throw new Missing('the gateway is not built: npm run build')
  mkdirSync(home, { recursive: true })
  const file = join(home, `coatcheck-${port}.yaml`)
  const scheme = settings.tls ? 'https' : 'http'
  writeFileSync(file, configuration({ port, origin: `${scheme}://127.0.0.1:${port}`, ...settings }))
  const program = [process.execPath, ...nodeArguments, gatewayProgram, 'start', '-c', file]
  const [command, ...args] = manySockets ? withMostFiles(program) : program
  const env = { NODE_ENV: 'production', BENCH_CLIENT_SECRET: 'bench-secret' }
  const child = start(command, args, { core, env, log: join(home, `out-${port}.log`) })
  await ready(child, port, { secure: settings.tls !== undefined })
  return child
}

/** `coatcheck start` as an operator runs it, signed in through the browser's redirects. */
export function coatcheckPeer({ upstream, folder, core, port, issuer, nodeArguments, workers = 1, ...settings }) {
  let child
  return {
    name: '**Coatcheck**',
    key: 'coatcheck',
    workers,
    guarded: true,
    async start() {
      const home = join(folder, workers === 1 ? 'coatcheck' : `coatcheck-${workers}`)
      child = await startGateway({ home, core, port, upstream, issuer, nodeArguments, workers, ...settings })
      const url = `http://127.0.0.1:${port}`
      const jar = await signIn(`${url}/auth/login`)
      const cookie = jar.split('; ').find((pair) => pair.startsWith('__Host-Http-session=')) ?? ''
      const session = await fetchText(`${url}/auth/session`, { headers: { cookie } })
      if (!JSON.parse(session.text).authenticated) throw new Error('the sign-in left no session')
      return { pid: child.pid, url, cookie }
    },
    stop: async () => child?.stop(),
  }
}

coatcheckPeer.redirectPath = '/auth/callback/bench'
