import { constants, Http2ServerRequest, Http2ServerResponse, type ServerHttp2Stream } from 'node:http2'

/** A request of HTTP/2 that answers the carrier's questions as one of HTTP/1.1 would. */
export class Http2Request extends Http2ServerRequest {
  /** Bytes of the body so far. */
  received = 0

  constructor(...given: ConstructorParameters<typeof Http2ServerRequest>) {
    super(...given)
    // A body without a length is what chunks are in HTTP/1.1. Whoever asks for either finds it.
    const [stream, headers] = given
    // The stream is what lives and dies with this request; the socket belongs to others too.
    Object.defineProperty(this, 'socket', { value: stream })
    if (!stream.endAfterHeaders && headers['content-length'] === undefined) headers['transfer-encoding'] = 'chunked'
  }

  override push(chunk: Buffer | null): boolean {
    if (chunk !== null) this.received += chunk.length
    return super.push(chunk)
  }
}

/** Its answer. */
export class Http2Response extends Http2ServerResponse<Http2Request> {
  /** HTTP/1.1's word for whether the connection goes on; a stream ends with its answer in any case. */
  shouldKeepAlive = false

  /** Also takes name, value, … as node:http does. */
  override writeHead(status: number, headers?: unknown): this {
    if (!Array.isArray(headers)) return super.writeHead(status, headers as never)
    // Of a head that could not be sent, nothing gets into the one that takes its place.
    for (const name of this.getHeaderNames()) this.removeHeader(name)
    for (let i = 0; i < headers.length; i += 2) {
      const name = (headers[i] as string).toLowerCase()
      const value = headers[i + 1] as string
      // About a connection, which is not ours to talk about. @see RFC 9113 §8.2.2
      if (connectionHeaders.has(name)) continue
      const before = name === 'set-cookie' ? undefined : this.getHeader(name)
      if (before === undefined) this.appendHeader(name, value)
      else if (before === value || single.has(name)) continue
      else if (lists.has(name)) this.setHeader(name, `${before}, ${value}`)
      else this.appendHeader(name, value)
    }
    return super.writeHead(status)
  }

  /** Also takes pairs as node:http does. */
  override addTrailers(trailers: unknown): void {
    super.addTrailers(Array.isArray(trailers) ? Object.fromEntries(trailers) : (trailers as never))
  }

  /** node:http2 says "finish" of every answer that is over, those included of which the client did not get all. */
  override emit(event: string | symbol, ...given: unknown[]): boolean {
    if (event === 'finish' && !(this.stream.writableFinished && this.stream.rstCode === constants.NGHTTP2_NO_ERROR)) {
      return false
    }
    return super.emit(event, ...given)
  }

  /** What was cut must not look whole: the stream ends with an error. */
  override destroy(): this {
    const stream = this.stream as ServerHttp2Stream | undefined
    stream?.close(constants.NGHTTP2_INTERNAL_ERROR)
    return this
  }
}

/**
 * What node:http2 refuses to send twice, and upstreams repeat in innocence. These are lists, in one line or in several, and
 * their order is that of the codings. @see RFC 9110 §5.3, §8.4, §8.5
 */
const lists: ReadonlySet<string> = new Set(['content-encoding', 'content-language'])

/** Of these the first one stays, as `siftResponse` has it for others that can't be two. */
const single: ReadonlySet<string> = new Set([
  ...['access-control-allow-credentials', 'access-control-max-age', 'access-control-request-method', 'age'],
  ...['authorization', 'content-length', 'content-location', 'content-md5', 'content-range', 'content-type', 'date'],
  ...['dnt', 'etag', 'expires', 'from', 'host', 'if-match', 'if-modified-since', 'if-none-match', 'if-range'],
  ...['if-unmodified-since', 'last-modified', 'location', 'max-forwards', 'proxy-authorization', 'range', 'referer'],
  ...['retry-after', 'tk', 'upgrade-insecure-requests', 'user-agent', 'x-content-type-options'],
])

const connectionHeaders: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'http2-settings', 'te'],
])
