import { Refusal } from '../errors.ts'
import { isProviderBroken, retryAfter } from '../oidc/faults.ts'
import { printable } from '../protocol/printable.ts'
import type { Services } from '../services.ts'
import { endSessions } from './end-sessions.ts'
import { findSessions } from './find-sessions.ts'
import { createOnce } from './once.ts'
import { caep, invalid, type SecurityEvent, SetRefusal, ssf, subjectOf, verifyEvent } from './security-event.ts'
import type { Transmitter } from './transmitters.ts'
import type { VerificationStates } from './verification-state.ts'

export interface Receiver {
  /**
   * Does what an event says, once, however it was delivered. Resolves when its sessions have ended; then it may be acknowledged.
   * @throws SetRefusal when the event is refused for good; Refusal when the keys or the store are out of order, and the
   * event should come again
   */
  receive(token: string, transmitter: Transmitter): Promise<void>
}

/** What the events of the transmitters do here. @see CAEP 1.0 §3 · SSF 1.0 §8.1.4 */
export function createReceiver(
  services: Pick<Services, 'config' | 'log' | 'now' | 'sessions' | 'store'>,
  states: VerificationStates,
): Receiver {
  const { config, log, now, sessions } = services
  const once = createOnce(services)

  async function act(event: SecurityEvent, transmitter: Transmitter): Promise<void> {
    const about = { transmitter: transmitter.issuer, type: printable(event.type) }
    switch (event.type) {
      case `${caep}session-revoked`:
        return await end(event, transmitter)
      case `${caep}credential-change`:
        if (!endsSessions(event.payload))
          return log.info({ event: 'signal_ignored', ...about, reason: 'a new credential' })
        return await end(event, transmitter)
      case `${ssf}verification`:
        return verify(event, transmitter)
      case `${ssf}stream-updated`:
        // A stream that is paused tells of no more sign-outs: somebody should know.
        return log.warn({ event: 'signal_stream_updated', ...about, status: printable(String(event.payload.status)) })
      default:
        return log.info({ event: 'signal_ignored', ...about, reason: 'nothing is done for this event' })
    }
  }

  /** One without a state is sent by the transmitter of its own accord. @see SSF 1.0 §8.1.4.1 */
  function verify({ payload: { state } }: SecurityEvent, { issuer }: Transmitter): void {
    const asked = state !== undefined
    if (asked && !states.isOurs(issuer, state)) throw new SetRefusal('invalid_state', 'state was not asked for')
    log.info({ event: 'signal_verification', transmitter: issuer, asked })
  }

  async function end(event: SecurityEvent, transmitter: Transmitter): Promise<void> {
    const subject = subjectOf(event)
    const about = { transmitter: transmitter.issuer, type: event.type }
    const critical = await transmitter.criticalMembers()
    const blind = subject.others.find((name) => critical.includes(name))
    if (blind !== undefined) {
      return log.warn({
        event: 'signal_ignored',
        ...about,
        reason: `critical member ${printable(blind)} is unknown here`,
      })
    }
    if (!subject.simple && !subject.user && !subject.session) {
      // Every session here would fit "the device 7" or "the tenant 7", of which it says nothing: that would be everybody.
      return log.warn({ event: 'signal_ignored', ...about, reason: 'names neither a user nor a session' })
    }
    const find = async () => {
      const found = await findSessions(sessions, subject, transmitter.reach)
      return found.filter(({ record }) => Math.floor(record.createdAt / 1000) <= event.at)
    }
    log.info({ event: 'signal_received', ...about, ended: await endSessions(sessions, find, 'revoked') })
  }

  return {
    async receive(token, transmitter) {
      const { issuer, config: own, keyOf } = transmitter
      try {
        const event = await verifyEvent(token, keyOf, { issuer, audience: own.audience, now: now() })
        // For as long as a session could live that began before it: after that the event has nothing left to end.
        const until = now() + config.session.absolute
        await once(`signal:${issuer} ${event.jti}`, until, () => act(event, transmitter))
      } catch (cause) {
        if (cause instanceof SetRefusal) throw cause
        if (!isProviderBroken(cause)) throw new Refusal('store_unavailable', { cause })
        throw new Refusal('provider_unavailable', { cause, headers: ['Retry-After', String(retryAfter(cause))] })
      }
    },
  }
}

/** Whether a changed credential ends sessions: what was replaced or taken away may have opened them; a new one did not. */
function endsSessions({ change_type: change, credential_type: credential }: SecurityEvent['payload']): boolean {
  if (typeof change !== 'string' || typeof credential !== 'string') {
    throw invalid('change_type or credential_type is missing')
  }
  return change !== 'create'
}
