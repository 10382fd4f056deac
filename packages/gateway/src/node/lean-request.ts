import { IncomingMessage } from 'node:http'

/** The headers that concern a carrier before anything is decided, as `headers` shows them. */
export interface Framing {
  host: string | undefined
  expect: string | undefined
  upgrade: string | undefined
  'content-length': string | undefined
  'transfer-encoding': string | undefined
}

/**
 * A request whose `headers` object is not built for nothing. The guard reads the raw lines, and the carrier `framing`; but
 * node:http itself asks each request for `headers.expect`, and would sort all lines into an object for that: a tenth of what
 * a proxied request costs. Anything else that is asked of `headers` is answered from the whole object, built then.
 */
export class LeanRequest extends IncomingMessage {
  #framing: Framing | undefined

  get framing(): Framing {
    this.#framing ??= readFraming(this.rawHeaders)
    return this.#framing
  }

  /** The object that node:http builds. */
  get whole(): IncomingMessage['headers'] {
    return allHeaders.call(this)
  }
}

const { get: allHeaders } = Object.getOwnPropertyDescriptor(IncomingMessage.prototype, 'headers') as {
  get: () => IncomingMessage['headers']
}

const expectAlone: ProxyHandler<LeanRequest> = {
  get: (request, name) => (name === 'expect' ? request.framing.expect : Reflect.get(request.whole, name)),
  set: (request, name, value) => Reflect.set(request.whole, name, value),
  has: (request, name) => Reflect.has(request.whole, name),
  deleteProperty: (request, name) => Reflect.deleteProperty(request.whole, name),
  ownKeys: (request) => Reflect.ownKeys(request.whole),
  getOwnPropertyDescriptor: (request, name) => Reflect.getOwnPropertyDescriptor(request.whole, name),
}

Object.defineProperty(LeanRequest.prototype, 'headers', {
  get(this: LeanRequest) {
    return new Proxy(this, expectAlone)
  },
})

/** Of a request that another server than ours made, it is all its headers. */
export function framingOf(request: IncomingMessage): Framing {
  return request instanceof LeanRequest ? request.framing : (request.headers as unknown as Framing)
}

function readFraming(raw: readonly string[]): Framing {
  const framing: Framing = {
    host: undefined,
    expect: undefined,
    upgrade: undefined,
    'content-length': undefined,
    'transfer-encoding': undefined,
  }
  for (let i = 0; i < raw.length; i += 2) {
    const spelt = raw[i] as string
    const { length } = spelt
    if (length !== 4 && length !== 6 && length !== 7 && length !== 14 && length !== 17) continue
    const name = spelt.toLowerCase()
    if (name === 'host' || name === 'content-length') framing[name] ??= raw[i + 1]
    else if (name === 'expect' || name === 'upgrade' || name === 'transfer-encoding') {
      const before = framing[name]
      framing[name] = before === undefined ? raw[i + 1] : `${before}, ${raw[i + 1]}`
    }
  }
  return framing
}
