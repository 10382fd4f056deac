import { createServer, request } from 'node:http'
import { closeServer, listen } from '../../../testkit/src/listen.ts'

export interface TwistingProxy extends AsyncDisposable {
  readonly url: string
  /** What becomes of the token endpoint's next answers. */
  twist: (answer: Record<string, unknown>) => Record<string, unknown>
}

/** Stands before a user pool's domain, and changes what its token endpoint answers: a pool that is not to be trusted. */
export async function startTwistingProxy(target: string): Promise<TwistingProxy> {
  const proxy: { twist: TwistingProxy['twist'] } = { twist: (answer) => answer }
  const { hostname, port } = new URL(target)
  const server = createServer((from, to) => {
    const { method, url: path, headers } = from
    const onward = request({ hostname, port, method, path, headers }, async (answer) => {
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk as Buffer)
      const body = Buffer.concat(chunks).toString()
      const twisted = path === '/oauth2/token' ? JSON.stringify(proxy.twist(JSON.parse(body))) : body
      const { 'content-length': _, 'transfer-encoding': __, ...rest } = answer.headers
      to.writeHead(answer.statusCode ?? 502, rest).end(twisted)
    })
    onward.on('error', () => to.destroy())
    from.pipe(onward)
  })
  const url = `http://localhost:${await listen(server)}`
  return Object.assign(proxy, { url, [Symbol.asyncDispose]: () => closeServer(server) })
}
