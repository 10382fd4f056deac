import type { Socket } from 'node:net'
import type { LiveStream, StreamEnd } from '../decision.ts'
import type { Abortable } from './connection.ts'
import { closeFrame, FrameTracker, maskedCloseFrame, pingFrame } from './frames.ts'

/** What the client of a WebSocket is told at its end. @see docs/streams.md · RFC 6455 §7.4 */
const closeCodes: Record<StreamEnd['kind'], readonly [code: number, reason: string]> = {
  'session-ended': [4401, 'session_expired'],
  'access-denied': [4403, 'access_denied'],
  'step-up-required': [4403, 'step_up_required'],
  'store-unavailable': [1013, 'store_unavailable'],
  'going-away': [1001, 'going_away'],
}
const idleCode = [4408, 'idle'] as const

/** Milliseconds. */
const wait = {
  /** For the rest of a frame that is on its way when the WebSocket must end. */
  boundary: 250,
  /** For the other side to say goodbye, once it was told. */
  goodbye: 1_000,
  /** For the second half, when one half of a connection has ended. */
  half: 10_000,
  /** For a reader that takes nothing. */
  stalled: 60_000,
}

export interface TunnelOptions {
  /** Milliseconds: see the decision. */
  readonly ping: number
  readonly idle: number | undefined
  /** Called once when both connections are over. */
  readonly over: (tunnel: Tunnel) => void
}

/**
 * A WebSocket between two sockets: bytes are relayed as they are, each side held back when the other does not read. Frames are
 * followed by their headers only, so that a ping or close of ours never lands within one.
 */
export class Tunnel implements Abortable, LiveStream {
  readonly endless = true
  readonly #client: Socket
  readonly #upstream: Socket
  readonly #options: TunnelOptions
  readonly #down = new FrameTracker()
  readonly #up = new FrameTracker()
  /** `finishing`: relays the rest of one frame to the client, and nothing else. */
  #state: 'open' | 'finishing' | 'closing' | 'over' = 'open'
  #close: readonly [number, string] = closeCodes['going-away']
  #timer: NodeJS.Timeout | undefined
  /** Milliseconds of the caller's clock (`tick`). */
  #now: number
  #heard: number
  #pinged = false
  #messages = 0
  #messageAt: number
  #halfSince: number | undefined
  #stalledSince: number | undefined
  #written = 0

  constructor(sockets: { client: Socket; upstream: Socket }, now: number, options: TunnelOptions) {
    this.#client = sockets.client
    this.#upstream = sockets.upstream
    this.#options = options
    this.#now = now
    this.#heard = now
    this.#messageAt = now
    const { client, upstream } = sockets
    client.on('data', (piece: Buffer) => this.#fromClient(piece))
    upstream.on('data', (piece: Buffer) => this.#fromUpstream(piece))
    client.on('drain', () => upstream.resume())
    upstream.on('drain', () => client.resume())
    client.on('end', () => upstream.end())
    upstream.on('end', () => this.#upstreamEnded())
    upstream.on('error', () => upstream.destroy())
    upstream.on('close', () => this.#upstreamClosed())
  }

  /** Anything that the upstream sent together with its 101. */
  begin(head: Buffer): void {
    if (head.length > 0) this.#fromUpstream(head)
    this.#client.resume()
    this.#upstream.resume()
  }

  clientGone(): void {
    this.#state = 'over'
    clearTimeout(this.#timer)
    this.#upstream.destroy()
    this.#options.over(this)
  }

  end({ kind }: StreamEnd): void {
    this.#finish(closeCodes[kind])
  }

  /** Looks after what has no event: silence, dead peers, readers that don't read. Milliseconds of a steady clock. */
  tick(now: number): void {
    this.#now = now
    if (this.#state !== 'open') return
    const { ping, idle } = this.#options
    const messages = this.#down.messages + this.#up.messages
    if (messages !== this.#messages) {
      this.#messages = messages
      this.#messageAt = now
    }
    if (this.#isStuck(now)) this.#client.destroy()
    else if (idle !== undefined && now - this.#messageAt >= idle) this.#finish(idleCode)
    else if (now - this.#heard >= ping && !this.#client.isPaused()) this.#ping()
  }

  /** A frame that never ends can't be pinged into; its reader is looked after by the server, its writer by its socket. */
  #ping(): void {
    if (this.#pinged) {
      this.#client.destroy()
    } else if (this.#down.atBoundary && this.#client.writable) {
      this.#pinged = true
      this.#heard = this.#now
      this.#client.write(pingFrame)
    }
  }

  #isStuck(now: number): boolean {
    const { writableLength, bytesWritten } = this.#upstream
    if (writableLength === 0 || bytesWritten !== this.#written) this.#stalledSince = undefined
    else this.#stalledSince ??= now
    this.#written = bytesWritten
    const half = this.#client.readableEnded || this.#upstream.readableEnded
    this.#halfSince = half ? (this.#halfSince ?? now) : undefined
    return isPast(this.#stalledSince, wait.stalled, now) || isPast(this.#halfSince, wait.half, now)
  }

  #fromClient(piece: Buffer): void {
    this.#heard = this.#now
    this.#pinged = false
    // From the moment on that the session is over, nothing of the client's gets through.
    if (this.#state !== 'open') return
    this.#up.take(piece)
    if (!this.#upstream.write(piece)) this.#client.pause()
  }

  #fromUpstream(piece: Buffer): void {
    if (this.#state === 'open') {
      this.#down.take(piece)
      if (!this.#client.write(piece)) this.#upstream.pause()
    } else if (this.#state === 'finishing') {
      const rest = this.#down.take(piece, true)
      if (rest > 0) this.#client.write(piece.subarray(0, rest))
      if (this.#down.atBoundary) this.#sayGoodbye()
    }
  }

  /** Ends it with a close frame: now, or after the rest of the frame that is on its way. */
  #finish(close: readonly [number, string]): void {
    if (this.#state !== 'open') return
    this.#close = close
    this.#state = 'finishing'
    if (this.#down.atBoundary) this.#sayGoodbye()
    else this.#cutAfter(wait.boundary)
  }

  #sayGoodbye(): void {
    this.#state = 'closing'
    this.#client.end(closeFrame(...this.#close))
    // Its answer is read and forgotten: a socket with unread bytes would be reset, and the close frame lost with it.
    this.#client.resume()
    if (this.#up.atBoundary) this.#upstream.end(maskedCloseFrame(1001, 'going_away'))
    else this.#upstream.destroy()
    this.#upstream.resume()
    this.#cutAfter(wait.goodbye)
  }

  #cutAfter(milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#client.destroy(), milliseconds)
    this.#timer.unref()
  }

  #upstreamEnded(): void {
    if (this.#state === 'finishing') this.#client.destroy()
    else this.#client.end()
  }

  /** An upstream that broke off looks like that to the client, too: no close frame that it did not send. */
  #upstreamClosed(): void {
    if (this.#state === 'closing' || this.#state === 'over') return
    if (this.#upstream.readableEnded && this.#state === 'open') this.#client.end(() => this.#cutAfter(wait.goodbye))
    else this.#client.destroy()
  }
}

function isPast(since: number | undefined, limit: number, now: number): boolean {
  return since !== undefined && now - since >= limit
}
