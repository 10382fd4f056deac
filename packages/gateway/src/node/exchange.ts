import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Forward, RawHeaders, Respond } from '../decision.ts'
import { siftResponse } from '../protocol/sift-response.ts'
import { Upload } from './body.ts'
import { type Abortable, type Connection, closeAfter, hasBody } from './connection.ts'
import { respond } from './respond.ts'

export type UpstreamFailure = 'upstream_unavailable' | 'upstream_timeout' | 'payload_too_large'

/** What an exchange needs of its forwarder. */
export interface Surroundings {
  /** Counts the forwarder's ticks; the unit of every time-out here. */
  now: number
  /**
   * An array, in which each exchange knows its place: a Set with so much coming and going makes V8 copy its table all the
   * time, and the dead tables keep dead exchanges alive until the next full collection (a tenth of all CPU time).
   */
  readonly running: Exchange[]
  unavailable(code: UpstreamFailure, decision: Forward): Respond
  failed(error: Error, decision: Forward): void
  /** The upstream sent a header that none should send. */
  readonly flagged: (reason: string) => void
}

/** Node writes a text of up to 16 KB at once, without copying it to the heap; bytes. */
const inOnePiece = 12 * 1024

/**
 * One request on its way to an upstream and its answer on the way back: the undici handler itself, so that a request costs
 * one object and no closure. These are undici 7's raw-header callbacks (its newer ones build a header object for
 * each answer), and our own client's.
 * Redirects are not followed and nothing is decompressed: the answer is the upstream's, byte for byte.
 */
export class Exchange implements Abortable {
  readonly #around: Surroundings
  readonly #connection: Connection
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #decision: Forward
  /** The body to send; null if the request has none. */
  readonly body: Upload | null
  #abort: ((error?: Error) => void) | undefined
  #resume: (() => void) | undefined
  /** The tick of the last sign of life. */
  #seen: number
  #state: 'waiting' | 'streaming' | 'over' = 'waiting'
  /** Bytes of the answer still to come; -1 if the upstream did not say. */
  #left = -1
  #flushed = false
  #paused = false
  #endless = false
  #place: number

  constructor(around: Surroundings, connection: Connection, parties: [IncomingMessage, ServerResponse, Forward]) {
    this.#around = around
    this.#connection = connection
    this.#request = parties[0]
    this.#response = parties[1]
    this.#decision = parties[2]
    this.#seen = around.now
    this.body = hasBody(parties[0])
      ? new Upload(parties[0], parties[2].maxBody, () => this.#fail('payload_too_large'))
      : null
    this.#place = around.running.push(this) - 1
    connection.running.push(this)
  }

  clientGone(): void {
    this.#over()
    this.#abort?.()
    this.body?.destroy()
  }

  /** Called at each tick: `ticks` is the decision's timeout in ticks. */
  expire(ticks: number): void {
    if (this.#around.now - this.#seen <= ticks || this.#paused || this.#endless) return
    // A client that is slow to send is not the upstream's fault; the server looks after those.
    const { body } = this
    const sending = this.#abort !== undefined && body !== null && !body.readableEnded && !body.isPaused()
    if (this.#state === 'waiting' && sending) return
    this.#fail('upstream_timeout')
  }

  get timeout(): number {
    return this.#decision.timeout
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#state === 'over') abort()
    else {
      this.#abort = abort
      this.#seen = this.#around.now
    }
  }

  onBodySent(): void {
    this.#seen = this.#around.now
  }

  onRequestSent(): void {
    this.#seen = this.#around.now
  }

  /** undici's way; our own client hands over strings. */
  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    const headers = raw.map((part) => part.toString('latin1'))
    return this.onHead(status, headers, resume)
  }

  onHead(status: number, headers: RawHeaders, resume: () => void): boolean {
    if (status < 200) {
      // Nobody asked to switch protocols. The other informational answers promise nothing and are left out.
      if (status === 101) this.#fail('upstream_unavailable', new Error('the upstream switched protocols unasked'))
      return true
    }
    const response = this.#response
    this.#look(headers)
    this.#seen = this.#around.now
    this.#resume = resume
    // The upstream answers before it has read everything: the rest must not be taken for the next request.
    if (this.body !== null && !this.#request.complete) closeAfter(this.#connection, response)
    response.writeHead(status, siftResponse(headers, this.#decision.response, this.#around.flagged))
    this.#state = 'streaming'
    // The head leaves with the first piece of the body if that is here already, else alone at the end of this turn.
    process.nextTick(flush, this)
    return true
  }

  onData(chunk: Buffer): boolean {
    this.#seen = this.#around.now
    this.#flushed = true
    if (this.#left === chunk.length) {
      this.#left = 0
      this.#end(chunk)
      return true
    }
    if (this.#left > 0) this.#left -= chunk.length
    if (this.#response.write(chunk)) return true
    this.#pause()
    return false
  }

  onComplete(): void {
    this.#flushed = true
    if (!this.#response.writableEnded) this.#response.end()
    this.#over()
  }

  onError(error: Error): void {
    if (this.#state === 'over') return
    this.#fail('upstream_unavailable', error)
  }

  /** Sends the head now: an event stream's first byte may be minutes away. */
  flushHead(): void {
    if (this.#flushed || this.#state !== 'streaming') return
    this.#flushed = true
    this.#response.flushHeaders()
  }

  /** Writes the whole rest of the answer. */
  #end(chunk: Buffer): void {
    const response = this.#response
    const { socket } = response
    if (chunk.length > inOnePiece || socket === null || socket.writableCorked > 0) {
      response.end(chunk)
      return
    }
    // As one text, head and all: end(chunk) makes Node collect pieces for writev, which costs as much again as the write.
    response.write(chunk.toString('latin1'), 'latin1')
    socket.uncork()
    response.end()
  }

  #pause(): void {
    this.#paused = true
    this.#response.once('drain', () => {
      this.#paused = false
      this.#seen = this.#around.now
      this.#resume?.()
    })
  }

  #look(headers: RawHeaders): void {
    for (let i = 0; i < headers.length; i += 2) {
      const name = headers[i] as string
      if (name.length === 14 && name.toLowerCase() === 'content-length') this.#left = Number(headers[i + 1])
      else if (name.length === 12 && name.toLowerCase() === 'content-type') {
        this.#endless = (headers[i + 1] as string).startsWith('text/event-stream')
      }
    }
  }

  #over(): void {
    this.#state = 'over'
    if (this.#place === -1) return
    const { running } = this.#around
    const last = running.pop() as Exchange
    if (last !== this) {
      running[this.#place] = last
      last.#place = this.#place
    }
    this.#place = -1
    const mates = this.#connection.running
    if (mates.at(-1) === this) mates.pop()
    else if (mates.includes(this)) mates.splice(mates.indexOf(this), 1)
  }

  #fail(code: UpstreamFailure, error?: Error): void {
    const begun = this.#state === 'streaming'
    this.#over()
    if (error !== undefined || code === 'upstream_timeout') {
      this.#around.failed(error ?? new Error(code), this.#decision)
    }
    // Aborting closes this upstream connection alone; the pool opens another.
    this.#abort?.()
    this.body?.destroy()
    // A truncated answer must not look whole: no last chunk, no end, a cut connection.
    if (begun) this.#cut()
    // What the upstream's answer would have carried is due with this one too: the new value of a rotated session cookie.
    else
      respond(
        this.#request,
        this.#response,
        this.#around.unavailable(code, this.#decision),
        this.#decision.response.add,
      )
  }

  #cut(): void {
    const { socket } = this.#request
    // In HTTP/1.0, which nginx speaks to upstreams by default, an orderly end of the connection is the end of the answer.
    if (this.#request.httpVersion === '1.0' && !('encrypted' in socket)) socket.resetAndDestroy()
    else this.#response.destroy()
  }
}

function flush(exchange: Exchange): void {
  exchange.flushHead()
}
