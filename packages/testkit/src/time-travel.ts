import { AsyncLocalStorage } from 'node:async_hooks'

const clocks = new AsyncLocalStorage<() => number>()
let installed = false

/**
 * Runs something, and all that it starts, by another clock: `Date.now()` in there is `now()`. For libraries that take no
 * clock, such as oidc-provider. The rest of the process keeps the real time.
 */
export function runAt<T>(now: () => number, run: () => T): T {
  if (!installed) {
    installed = true
    const real = Date.now
    Date.now = () => {
      const clock = clocks.getStore()
      // Outside, because the given clock may itself be built on Date.now.
      return clock ? clocks.exit(clock) : real()
    }
  }
  return clocks.run(now, run)
}
