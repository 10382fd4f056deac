import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { Address, type ClientChoice } from '../../src/node/upstream-address.ts'
import { certificate } from '../stories/certificates.ts'
import { pause } from './carrier.ts'

/** All of the answer and its end at once: both are there before its reader has taken the first piece. */
const wholeAnswers = [
  ['ended by the connection', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome words', 'some words'],
  ['ended by the connection, in HTTP/1.0', 'HTTP/1.0 200 OK\r\n\r\nsome words', 'some words'],
  ['with a length', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 10\r\n\r\nsome words', 'some words'],
  [
    'in chunks',
    'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n6\r\n words\r\n0\r\n\r\n',
    'some words',
  ],
  ['with a length, on a connection that says it is kept', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsome', 'some'],
  ['of a head alone', 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n', ''],
] as const

const cutAnswers = [
  ['with a length', 'HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 11\r\n\r\nsome words'],
  ['in chunks', 'HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n'],
] as const

/** Long enough for an end to arrive that is under way on loopback. */
const moment = () => pause(50)

describe.each(['own', 'undici'] as const)('an upstream that is gone before its answer is read, client %s', (client) => {
  describe.each(['http', 'https'] as const)('%s', async (protocol) => {
    const authority = await certificate('localhost', 'server')

    /** `say`: what the upstream does once it has read a request. */
    async function listen(say: (socket: Socket) => void) {
      const talk = (socket: Socket) => {
        socket.on('error', () => {})
        socket.once('data', () => say(socket))
      }
      const server: Server = protocol === 'http' ? createServer(talk) : createTlsServer(authority, talk)
      server.listen(0, '127.0.0.1')
      await once(server, 'listening')
      const address = addressOf(
        client,
        `${protocol}://localhost:${(server.address() as AddressInfo).port}`,
        authority.cert,
      )
      return {
        address,
        [Symbol.asyncDispose]: async () => {
          await address.close()
          server.close()
        },
      }
    }

    test.each(wholeAnswers)('an answer %s reaches its reader whole', async (_, answer, body) => {
      await using upstream = await listen((socket) => socket.end(answer))
      const reader = new SlowReader(upstream.address)
      await reader.reads()
      expect(reader).toMatchObject({ end: 'complete', body })
    })

    test.each(cutAnswers)('one that is cut %s never looks whole', async (_, answer) => {
      await using upstream = await listen((socket) => socket.end(answer))
      const reader = new SlowReader(upstream.address)
      await reader.reads()
      expect(reader.end).toBe('error')
    })

    test('a reader that gives up meanwhile disturbs nobody', async () => {
      await using upstream = await listen((socket) => socket.end(wholeAnswers[0][1]))
      const reader = new SlowReader(upstream.address)
      await reader.paused
      await moment()
      reader.abort()
      await reader.over
      const next = new SlowReader(upstream.address)
      await next.reads()
      expect(next).toMatchObject({ end: 'complete', body: 'some words' })
    })
  })

  test('a connection that is reset is an error, and nothing more', async () => {
    const sockets: Socket[] = []
    const server = createServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => {}).once('data', () => socket.write('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nsome'))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = addressOf(client, `http://localhost:${(server.address() as AddressInfo).port}`)
    const reader = new SlowReader(address)
    await reader.paused
    for (const socket of sockets) socket.resetAndDestroy()
    await reader.reads()
    expect(reader.end).toBe('error')
    await address.close()
    server.close()
  })
})

function addressOf(client: ClientChoice, origin: string, ca?: string): Address {
  return new Address(origin, {
    client,
    settings: ca === undefined ? {} : { tls: { ca } },
    replaceable: false,
    report() {},
  })
}

/** Wants nothing of an answer before it is told to: neither after the head nor after any piece of the body. */
class SlowReader {
  body = ''
  end: 'complete' | 'error' | undefined
  abort = () => {}
  readonly paused: Promise<void>
  readonly over: Promise<void>
  #resume = () => {}
  #nowPaused = () => {}
  #nowOver = () => {}

  constructor(address: Address) {
    this.paused = new Promise((resolve) => {
      this.#nowPaused = resolve
    })
    this.over = new Promise((resolve) => {
      this.#nowOver = resolve
    })
    const wait = () => {
      this.#nowPaused()
      return false
    }
    const finish = (end: 'complete' | 'error') => {
      this.end ??= end
      this.#nowPaused()
      this.#nowOver()
    }
    address.dispatch(
      { method: 'GET', path: '/', headers: ['Host', 'localhost'], body: null },
      {
        onConnect: (abort) => {
          this.abort = abort
        },
        onHeaders: (_status, _headers, resume) => {
          this.#resume = resume
          return wait()
        },
        onData: (chunk) => {
          this.body += chunk
          return chunk.length === 0 || wait()
        },
        onComplete: () => finish('complete'),
        onError: () => finish('error'),
      },
    )
  }

  /** Begins to read once the upstream is gone, a piece at a time. */
  async reads(): Promise<void> {
    await this.paused
    for (const until = performance.now() + 10_000; this.end === undefined && performance.now() < until; ) {
      await moment()
      this.#resume()
    }
  }
}
