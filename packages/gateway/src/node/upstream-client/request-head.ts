import { UpstreamFault, type UpstreamRequest } from './contract.ts'
import { isName } from './fields.ts'

export interface RequestHead {
  /** Up to and with the empty line. */
  readonly text: string
  /** Bytes of the body, as the headers say; -1: in chunks. */
  readonly length: number
  /** The connection serves no further request. */
  readonly last: boolean
}

/** RFC 9110 §5.6.2 */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
/**
 * What would end a line, or the head, too early, and with it begin a request of somebody else's making (request splitting).
 * Also what is not latin1: written as such, U+010A would become a line feed.
 */
const FORBIDDEN = /[^\t\x20-\x7e\x80-\xff]/
/** A blank ends the request-target. */
const TARGET = /^[\x21-\x7e]+$/

const Kind = { other: 0, host: 1, length: 2, refused: 3 } as const
type Kind = (typeof Kind)[keyof typeof Kind]

/** A body is usual with these: without one they say so. @see RFC 9110 §8.6 */
const withBody = new Set(['POST', 'PUT', 'PATCH'])

/** Writes the heads of requests to one upstream. `host` is sent where the headers have none. */
export function createHeadWriter(host: string): (request: UpstreamRequest) => RequestHead {
  /** Names are few, and looked at closely once. Bounded, since they come from clients. */
  const known = new Map<string, Kind>()

  function kindOf(name: string): Kind {
    if (!TOKEN.test(name)) refuseRequest('invalid header name')
    const kind = classify(name)
    if (known.size < 1000 && name.length <= 64) known.set(name, kind)
    return kind
  }

  return ({ method, path, headers, body }) => {
    if (!TOKEN.test(method) || method === 'CONNECT') refuseRequest('invalid method')
    if (!TARGET.test(path)) refuseRequest('invalid character in the path')
    // After HEAD some servers send the body all the same, and a body that was not expected may be taken for a request.
    const last = method === 'HEAD' || (body !== null && !withBody.has(method))
    let hosts = 0
    let length = -1
    let lines = ''
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      const value = headers[i + 1] as string
      const kind = known.get(name) ?? kindOf(name)
      if (FORBIDDEN.test(value)) refuseRequest('forbidden character in a header value')
      if (kind !== Kind.other) {
        if (kind === Kind.refused) refuseRequest('a header that belongs to the connection')
        else if (kind === Kind.host) hosts++
        else if (length !== -1 || !/^[0-9]{1,15}$/.test(value)) refuseRequest('invalid content-length')
        else {
          length = Number(value)
          continue
        }
      }
      lines += `${name}: ${value}\r\n`
    }
    if (hosts > 1) refuseRequest('more than one host header')
    if (body === null && length > 0) refuseRequest('a content-length without a body')
    if (body === null && length === -1 && withBody.has(method)) length = 0
    // In our own words: `005` is five to us, and perhaps not to another reader.
    if (length !== -1) lines += `Content-Length: ${length}\r\n`
    else if (body !== null) lines += 'Transfer-Encoding: chunked\r\n'
    const start = `${method} ${path} HTTP/1.1\r\n${hosts === 0 ? `Host: ${host}\r\n` : ''}`
    return { text: `${start}Connection: ${last ? 'close' : 'keep-alive'}\r\n${lines}\r\n`, length, last }
  }
}

function classify(name: string): Kind {
  switch (name.length) {
    case 4:
      return isName(name, 'host') ? Kind.host : Kind.other
    case 14:
      return isName(name, 'content-length') ? Kind.length : Kind.other
    default:
      return ofConnection.has(name.toLowerCase()) ? Kind.refused : Kind.other
  }
}

/**
 * What the client itself says, and nobody else: framing, persistence, and an expectation whose answer (100) would have to be
 * told from an answer to the request. The carrier invites its client's body itself.
 */
const ofConnection = new Set(['connection', 'keep-alive', 'transfer-encoding', 'upgrade', 'expect', 'te', 'trailer'])

function refuseRequest(message: string): never {
  throw new UpstreamFault('UPSTREAM_REQUEST', message)
}
