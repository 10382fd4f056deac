import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'
import type { Dispatcher } from 'undici'

/** An answer that was read whole; header names and values as they came, in latin1. */
export interface WholeAnswer {
  readonly status: number
  readonly headers: [name: string, value: string][]
  readonly body: Buffer
}

/** Bytes of a body that are read at most, and what is said of more. */
export interface AnswerLimit {
  readonly maxBytes: number
  tooLarge(): Error
}

/** undici's callbacks for one request, of which the last one settles the promise. Informational answers are left out. */
export class AnswerReader implements Dispatcher.DispatchHandler {
  readonly answer: Promise<WholeAnswer>
  readonly #limit: AnswerLimit
  readonly #chunks: Buffer[] = []
  #resolve!: (answer: WholeAnswer) => void
  #reject!: (error: Error) => void
  #abort: (() => void) | undefined
  #aborted: Error | undefined
  #status = 0
  #headers: [string, string][] = []
  #size = 0

  constructor(limit: AnswerLimit) {
    this.#limit = limit
    this.answer = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Nobody waits for the answer any more: its connection is cut, or not even made. */
  abort(reason: Error): void {
    this.#aborted = reason
    this.#reject(reason)
    this.#abort?.()
  }

  onConnect(abort: () => void): void {
    this.#abort = abort
    if (this.#aborted) abort()
  }

  onHeaders(status: number, raw: Buffer[]): boolean {
    if (status < 200) return true
    this.#status = status
    for (let i = 0; i < raw.length; i += 2) {
      this.#headers.push([raw[i]?.toString('latin1') ?? '', raw[i + 1]?.toString('latin1') ?? ''])
    }
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#size += chunk.length
    if (this.#size > this.#limit.maxBytes) this.abort(this.#limit.tooLarge())
    else this.#chunks.push(chunk)
    return true
  }

  onComplete(): void {
    try {
      this.#resolve({ status: this.#status, headers: this.#headers, body: this.#decoded() })
    } catch (error) {
      this.#reject(error as Error)
    }
  }

  onError(error: Error): void {
    this.#reject(error)
  }

  /** It is asked for as it is; some servers compress all the same. What that makes of a few bytes is limited as well. */
  #decoded(): Buffer {
    const body = Buffer.concat(this.#chunks)
    const coding = this.#headers.find(([name]) => name.toLowerCase() === 'content-encoding')?.[1].toLowerCase()
    if (coding === undefined || coding === 'identity' || body.length === 0) return body
    const decode = decoders[coding]
    if (decode === undefined) throw new Error('a content coding that was not asked for')
    try {
      return decode(body, { maxOutputLength: this.#limit.maxBytes })
    } catch (error) {
      throw (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? this.#limit.tooLarge() : error
    }
  }
}

const decoders: Record<string, typeof gunzipSync> = {
  gzip: gunzipSync,
  'x-gzip': gunzipSync,
  deflate: inflateSync,
  br: brotliDecompressSync,
}
