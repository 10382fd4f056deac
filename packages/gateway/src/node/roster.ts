/** Something that knows its place in a roster; -1: in none. */
export interface Enrolled {
  index: number
}

/**
 * All that run, in no order. An array in which each knows its place: a Set with so much coming and going makes V8 copy its table
 * all the time, and the dead tables keep the dead alive until the next full collection (a tenth of all CPU time).
 */
export class Roster<T extends Enrolled> {
  readonly #all: T[] = []

  get size(): number {
    return this.#all.length
  }

  add(one: T): void {
    one.index = this.#all.push(one) - 1
  }

  /** False if it is not there. */
  remove(one: T): boolean {
    const { index } = one
    if (index === -1) return false
    const last = this.#all.pop() as T
    if (last !== one) {
      this.#all[index] = last
      last.index = index
    }
    one.index = -1
    return true
  }

  /** Any of them may leave meanwhile; then some may be visited twice, and none is left out. */
  visit(look: (one: T) => void): void {
    // Backwards: who leaves is replaced by the last one.
    for (let i = this.#all.length - 1; i >= 0; i--) {
      const one = this.#all[i]
      if (one !== undefined) look(one)
    }
  }
}
