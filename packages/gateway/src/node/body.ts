import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import { framingOf } from './lean-request.ts'

/** The client left in the middle of its request: nobody is there to be answered. */
export class ClientGone extends Error {}

/** The request said `Expect: 100-continue`, and now its body is wanted. In HTTP/1.0 it means nothing. @see RFC 9110 §10.1.1 */
export function invite(request: IncomingMessage, response: ServerResponse): void {
  if (framingOf(request).expect !== undefined && request.httpVersion !== '1.0') response.writeContinue()
}

/** The length that the client declared; Infinity if the body is chunked, 0 if there is none. */
export function declaredLength(request: IncomingMessage): number {
  const { 'content-length': length, 'transfer-encoding': coding } = framingOf(request)
  return coding === undefined ? Number(length ?? 0) : Number.POSITIVE_INFINITY
}

/** Reads a whole body; undefined if it has more than `limit` bytes, in which case the rest is left to be forgotten. */
export function readBody(request: IncomingMessage, limit: number): Promise<Uint8Array | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (body: Uint8Array | undefined) => {
      request.removeListener('data', onData).removeListener('end', onEnd)
      resolve(body)
    }
    const onEnd = () => settle(Buffer.concat(chunks))
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size > limit) settle(undefined)
      else chunks.push(chunk)
    }
    request.on('data', onData).on('end', onEnd)
    request.once('close', () => reject(new ClientGone()))
  })
}

/** What was read of a body before it was decided who gets it. */
export interface Beginning {
  /** As much as was asked for, and what came along with that. */
  readonly bytes: Buffer
  /** It is all. */
  readonly whole: boolean
}

/**
 * Reads until there are more than `enough` bytes or no more, and leaves the request paused. One byte more than is looked at:
 * a body of exactly that length is then known to be whole.
 */
export function readBeginning(request: IncomingMessage, enough: number): Promise<Beginning> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    const settle = (whole: boolean) => {
      request.removeListener('data', onData).removeListener('end', onEnd).removeListener('close', onClose)
      request.pause()
      resolve({ bytes: Buffer.concat(chunks), whole })
    }
    const onEnd = () => settle(true)
    const onClose = () => reject(new ClientGone())
    const onData = (chunk: Buffer) => {
      size += chunk.length
      chunks.push(chunk)
      if (size > enough) settle(false)
    }
    request.on('data', onData).on('end', onEnd).on('close', onClose)
  })
}

/** Reads on until all of it is there; undefined if it has more than `limit` bytes. */
export async function readWhole(
  request: IncomingMessage,
  limit: number,
  begun: Beginning = { bytes: Buffer.alloc(0), whole: false },
): Promise<Beginning | undefined> {
  const rest = begun.whole ? undefined : await readBeginning(request, limit - begun.bytes.length)
  const all = rest === undefined ? begun : { bytes: Buffer.concat([begun.bytes, rest.bytes]), whole: rest.whole }
  return all.whole && all.bytes.length <= limit ? all : undefined
}

/**
 * A request's body on its way to an upstream. It stands between the two because undici destroys a body when the upstream
 * fails, and destroying the request itself would close the client's connection before the failure was told.
 */
export class Upload extends Readable {
  readonly #request: IncomingMessage
  readonly #limit: number
  readonly #onTooLarge: () => void
  #size = 0

  /** `beginning`: of the body, read already, and not more than `limit`. */
  constructor(request: IncomingMessage, limit: number, onTooLarge: () => void, beginning?: Beginning) {
    super({ highWaterMark: 64 * 1024 })
    this.#request = request
    this.#limit = limit
    this.#onTooLarge = onTooLarge
    if (beginning !== undefined) this.#onData(beginning.bytes)
    if (beginning?.whole) this.#onEnd()
    else request.on('data', this.#onData).on('end', this.#onEnd)
    request.pause()
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#size += chunk.length
    if (this.#size > this.#limit) this.#onTooLarge()
    else if (!this.push(chunk)) this.#request.pause()
  }

  readonly #onEnd = (): void => {
    this.push(null)
  }

  /** Bytes that came of it so far. */
  get received(): number {
    return this.#size
  }

  /** Somebody took of it: it can't be sent a second time. */
  get touched(): boolean {
    return this.readableDidRead
  }

  override _read(): void {
    this.#request.resume()
  }

  /** What still comes from the client is read and forgotten, so that it can read our answer. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#request.removeListener('data', this.#onData).removeListener('end', this.#onEnd)
    this.#request.resume()
    callback(error)
  }
}
