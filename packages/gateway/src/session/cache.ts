/** A bounded map that forgets what was least recently used: opened sessions live here, all others in the store only. */
export interface Cache<Key, Value> {
  get(key: Key): Value | undefined
  set(key: Key, value: Value): void
  delete(key: Key): void
  readonly size: number
}

/**
 * Two generations instead of a linked list: a look-up in the young one costs a plain Map look-up, and at most `max`
 * entries are held. What isn't used while `max / 2` others are added falls out.
 */
export function createCache<Key, Value>(max: number): Cache<Key, Value> {
  const half = Math.max(1, max >> 1)
  let young = new Map<Key, Value>()
  let old = new Map<Key, Value>()

  function set(key: Key, value: Value): void {
    young.set(key, value)
    if (young.size >= half) {
      old = young
      young = new Map()
    }
  }

  return {
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const aged = old.get(key)
      if (aged === undefined) return undefined
      old.delete(key)
      set(key, aged)
      return aged
    },
    set(key, value) {
      old.delete(key)
      set(key, value)
    },
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
    get size() {
      return young.size + old.size
    },
  }
}
