import type { RouteConfig } from '../config/schema.ts'
import type { Offer, Outcome } from '../decision.ts'
import { Refusal } from '../errors.ts'
import { handshakeOriginRefusal } from '../protocol/csrf.ts'
import { readHandshake } from '../protocol/websocket.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createForward } from './forward.ts'

/** What a route with a WebSocket upstream does. */
export interface TunnelRoute {
  /** @throws Refusal for what is no handshake, or one that a page elsewhere made */
  handshake(request: GatewayRequest): void
  carryOut(request: GatewayRequest, session: LiveSession | undefined): Outcome | Promise<Outcome>
}

/**
 * A WebSocket is a request until the upstream agrees: it gets the same head, with the same credential. Its defence against
 * other sites is Origin, since a page can put no header into a handshake and no preflight stops one: any site could open a
 * WebSocket with the user's cookie and, unlike the answer of a forged request, read what comes. @see ASVS 5.0 4.4.2
 */
export function createTunnel(route: RouteConfig, services: Services): TunnelRoute {
  const origins = route.origins ?? [services.config.origin]
  const forward = createForward(route, services)
  const { ping, idle } = route.streams
  const upstream = route.upstream as string

  function offerOf({ head }: GatewayRequest): Offer {
    const handshake = readHandshake(head.method, head.rawHeaders)
    if (handshake.kind === 'handshake') return handshake.offer
    if (handshake.kind === 'refused') throw new Refusal('bad_request', { cause: handshake.reason })
    throw upgradeRequired()
  }

  return {
    handshake(request) {
      offerOf(request)
      const reason = handshakeOriginRefusal(request.fields, origins)
      if (reason !== undefined) throw new Refusal('origin_rejected', { cause: reason })
    },
    carryOut(request, session) {
      const offer = offerOf(request)
      const asTunnel = (decision: Outcome): Outcome => {
        if (decision.kind !== 'forward') return decision
        const { path, headers, response, timeout, requestId, live } = decision
        return {
          kind: 'tunnel',
          upstream,
          path,
          headers,
          offer,
          response,
          timeout,
          ping,
          idle,
          requestId,
          request,
          live,
        }
      }
      const decision = forward(request, session)
      return decision instanceof Promise ? decision.then(asTunnel) : asTunnel(decision)
    },
  }
}

/** @see RFC 9110 §15.5.22 · RFC 6455 §4.4 */
export function upgradeRequired(): Refusal {
  // With `close`: an explicit Connection of another text would keep a connection open that must end (node:http).
  const headers = ['Connection', 'Upgrade, close', 'Upgrade', 'websocket', 'Sec-WebSocket-Version', '13']
  return new Refusal('upgrade_required', { headers })
}
