import type { GatewayRequest } from './request.ts'
import type { LiveSession } from './session/record.ts'

/**
 * What the guard decides, and all that a carrier needs to carry it out. A carrier streams bytes; it decides nothing.
 */
export type Decision = Outcome | Look

export type Outcome = Forward | Tunnel | Respond | ServeStatic | Endpoint

/**
 * The head does not say enough: read the beginning of the body and ask again. What was read still belongs to the body, and
 * reaches whoever gets that, byte for byte.
 */
export interface Look {
  readonly kind: 'look'
  /** How many bytes to show; fewer only where the body ends before. */
  readonly bytes: number
  /** Each byte of `text` is one character (latin1); `whole`: there is no more. It never rejects. */
  decide(beginning: { readonly text: string; readonly whole: boolean }): Promise<Outcome>
}

/** Called once when the whole answer was handed to the operating system; never when the client left before. */
export type Sent = () => void

/** name, value, name, value, … as node:http and undici take them. */
export type RawHeaders = string[]

/** Send the request to an upstream and stream the answer back. */
export interface Forward {
  readonly kind: 'forward'
  /** Scheme, host and port of the upstream: `http://127.0.0.1:3000`. Where there are several, the first: a name for the log. */
  readonly upstream: string
  /** How it is reached; undefined for one address by the usual rules. */
  readonly pool?: PoolSettings | undefined
  /** Path and query for the upstream. */
  readonly path: string
  /** The complete head for the upstream (Host, credential and forwarding headers included; framing headers as received). */
  readonly headers: RawHeaders
  readonly response: ResponseRules
  /** Milliseconds until the upstream must have begun to answer, and between two pieces of its answer. */
  readonly timeout: number
  /** Bytes that the request body may have; more is 413 and aborts the upstream request. */
  readonly maxBody: number
  /** Names the request in the log, and on an error in place of the upstream's answer. */
  readonly requestId: string
  /** That error is for a person to read: a page. */
  readonly navigation: boolean
  /** Says what becomes of a 401 of the upstream. One function for all requests of a route: what it asks is below. */
  readonly unauthorized?: Unauthorized | undefined
  /** Says what becomes of a 400 or 403 of the upstream; as `unauthorized` does. */
  readonly refused?: Refused | undefined
  /** The head is not complete: it is signed together with the body, of which there are at most `maxBody` bytes. */
  readonly withBody?: ((body: Uint8Array) => Forward | Respond) | undefined
  readonly request?: GatewayRequest
  readonly session?: LiveSession | undefined
  readonly sent?: Sent
  /** Ties an answer that goes on for long to the session that it serves; absent on public routes. */
  readonly live?: Live | undefined
}

/**
 * A second decision, on the head of an upstream's 401 (name, value, …). Undefined: the answer goes on to the client as it is.
 * `repeatable`: nothing is lost or done twice if the request is sent again. It never rejects.
 */
export type Unauthorized = (
  forward: Forward,
  answer: { readonly headers: RawHeaders; readonly repeatable: boolean },
) => Forward | Respond | undefined | Promise<Forward | Respond | undefined>

/** `look`: the beginning of the answer's body, so many bytes or all that there are; asked for at once, or not at all. */
export type Refused = (
  forward: Forward,
  answer: {
    readonly status: number
    readonly headers: RawHeaders
    readonly repeatable: boolean
    readonly look: (bytes: number) => Promise<Buffer>
  },
) => ReturnType<Unauthorized>

/** The addresses of an upstream and how to connect to them. Equal settings share their connections. */
export interface PoolSettings {
  readonly addresses: readonly string[]
  /** To each address. */
  readonly connections?: number
  /** Requests that may wait for one of those. */
  readonly maxWaiting?: number
  /** Milliseconds, here and below. */
  readonly connectTimeout?: number
  readonly health?: { readonly path: string; readonly interval: number; readonly timeout: number }
  /** PEM texts; `ca` in place of the system's. */
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string; readonly servername?: string }
}

/**
 * Let the request become a WebSocket between client and upstream. The handshake is checked: what is left is to make it at
 * the upstream, and to relay bytes once that has verifiably agreed.
 */
export interface Tunnel {
  readonly kind: 'tunnel'
  /** `ws://127.0.0.1:3000` or `wss://…`. */
  readonly upstream: string
  readonly path: string
  /** The complete head for the upstream, but for Host, Connection and Upgrade. */
  readonly headers: RawHeaders
  /** What the client offered, and the upstream's answer must fit. */
  readonly offer: Offer
  /** For an answer of the upstream that opens no WebSocket. */
  readonly response: ResponseRules
  /** Milliseconds until the upstream must have answered the handshake. */
  readonly timeout: number
  /** Milliseconds without any byte from the client after which it is sent a ping; as long again, and it is dead. */
  readonly ping: number
  /** Milliseconds without a data frame in either direction after which the WebSocket is closed. */
  readonly idle: number | undefined
  readonly requestId: string
  readonly request?: GatewayRequest | undefined
  readonly live?: Live | undefined
}

/** What a WebSocket client offers in its handshake. @see RFC 6455 §4.1 */
export interface Offer {
  /** Sec-WebSocket-Key. */
  readonly key: string
  /** Subprotocols, as written. */
  readonly protocols: readonly string[]
  /** Names of extensions, in lower case, without parameters. */
  readonly extensions: readonly string[]
}

/** Something that goes on for longer than a request, and must not outlive the session that it serves. */
export interface LiveStream {
  /** It has no end of its own: an event stream or a WebSocket. At a stop of the gateway nobody waits for it. */
  readonly endless: boolean
  /** Ends it now. Called once at most, and never after it was released. */
  end(why: StreamEnd): void
}

/** Why the gateway ends a stream. */
export interface StreamEnd {
  readonly kind:
    | 'session-ended'
    /** The user's roles or sign-in are no longer enough for the route. */
    | 'access-denied'
    | 'step-up-required'
    /** Nobody can tell for too long whether the session still lives. */
    | 'store-unavailable'
    | 'going-away'
  /** Of the session's end, where it is known: `logout`, `idle`, … */
  readonly reason?: string
}

/** Ties a stream to its session. Returns what to call when the stream is over; undefined if the session has too many. */
export type Live = (stream: LiveStream) => (() => void) | undefined

/** How an upstream's answer is changed on its way to the browser. */
export interface ResponseRules {
  /** Names of the upstream cookies that may pass (lower case is not applied: cookie names are case-sensitive). */
  readonly allowSetCookie: readonly string[]
  /** Drop `Access-Control-*`: on routes with a session, no other origin may read an answer. */
  readonly dropCors: boolean
  /** Replace caching headers by `Cache-Control: no-store`. */
  readonly noStore: boolean
  /** Set where the upstream did not: name, value, … with names in lower case. */
  readonly defaults: readonly string[]
  /** The same, for what a browser shows as a page. */
  readonly pageDefaults: readonly string[]
  /** Always added: Set-Cookie of a rotated session, `X-Request-Id`. */
  readonly add: readonly string[]
  /** Told of the nonce that the upstream wants in the next DPoP proof; the browser never sees it. */
  readonly heardNonce?: ((nonce: string) => void) | undefined
}

/** Answer at once. */
export interface Respond {
  readonly kind: 'respond'
  readonly status: number
  readonly headers: RawHeaders
  readonly body: string
  /** Forward-auth's yes: the proxy that asked may carry the request out. */
  readonly admitted?: true
  readonly sent?: Sent
}

/** Serve a file of a single-page app. */
export interface ServeStatic {
  readonly kind: 'static'
  /** Absolute path of the folder, as configured. */
  readonly root: string
  /** The canonical path within the site, as the guard matched it. */
  readonly path: string
  /** Set on the answer: security headers. */
  readonly headers: readonly string[]
  /** Asked once for each page: its nonce, and the policy that goes with it. Without it pages are served as they lie there. */
  readonly nonces?: (() => { readonly nonce: string; readonly csp: string }) | undefined
  /** Ties a long answer to the session that it serves; absent on public routes. */
  readonly live?: Live | undefined
  readonly sent?: Sent
}

/** Answer piece by piece, for as long as there is something to say and somebody who listens. */
export interface Streaming {
  readonly kind: 'streaming'
  /** Of the 200 answer. */
  readonly headers: RawHeaders
  /** Begins; an answer instead of a function if it can't. The function is called when the client is gone. */
  open(sink: Sink): (() => void) | Respond
}

/** Where the pieces of an answer go. */
export interface Sink {
  write(text: string): void
  end(): void
}

/** One of the gateway's own endpoints; it reads at most `maxBody` bytes of body. */
export interface Endpoint {
  readonly kind: 'endpoint'
  readonly maxBody: number
  run(body: Uint8Array): Promise<Respond | Streaming>
}
