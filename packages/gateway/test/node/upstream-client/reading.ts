import { Duplex } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { Client } from 'undici'
import type { ResponseHead } from '../../../src/node/upstream-client/head.ts'
import { ResponseReader } from '../../../src/node/upstream-client/response.ts'

/** What a reader made of an answer. */
export interface Answer {
  status: number
  statusText: string
  headers: string[]
  body: string
  trailers: string[]
  /** The connection would serve another request. */
  reusable: boolean
}

/** An answer as it travels: latin1 text, and where it is cut into pieces. */
export interface Sent {
  text: string
  cuts?: readonly number[]
  method?: string
}

export type Outcome = Answer | { refused: string }

/** Read by our own client. The upstream closes the connection at the end. */
export function readOurs({ text, cuts = [], method = 'GET' }: Sent): Outcome {
  const answer: Answer = { status: 0, statusText: '', headers: [], body: '', trailers: [], reusable: false }
  let head: ResponseHead | undefined
  let complete = false
  const reader = new ResponseReader(
    {
      get listening() {
        return !complete
      },
      head(one) {
        head = one
        answer.status = one.status
        answer.statusText = one.statusText
        answer.headers = one.headers
      },
      data(chunk) {
        answer.body += chunk.toString('latin1')
      },
      text(body) {
        answer.body += body
      },
      complete(trailers) {
        complete = true
        answer.trailers = trailers
      },
    },
    64 * 1024,
  )
  reader.expect(method)
  let surplus = false
  try {
    for (const piece of pieces(text, cuts)) {
      // As the socket's own buffer: what lies behind the piece is left over from earlier.
      const buffer = Buffer.concat([piece, Buffer.from('5\r\n\r\nHTTP/1.1 200 OK\r\n\r\n')])
      const stop = complete ? 0 : reader.read(buffer, piece.length)
      if (stop < piece.length) surplus = true
    }
    answer.reusable = complete && !surplus && head?.persistent === true && method !== 'HEAD'
    if (!complete) reader.end()
  } catch (error) {
    // What was complete stays so: that more was wrong behind it closes the connection.
    if (!complete) return { refused: (error as Error).message }
  }
  return complete ? answer : { refused: 'cut' }
}

/** The same answer, read by undici. */
export async function readUndici({ text, cuts = [], method = 'GET' }: Sent): Promise<Outcome> {
  const wire = new Duplex({ allowHalfOpen: false, read() {}, write: (_chunk, _encoding, done) => done() })
  const client = new Client('http://upstream', {
    connect: (_, done) => setImmediate(() => done(null, wire as never)),
    maxHeaderSize: 65_536,
  })
  client.on('connectionError', () => {})
  const answer: Answer = { status: 0, statusText: '', headers: [], body: '', trailers: [], reusable: false }
  let refused: string | undefined
  let complete = false
  let connected = () => {}
  const begun = new Promise<void>((resolve) => {
    connected = resolve
  })
  const texts = (raw: unknown) => ((raw ?? []) as Buffer[]).map((part) => part.toString('latin1'))
  client.dispatch({ path: '/', method: method as 'GET' }, {
    onConnect: connected,
    onHeaders(status: number, headers: Buffer[], _: unknown, statusText: string) {
      answer.status = status
      answer.statusText = Buffer.from(statusText).toString('latin1')
      answer.headers = texts(headers)
      return true
    },
    onData(chunk: Buffer) {
      answer.body += chunk.toString('latin1')
      return true
    },
    onComplete(trailers: Buffer[]) {
      complete = true
      answer.trailers = texts(trailers)
    },
    onError(error: Error) {
      refused ??= error.message
    },
  } as never)
  await begun
  await turn()
  for (const piece of pieces(text, cuts)) {
    if (!wire.destroyed) wire.push(piece)
    await turn()
  }
  await turn()
  answer.reusable = complete && !wire.destroyed
  const closed = new Promise((resolve) => wire.once('close', resolve))
  if (!wire.closed) {
    if (!wire.destroyed) wire.push(null)
    await closed
  }
  await turn()
  await client.destroy()
  return complete ? answer : { refused: refused ?? 'cut' }
}

function pieces(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, 'latin1')
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b)
  return [0, ...at].map((start, i) => bytes.subarray(start, at[i] ?? bytes.length)).filter(({ length }) => length > 0)
}
