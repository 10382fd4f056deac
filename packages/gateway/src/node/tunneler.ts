import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from 'pino'
import type { Respond, Tunnel as TunnelDecision } from '../decision.ts'
import { Opening, type Sockets, type Terms } from './opening.ts'
import { respond } from './respond.ts'
import type { StreamFailure } from './stream-end.ts'
import { Tunnel } from './tunnel.ts'
import { upgradableOf } from './upgrade.ts'

export type TunnelFailure = StreamFailure | 'bad_request' | 'upstream_timeout' | 'too_many_streams'

export interface TunnelerOptions {
  readonly log: Pick<Logger, 'warn' | 'debug'>
  /** The answer to a handshake that fails. */
  unavailable(code: TunnelFailure, decision: TunnelDecision): Respond
}

export interface Tunneler {
  tunnel(request: IncomingMessage, response: ServerResponse, decision: TunnelDecision): void
  /** The gateway stops: every WebSocket is closed, with 1001. */
  drain(): void
}

/** How often WebSockets are looked after, in milliseconds: one look at all costs less than a timer for each. */
const look = 500

/** Makes the handshake with the upstream that the guard admitted, and joins the two connections once it has verifiably agreed. */
export function createTunneler(options: TunnelerOptions): Tunneler {
  const tunnels = new Set<Tunnel>()
  let timer: NodeJS.Timeout | undefined
  let draining = false

  function lookAtAll(): void {
    const now = performance.now()
    for (const tunnel of tunnels) tunnel.tick(now)
    if (tunnels.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  /** Apart from the handshake, of which a tunnel that may live for days holds nothing. */
  function join(sockets: Sockets, { ping, idle, release }: Terms): Tunnel {
    const over = (closed: Tunnel) => {
      tunnels.delete(closed)
      release()
    }
    const tunnel = new Tunnel(sockets, performance.now(), { ping, idle, over })
    tunnels.add(tunnel)
    if (timer === undefined) {
      timer = setInterval(lookAtAll, look)
      timer.unref()
    }
    // Its upstream agreed when we had begun to stop.
    if (draining) tunnel.end({ kind: 'going-away' })
    return tunnel
  }

  return {
    tunnel(request, response, decision) {
      const upgradable = upgradableOf(response)
      // The guard has read a handshake where node:http has not; or the client did not wait for the answer.
      if (upgradable === undefined || upgradable.early)
        respond(request, response, options.unavailable('bad_request', decision))
      else new Opening({ request, response, decision, upgradable }, options, join).start()
    },
    drain() {
      draining = true
      for (const tunnel of tunnels) tunnel.end({ kind: 'going-away' })
    },
  }
}
