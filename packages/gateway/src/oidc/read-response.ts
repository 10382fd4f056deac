/**
 * A `Response` whose body is here already. What reads it gets it at once; Response's own way, by a stream, takes longer
 * than the rest of a refresh. To be read once, as text, JSON or bytes.
 */
export class ReadResponse extends Response {
  readonly #bytes: Uint8Array
  readonly #init: ResponseInit
  override bodyUsed = false

  constructor(bytes: Uint8Array, init: ResponseInit) {
    super(null, init)
    this.#bytes = bytes
    this.#init = init
  }

  override readonly text = async (): Promise<string> => utf8.decode(this.#take())

  override readonly json = async (): Promise<unknown> => JSON.parse(await this.text())

  override readonly arrayBuffer = async (): Promise<ArrayBuffer> => new Uint8Array(this.#take()).buffer

  override readonly blob = (): Promise<never> => Promise.reject(new TypeError('read it as text, JSON or bytes'))

  override readonly formData = this.blob

  override readonly clone = (): ReadResponse => {
    if (this.bodyUsed) throw new TypeError('the body was read already')
    return new ReadResponse(this.#bytes, this.#init)
  }

  #take(): Uint8Array {
    if (this.bodyUsed) throw new TypeError('the body was read already')
    this.bodyUsed = true
    return this.#bytes
  }
}

/** Leaves a byte order mark out, as `Response` does. */
const utf8 = new TextDecoder()
