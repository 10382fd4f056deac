import type { RawHeaders } from '../../decision.ts'
import { refuse, UpstreamFault } from './contract.ts'
import { isName, readFields } from './fields.ts'
import { HeldBytes } from './held-bytes.ts'

const LF = 0x0a
const CR = 0x0d

const Step = { size: 0, extension: 1, sizeEnd: 2, data: 3, dataCr: 4, dataLf: 5, trailers: 6, done: 7 } as const
type Step = (typeof Step)[keyof typeof Step]

/** Value of a hex digit, either case; -1 for anything else. */
const hex = new Int8Array(256).fill(-1)
for (let i = 0; i < 10; i++) hex[0x30 + i] = i
for (let i = 10; i < 16; i++) hex[0x41 + i - 10] = hex[0x61 + i - 10] = i

/** 12 hex digits are 2^48 bytes: enough, and exact in a double. A size that overflows is another size to the next reader. */
const maxSizeDigits = 12
/** Nobody uses extensions but those who hide something in them, or waste the reader's time. */
const maxExtension = 256
/** name[=token | ="quoted"], without the blanks that readers disagree on. @see RFC 9112 §7.1.1 */
const EXTENSION =
  /^(?:;[!#$%&'*+.^_`|~0-9A-Za-z-]+(?:=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"))?)+$/

/** Takes the chunks off a body, from pieces of any size. @see RFC 9112 §7.1 */
export class ChunkedDecoder {
  #step: Step = Step.size
  /** Bytes of the chunk still to come; while its size is read, the size so far. */
  #left = 0
  #digits = 0
  #extension = ''
  readonly #trailerBytes: HeldBytes
  /** Set when the body is over. */
  trailers: RawHeaders | undefined
  /** Where the last `decode` stopped writing. */
  written = 0

  constructor(maxTrailers: number) {
    this.#trailerBytes = new HeldBytes(maxTrailers)
  }

  /**
   * Decodes `input` from `at` to `end`; the data, all of it together, goes to the beginning of `output`, which is as large.
   * @returns where it stopped: `end`, or behind the whole body
   * @throws UpstreamFault
   */
  decode(input: Buffer, range: { at: number; end: number }, output: Buffer): number {
    const { end } = range
    let { at } = range
    this.written = 0
    while (at < end && this.#step !== Step.done) {
      if (this.#step === Step.data) {
        const size = Math.min(this.#left, end - at)
        input.copy(output, this.written, at, at + size)
        this.written += size
        at += size
        this.#left -= size
        if (this.#left === 0) this.#step = Step.dataCr
      } else if (this.#step === Step.trailers) {
        at = this.#readTrailers(input, at, end)
      } else {
        this.#readByte(input[at++] as number)
      }
    }
    return at
  }

  #readByte(byte: number): void {
    switch (this.#step) {
      case Step.size: {
        const value = hex[byte] as number
        if (value >= 0) {
          if (++this.#digits > maxSizeDigits) refuse('chunk size too large')
          this.#left = this.#left * 16 + value
        } else if (this.#digits === 0) refuse('invalid chunk size')
        else if (byte === CR) this.#step = Step.sizeEnd
        else if (byte === 0x3b) {
          this.#step = Step.extension
          this.#extension = ';'
        } else refuse('invalid chunk size')
        return
      }
      case Step.extension:
        if (byte === CR) {
          if (!EXTENSION.test(this.#extension)) refuse('invalid chunk extension')
          this.#step = Step.sizeEnd
        } else if (this.#extension.length === maxExtension) {
          throw new UpstreamFault('UPSTREAM_OVERFLOW', 'chunk extension too long')
        } else this.#extension += String.fromCharCode(byte)
        return
      case Step.sizeEnd:
        if (byte !== LF) refuse('bare CR behind a chunk size')
        this.#digits = 0
        this.#step = this.#left === 0 ? Step.trailers : Step.data
        return
      case Step.dataCr:
        if (byte !== CR) refuse('a chunk is longer than its size')
        this.#step = Step.dataLf
        return
      case Step.dataLf:
        if (byte !== LF) refuse('bare CR behind a chunk')
        this.#step = Step.size
    }
  }

  /** Header lines up to an empty one; usually the empty one alone. */
  #readTrailers(input: Buffer, at: number, end: number): number {
    const held = this.#trailerBytes
    if (held.length === 0 && end - at >= 2 && input[at] === CR && input[at + 1] === LF) {
      this.trailers = []
      this.#step = Step.done
      return at + 2
    }
    // The CRLF of the line before, so that the empty line is found although no trailer comes before it.
    if (held.length === 0) held.add(lineEnd, 0, 2)
    const stop = held.addHead(input, at, end)
    if (stop === -1) return end
    const bytes = held.take()
    const fields = readFields(bytes, bytes.toString('latin1'), 2)
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      // RFC 9110 §6.5.1: a length that comes after the body could only serve to confuse somebody.
      if (isName(name, 'content-length') || isName(name, 'transfer-encoding')) refuse('framing in a trailer')
    }
    this.trailers = fields
    this.#step = Step.done
    return stop
  }
}

const lineEnd = Buffer.from('\r\n')
