import { join } from 'node:path'
import { signIn } from '../lib/http.mjs'
import { benchFolder, npmPart } from '../lib/parts.mjs'
import { ready, start } from '../lib/process.mjs'

function expressPeer({ name, key, connections = [] }) {
  const peer = ({ upstream, folder, core, port, issuer }) => {
    let child
    return {
      name,
      key,
      guarded: true,
      async start() {
        npmPart()
        const url = `http://127.0.0.1:${port}`
        const args = [join(benchFolder, 'servers/express.mjs'), String(port), upstream.url, issuer, key, ...connections]
        const env = { NODE_ENV: 'production' }
        child = start(process.execPath, args, { core, env, log: join(folder, `${key}.log`) })
        await ready(child, port)
        return { pid: child.pid, url, cookie: await signIn(`${url}/`) }
      },
      stop: async () => child?.stop(),
    }
  }
  peer.redirectPath = '/callback'
  return peer
}

/** Auth0's express-openid-connect before http-proxy-middleware, both as their documentations show them. */
export const expressOpenidConnectPeer = expressPeer({
  name: 'express-openid-connect + http-proxy-middleware',
  key: 'express-openid-connect',
})

/** The same with an http.Agent that keeps connections to the API open: what one would tune first. */
export const expressKeepAlivePeer = expressPeer({
  name: 'the same, with a keep-alive agent',
  key: 'express-keep-alive',
  connections: ['keep-alive'],
})
