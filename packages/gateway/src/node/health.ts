import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Logger } from 'pino'

export interface Readiness {
  readonly ok: boolean
  /** What was asked and what it said: `{ store: 'ok' }`. */
  readonly checks: Record<string, string>
}

export interface AdminServerOptions {
  readonly host: string
  readonly port: number
  ready(): Promise<Readiness>
  readonly log: Pick<Logger, 'error'>
}

export interface AdminServer {
  /** @returns the port, which matters where `port` is 0 */
  listen(): Promise<number>
  close(): Promise<void>
}

/** The operators' own listener. `/healthz`: the process runs. `/readyz`: it can serve. Neither needs a token. */
export function createAdminServer({ host, port, ready, log }: AdminServerOptions): AdminServer {
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url?.split('?', 1)[0]
    if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, { status: 'method not allowed' })
    else if (path === '/healthz') send(response, 200, { status: 'ok' })
    else if (path === '/readyz') {
      const { ok, checks } = await ready()
      send(response, ok ? 200 : 503, { status: ok ? 'ok' : 'unavailable', checks })
    } else send(response, 404, { status: 'not found' })
  }

  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (request, response) => {
    answer(request, response).catch((err: unknown) => {
      log.error({ err }, 'readiness could not be told')
      if (!response.headersSent) send(response, 503, { status: 'unavailable', checks: {} })
    })
  })

  return {
    listen: () =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.removeListener('error', reject)
          resolve((server.address() as AddressInfo).port)
        })
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function send(response: ServerResponse, status: number, body: unknown): void {
  const text = JSON.stringify(body)
  const headers = {
    'Content-Type': 'application/json',
    'Cache-Control': 'no-store',
    'Content-Length': Buffer.byteLength(text),
  }
  response.writeHead(status, status === 405 ? { ...headers, Allow: 'GET, HEAD' } : headers)
  response.end(text)
}
