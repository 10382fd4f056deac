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

interface Name {
  readonly kind: Kind
  /** The line's beginning, and the end of the one before. */
  readonly begins: string
}

/** A body is usual with these: without one they say so. @see RFC 9110 §8.6 */
const withBody = new Set(['POST', 'PUT', 'PATCH'])

/** Writes the heads of requests to one upstream. `host` is sent where the headers have none. */
export function createHeadWriter(host: string): (request: UpstreamRequest) => RequestHead {
  /** Names are few, and looked at closely once. Bounded, since they come from clients. */
  const known = new Map<string, Name>()

  function look(name: string): Name {
    if (!TOKEN.test(name)) refuseRequest('invalid header name')
    const looked = { kind: classify(name), begins: `\r\n${name}: ` }
    if (known.size < 1000 && name.length <= 64) known.set(name, looked)
    return looked
  }

  return ({ method, path, headers, body }) => {
    if (!TOKEN.test(method) || method === 'CONNECT') refuseRequest('invalid method')
    if (!TARGET.test(path)) refuseRequest('invalid character in the path')
    // After HEAD some servers send the body all the same, and a body that was not expected may be taken for a request.
    const last = method === 'HEAD' || (body !== null && !withBody.has(method))
    let hosts = 0
    let length = -1
    let lines = ''
    // Each text that is joined to another is an object of its own: two a line, and no more.
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      const value = headers[i + 1] as string
      const { kind, begins } = known.get(name) ?? look(name)
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
      lines += begins
      lines += value
    }
    if (hosts > 1) refuseRequest('more than one host header')
    if (body === null && length > 0) refuseRequest('a content-length without a body')
    if (body === null && length === -1 && withBody.has(method)) length = 0
    // In our own words: `005` is five to us, and perhaps not to another reader.
    if (length !== -1) lines += `\r\nContent-Length: ${length}`
    else if (body !== null) lines += '\r\nTransfer-Encoding: chunked'
    const start = `${method} ${path} HTTP/1.1${hosts === 0 ? `\r\nHost: ${host}` : ''}`
    return { text: `${start}\r\nConnection: ${last ? 'close' : 'keep-alive'}${lines}\r\n\r\n`, length, last }
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
