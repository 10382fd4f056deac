import { refuse, UpstreamFault } from './contract.ts'

const END = Buffer.from('\r\n\r\n')
const CR = 0x0d
const LF = 0x0a

/** The beginning of a head whose end has not come yet. Bounded, and searched once, however small the pieces are. */
export class HeldBytes {
  readonly #limit: number
  #bytes: Buffer = none
  length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /**
   * Adds what belongs to the head.
   * @returns where in `input` the head ends (behind its empty line), or -1 if all was taken and the end is still to come
   * @throws UpstreamFault if the head is larger than the limit
   */
  addHead(input: Buffer, at: number, end: number): number {
    const before = this.length
    this.add(input, at, end)
    this.#refuseBareLf(before)
    // Three of its four bytes may have come before.
    const found = this.#bytes.subarray(0, this.length).indexOf(END, Math.max(0, before - 3))
    if (found === -1) {
      if (this.length > this.#limit) tooLarge()
      return -1
    }
    this.length = found + END.length
    if (this.length > this.#limit) tooLarge()
    return at + this.length - before
  }

  /** A head whose lines end otherwise would never end: it is refused at once, not when its time is over. */
  #refuseBareLf(from: number): void {
    const bytes = this.#bytes
    const blank = bytes.subarray(0, this.length).indexOf(END, Math.max(0, from - 3))
    const stop = blank === -1 ? this.length : blank
    for (let i = bytes.indexOf(LF, from); i !== -1 && i < stop; i = bytes.indexOf(LF, i + 1)) {
      if (bytes[i - 1] !== CR) refuse('bare LF')
    }
  }

  add(input: Buffer, at: number, end: number): void {
    const length = this.length + end - at
    if (length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#bytes.length, 512))
      this.#bytes.copy(larger, 0, 0, this.length)
      this.#bytes = larger
    }
    input.copy(this.#bytes, this.length, at, end)
    this.length = length
  }

  /** All that is held so far. */
  peek(): Buffer {
    return this.#bytes.subarray(0, this.length)
  }

  /** All that is held, once; nothing is held afterwards. */
  take(): Buffer {
    const bytes = this.#bytes.subarray(0, this.length)
    this.#bytes = none
    this.length = 0
    return bytes
  }
}

const none = Buffer.alloc(0)

/** Where the head that begins at `at` ends, behind its empty line; -1 if that is not there. */
export function endOfHead(input: Buffer, at: number, end: number): number {
  const found = input.indexOf(END, at)
  return found === -1 || found + END.length > end ? -1 : found + END.length
}

export function tooLarge(): never {
  throw new UpstreamFault('UPSTREAM_OVERFLOW', 'the head of the answer is too large')
}
