import { setTimeout as sleep } from 'node:timers/promises'
import { createBoundedFetch } from '../oidc/bounded-fetch.ts'
import { ProviderFault } from '../oidc/provider-fault.ts'
import type { Services } from '../services.ts'
import type { Poller } from './poll.ts'
import type { Transmitter } from './transmitters.ts'
import type { VerificationStates } from './verification-state.ts'

/** Milliseconds. */
const firstPause = 2_000
const longestPause = 5 * 60_000
/** Of several processes that start together one asks. */
const askedLately = 60_000

/**
 * Asks a transmitter for a verification event: when it comes, keys, audience, address and subjects are known to be right. Asked
 * at the start, and again while the transmitter can't be reached; not again when it refuses.
 * @see SSF 1.0 §8.1.4.2
 */
export function requestVerification(
  { log, now, store }: Pick<Services, 'log' | 'now' | 'store'>,
  transmitter: Transmitter,
  verification: NonNullable<Transmitter['config']['verification']>,
  states: VerificationStates,
): Poller {
  const { issuer } = transmitter
  const fetch = createBoundedFetch({ timeout: 10_000, maxBytes: 64 * 1024 })
  const stopping = new AbortController()
  const { signal } = stopping

  async function ask(): Promise<number> {
    const response = await fetch(verification.url ?? (await transmitter.verificationEndpoint()), {
      method: 'POST',
      signal,
      headers: { authorization: `Bearer ${verification.token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ stream_id: verification.stream, state: states.make(issuer) }),
    })
    if (response.status >= 500 || response.status === 429) throw new ProviderFault(`answered ${response.status}`)
    return response.status
  }

  async function run(): Promise<void> {
    for (let pause = firstPause; !signal.aborted; pause = Math.min(longestPause, 2 * pause)) {
      try {
        if (!(await store.claim(`signals-verification:${issuer}`, now() + askedLately))) return
        const status = await ask()
        if (status === 204 || status === 200) log.info({ event: 'signal_verification_requested', transmitter: issuer })
        else log.warn({ event: 'signal_verification_failed', transmitter: issuer, reason: `answered ${status}` })
        return
      } catch (err) {
        if (signal.aborted) return
        log.warn({ event: 'signal_verification_failed', transmitter: issuer, err }, 'asked again after a pause')
        await store.release(`signals-verification:${issuer}`).catch(() => {})
      }
      await sleep(pause, undefined, { signal, ref: false }).catch(() => {})
    }
  }

  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}
