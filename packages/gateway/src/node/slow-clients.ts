/** Bytes a second. A client that moves fewer while its exchange waits for it is slow. */
const enough = 16 * 1024

/** The client of an exchange that takes long. */
export class LongClient {
  readonly network: string
  readonly tooSlow: () => void
  /** It made its exchange wait at the last look. */
  slow = false
  /** Bytes a second that it moved between the last two looks. */
  pace = 0
  #moved = 0
  #lookedAt: number

  /** `began`: its exchange, in seconds as `look` counts them; `tooSlow` ends that. */
  constructor(network: string, began: number, tooSlow: () => void) {
    this.network = network
    this.#lookedAt = began
    this.tooSlow = tooSlow
  }

  /** `moved`: bytes that came from it and went to it, in all; `waiting`: it is what its exchange waits for. */
  look(now: number, moved: number, waiting: boolean): void {
    if (now === this.#lookedAt) return
    this.pace = (moved - this.#moved) / (now - this.#lookedAt)
    this.#lookedAt = now
    this.#moved = moved
    this.slow = waiting && this.pace < enough
  }
}

/**
 * The slow clients of one address. Whoever sends or reads a few bytes now and then would hold a connection to the upstream for
 * almost nothing, and a hundred such would hold them all: slow POST and slow read attacks on everybody behind the gateway. So
 * a connection that waits for its client does not count among those of the address. There are at most `limit` of these too:
 * with one more, the slowest is cut of the network that has the most.
 */
export class SlowClients {
  readonly #limit: number
  readonly #onCut: () => void
  /** Also those that have become faster: their connections still do not count. */
  readonly #apart = new Set<LongClient>()

  constructor(limit: number, onCut: () => void) {
    this.#limit = limit
    this.#onCut = onCut
  }

  /** True: its connection counts no more. */
  take(client: LongClient): boolean {
    if (this.#apart.has(client)) return true
    if (this.#apart.size >= this.#limit) {
      const worst = this.#worst(client)
      // All of those were slow once: they are served before another one is let out.
      if (worst === undefined) return false
      this.#onCut()
      worst.tooSlow()
      if (worst === client) return false
    }
    this.#apart.add(client)
    return true
  }

  /** Its exchange is over. */
  forget(client: LongClient): void {
    this.#apart.delete(client)
  }

  #worst(newcomer: LongClient): LongClient | undefined {
    const held = new Map<string, number>()
    for (const { network } of [...this.#apart, newcomer]) held.set(network, (held.get(network) ?? 0) + 1)
    const heldBy = ({ network }: LongClient) => held.get(network) as number
    const slow = [...this.#apart].filter((client) => client.slow)
    if (slow.length === 0) return undefined
    return [...slow, newcomer].reduce((worst, client) => {
      const more = heldBy(client) - heldBy(worst)
      return more > 0 || (more === 0 && client.pace < worst.pace) ? client : worst
    })
  }
}
