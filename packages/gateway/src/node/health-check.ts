import type { PoolSettings } from '../decision.ts'
import type { Address } from './upstream-address.ts'

type Health = NonNullable<PoolSettings['health']>

/** Asks an address again and again whether it is well, over the same connections and TLS as requests. Returns the end of it. */
export function checkHealth(address: Address, health: Health): () => void {
  let stopped = false
  let stop = () => {}
  const ask = () => {
    stop = askOnce(address, health, (healthy) => {
      if (!stopped) address.checked(healthy, health.interval)
    })
  }
  ask()
  const timer = setInterval(ask, health.interval)
  timer.unref()
  return () => {
    stopped = true
    clearInterval(timer)
    stop()
  }
}

/** The answer's body is of no interest: its connection is given up rather than read to an end that may not come. */
function askOnce(address: Address, { path, timeout }: Health, done: (healthy: boolean) => void): () => void {
  let abort = () => {}
  let over = false
  const end = (healthy: boolean) => {
    if (over) return
    over = true
    clearTimeout(timer)
    abort()
    done(healthy)
  }
  const timer = setTimeout(() => end(false), timeout)
  timer.unref()
  address.dispatch(
    { path, method: 'GET', body: null, headers: ['User-Agent', 'coatcheck-health'] },
    {
      onConnect(cut) {
        abort = cut
        if (over) cut()
      },
      onHeaders(status) {
        if (status >= 200) end(status < 400)
        return true
      },
      onData: () => true,
      onComplete() {},
      onError: () => end(false),
    },
  )
  return () => end(false)
}
