import type { IncomingMessage, ServerResponse } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import type { RawHeaders } from '../decision.ts'

/**
 * Passes the links of a 103 on to a browser that opens a page: it fetches styles and scripts while the upstream still thinks.
 * Nothing but Link goes ahead of an answer that may yet be another one: no cookie, no policy. Over HTTP/1.1 there are clients
 * that take it for the answer (response splitting, to everybody behind a proxy of that kind), and no browser that reads it.
 * @see RFC 8297 §2, §3
 */
export function passHints(request: IncomingMessage, response: ServerResponse, headers: RawHeaders): void {
  if (request.httpVersionMajor !== 2 || response.headersSent) return
  const links = headers.filter((_, at) => at % 2 === 1 && headers[at - 1]?.toLowerCase() === 'link')
  const stream = request.socket as unknown as ServerHttp2Stream
  if (links.length > 0 && !stream.closed && !stream.destroyed) {
    stream.additionalHeaders({ ':status': 103, link: links.join(', ') })
  }
}
