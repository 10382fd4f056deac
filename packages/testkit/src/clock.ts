/** A clock that stands still until a test moves it. Fits wherever `{ now }` is asked for. */
export class FakeClock {
  #time: number

  /** `start` in milliseconds since the epoch. */
  constructor(start: number = Date.UTC(2026, 0, 1)) {
    this.#time = start
  }

  /** Milliseconds since the epoch. Bound, so that it can be handed on as a function. */
  readonly now = (): number => this.#time

  /** Moves time forward by `ms` milliseconds. */
  advance(ms: number): void {
    this.#time += ms
  }
}
