import type { Readable } from 'node:stream'
import type { ConnectionOptions } from 'node:tls'
import type { RawHeaders } from '../../decision.ts'

/**
 * Our own HTTP/1.1 client for upstreams. It exists for speed, and may only exist because it is stricter than undici: what
 * undici's parser (llhttp) refuses, this one refuses too. test/node/upstream-client/differential.test.ts holds it to that.
 *
 * Why it is faster: a head is searched, checked and cut once, from one string; header lines reach the handler as strings and
 * not as Buffers that somebody decodes; all plain sockets read into one buffer; a request costs one small object, and no
 * timer, stream or promise. Why it is strict: each answer is read by a grammar that has no lenient branch. A proxy that
 * repairs an answer guesses where it ends, and whoever guesses wrongly gives one user's answer to another.
 *
 * What belongs together is in one file: fields.ts (header lines), head.ts (status line and framing, RFC 9112 §4, §6),
 * chunked.ts (§7.1), response.ts (the order of it all), request-head.ts and request-body.ts (what we send),
 * connection.ts (one socket, one request at a time, §9), pool.ts (who gets which connection).
 */
export interface UpstreamRequest {
  readonly method: string
  readonly path: string
  /** name, value, … in latin1. Host is set if it is missing; Connection, Transfer-Encoding and Expect are ours alone. */
  readonly headers: RawHeaders
  /** Sent by the Content-Length among the headers, else in chunks. It is destroyed when the exchange fails. */
  readonly body: Readable | null
}

/** One of the connections of the pool, for as long as a request lasts. */
export interface Place {
  /**
   * This connection counts no more, so that another request finds one, and ends with its request: that lasts too long. Nothing
   * changes where there are 64 times as many such as connections that count.
   */
  leave(): void
}

/** The raw-header callbacks of undici 7, and some that spare the way through Buffers or say what undici has no word for. */
export interface UpstreamHandler {
  /** The request is about to be written; `abort` ends it, and its connection. Once more if it had to be sent again. */
  onConnect(abort: (error?: Error) => void): void
  /** Nobody waits for its answer any more: asked while it waits for a connection. */
  readonly gone?: boolean
  /** It has its place among the connections of the pool: said right after `onConnect`, as often as that. */
  onPlace?(place: Place): void
  /** The first byte of an answer is here. */
  onResponseStarted?(): void
  /** Taken instead of `onHeaders` where it is there. */
  onHead?(status: number, headers: RawHeaders, resume: () => void): boolean
  /** Also informational answers. `false`: read no more until `resume`; what was read already still comes. */
  onHeaders(status: number, headers: Buffer[], resume: () => void, statusText: string): boolean
  /** `chunk` is the handler's own. */
  onData(chunk: Buffer): boolean
  /** Taken instead of `onData` where it is there, for a short body that came whole: each byte is one character (latin1). */
  onText?(body: string): boolean
  /** All that has come is handed over; the rest may take its time. */
  onWait?(): void
  /** Trailers as `onHead` or `onHeaders` gets its headers. */
  onComplete(trailers: RawHeaders | Buffer[]): void
  onError(error: Error): void
  onBodySent?(chunk: Buffer): void
  onRequestSent?(): void
}

export interface UpstreamPool {
  /** Never throws: what is refused comes to `onError` at once. */
  dispatch(request: UpstreamRequest, handler: UpstreamHandler): boolean
  /** Connections that are not counted any more. */
  apart(): number
  /** Takes nothing more, and resolves when all that runs has ended. */
  close(): Promise<void>
  /** Cuts all that runs, with this error for the handlers. Resolves when every socket is closed. */
  destroy(error?: Error): Promise<void>
}

export interface UpstreamPoolOptions {
  /** At most this many at once; further requests wait their turn. Those that left their place are not counted. */
  readonly connections?: number
  /** Milliseconds until a connection, TLS included, must stand. */
  readonly connectTimeout?: number
  /** Bytes of an answer's head, and of its trailers. */
  readonly maxHeaderSize?: number
  /** Milliseconds that an unused connection is kept if the upstream gives no hint (Keep-Alive: timeout=…). */
  readonly keepAliveTimeout?: number
  /** `ca`, `cert`, `key`, `servername`, … of tls.connect. The certificate is always verified. */
  readonly tls?: ConnectionOptions
}

export type FaultCode =
  /** The answer is no HTTP/1.1, or ambiguous. */
  | 'UPSTREAM_PROTOCOL'
  /** A head, trailers or a chunk's line beyond the limits. */
  | 'UPSTREAM_OVERFLOW'
  /** The connection ended before the answer did. */
  | 'UPSTREAM_CLOSED'
  | 'UPSTREAM_CONNECT_TIMEOUT'
  /** We were asked to send what is no request. */
  | 'UPSTREAM_REQUEST'
  | 'UPSTREAM_ABORTED'

/** Why an exchange failed. Its message holds nothing that either side sent. */
export class UpstreamFault extends Error {
  readonly code: FaultCode

  constructor(code: FaultCode, message: string, cause?: Error) {
    super(message, cause && { cause })
    this.code = code
  }
}

export function refuse(message: string): never {
  throw new UpstreamFault('UPSTREAM_PROTOCOL', message)
}
