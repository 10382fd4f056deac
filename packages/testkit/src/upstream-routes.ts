import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

/** A request under way at the sample API. */
export interface UpstreamExchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly url: URL
  /** Reads the whole body; routes that want to read it themselves don't call this. */
  body(): Promise<Buffer>
}

export type UpstreamHandler = (exchange: UpstreamExchange) => void | Promise<void>

function json(response: ServerResponse, value: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

function count(url: URL, name: string, otherwise: number): number {
  return Number(url.searchParams.get(name) ?? otherwise)
}

/**
 * Answers what it received: the default for every path without a route. The credential is left out, so that a token in a
 * browser is always the gateway's fault; `upstream.requests` has it.
 */
export const echo: UpstreamHandler = async ({ request, response, body }) => {
  const { method, url } = request
  const rawHeaders = request.rawHeaders.map((value, index, all) => {
    return index % 2 === 1 && /^(authorization|dpop)$/i.test(all[index - 1] ?? '') ? '(credential)' : value
  })
  json(response, { method, url, rawHeaders, body: (await body()).toString('utf8') })
}

/** The sample API. Paths are those that the upstream sees. */
export const routes: Readonly<Record<string, UpstreamHandler>> = {
  '/echo': echo,

  /** `?ms=`: answers after so long. */
  '/slow': async (exchange) => {
    await sleep(count(exchange.url, 'ms', 1000))
    await echo(exchange)
  },

  /** Takes the request and never answers. */
  '/hang': () => {},

  /** `?ms=` between events, `?events=` in all (endless by default). The first comes at once. */
  '/sse': async ({ response, url }) => {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
    const last = count(url, 'events', Number.POSITIVE_INFINITY)
    for (let n = 1; n <= last && !response.destroyed; n++) {
      response.write(`id: ${n}\ndata: event ${n}\n\n`)
      await sleep(count(url, 'ms', 50))
    }
    response.end()
  },

  /** Counts the bytes of the body, no faster than `?pause=` ms a piece. */
  '/upload': async ({ request, response, url }) => {
    const pause = count(url, 'pause', 0)
    let bytes = 0
    for await (const chunk of request) {
      bytes += (chunk as Buffer).length
      if (pause > 0) await sleep(pause)
    }
    json(response, { bytes })
  },

  /** `?bytes=` of the letter x, as fast as they are taken. */
  '/download': async ({ response, url }) => {
    const total = count(url, 'bytes', 1024)
    response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': String(total) })
    const piece = Buffer.alloc(65_536, 'x')
    for (let sent = 0; sent < total && !response.destroyed; sent += piece.length) {
      const more = response.write(piece.subarray(0, Math.min(piece.length, total - sent)))
      if (!more) await writable(response)
    }
    response.end()
  },

  /** An upstream that tries to plant cookies, the gateway's own among them. */
  '/set-cookie': ({ response }) => {
    response.setHeader('set-cookie', [
      'theme=dark; Path=/',
      'tracker=1; Path=/',
      '__Host-Http-session=evil; Path=/; Secure',
    ])
    json(response, { ok: true })
  },

  /** `?to=` and `?code=`. */
  '/redirect': ({ response, url }) => {
    response.writeHead(count(url, 'code', 302), { location: url.searchParams.get('to') ?? '/echo' }).end()
  },

  /** An upstream that lets every origin read its answers, with credentials. */
  '/cors': ({ request, response }) => {
    response.setHeader('access-control-allow-origin', request.headers.origin ?? '*')
    response.setHeader('access-control-allow-credentials', 'true')
    response.setHeader('access-control-expose-headers', '*')
    json(response, { ok: true })
  },

  /** `?code=`: an answer with that status. */
  '/status': ({ response, url }) => json(response, { status: count(url, 'code', 200) }, count(url, 'code', 200)),

  /** Says half of what it promised, then breaks the connection. */
  '/broken': ({ response }) => {
    response.writeHead(200, { 'content-length': '1000' })
    response.write('half')
    setImmediate(() => response.destroy())
  },
}

/** Resolves when the answer takes more, or will never again. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done)
      resolve()
    }
    response.on('drain', done).on('close', done)
  })
}
