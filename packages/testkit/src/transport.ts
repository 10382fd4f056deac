import { request as httpRequest, type IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'

/** One request and its answer, as the browser saw them. */
export interface Exchange {
  readonly url: string
  readonly method: string
  readonly requestHeaders: Readonly<Record<string, string>>
  readonly status: number
  /** name, value, name, value, … as on the wire. */
  readonly rawHeaders: readonly string[]
  /** After content decoding. */
  readonly body: Buffer
}

export interface Outgoing {
  readonly url: URL
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  readonly signal?: AbortSignal | undefined
}

/** Sends one request; resolves with the head of the answer, the body not read yet. Certificates are not checked. */
export function send({ url, method, headers, body, signal }: Outgoing): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const begin = url.protocol === 'https:' ? httpsRequest : httpRequest
    // Names under .localhost are loopback to a browser, not always to the resolver.
    const hostname = url.hostname.endsWith('.localhost') ? '127.0.0.1' : url.hostname.replace(/^\[|\]$/g, '')
    const length = body === undefined ? {} : { 'content-length': String(body.byteLength) }
    const outgoing = begin({
      protocol: url.protocol,
      hostname,
      port: url.port,
      path: url.pathname + url.search,
      method,
      headers: { host: url.host, ...headers, ...length },
      agent: false,
      rejectUnauthorized: false,
      ...(signal ? { signal } : {}),
    })
    outgoing.once('response', resolve)
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}

/** Reads a whole body and undoes its Content-Encoding. */
export async function readBody(response: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  const bytes = Buffer.concat(chunks)
  if (bytes.length === 0) return bytes
  switch (response.headers['content-encoding']) {
    case 'gzip':
      return gunzipSync(bytes)
    case 'deflate':
      return inflateSync(bytes)
    case 'br':
      return brotliDecompressSync(bytes)
    default:
      return bytes
  }
}

/** All values of a header in a raw list, in order. */
export function valuesOf(rawHeaders: readonly string[], name: string): string[] {
  const wanted = name.toLowerCase()
  return rawHeaders.filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === wanted)
}
