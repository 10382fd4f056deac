import type { RawHeaders } from '../../decision.ts'
import { ChunkedDecoder } from './chunked.ts'
import { refuse } from './contract.ts'
import { Ends, mayBegin, type ResponseHead, readHead } from './head.ts'
import { endOfHead, HeldBytes, tooLarge } from './held-bytes.ts'

/** Who hears of an answer. */
export interface ResponseSink {
  head(head: ResponseHead): void
  data(chunk: Buffer): void
  /** A short body that came in one piece, in latin1. */
  text(body: string): void
  complete(trailers: RawHeaders): void
  /** False once nobody wants the answer any more: then nothing more is read. */
  readonly listening: boolean
}

const State = { idle: 0, head: 1, counted: 2, chunked: 3, endless: 4 } as const
type State = (typeof State)[keyof typeof State]

/** No server sends so many informational answers before a final one; an endless row of them would keep us busy. */
const maxInformational = 16
/** Bytes of a body that is handed over as a text. */
const short = 12 * 1024

/** Reads answers, one for each `expect`, from pieces of any size. Holds at most one head; bodies are passed on as they come. */
export class ResponseReader {
  readonly #sink: ResponseSink
  readonly #maxHead: number
  readonly #held: HeldBytes
  #state: State = State.idle
  #method = ''
  #informational = 0
  #left = 0
  /** Nothing of the body has come. */
  #untouched = false
  #chunks: ChunkedDecoder | undefined

  constructor(sink: ResponseSink, maxHead: number) {
    this.#sink = sink
    this.#maxHead = maxHead
    this.#held = new HeldBytes(maxHead)
  }

  /** The next bytes are the answer to a request of this method. */
  expect(method: string): void {
    this.#method = method
    this.#informational = 0
    this.#state = State.head
  }

  /**
   * `input` is read up to `end`, and not kept.
   * @returns where it stopped: what lies behind an answer was not asked for
   * @throws UpstreamFault
   */
  read(input: Buffer, end: number): number {
    let at = 0
    while (at < end && this.#state !== State.idle && this.#sink.listening) {
      if (this.#state === State.head) at = this.#readHead(input, at, end)
      else if (this.#state === State.chunked) at = this.#readChunks(input, at, end)
      else at = this.#readBody(input, at, end)
    }
    return at
  }

  /** The upstream has closed its side. True if that is how the answer was to end. */
  end(): boolean {
    if (this.#state !== State.endless) return false
    this.#complete([])
    return true
  }

  #readHead(input: Buffer, at: number, end: number): number {
    // Almost every head comes in one piece, and is read where it lies.
    const whole = this.#held.length === 0 ? endOfHead(input, at, end) : -1
    if (whole !== -1) {
      if (whole - at > this.#maxHead) tooLarge()
      this.#begin(readHead(at === 0 ? input : input.subarray(at, end), whole - at, this.#method))
      return whole
    }
    const stop = this.#held.addHead(input, at, end)
    if (stop === -1) {
      if (!mayBegin(this.#held.peek())) refuse('no HTTP/1 answer')
      return end
    }
    const bytes = this.#held.take()
    this.#begin(readHead(bytes, bytes.length, this.#method))
    return stop
  }

  #begin(head: ResponseHead): void {
    const { status, body } = head
    if (status < 200) {
      // Switching is never asked for, and no request says that it waits for 100: whoever sends them is confused.
      if (status <= 101) refuse(status === 101 ? 'protocol switched unasked' : '100 (Continue) unasked')
      // HTTP/1.0 knows none, and none can be the last.
      if (!head.persistent) refuse('an informational answer that ends the connection')
      if (++this.#informational > maxInformational) refuse('too many informational answers')
      this.#sink.head(head)
      return
    }
    if (body === Ends.inChunks) {
      this.#state = State.chunked
      this.#chunks = new ChunkedDecoder(this.#maxHead)
    } else {
      this.#state = body === Ends.withConnection ? State.endless : State.counted
      this.#left = body
      this.#untouched = true
    }
    this.#sink.head(head)
    if (body === 0 && this.#sink.listening) this.#complete([])
  }

  #readBody(input: Buffer, at: number, end: number): number {
    const counted = this.#state === State.counted
    const stop = counted ? Math.min(end, at + this.#left) : end
    if (counted) this.#left -= stop - at
    // One text costs less than bytes of one's own that are made a text later.
    if (this.#untouched && counted && this.#left === 0 && stop - at <= short)
      this.#sink.text(input.toString('latin1', at, stop))
    else this.#sink.data(copyOf(input, at, stop))
    this.#untouched = false
    if (counted && this.#left === 0 && this.#sink.listening) this.#complete([])
    return stop
  }

  #readChunks(input: Buffer, at: number, end: number): number {
    const chunks = this.#chunks as ChunkedDecoder
    const output = Buffer.allocUnsafe(end - at)
    const stop = chunks.decode(input, { at, end }, output)
    if (chunks.written > 0) this.#sink.data(output.subarray(0, chunks.written))
    if (chunks.trailers !== undefined && this.#sink.listening) {
      this.#chunks = undefined
      this.#complete(chunks.trailers)
    }
    return stop
  }

  #complete(trailers: RawHeaders): void {
    this.#state = State.idle
    this.#sink.complete(trailers)
  }
}

/** Its own bytes: all sockets read into the same buffer. */
function copyOf(input: Buffer, at: number, end: number): Buffer {
  const copy = Buffer.allocUnsafe(end - at)
  input.copy(copy, 0, at, end)
  return copy
}
