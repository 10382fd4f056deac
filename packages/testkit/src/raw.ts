import { connect } from 'node:net'

export interface RawOptions {
  readonly host?: string
  /** Milliseconds of silence after which what came so far is the answer; 10,000 by default. */
  readonly silence?: number
}

/**
 * Sends bytes to a port exactly as they are and returns everything that comes back as latin1 text: for requests that no
 * HTTP client would send. Ends when the other side closes, or after a silence.
 */
export function rawRequest(port: number, bytes: string | Uint8Array, options: RawOptions = {}): Promise<string> {
  const { host = '127.0.0.1', silence = 10_000 } = options
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const socket = connect({ host, port }, () => {
      socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes)
    })
    const done = () => {
      socket.destroy()
      resolve(Buffer.concat(chunks).toString('latin1'))
    }
    socket.setTimeout(silence, done)
    socket.on('data', (chunk) => chunks.push(chunk))
    socket.once('close', done)
    socket.once('error', (error) => (chunks.length === 0 ? reject(error) : done()))
  })
}

/** The status codes of the answers in what `rawRequest` returned: more than one means that a request was smuggled. */
export function statusesOf(answer: string): number[] {
  return [...answer.matchAll(/HTTP\/1\.[01] (\d{3})/g)].map(([, status]) => Number(status))
}
