import { hash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { createCache } from '../session/cache.ts'
import type { Clock, SessionStore } from '../session/store.ts'

/**
 * Does the work that a token orders, once for each token, across all processes. False: it was done before.
 * When the work fails, or this process dies in the middle of it, the token may come again.
 */
export type Once = (key: string, until: number, work: () => Promise<void>) => Promise<boolean>

/** How long a token is taken for one whose work is under way, in milliseconds. */
const underWay = 1_000

/**
 * The key is claimed for a moment first, and for good only when the work is done: a process that is killed in between has
 * not used the token up, and its next delivery is not mistaken for a replay and lost. So a claimed key means "done" only if
 * it is still claimed after that moment. Work under way for longer than that may be done twice, hence must be repeatable.
 */
export function createOnce({ store, now }: { store: SessionStore; now: Clock }): Once {
  const done = createCache<string, number>(4096)
  const flights = new Map<string, Promise<boolean>>()

  async function first(key: string, until: number, work: () => Promise<void>): Promise<boolean> {
    if (!(await store.claim(key, now() + underWay))) {
      await sleep(underWay + 100)
      if (!(await store.claim(key, now() + underWay))) return false
    }
    try {
      await work()
    } catch (fault) {
      // If this fails too, the moment's end does the same.
      await store.release(key).catch(() => {})
      throw fault
    }
    await store.release(key)
    await store.claim(key, until)
    done.set(key, until)
    return true
  }

  return async (name, until, work) => {
    const key = `once:${hash('sha256', name, 'base64url')}`
    if ((done.get(key) ?? 0) > now()) return false
    const running = flights.get(key)
    if (running) {
      // The same token twice at the same time: whoever comes second hears of a failure as well.
      await running
      return false
    }
    const flight = first(key, until, work).finally(() => flights.delete(key))
    flights.set(key, flight)
    return await flight
  }
}
