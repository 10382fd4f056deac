import type { Respond, Streaming } from './decision.ts'
import type { GatewayRequest } from './request.ts'

/** A request to one of the gateway's own endpoints, with its body read. */
export interface EndpointRequest extends GatewayRequest {
  readonly parameters: URLSearchParams
  /** The last path segment where the endpoint's path ends in one: a provider's name, a session's handle. */
  readonly name: string
  readonly body: Uint8Array
}

export type EndpointHandler = (request: EndpointRequest) => Promise<Respond | Streaming>

/** How an endpoint is protected from forged requests. */
export type EndpointCsrf =
  /** `X-CSRF: 1`, Fetch Metadata, Origin. */
  | 'header'
  /** The same, or a form posted by a page of this origin. */
  | 'header-or-form'
  /** Opened by EventSource, which sends no header of its own: Fetch Metadata and Origin. */
  | 'event-source'
  /** Sent by the browser itself, which sets no header of ours: Fetch Metadata and Origin. */
  | 'same-origin'
  /** Safe to call from anywhere: it changes nothing, or guards itself (state and cookie of the sign-in). */
  | 'none'

/** What is counted of an endpoint's requests, by the network that they come from: see limits/limits.ts. */
export type EndpointLimit =
  /** Each one: it starts or completes a sign-in. */
  | 'sign-in'
  /**
   * Those that were refused as broken or forged, each of which cost the checking of a signature. Good ones come from a
   * provider, which may have to end a thousand sessions at once.
   */
  | 'notifications'

/** One row of the gateway's own route table. */
export interface EndpointRow {
  /** Below `basePath`; a last segment `*` is handed over as `name`. */
  readonly path: string
  readonly methods: readonly string[]
  readonly csrf: EndpointCsrf
  /** Bytes of body that it reads. */
  readonly maxBody: number
  readonly limit?: EndpointLimit
  readonly handle: EndpointHandler
}
