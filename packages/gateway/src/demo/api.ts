import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { DevelopmentUser } from './provider-users.ts'

/** A small server of the demo. */
export interface DemoServer {
  readonly port: number
  close(): Promise<void>
}

export interface ServeOptions {
  /** 0, the default: any free port. */
  readonly port?: number
  /** PEM texts; without them plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
}

export interface SampleApiOptions {
  /** Greeted by name. */
  readonly users: readonly DevelopmentUser[]
  /** What `/demo` tells the sample app. */
  readonly about?: object
  /** Milliseconds between two events. */
  readonly pace?: number
}

/**
 * The API behind the gateway, as anyone would write it: it believes `X-Coatcheck-User` because only the gateway can reach
 * it. It never answers with the token that it got, only with a fingerprint. (A real API checks the token, too.)
 */
export function createSampleApi({ users, about = {}, pace = 1500 }: SampleApiOptions): RequestListener {
  const nameOf = (sub: string) => users.find((user) => user.sub === sub)?.name ?? sub

  const routes: Readonly<Record<string, RequestListener>> = {
    '/demo': (_request, response) => json(response, 200, about),

    '/hello': (request, response) => {
      const user = header(request, 'x-coatcheck-user')
      json(response, 200, {
        greeting: user === undefined ? 'Good evening, whoever you are' : `Good evening, ${nameOf(user)}`,
        caller: {
          user: user ?? null,
          issuer: header(request, 'x-coatcheck-issuer') ?? null,
          roles: header(request, 'x-coatcheck-roles')?.split(',').filter(Boolean) ?? [],
        },
        authorization: describeBearer(request.headers.authorization),
      })
    },

    '/admin/report': (_request, response) => {
      const takings = performances.reduce((sum, { sold, price }) => sum + sold * price, 0)
      json(response, 200, { takings: `€${takings.toLocaleString('en')}`, performances })
    },

    '/slow': (request, response) => {
      const ms = Math.min(Number(new URLSearchParams(request.url?.split('?')[1]).get('ms')) || 3000, 20_000)
      const timer = setTimeout(() => json(response, 200, { waited: `${ms} ms` }), ms)
      response.on('close', () => clearTimeout(timer))
    },

    '/events': (_request, response) => void atTheDoors(response, pace),
  }

  return (request, response) => {
    const path = request.url?.split('?', 1)[0] ?? '/'
    const route = Object.hasOwn(routes, path) ? routes[path] : undefined
    if (route) route(request, response)
    else json(response, 404, { title: 'Not found', detail: `The sample API has ${Object.keys(routes).join(', ')}.` })
  }
}

/** What can be said about a token without saying it. */
export function describeBearer(authorization: string | undefined) {
  const token = /^Bearer (.+)$/.exec(authorization ?? '')?.[1]
  if (token === undefined) return null
  const fingerprint = createHash('sha256').update(token).digest('hex').slice(0, 12)
  return { scheme: 'Bearer', length: token.length, fingerprint }
}

/** Listens on loopback only. */
export async function serve(handler: RequestListener, { port = 0, tls }: ServeOptions = {}): Promise<DemoServer> {
  const server: Server = tls ? createTlsServer(tls, handler) : createServer(handler)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const performances = [
  { title: 'The Tempest', seats: 412, sold: 377, price: 38 },
  { title: 'Matinée: Peter and the Wolf', seats: 412, sold: 401, price: 14 },
  { title: 'Late night jazz', seats: 180, sold: 96, price: 22 },
]

const happenings = [
  'Door A: a party of four, row F',
  'Door B: one guest, standing',
  'Cloakroom: coat 212 handed in',
  'Door A: two guests, box 3',
  'Bar: interval drinks for row C',
  'Cloakroom: umbrella 213 handed in',
]

/** Server-sent events until the reader leaves. @see https://html.spec.whatwg.org/multipage/server-sent-events.html */
async function atTheDoors(response: ServerResponse, pace: number): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  for (let id = 0; response.writable; id++) {
    const event = { time: new Date().toTimeString().slice(0, 8), text: happenings[id % happenings.length] }
    response.write(`id: ${id}\ndata: ${JSON.stringify(event)}\n\n`)
    await sleep(pace, undefined, { ref: false })
  }
}

function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name]
  return typeof value === 'string' ? value : undefined
}

function json(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}
