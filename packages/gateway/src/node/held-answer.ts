/** The body of an answer that is held back until it is known whether the request goes out again. */
export class HeldAnswer {
  readonly #chunks: Buffer[] = []
  #looking: { left: number; readonly seen: (beginning: Buffer) => void } | undefined

  /** The guard waits for the beginning of the body: the upstream is to go on sending, and in time. */
  get looksOn(): boolean {
    return this.#looking !== undefined
  }

  /** Up to so many bytes of the beginning, or all that comes. */
  look(bytes: number): Promise<Buffer> {
    return new Promise((seen) => {
      this.#looking = { left: bytes, seen }
    })
  }

  /** True: more is wanted. What comes all the same is kept too: at most what the client reads at once. */
  add(chunk: Buffer): boolean {
    this.#chunks.push(chunk)
    if (this.#looking === undefined) return false
    this.#looking.left -= chunk.length
    if (this.#looking.left > 0) return true
    this.seenEnough()
    return false
  }

  /** Nothing more comes, or is needed. */
  seenEnough(): void {
    const looking = this.#looking
    this.#looking = undefined
    looking?.seen(Buffer.concat(this.#chunks))
  }

  /** In the order in which it came. */
  get chunks(): readonly Buffer[] {
    return this.#chunks
  }
}
