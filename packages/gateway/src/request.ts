import type { RequestHead } from './protocol/head.ts'
import type { SiftedRequest } from './protocol/sift-request.ts'
import type { LiveSession } from './session/record.ts'

/** A request after its head was read once: what the guard and the endpoints work with. */
export interface GatewayRequest {
  readonly head: RequestHead
  readonly fields: SiftedRequest
  /** The canonical path. */
  readonly path: string
  /** '' or `?…`, as received. */
  readonly query: string
  /** Of the client, as far as trusted proxies vouch for it. */
  readonly address: string
  readonly requestId: string
  /** The value of the session cookie. */
  readonly cookie: string | undefined
  /** What was found out on the way, for the log: the route, and who asks, once the cookie has proved it. */
  named: RouteName | undefined
  session: LiveSession | undefined
  /** When it came, in milliseconds since the epoch; where the guard had to wait for its body. */
  readonly arrivedAt?: number
}

/** How the log calls a route. */
export interface RouteName {
  /** The pattern of its path. */
  readonly route: string
  /** Where it stands in the configuration; absent for an endpoint of our own. */
  readonly rule?: string
}
