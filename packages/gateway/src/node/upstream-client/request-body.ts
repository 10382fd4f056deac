import type { Socket } from 'node:net'
import type { Readable } from 'node:stream'
import { UpstreamFault } from './contract.ts'
import type { Task } from './task.ts'

export interface BodyListener {
  sent(chunk: Buffer): void
  /** All of it is written. */
  done(): void
  failed(error: Error): void
}

/**
 * A request with a body on its way to an upstream: framed, and no faster than the upstream reads. Its head waits for the first
 * of the body: one whose framing breaks at once (request smuggling) then never reaches the upstream at all.
 */
export class RequestBody {
  readonly #socket: Socket
  readonly #body: Readable
  /** Bytes that were announced; -1 if it goes in chunks. */
  readonly #length: number
  readonly #listener: BodyListener
  #head: string
  #written = 0
  #over = false

  constructor(socket: Socket, { request: { body }, head }: Task, listener: BodyListener) {
    this.#socket = socket
    this.#body = body as Readable
    this.#length = head.length
    this.#head = head.text
    this.#listener = listener
  }

  start(): void {
    const body = this.#body
    const first = body.read() as Buffer | null
    if (first !== null) this.#onData(first)
    if (this.#over) return
    body.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose)
    if (body.readableEnded) this.#onEnd()
    else if (body.destroyed) this.#onClose()
  }

  /** The socket takes more. */
  drained(): void {
    if (!this.#over) this.#body.resume()
  }

  /** Nothing more is sent. */
  stop(): void {
    this.#finish()
    this.#body.destroy()
  }

  readonly #onData = (chunk: Buffer): void => {
    if (chunk.length === 0) return
    this.#written += chunk.length
    // One byte more would be the first of the next request on this connection.
    if (this.#length !== -1 && this.#written > this.#length) {
      this.#fail('the body is longer than its content-length')
      return
    }
    const socket = this.#socket
    const framing = this.#length === -1 ? `${chunk.length.toString(16)}\r\n` : ''
    socket.cork()
    if (this.#head !== '' || framing !== '') socket.write(this.#head + framing, 'latin1')
    let goOn = socket.write(chunk)
    if (framing !== '') goOn = socket.write('\r\n', 'latin1')
    socket.uncork()
    this.#head = ''
    if (!goOn) this.#body.pause()
    this.#listener.sent(chunk)
  }

  readonly #onEnd = (): void => {
    if (this.#length !== -1 && this.#written < this.#length) {
      this.#fail('the body is shorter than its content-length')
      return
    }
    this.#finish()
    const last = this.#length === -1 ? '0\r\n\r\n' : ''
    if (this.#head !== '' || last !== '') this.#socket.write(this.#head + last, 'latin1')
    this.#listener.done()
  }

  /** Closed before its end: a request that is cut must not look whole. */
  readonly #onClose = (): void => {
    if (!this.#over) this.#fail('the body was closed before its end')
  }

  #fail(message: string): void {
    this.stop()
    this.#listener.failed(new UpstreamFault('UPSTREAM_REQUEST', message))
  }

  #finish(): void {
    this.#over = true
    this.#body.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose)
  }
}
