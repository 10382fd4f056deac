import { setTimeout as sleep } from 'node:timers/promises'
import { createBoundedFetch } from '../oidc/bounded-fetch.ts'
import { ProviderFault } from '../oidc/provider-fault.ts'
import type { Send } from '../oidc/send.ts'
import { printable } from '../protocol/printable.ts'
import { isJsonObject, parseStrictJson } from '../protocol/strict-json.ts'
import type { Services } from '../services.ts'
import { createLease } from './lease.ts'
import type { Receiver } from './receiver.ts'
import { invalid, readEvent, SetRefusal } from './security-event.ts'
import type { Transmitter } from './transmitters.ts'

export interface Poller {
  /** Ends the loop. What is being done is finished, what is being waited for is not. */
  stop(): Promise<void>
}

/** Events asked for at once, and how often in a row before the others of this process have a turn. */
const batch = 50
const rounds = 100
/** Milliseconds. */
const longestPause = 5 * 60_000
const limits = { timeout: 10_000, maxBytes: 4 * 1024 * 1024 }

/** What the next request tells of the events before it. */
interface Outcome {
  readonly ack: Set<string>
  readonly setErrs: Map<string, { err: string; description: string }>
}

/**
 * Fetches the events of a transmitter and acknowledges each one when its sessions have ended, not before: what was not
 * acknowledged comes again, after a crash as well. One process of all that share the store polls at a time.
 * @see RFC 8936 §2
 */
export function startPolling(
  services: Pick<Services, 'log' | 'now' | 'store'>,
  transmitter: Transmitter,
  parts: {
    readonly poll: NonNullable<Transmitter['config']['poll']>
    readonly receiver: Receiver
    readonly send?: Send
  },
): Poller {
  const { log } = services
  const { poll, receiver } = parts
  const { issuer } = transmitter
  const fetch = createBoundedFetch(limits, parts.send)
  const stopping = new AbortController()
  const { signal } = stopping
  const lease = createLease(services, `signals-poll:${issuer}`, 3 * poll.interval + 60_000)
  const outcome: Outcome = { ack: new Set(), setErrs: new Map() }

  async function run(): Promise<void> {
    let failures = 0
    while (!signal.aborted) {
      try {
        if (await lease.hold()) await drain()
        failures = 0
      } catch (err) {
        if (signal.aborted) break
        failures++
        log.warn({ event: 'signal_poll_failed', transmitter: issuer, err }, 'asked again after a pause')
      }
      await sleep(pauseAfter(failures), undefined, { signal, ref: false }).catch(() => {})
    }
    await lease.release()
  }

  /** Doubled with each failure; a part of chance, so that several gateways do not come back in step. */
  function pauseAfter(failures: number): number {
    if (failures === 0) return poll.interval
    return Math.min(Math.max(longestPause, poll.interval), poll.interval * 2 ** failures) * (0.5 + Math.random() / 2)
  }

  /** Until there is nothing more, and all that was done is acknowledged. */
  async function drain(): Promise<void> {
    for (let round = 0; round < rounds && !signal.aborted; round++) {
      const answer = await ask(batch)
      const events = Object.entries(answer.sets)
      for (const [jti, token] of events) {
        if (signal.aborted) break
        await take(jti, token)
      }
      // Without events, a transmitter that says there are more could be asked for ever.
      if (events.length === 0 || (!answer.more && !hasOutcome())) return
      if (!answer.more || !(await lease.hold())) break
    }
    if (hasOutcome()) await ask(0)
  }

  const hasOutcome = () => outcome.ack.size + outcome.setErrs.size > 0

  async function take(jti: string, token: unknown): Promise<void> {
    try {
      if (typeof token !== 'string') throw invalid('the event is not a text')
      // Else the acknowledgement would be of another event.
      if (readEvent(token).payload.jti !== jti) throw invalid('jti is not the one under which it was sent')
      await receiver.receive(token, transmitter)
      outcome.ack.add(jti)
    } catch (error) {
      if (!(error instanceof SetRefusal)) throw error
      const { err } = error
      log.warn({ event: 'signal_refused', code: err, reason: printable(error.message), transmitter: issuer })
      outcome.setErrs.set(jti, { err, description: 'See the log of the receiver.' })
    }
  }

  async function ask(maxEvents: number): Promise<{ sets: Readonly<Record<string, unknown>>; more: boolean }> {
    const told = { ack: [...outcome.ack], setErrs: Object.fromEntries(outcome.setErrs) }
    const response = await fetch(poll.url, {
      method: 'POST',
      signal,
      headers: {
        authorization: `Bearer ${poll.token}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: JSON.stringify({
        maxEvents,
        returnImmediately: true,
        ...(told.ack.length > 0 && { ack: told.ack }),
        ...(outcome.setErrs.size > 0 && { setErrs: told.setErrs }),
      }),
    })
    if (response.status !== 200) throw new ProviderFault(`the poll endpoint answered ${response.status}`)
    // It has heard: what it did not hear is told again.
    for (const jti of told.ack) outcome.ack.delete(jti)
    for (const jti of Object.keys(told.setErrs)) outcome.setErrs.delete(jti)
    const answer = await response
      .text()
      .then(parseStrictJson)
      .catch(() => undefined)
    const sets = isJsonObject(answer) ? (answer.sets ?? {}) : undefined
    if (!isJsonObject(answer) || !isJsonObject(sets)) throw new ProviderFault('the poll endpoint sent no sets')
    return { sets, more: answer.moreAvailable === true }
  }

  const running = run()
  return {
    async stop() {
      stopping.abort()
      await running
    },
  }
}
