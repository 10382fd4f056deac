import type { Fetch } from './bounded-fetch.ts'
import { ProviderFault } from './provider-fault.ts'

/** After so many failures in a row the provider is left alone for a while. */
const threshold = 3
/** Milliseconds; doubled with each failed probe. */
const firstPause = 1_000
const longestPause = 30_000

/** Told when the provider is left alone, and when it answers. */
export type OnCircuit = (open: boolean) => void

/**
 * Spares a provider that is down, and the people who would wait for it: while the circuit is open a request fails at once.
 * Then a single one is let through; the rest follow only when it succeeds, so that a provider that comes back isn't met
 * by all of them together. Times are the machine's own: what is spared is a real server.
 */
export function withCircuitBreaker(fetch: Fetch, onCircuit: OnCircuit = () => {}): Fetch {
  let failures = 0
  let pause = firstPause
  let openUntil = 0
  let probing = false

  return async (url, init) => {
    const open = failures >= threshold
    if (open) {
      const wait = openUntil - performance.now()
      if (wait > 0 || probing) {
        throw new ProviderFault('the provider is down; it is left alone for a moment', {
          retryAfter: Math.max(1, Math.ceil(wait / 1000)),
        })
      }
      probing = true
    }
    try {
      const response = await fetch(url, init)
      if (response.status >= 500) failed()
      else succeeded()
      return response
    } catch (error) {
      failed()
      throw error
    } finally {
      if (open) probing = false
    }
  }

  function failed(): void {
    failures++
    if (failures < threshold) return
    onCircuit(true)
    // A part of chance, so that several gateways do not probe in step.
    openUntil = performance.now() + pause * (0.5 + Math.random() / 2)
    pause = Math.min(longestPause, pause * 2)
  }

  function succeeded(): void {
    if (failures >= threshold) onCircuit(false)
    failures = 0
    pause = firstPause
  }
}
