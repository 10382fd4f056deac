import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { listen } from '../listen.ts'
import type { Fault, Faults } from './faults.ts'

/** A whole request, its body read. */
export interface Call {
  readonly method: string
  /** The request-target as on the wire. */
  readonly target: string
  /** name, value, name, value, … as on the wire. */
  readonly rawHeaders: readonly string[]
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly url: URL
}

/** A whole answer. */
export interface Reply {
  readonly status: number
  readonly headers?: Readonly<Record<string, string | readonly string[]>>
  readonly body?: string | Buffer
}

export interface ServiceOptions {
  readonly host?: '127.0.0.1' | 'localhost'
  /** 0, the default: any free port. */
  readonly port?: number
  /** Milliseconds since the epoch, as this service's own clock shows them. */
  readonly now: () => number
  readonly faults: Faults
  /** By what name faults and counters know a call. */
  readonly operationOf: (call: Call) => string
  /** An error in the words of this service. */
  readonly errorReply: (error: { readonly code: string; readonly message: string; readonly status: number }) => Reply
  readonly handle: (call: Call) => Promise<Reply> | Reply
}

export interface Service extends AsyncDisposable {
  /** `http://host:port`. */
  readonly url: string
  close(): Promise<void>
}

/** More than any API of these takes; S3 uploads of tests fit. */
const maxBody = 64 * 1024 * 1024

/** One listener of the stand-in, on loopback only: reads the request whole, lets faults have their way, answers. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { host = '127.0.0.1', now, faults } = options
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      if (response.headersSent) response.destroy()
      else write(response, options.errorReply({ code: 'InternalErrorException', message: String(error), status: 500 }))
    })
  })

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = request.url ?? '/'
    const call: Call = {
      method: request.method ?? '',
      target,
      rawHeaders: [...request.rawHeaders],
      headers: request.headers,
      body: await readBody(request),
      url: new URL(target.startsWith('/') ? `http://service${target.replace(/^\/+/, '/')}` : target),
    }
    const operation = options.operationOf(call)
    const entry = faults.record(operation)
    const fault = faults.next(operation)
    if (fault?.kind === 'hang') return
    if (fault?.kind === 'delay') await sleep(fault.ms)
    const reply = fault?.kind === 'fail' ? failure(fault) : await options.handle(call)
    entry.status = reply.status
    // The clock of the service shows in its Date header, which is how clients learn of a skew.
    response.setHeader('date', new Date(now()).toUTCString())
    if (fault?.kind === 'slow') await dribble(response, reply, fault.ms)
    else write(response, reply)
  }

  function failure(fault: Extract<Fault, { kind: 'fail' }>): Reply {
    const { status, code = 'InternalErrorException', message = 'Made to fail', headers = {} } = fault
    const reply = options.errorReply({ code, message, status })
    return { ...reply, headers: { ...reply.headers, ...headers } }
  }

  const port = await listen(server, options.port ?? 0)
  const close = () => closed(server)
  return { url: `http://${host}:${port}`, close, [Symbol.asyncDispose]: close }
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    chunks.push(chunk as Buffer)
    size += (chunk as Buffer).length
    if (size > maxBody) throw new Error('The body is too large.')
  }
  return Buffer.concat(chunks)
}

function write(response: ServerResponse, { status, headers = {}, body = '' }: Reply): void {
  response.writeHead(status, headers as Record<string, string | string[]>).end(body)
}

/** Half of the body at once, the rest after a while. */
async function dribble(response: ServerResponse, { status, headers = {}, body = '' }: Reply, ms: number) {
  const bytes = Buffer.from(body)
  const half = Math.ceil(bytes.length / 2)
  response.writeHead(status, { ...(headers as Record<string, string>), 'content-length': String(bytes.length) })
  response.write(bytes.subarray(0, half))
  await sleep(ms)
  response.end(bytes.subarray(half))
}

async function closed(server: Server): Promise<void> {
  if (!server.listening) return
  await new Promise<void>((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
