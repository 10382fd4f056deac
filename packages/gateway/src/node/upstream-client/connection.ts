import type { Socket } from 'node:net'
import type { RawHeaders } from '../../decision.ts'
import { UpstreamFault } from './contract.ts'
import type { ResponseHead } from './head.ts'
import type { SocketListener } from './open-socket.ts'
import { type BodyListener, RequestBody } from './request-body.ts'
import { ResponseReader, type ResponseSink } from './response.ts'
import type { Carrying, Task } from './task.ts'

export interface ConnectionHost {
  open(listener: SocketListener): Socket
  /** The connection has become free for another request. */
  freed(connection: Connection): void
  /** It is not counted any more, and will not become free; false if there are too many of these. */
  left(connection: Connection): boolean
  /** It serves nobody any more. `again` was written onto it in vain and is to be sent anew. */
  lost(connection: Connection, again: Task | undefined): void
  /** Its socket is closed. */
  gone(): void
  now(): number
  readonly maxHeaderSize: number
  readonly connectTimeout: number
  readonly keepAliveTimeout: number
}

/**
 * One connection, one request at a time. It serves another one only if nothing speaks against it: the answer was complete
 * and its end certain, both sides keep the connection, the request was written to its end, and not a byte came too many.
 * Anything else closes it: what lies on a connection behind a doubtful answer would be read as the answer to somebody else.
 */
export class Connection implements ResponseSink, BodyListener, Carrying, SocketListener {
  readonly #host: ConnectionHost
  readonly #socket: Socket
  readonly #reader: ResponseReader
  readonly #patience: NodeJS.Timeout
  #task: Task | undefined
  #body: RequestBody | undefined
  /** Whatever breaks it from then on is no failure to connect. */
  #standing = false
  /** It has served before: the upstream may just be closing it. */
  #used = false
  /** Nothing of the present answer has come. */
  #silent = true
  #persistent = false
  #paused = false
  #dead = false
  /** It has left its place in the pool. */
  #apart = false
  /** Milliseconds that it may lie unused. */
  #lifetime: number
  /** From then on it is too old to be used, by the host's clock. */
  expiresAt = 0

  /** Opens a connection for a task, which is written as soon as it stands. */
  constructor(host: ConnectionHost, task: Task) {
    this.#host = host
    this.#task = task
    this.#lifetime = host.keepAliveTimeout
    this.#reader = new ResponseReader(this, host.maxHeaderSize)
    this.#socket = host.open(this)
    this.#patience = setTimeout(() => {
      this.#lose(new UpstreamFault('UPSTREAM_CONNECT_TIMEOUT', 'no connection in time'))
    }, host.connectTimeout)
    this.#socket
      .on('end', () => this.#onEnd())
      .on('error', (error) => this.#lose(this.#standing ? closed(error) : error))
      .on('drain', () => this.#body?.drained())
      .on('close', () => {
        this.#lose(closed())
        host.gone()
      })
  }

  connected(): void {
    this.#standing = true
    clearTimeout(this.#patience)
    if (this.#task !== undefined) this.send(this.#task)
  }

  send(task: Task): void {
    this.#task = task
    this.#silent = true
    try {
      if (task.begin(this)) {
        this.#write(task)
        return
      }
    } catch (error) {
      this.fail(error as Error)
      return
    }
    // Its client left while it waited: nothing was written, and the connection is as it was.
    this.#task = undefined
    this.#free()
  }

  #write(task: Task): void {
    const { head, request } = task
    const socket = this.#socket
    this.#reader.expect(request.method)
    if (request.body === null) {
      socket.write(head.text, 'latin1')
      task.requestSent()
      return
    }
    this.#body = new RequestBody(socket, task, this)
    this.#body.start()
  }

  /** Ends the present task with this error, and the connection with it. */
  fail(error: Error): void {
    const task = this.#task
    this.cut()
    task?.fail(error)
  }

  cut(): void {
    this.#end(undefined)
  }

  leave(): void {
    if (!this.#dead && !this.#apart) this.#apart = this.#host.left(this)
  }

  get listening(): boolean {
    return this.#task !== undefined
  }

  head(head: ResponseHead): void {
    const task = this.#task as Task
    this.#persistent = head.persistent && !task.head.last
    this.#lifetime = head.keepAlive === -1 ? this.#host.keepAliveTimeout : head.keepAlive
    if (task.answer(head, this.#resume) === false) this.#paused = true
  }

  data(chunk: Buffer): void {
    if (this.#task?.data(chunk) === false) this.#paused = true
  }

  text(body: string): void {
    if (this.#task?.text(body) === false) this.#paused = true
  }

  complete(trailers: RawHeaders): void {
    const task = this.#task
    this.#task = undefined
    task?.complete(trailers)
  }

  sent(chunk: Buffer): void {
    this.#task?.bodySent(chunk)
  }

  done(): void {
    this.#body = undefined
    this.#task?.requestSent()
  }

  failed(error: Error): void {
    this.fail(error)
  }

  /** @returns whether to go on reading */
  receive(length: number, bytes: Buffer): boolean {
    if (this.#dead) return false
    // Bytes that nobody asked for: an answer that waits for the next request, to be taken for its own.
    if (this.#task === undefined) {
      this.cut()
      return false
    }
    if (this.#silent) {
      this.#silent = false
      this.#task.answering()
    }
    try {
      const stop = this.#reader.read(bytes, length)
      if (this.#task !== undefined) this.#task.wait()
      else if (!this.#dead) this.#settle(stop < length)
    } catch (error) {
      this.fail(error as Error)
    }
    return !this.#paused && !this.#dead
  }

  /** An answer is complete. */
  #settle(surplus: boolean): void {
    this.#used = true
    if (surplus || !this.#persistent || this.#apart || this.#body !== undefined) this.cut()
    else this.#free()
  }

  #free(): void {
    // It must be read, for the upstream may close it, or say what nobody asked for.
    this.#paused = false
    this.expiresAt = this.#host.now() + this.#lifetime
    this.#host.freed(this)
  }

  readonly #resume = (): void => {
    if (!this.#paused) return
    this.#paused = false
    this.#socket.resume()
  }

  #onEnd(): void {
    try {
      if (this.#task === undefined || !this.#reader.end()) this.#lose(closed())
    } catch {
      // The handler's own fault; it has heard of the end.
    }
    this.cut()
  }

  /** The connection is lost, and with it, unless it can be sent anew, the task. */
  #lose(error: Error): void {
    if (this.#dead) return
    const task = this.#task
    const again = this.#used && this.#silent && task?.repeat() === true
    this.#end(again ? task : undefined)
    if (!again) task?.fail(error)
  }

  #end(again: Task | undefined): void {
    if (this.#dead) return
    this.#dead = true
    this.#task = undefined
    clearTimeout(this.#patience)
    this.#body?.stop()
    this.#body = undefined
    this.#socket.destroy()
    this.#host.lost(this, again)
  }
}

function closed(cause?: Error): UpstreamFault {
  return new UpstreamFault('UPSTREAM_CLOSED', 'the upstream closed the connection', cause)
}
