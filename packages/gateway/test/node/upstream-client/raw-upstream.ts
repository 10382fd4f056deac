import { once } from 'node:events'
import { createServer, type Server, type Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { createServer as createTlsServer } from 'node:tls'
import type { UpstreamHandler, UpstreamPool } from '../../../src/node/upstream-client/contract.ts'

/** One connection as the upstream sees it. */
export interface Line {
  readonly socket: Socket
  /** All that was received on it. */
  received: string
  /** Heads that were received on it; bodies are not understood. */
  requests: number
}

export interface RawUpstream extends AsyncDisposable {
  readonly url: string
  readonly lines: Line[]
}

type Answer = (line: Line, head: string) => void

/** An upstream that answers each request head with whatever bytes a test wants. */
export async function startRawUpstream(answer: Answer, tls?: { cert: string; key: string }): Promise<RawUpstream> {
  const lines: Line[] = []
  const serve = (socket: Socket) => {
    const line: Line = { socket, received: '', requests: 0 }
    let seen = 0
    lines.push(line)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      line.received += chunk.toString('latin1')
      for (
        let end = line.received.indexOf('\r\n\r\n', seen);
        end !== -1;
        end = line.received.indexOf('\r\n\r\n', seen)
      ) {
        const head = line.received.slice(seen, end)
        seen = end + 4
        if (!/ HTTP\/1\.1\r\n/.test(head)) continue
        line.requests++
        answer(line, head)
      }
    })
  }
  const server: Server = tls
    ? createTlsServer({ ...tls, ALPNProtocols: ['http/1.1'] }, serve)
    : createServer({ noDelay: true }, serve)
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  return {
    url: `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${port}`,
    lines,
    async [Symbol.asyncDispose]() {
      for (const { socket } of lines) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

export const ok = (body: string, ...lines: string[]): string =>
  `${['HTTP/1.1 200 OK', `Content-Length: ${body.length}`, ...lines].join('\r\n')}\r\n\r\n${body}`

export interface Asked {
  method?: string
  path?: string
  headers?: string[]
  body?: Readable | null
}

export interface Result {
  status: number
  headers: string[]
  body: string
  trailers: unknown
}

/** A request and what came of it; `aborts` holds the abort of each time that it was written. */
export function ask(
  pool: UpstreamPool,
  { method = 'GET', path = '/', headers = [], body = null }: Asked = {},
  own: Partial<UpstreamHandler> = {},
): Promise<Result> & { aborts: ((error?: Error) => void)[] } {
  const aborts: ((error?: Error) => void)[] = []
  const result = new Promise<Result>((resolve, reject) => {
    const answer: Result = { status: 0, headers: [], body: '', trailers: undefined }
    pool.dispatch(
      { method, path, headers, body },
      {
        onConnect: (abort) => aborts.push(abort),
        onHead(status, lines) {
          answer.status = status
          answer.headers = lines
          return true
        },
        onHeaders: () => true,
        onData(chunk) {
          answer.body += chunk.toString('latin1')
          return true
        },
        onComplete(trailers) {
          answer.trailers = trailers
          resolve(answer)
        },
        onError: reject,
        ...own,
      },
    )
  })
  return Object.assign(result, { aborts })
}
