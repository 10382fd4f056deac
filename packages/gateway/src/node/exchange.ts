import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Forward, LiveStream, RawHeaders, Respond, StreamEnd, Unauthorized } from '../decision.ts'
import { networkOf } from '../limits/network.ts'
import { siftResponse, siftTrailers } from '../protocol/sift-response.ts'
import { framingOfAnswer } from './answer-framing.ts'
import { type Beginning, Upload } from './body.ts'
import { type Abortable, type Connection, closeAfter, hasBody } from './connection.ts'
import { passHints } from './early-hints.ts'
import { HeldAnswer } from './held-answer.ts'
import { respond } from './respond.ts'
import type { Enrolled, Roster } from './roster.ts'
import { LongClient } from './slow-clients.ts'
import { failureOf, type StreamFailure } from './stream-end.ts'
import { type Address, isConnectFailure } from './upstream-address.ts'
import type { Place } from './upstream-client/contract.ts'
import type { UpstreamPool } from './upstream-pool.ts'

export type UpstreamFailure =
  | StreamFailure
  | 'upstream_timeout'
  | 'upstream_busy'
  | 'payload_too_large'
  | 'too_many_streams'
  | 'too_many_requests'
  | 'client_too_slow'

/** What an exchange needs of its forwarder. */
export interface Surroundings {
  /** Counts the forwarder's ticks; the unit of every time-out here. */
  now: number
  /** The gateway stops: what has no end of its own does not begin any more. */
  draining: boolean
  readonly running: Roster<Exchange>
  /** Counts answers by the first digit of their status. */
  readonly answers: Float64Array
  /** Sends the request again, as decided anew. */
  forward(request: IncomingMessage, response: ServerResponse, decision: Forward, beginning?: Beginning): void
  /** Sends it on its way, to the address that it has now. */
  dispatch(exchange: Exchange): void
  unavailable(code: UpstreamFailure, decision: Forward): Respond
  failed(error: Error, decision: Forward): void
  /** The upstream sent a header that none should send. */
  readonly flagged: (reason: string) => void
}

type Parties = [IncomingMessage, ServerResponse, Forward, UpstreamPool, Address, Beginning | undefined]

/** Ticks after which an exchange runs for long: half a second. */
const longAfter = 5
/** Ticks until the first look at the client: others may be waiting for its connection. Then once a second. */
const firstLook = 2
const second = 10
/** A tick of years ahead: V8 stores small integers better than Infinity. */
const notYet = 0x3fffffff
/** Node writes a text of up to 16 KB at once, without copying it to the heap; bytes. */
const inOnePiece = 12 * 1024

/**
 * One request on its way to an upstream and its answer on the way back: the undici handler itself, so that a request costs
 * one object and no closure. These are undici 7's raw-header callbacks (its newer ones build a header object for
 * each answer), and our own client's.
 * Redirects are not followed and nothing is decompressed: the answer is the upstream's, byte for byte.
 */
export class Exchange implements Abortable, LiveStream, Enrolled {
  readonly #around: Surroundings
  readonly #connection: Connection
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly decision: Forward
  readonly #pool: UpstreamPool
  address: Address
  /** The body to send; null if the request has none. */
  readonly body: Upload | null
  #abort: ((error?: Error) => void) | undefined
  /** Among the connections of the address; undici tells of none. */
  #place: Place | undefined
  #resume: (() => void) | undefined
  /** The tick of the last sign of life. */
  #seen: number
  /** `held`: the upstream said 401, and the guard thinks about it. */
  #state: 'waiting' | 'held' | 'streaming' | 'over' = 'waiting'
  /** Bytes of the answer still to come; -1 if the upstream did not say. */
  #left = -1
  /** Bytes of the body that went to the client, but for the last piece of one whose length is known. */
  #sent = 0
  #flushed = false
  #paused = false
  #endless = false
  /** The first byte of an answer came. */
  #answering = false
  /** All of the body, held so that the request can be signed and sent anew. */
  readonly #whole: Beginning | undefined
  #triedElsewhere = false
  #complete = false
  /** What came already of the answer that waits for the guard's word. */
  #held: HeldAnswer | undefined
  /** The upstream's connection ended while its 401 was held. */
  #broken: Error | undefined
  index = -1
  /** The tick at which it began, and how to untie it from its session once it was tied: see `#tie`. */
  readonly #began: number
  /** The tick at which it got a connection. */
  #connectedAt = notYet
  #release: (() => void) | undefined
  /** Known from the first look at it on. */
  #client: LongClient | undefined

  constructor(around: Surroundings, connection: Connection, parties: Parties) {
    this.#around = around
    this.#connection = connection
    this.#request = parties[0]
    this.#response = parties[1]
    this.decision = parties[2]
    this.#pool = parties[3]
    this.address = parties[4]
    this.#seen = around.now
    this.#began = around.now
    this.#whole = parties[2].refused !== undefined && parties[5]?.whole ? parties[5] : undefined
    this.body = hasBody(parties[0])
      ? new Upload(parties[0], parties[2].maxBody, () => this.#fail('payload_too_large'), parties[5])
      : null
    around.running.add(this)
    connection.running.push(this)
    this.address.entered()
  }

  clientGone(): void {
    this.#over()
    this.#abort?.()
    this.body?.destroy()
  }

  /** Called at each tick: `ticks` is the decision's timeout in ticks. */
  expire(ticks: number): void {
    if (this.#around.now - this.#began >= longAfter) this.#tie()
    const age = this.#around.now - this.#connectedAt
    if (age === firstLook || (age > 0 && age % second === 0)) this.#lookAtClient()
    if (this.#state === 'over' || this.#around.now - this.#seen <= ticks || this.#paused || this.#endless) return
    const thinking = this.#state === 'held' && !this.#held?.looksOn
    // A client that is slow to send is not the upstream's fault; the server looks after those.
    if (thinking || (this.#state === 'waiting' && this.#isReceiving())) return
    this.#fail('upstream_timeout')
  }

  /** It is the client's turn: the upstream takes whatever comes of the body. */
  #isReceiving(): boolean {
    const { body } = this
    return this.#abort !== undefined && body !== null && !body.readableEnded && !body.isPaused()
  }

  #lookAtClient(): void {
    this.#client ??= new LongClient(
      networkOf(this.decision.request?.address ?? this.#connection.peer),
      this.#connectedAt / second,
      () => this.#fail('client_too_slow'),
    )
    const client = this.#client
    client.look(this.#around.now / second, this.#sent + (this.body?.received ?? 0), this.#paused || this.#isReceiving())
    if (client.slow && this.address.slowClients.take(client)) this.#place?.leave()
  }

  get method(): string {
    return this.#request.method as string
  }

  get endless(): boolean {
    return this.#endless
  }

  /** Its session is over, or no longer enough: what is left of the answer is for nobody. */
  end({ kind }: StreamEnd): void {
    this.#fail(failureOf[kind])
  }

  /** The gateway stops. What is tied to a session hears of it by that. */
  drain(): void {
    if (this.#endless && this.#release === undefined) this.end({ kind: 'going-away' })
  }

  get gone(): boolean {
    return this.#state === 'over'
  }

  get timeout(): number {
    return this.decision.timeout
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#state === 'over') abort()
    else {
      this.#abort = abort
      this.#seen = this.#around.now
      this.#connectedAt = this.#around.now
    }
  }

  onPlace(place: Place): void {
    this.#place = place
  }

  onBodySent(): void {
    this.#seen = this.#around.now
  }

  onRequestSent(): void {
    this.#seen = this.#around.now
  }

  onResponseStarted(): void {
    this.#answering = true
    this.address.answered()
  }

  /** undici's way; our own client hands over strings. */
  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    const headers = raw.map((part) => part.toString('latin1'))
    // The head leaves with the first piece of the body if that is here already, else alone at the end of this turn.
    process.nextTick(flush, this)
    return this.onHead(status, headers, resume)
  }

  onHead(status: number, headers: RawHeaders, resume: () => void): boolean {
    if (status < 200) {
      if (status === 103 && this.decision.navigation) passHints(this.#request, this.#response, headers)
      // Nobody asked to switch protocols. The other informational answers promise nothing and are left out.
      if (status === 101) this.#fail('upstream_unavailable', new Error('the upstream switched protocols unasked'))
      return true
    }
    const framing = framingOfAnswer(headers, status)
    if (framing === undefined) {
      this.#fail('upstream_unavailable', new Error('the upstream framed its answer in a way that is not HTTP/1.1'))
      return true
    }
    this.#left = framing.length
    this.#endless = framing.endless
    const { answers } = this.#around
    const digit = (status / 100) | 0
    answers[digit] = (answers[digit] as number) + 1
    this.#seen = this.#around.now
    this.#resume = resume
    const { unauthorized, refused } = this.decision
    if (status === 401 && unauthorized !== undefined) {
      return this.#askAgain(status, headers, unauthorized(this.decision, { headers, repeatable: this.#isRepeatable() }))
    }
    if ((status === 403 || status === 400) && refused !== undefined) {
      const repeatable = this.#isRepeatable(this.#whole !== undefined)
      const held = new HeldAnswer()
      this.#held = held
      const look = (bytes: number) => held.look(bytes)
      return this.#askAgain(status, headers, refused(this.decision, { status, headers, repeatable, look }))
    }
    this.#begin(status, headers)
    return true
  }

  #begin(status: number, headers: string[]): void {
    const response = this.#response
    if (this.#endless && this.#around.draining) {
      this.end({ kind: 'going-away' })
      return
    }
    if (this.#endless && !this.#tie()) {
      this.#fail('too_many_streams')
      return
    }
    // A few of these would hold all connections, for hours. (Not those that have an end.)
    if (this.#endless && this.#left === -1) this.#place?.leave()
    // The upstream answers before it has read everything: the rest must not be taken for the next request.
    if (this.body !== null && !this.#request.complete) closeAfter(this.#connection, response)
    response.writeHead(status, siftResponse(headers, this.decision.response, this.#around.flagged))
    this.#state = 'streaming'
    // It is whole: a client library that waits for the body which a 304 says it would have makes no difference.
    if (status === 204 || status === 304) this.onComplete()
  }

  /** The upstream's refusal waits unread until the guard has said what becomes of it. */
  #askAgain(status: number, headers: string[], said: ReturnType<Unauthorized>): boolean {
    if (said instanceof Promise) {
      this.#state = 'held'
      const held = this.#held ?? new HeldAnswer()
      this.#held = held
      void said
        .then((decision) => {
          if (this.#state !== 'held') return
          this.#held = undefined
          this.#seen = this.#around.now
          if (decision === undefined && this.#broken !== undefined) this.#fail('upstream_unavailable', this.#broken)
          else this.#settle(decision, status, headers)
          // Something else was answered: what was held belongs to nobody, and would be written behind the end of that.
          if (!this.#isStreaming()) return
          for (const chunk of held.chunks) this.onData(chunk)
          if (this.#complete) this.onComplete()
          else if (!this.#paused) this.#resume?.()
          this.flushHead()
        })
        .catch((error: Error) => this.#faulted(error))
      return held.looksOn
    }
    this.#settle(said, status, headers)
    return said === undefined
  }

  /** For the compiler, which takes the state for what it was before a call. */
  #isStreaming(): boolean {
    return this.#state === 'streaming'
  }

  /** The answer can't be passed on. There is no caller left who would hear of it. */
  #faulted(error: Error): void {
    if (this.#state !== 'over') this.#fail('upstream_unavailable', error)
    else {
      this.#around.failed(error, this.decision)
      this.#cut()
    }
  }

  #settle(said: Forward | Respond | undefined, status: number, headers: string[]): void {
    if (said === undefined) {
      this.#begin(status, headers)
      return
    }
    this.#over()
    // Nobody wants the rest of the 401, be it endless.
    this.#abort?.()
    this.body?.destroy()
    if (said.kind === 'forward') this.#around.forward(this.#request, this.#response, said, this.#whole)
    else respond(this.#request, this.#response, said, this.decision.response.add)
  }

  /**
   * Twice is as good as once, and all of it can be sent again. A client that was invited to send its body (`Expect`) is not
   * invited twice. @see RFC 9110 §9.2.2
   */
  #isRepeatable(held = false): boolean {
    const { method, headers } = this.#request
    return (this.body === null || held) && headers.expect === undefined && IDEMPOTENT.has(method as string)
  }

  onData(chunk: Buffer): boolean {
    this.#seen = this.#around.now
    if (this.#state === 'held') return this.#held?.add(chunk) ?? false
    this.#flushed = true
    if (this.#left === chunk.length) {
      this.#left = 0
      if (chunk.length > inOnePiece) this.#response.end(chunk)
      else this.#end(chunk.toString('latin1'))
      return true
    }
    this.#sent += chunk.length
    if (this.#left > 0) this.#left -= chunk.length
    if (this.#response.write(chunk)) return true
    this.#pause()
    return false
  }

  onText(body: string): boolean {
    if (this.#state === 'held' || this.#left !== body.length) return this.onData(Buffer.from(body, 'latin1'))
    this.#seen = this.#around.now
    this.#flushed = true
    this.#left = 0
    this.#end(body)
    return true
  }

  onWait(): void {
    this.flushHead()
  }

  onComplete(trailers: readonly (string | Buffer)[] | null = null): void {
    if (this.#state === 'over') return
    // Nothing is written before it is known what becomes of the 401.
    if (this.#state === 'held') {
      this.#complete = true
      this.#held?.seenEnough()
      return
    }
    this.#flushed = true
    if (trailers !== null && trailers.length > 0) {
      const passed = siftTrailers(trailers.map((part) => (typeof part === 'string' ? part : part.toString('latin1'))))
      // node:http writes them behind a body in chunks only. @see RFC 9112 §7.1.2
      if (passed.length > 0) this.#response.addTrailers(passed)
    }
    if (!this.#response.writableEnded) this.#response.end()
    this.#over()
  }

  onError(error: Error): void {
    // Not even sent: no connection could be had. Also of interest when the client has left meanwhile.
    const unsent = this.#abort === undefined
    const unreachable = unsent && isConnectFailure(error)
    if (unreachable) this.address.unreachable(error)
    if (this.#state === 'over') return
    if ((unreachable || !unsent) && this.#tryElsewhere(unsent)) return
    // It may be sent again all the same: what was known of the 401 was enough to ask.
    if (this.#state === 'held') {
      this.#broken = error
      this.#held?.seenEnough()
    } else this.#fail('upstream_unavailable', error)
  }

  /**
   * Once, and only where it can't be done twice: it never left, or twice is as good as once and not a byte of an answer came
   * (a kept connection that the upstream closes just then). Never after a time-out: the upstream may still be at it.
   */
  #tryElsewhere(unsent: boolean): boolean {
    if (this.#triedElsewhere || this.#answering) return false
    if (unsent ? this.body?.touched === true : !this.#isRepeatable()) return false
    const address = this.#pool.pick(unsent ? this.address : undefined)
    if (address === undefined) return false
    this.#triedElsewhere = true
    this.#leaveAddress()
    this.address = address
    address.entered()
    this.#abort = undefined
    this.#seen = this.#around.now
    this.#around.dispatch(this)
    return true
  }

  /** Sends the head now: an event stream's first byte may be minutes away. */
  flushHead(): void {
    if (this.#flushed || this.#state !== 'streaming') return
    this.#flushed = true
    this.#response.flushHeaders()
  }

  /** Most exchanges are over before anybody could end their session; those that aren't must not outlive it. */
  #tie(): boolean {
    const { live } = this.decision
    if (live === undefined || this.#release !== undefined) return true
    this.#release = live(this)
    return this.#release !== undefined
  }

  /** Writes the whole rest of the answer, which is short. */
  #end(rest: string): void {
    const response = this.#response
    const { socket } = response
    if (this.#request.httpVersionMajor !== 1 || socket === null || socket.writableCorked > 0) {
      response.end(rest, 'latin1')
      return
    }
    // As one text, head and all: end(rest) makes Node collect pieces for writev, which costs as much again as the write.
    response.write(rest, 'latin1')
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

  #over(): void {
    this.#state = 'over'
    this.#release?.()
    if (!this.#around.running.remove(this)) return
    this.#leaveAddress()
    const mates = this.#connection.running
    if (mates.at(-1) === this) mates.pop()
    else if (mates.includes(this)) mates.splice(mates.indexOf(this), 1)
  }

  #leaveAddress(): void {
    this.address.left()
    if (this.#client !== undefined) this.address.slowClients.forget(this.#client)
  }

  #fail(code: UpstreamFailure, error?: Error): void {
    const begun = this.#state === 'streaming'
    this.#over()
    if (error !== undefined || code === 'upstream_timeout') {
      this.#around.failed(error ?? new Error(code), this.decision)
    }
    // Aborting closes this upstream connection alone; the pool opens another.
    this.#abort?.()
    this.body?.destroy()
    // A truncated answer must not look whole: no last chunk, no end, a cut connection.
    if (begun) this.#cut()
    else this.#apologize(code)
  }

  #apologize(code: UpstreamFailure): void {
    try {
      // What the upstream's answer would have carried is due with this one too: the new value of a rotated session cookie.
      respond(this.#request, this.#response, this.#around.unavailable(code, this.decision), this.decision.response.add)
    } catch (error) {
      // Thrown on, it would end the process, and with it what everybody else is waiting for.
      this.#around.failed(error as Error, this.decision)
      this.#cut()
    }
  }

  #cut(): void {
    const { socket } = this.#request
    // In HTTP/1.0, which nginx speaks to upstreams by default, an orderly end of the connection is the end of the answer.
    if (this.#request.httpVersion === '1.0' && !('encrypted' in socket)) socket.resetAndDestroy()
    else this.#response.destroy()
  }
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

function flush(exchange: Exchange): void {
  exchange.flushHead()
}
