import { createCache } from '../session/cache.ts'
import type { Clock } from '../session/store.ts'
import { heldKeys } from './buckets.ts'

/** True for the first call with a key in each `per` (milliseconds): an alert is said once, however long the flood. */
export function createFirstIn(per: number, now: Clock): (key: string) => boolean {
  const said = createCache<string, number>(heldKeys)
  return (key) => {
    const at = now()
    const before = said.get(key)
    if (before !== undefined && at >= before && at < before + per) return false
    said.set(key, at)
    return true
  }
}
