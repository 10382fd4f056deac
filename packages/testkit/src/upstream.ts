import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { promisify } from 'node:util'
import { closeServer, listen } from './listen.ts'
import { echo, routes, type UpstreamHandler } from './upstream-routes.ts'

/** A request as it reached the API. */
export interface UpstreamRequest {
  readonly method: string
  /** The request-target as on the wire. */
  readonly target: string
  /** name, value, name, value, … as on the wire. */
  readonly rawHeaders: readonly string[]
  /** All values of a header, joined as node does. */
  header(name: string): string | undefined
  /** The body, complete once `finished`; empty for /upload and /hang, which don't keep it. */
  readonly body: Buffer
  /** Resolves when the exchange is over: true if the answer went out whole, false if the other side went away. */
  readonly finished: Promise<boolean>
}

export interface Upstream extends AsyncDisposable {
  /** `http://127.0.0.1:port`. */
  readonly url: string
  readonly port: number
  /** Every request since the start, in the order in which their heads came. */
  readonly requests: UpstreamRequest[]
  /** The last request; throws if there was none. */
  last(): UpstreamRequest
  /** How many exchanges are under way. */
  readonly open: number
  /** How many connections it has. */
  connections(): Promise<number>
  /** Answers a path (without query) in a way of the test's own. */
  on(path: string, handler: UpstreamHandler): void
  close(): Promise<void>
}

/** A sample API that writes down whatever reaches it; what it answers is in upstream-routes.ts. */
export async function startUpstream(): Promise<Upstream> {
  const requests: UpstreamRequest[] = []
  const handlers = new Map<string, UpstreamHandler>(Object.entries(routes))
  let open = 0

  const server = createServer((request, response) => {
    const entry = new RecordedRequest(request, response)
    requests.push(entry)
    open++
    void entry.finished.then(() => open--)
    const url = new URL(request.url ?? '/', 'http://upstream')
    const handler = handlers.get(url.pathname) ?? echo
    const answered = async () => handler({ request, response, url, body: () => entry.read(request) })
    answered().catch(() => response.destroy())
  })
  const port = await listen(server)
  const close = () => closeServer(server)
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    requests,
    last() {
      const last = requests.at(-1)
      if (!last) throw new Error('Nothing reached the upstream.')
      return last
    },
    get open() {
      return open
    },
    connections: () => promisify(server.getConnections.bind(server))(),
    on: (path, handler) => void handlers.set(path, handler),
    close,
    [Symbol.asyncDispose]: close,
  }
}

class RecordedRequest implements UpstreamRequest {
  readonly method: string
  readonly target: string
  readonly rawHeaders: readonly string[]
  readonly finished: Promise<boolean>
  body: Buffer = Buffer.alloc(0)
  readonly #headers: IncomingMessage['headers']

  constructor(request: IncomingMessage, response: ServerResponse) {
    this.method = request.method ?? ''
    this.target = request.url ?? ''
    this.rawHeaders = [...request.rawHeaders]
    this.#headers = request.headers
    this.finished = new Promise((resolve) => response.once('close', () => resolve(response.writableFinished)))
  }

  header(name: string): string | undefined {
    return this.#headers[name.toLowerCase()]?.toString()
  }

  async read(request: IncomingMessage): Promise<Buffer> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    this.body = Buffer.concat(chunks)
    return this.body
  }
}
