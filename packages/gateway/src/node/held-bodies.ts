/** Bytes of all bodies, and of those that one session may have. */
const atMost = { all: 256 * 1024 * 1024, each: 64 * 1024 * 1024 }

/**
 * Room for request bodies that are held whole. One is bounded by its route; a hundred that are begun and never finished would
 * be a gigabyte, at no cost to who sends them. A body that is alone finds room, however large its route lets it be.
 */
export class HeldBodies {
  readonly #limits: typeof atMost
  #all = 0
  readonly #byOwner = new Map<string, number>()

  constructor(limits = atMost) {
    this.#limits = limits
  }

  /** Returns what gives the room back (more than once is once); undefined if there is none. */
  take(owner: string, bytes: number): (() => void) | undefined {
    const own = this.#byOwner.get(owner) ?? 0
    const fits = (held: number, limit: number) => held === 0 || held + bytes <= limit
    if (!fits(this.#all, this.#limits.all) || !fits(own, this.#limits.each)) return undefined
    this.#add(owner, bytes)
    let given = false
    return () => {
      if (!given) this.#add(owner, -bytes)
      given = true
    }
  }

  #add(owner: string, bytes: number): void {
    const own = (this.#byOwner.get(owner) ?? 0) + bytes
    this.#all += bytes
    if (own === 0) this.#byOwner.delete(owner)
    else this.#byOwner.set(owner, own)
  }
}
