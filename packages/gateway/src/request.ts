import type { RequestHead } from './protocol/head.ts'
import type { SiftedRequest } from './protocol/sift-request.ts'

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
  /** When it came, in milliseconds since the epoch; where the guard had to wait for its body. */
  readonly arrivedAt?: number
}
