import type { EndpointHandler } from '../endpoint.ts'
import type { Services } from '../services.ts'
import { type Poller, startPolling } from './poll.ts'
import { createPush } from './push.ts'
import { createReceiver } from './receiver.ts'
import { createTransmitters } from './transmitters.ts'

/** Shared Signals: one receiver for what is pushed and what is fetched, so that an event that comes both ways is done once. */
export interface Signals {
  readonly push: EndpointHandler
  /** Begins to poll the transmitters that want to be polled. */
  start(): Poller
}

export function createSignals(services: Pick<Services, 'config' | 'log' | 'now' | 'sessions' | 'store'>): Signals {
  const transmitters = createTransmitters(services)
  const receiver = createReceiver(services)
  return {
    push: createPush(services, receiver, transmitters),
    start() {
      const pollers = [...transmitters.values()].flatMap((transmitter) => {
        const { poll } = transmitter.config
        return poll ? [startPolling(services, transmitter, { poll, receiver })] : []
      })
      return {
        async stop() {
          await Promise.all(pollers.map((poller) => poller.stop()))
        },
      }
    },
  }
}
