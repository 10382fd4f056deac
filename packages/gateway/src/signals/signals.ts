import type { EndpointHandler } from '../endpoint.ts'
import type { Services } from '../services.ts'
import { type Poller, startPolling } from './poll.ts'
import { createPush } from './push.ts'
import { createReceiver } from './receiver.ts'
import { requestVerification } from './request-verification.ts'
import { createTransmitters } from './transmitters.ts'
import { createVerificationStates } from './verification-state.ts'

/** Shared Signals: one receiver for what is pushed and what is fetched, so that an event that comes both ways is done once. */
export interface Signals {
  readonly push: EndpointHandler
  /** Begins to poll the transmitters that want to be polled, and asks those for a verification that may be asked. */
  start(): Poller
}

export function createSignals(
  services: Pick<Services, 'config' | 'log' | 'now' | 'ring' | 'sessions' | 'store'>,
): Signals {
  const transmitters = createTransmitters(services)
  const states = createVerificationStates(services)
  const receiver = createReceiver(services, states)
  return {
    push: createPush(services, receiver, transmitters),
    start() {
      const running = [...transmitters.values()].flatMap((transmitter) => {
        const { poll, verification } = transmitter.config
        return [
          ...(poll ? [startPolling(services, transmitter, { poll, receiver })] : []),
          ...(verification ? [requestVerification(services, transmitter, verification, states)] : []),
        ]
      })
      return {
        async stop() {
          await Promise.all(running.map((one) => one.stop()))
        },
      }
    },
  }
}
