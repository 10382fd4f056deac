import type { RawHeaders } from '../../decision.ts'
import { type Place, UpstreamFault, type UpstreamHandler, type UpstreamRequest } from './contract.ts'
import type { ResponseHead } from './head.ts'
import type { RequestHead } from './request-head.ts'

/** What a task is written onto. */
export interface Carrying extends Place {
  cut(): void
}

/** One request, from its dispatch to the end of its answer. Its handler hears of one end only. */
export class Task implements Place {
  readonly request: UpstreamRequest
  readonly head: RequestHead
  readonly #handler: UpstreamHandler
  #connection: Carrying | undefined
  #repeated = false
  #over = false

  constructor(request: UpstreamRequest, handler: UpstreamHandler, head: RequestHead) {
    this.request = request
    this.#handler = handler
    this.head = head
  }

  /** Nobody waits for it any more. */
  get gone(): boolean {
    return this.#over || this.#handler.gone === true
  }

  /** It is about to be written. False if the handler no longer wants it. */
  begin(connection: Carrying): boolean {
    if (this.#over) return false
    // One for each task: kept longer than the request lasts, it must not reach the next one on the connection.
    this.#handler.onConnect((error) => this.fail(error ?? new UpstreamFault('UPSTREAM_ABORTED', 'aborted')))
    if (this.#over) return false
    this.#connection = connection
    this.#handler.onPlace?.(this)
    return true
  }

  /**
   * True, once, if it may be sent again: nothing is done twice by a method that is idempotent, and no body is half gone.
   * @see RFC 9110 §9.2.2, RFC 9112 §9.3.1
   */
  repeat(): boolean {
    if (this.#repeated || this.#over || this.request.body !== null || !idempotent.has(this.request.method)) return false
    this.#repeated = true
    this.#connection = undefined
    return true
  }

  leave(): void {
    this.#connection?.leave()
  }

  answering(): void {
    this.#handler.onResponseStarted?.()
  }

  answer({ status, headers, statusText }: ResponseHead, resume: () => void): boolean {
    const handler = this.#handler
    if (handler.onHead !== undefined) return handler.onHead(status, headers, resume)
    return handler.onHeaders(status, headers.map(toBuffer), resume, statusText)
  }

  data(chunk: Buffer): boolean {
    return this.#handler.onData(chunk)
  }

  text(body: string): boolean {
    const handler = this.#handler
    return handler.onText === undefined ? handler.onData(toBuffer(body)) : handler.onText(body)
  }

  wait(): void {
    this.#handler.onWait?.()
  }

  complete(trailers: RawHeaders): void {
    this.#over = true
    this.#connection = undefined
    const handler = this.#handler
    handler.onComplete(handler.onHead === undefined ? trailers.map(toBuffer) : trailers)
  }

  /** Ends it, and the connection that works on it. Does nothing once it is over. */
  fail(error: Error): void {
    if (this.#over) return
    this.#over = true
    const connection = this.#connection
    connection?.cut()
    this.#connection = undefined
    // A body that nobody began to read may yet be sent elsewhere.
    if (connection !== undefined) this.request.body?.destroy()
    this.#handler.onError(error)
  }

  bodySent(chunk: Buffer): void {
    this.#handler.onBodySent?.(chunk)
  }

  requestSent(): void {
    this.#handler.onRequestSent?.()
  }
}

const idempotent = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

function toBuffer(text: string): Buffer {
  return Buffer.from(text, 'latin1')
}
