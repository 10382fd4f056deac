import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { WebSocket, WebSocketServer } from 'ws'
import { Browser } from '../../../testkit/src/browser.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { openKeyFile } from '../../src/session/key-file.ts'
import type { SessionRecord } from '../../src/session/record.ts'
import { createRows } from '../../src/session/rows.ts'
import type { SessionId } from '../../src/session/store.ts'

/** An upstream that speaks WebSocket: it answers each message with itself, and writes down who came. */
export interface SocketUpstream extends AsyncDisposable {
  /** `ws://127.0.0.1:port`. */
  readonly url: string
  /** The handshakes that reached it, refused ones included. */
  readonly handshakes: IncomingMessage[]
  /** The WebSockets that are open there. */
  readonly open: ReadonlySet<WebSocket>
  /** Plain requests that reached it. */
  readonly requests: IncomingMessage[]
}

export async function startSocketUpstream(options: { protocols?: string[]; deflate?: boolean } = {}) {
  const handshakes: IncomingMessage[] = []
  const requests: IncomingMessage[] = []
  const server = createServer((request, response) => {
    requests.push(request)
    response.end('plain')
  })
  const sockets = new WebSocketServer({
    server,
    perMessageDeflate: options.deflate ?? false,
    handleProtocols: (offered) => options.protocols?.find((one) => offered.has(one)) ?? false,
  })
  server.prependListener('upgrade', (request) => handshakes.push(request))
  sockets.on('connection', (socket) => {
    socket.on('error', () => {})
    socket.on('message', (data, binary) => socket.send(data, { binary }))
  })
  const port = await listen(server)
  return {
    url: `ws://127.0.0.1:${port}`,
    handshakes,
    requests,
    open: sockets.clients,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets.clients) socket.terminate()
      await closeServer(server)
    },
  } satisfies SocketUpstream
}

type Routes = readonly Record<string, unknown>[]

/** A world with a WebSocket upstream at `/live`; other keys of that route, and routes beside it. */
export async function liveWorld(
  upstream: { url: string },
  options: WorldOptions & {
    live?: Record<string, unknown>
    routes?: Routes | ((api: string) => Routes)
    session?: Record<string, unknown>
  } = {},
): Promise<World> {
  const { live, routes = [], session = {}, ...rest } = options
  return createWorld({
    ...rest,
    config: ({ upstream: api }) =>
      ({
        session,
        routes: [
          { path: '/live', upstream: upstream.url, access: 'authenticated', ...live },
          { path: '/api/*', upstream: api, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
          ...(typeof routes === 'function' ? routes(api) : routes),
          { path: '/*', static: './public', access: 'public' },
        ],
      }) as never,
  })
}

/** A WebSocket as a page of the application opens it, and what became of it. */
export interface ClientSocket extends Disposable {
  readonly socket: WebSocket
  /** The 101. */
  readonly answer: IncomingMessage
  /** Text of the messages that came. */
  readonly messages: string[]
  /** Resolves with the code and reason of the close. */
  readonly closed: Promise<{ code: number; reason: string }>
  /** Whether it is over. */
  readonly isClosed: boolean
}

export interface SocketOptions {
  /** `null`: none is sent. */
  readonly origin?: string | null
  readonly headers?: Record<string, string>
  readonly protocols?: string[]
  readonly deflate?: boolean
  /** Where the gateway listens; that of the world by default. */
  readonly at?: string
}

/** Opens one with the cookies of a browser. Rejects with the status of a refusal. */
export async function openSocket(world: World, browser: Browser, path = '/live', options: SocketOptions = {}) {
  const { origin = world.origin, headers = {}, protocols = [], deflate = false, at = world.gateway.url } = options
  const cookie = browser.cookies().map((one) => one.cookieString())
  const socket = new WebSocket(`${at.replace(/^http/, 'ws')}${path}`, protocols, {
    perMessageDeflate: deflate,
    headers: {
      host: new URL(world.origin).host,
      ...(origin === null ? {} : { origin }),
      ...(cookie.length > 0 ? { cookie: cookie.join('; ') } : {}),
      ...headers,
    },
  })
  const messages: string[] = []
  let isClosed = false
  socket.on('message', (data) => messages.push(String(data)))
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    socket.on('close', (code, reason) => {
      isClosed = true
      resolve({ code, reason: String(reason) })
    })
  })
  const refused = new Promise<never>((_, reject) => {
    socket.on('unexpected-response', async (_request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response) chunks.push(chunk as Buffer)
      reject(new RefusedHandshake(response, Buffer.concat(chunks).toString()))
      socket.terminate()
    })
    socket.on('error', reject)
  })
  refused.catch(() => {})
  const answered = once(socket, 'upgrade') as Promise<[IncomingMessage]>
  answered.catch(() => {})
  await Promise.race([once(socket, 'open'), refused])
  const [answer] = await answered
  const opened: ClientSocket = {
    socket,
    answer,
    messages,
    closed,
    get isClosed() {
      return isClosed
    },
    [Symbol.dispose]: () => socket.terminate(),
  }
  return opened
}

/** The plain answer to a handshake. */
export class RefusedHandshake extends Error {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string

  constructor({ statusCode = 0, headers }: IncomingMessage, body: string) {
    super(`the handshake was answered with ${statusCode}: ${body}`)
    this.status = statusCode
    this.headers = headers
    this.body = body
  }

  get code(): unknown {
    return (JSON.parse(this.body) as { code?: unknown }).code
  }
}

/** The refusal of a handshake that must be refused. */
export async function refusalOf(handshake: Promise<ClientSocket>): Promise<RefusedHandshake> {
  try {
    using opened = await handshake
    throw new Error(`the handshake succeeded: ${opened.socket.url}`)
  } catch (error) {
    if (error instanceof RefusedHandshake) return error
    throw error
  }
}

/** An answer that goes on, and whether it was cut. */
export async function openStream(browser: Browser, path: string, { at }: { at?: string } = {}) {
  const cookie = browser.cookies().map((one) => one.cookieString())
  const elsewhere = { host: new URL(browser.base).host, cookie: cookie.join('; ') }
  const stream = await (at === undefined ? browser : new Browser({ base: at })).stream(path, {
    headers: { accept: 'text/event-stream', ...(at === undefined ? {} : elsewhere) },
  })
  const state = { status: stream.status, text: '', end: 'open' as 'open' | 'whole' | 'cut', abort: stream.abort }
  void (async () => {
    try {
      for (let next = await stream.chunks.next(); !next.done; next = await stream.chunks.next())
        state.text += next.value
      state.end = 'whole'
    } catch {
      state.end = 'cut'
    }
  })()
  return state
}

/** The session that a browser's cookie names. */
export const idOf = (browser: Browser) => browser.cookies()[0]?.value.split('.')[1] as SessionId

/** Changes a session's record in the store, as the gateway of another node would. */
export async function change(world: World, browser: Browser, changes: Partial<SessionRecord>) {
  const ring = openKeyFile(join(world.folder, 'coatcheck.keys'), world.clock.now)
  const rows = createRows({ store: world.store, ring, timeouts: world.config.session, now: world.clock.now })
  const row = await rows.change(idOf(browser), (record) => ({ to: { ...record, ...changes } }))
  if (row === undefined) throw new Error('there is no such session')
}
