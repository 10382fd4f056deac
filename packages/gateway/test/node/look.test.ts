import { request as httpRequest, type IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import fc from 'fast-check'
import selfsigned from 'selfsigned'
import { describe, expect, test } from 'vitest'
import type { Decision, Look, Outcome } from '../../src/decision.ts'
import type { RequestHead } from '../../src/protocol/head.ts'
import { eventually, forwardTo, openWire, pause, startCarrier, startUpstream, statusLines, text } from './carrier.ts'

/* A decision that needs the beginning of the body: what was looked at is still the body's, byte for byte. */

const bytes = 1024

/** Looks, then does what `then` says. */
const looking =
  (then: (head: RequestHead, seen: Parameters<Look['decide']>[0]) => Outcome, limit = bytes) =>
  (head: RequestHead): Decision => ({ kind: 'look', bytes: limit, decide: async (seen) => then(head, seen) })

/** An upstream that gives back what it got. */
const mirror = () =>
  startUpstream(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    response.setHeader('x-framing', request.headers['content-length'] ?? String(request.headers['transfer-encoding']))
    response.end(Buffer.concat(chunks))
  })

interface Sending {
  readonly port: number
  readonly pieces: readonly Uint8Array[]
  readonly headers?: Record<string, string>
  /** Milliseconds between pieces; 0: the next turn. */
  readonly gap?: number
}

/** Sends a body in these pieces. */
function send({ port, pieces, headers = {}, gap = 0 }: Sending): Promise<{ answer: IncomingMessage; body: Buffer }> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ port, host: '127.0.0.1', method: 'POST', headers }, async (answer) => {
      const chunks: Buffer[] = []
      for await (const chunk of answer) chunks.push(chunk as Buffer)
      resolve({ answer, body: Buffer.concat(chunks) })
    })
    outgoing.on('error', reject)
    const write = async () => {
      for (const piece of pieces) {
        if (piece.length > 0) outgoing.write(piece)
        await (gap > 0 ? pause(gap) : new Promise((done) => setImmediate(done)))
      }
      outgoing.end()
    }
    if (headers.expect === undefined) void write()
    else outgoing.once('continue', () => void write())
  })
}

describe('CS4 every byte arrives', () => {
  test('CS4 whatever the body, its pieces, its framing and the limit; the guard sees its beginning, and whether it is all', async () => {
    await using upstream = await mirror()
    let limit = bytes
    let seen: { text: string; whole: boolean } | undefined
    await using carrier = await startCarrier((head) =>
      looking((asked, beginning) => {
        seen = beginning
        return forwardTo(upstream.url, asked)
      }, limit)(head),
    )
    const sizes = fc.array(fc.constantFrom(0, 1, bytes - 1, bytes, bytes + 1, 3 * bytes, 70_000), { maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(sizes, fc.constantFrom(1, bytes, 65_536), fc.boolean(), async (lengths, chosen, chunked) => {
        limit = chosen
        let at = 0
        // Bytes that tell their place: one lost, doubled or moved shows. 251 is prime.
        const sent = lengths.map((length) => Uint8Array.from({ length }, () => at++ % 251))
        const whole = Buffer.concat(sent)
        const framing = chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': String(whole.length) }
        const { answer, body } = await send({ port: carrier.port, pieces: sent, headers: framing })
        expect(answer.statusCode).toBe(200)
        expect(body.equals(whole)).toBe(true)
        // undici announces the length of a body that is all there.
        const framings = [String(whole.length), ...(chunked ? ['chunked'] : [])]
        expect(framings).toContain(answer.headers['x-framing'])
        expect(seen).toEqual({ text: whole.toString('latin1', 0, chosen), whole: whole.length <= chosen })
      }),
      { numRuns: 60 },
    )
  })

  test('CS4 several megabytes go by in the rhythm of an upstream that reads slowly, and are never all here', async () => {
    let received = 0
    let resume: (() => void) | undefined
    await using upstream = await startUpstream((request, response) => {
      request.on('data', (chunk: Buffer) => {
        received += chunk.length
      })
      request.pause()
      resume = () => void request.resume()
      request.on('end', () => response.end(String(received)))
    })
    await using carrier = await startCarrier(looking((head) => forwardTo(upstream.url, head)))
    const total = 24 * 1024 * 1024
    let written = 0
    const piece = Buffer.alloc(64 * 1024, 'x')
    const outgoing = httpRequest({
      ...{ port: carrier.port, host: '127.0.0.1', method: 'POST' },
      headers: { 'content-length': String(total) },
    })
    const answered = new Promise<string>((resolve, reject) => {
      outgoing.on('error', reject)
      outgoing.on('response', async (answer) => {
        let said = ''
        for await (const chunk of answer) said += chunk
        resolve(said)
      })
    })
    const pump = () => {
      while (written < total) {
        written += piece.length
        if (!outgoing.write(piece)) {
          outgoing.once('drain', pump)
          return
        }
      }
      outgoing.end()
    }
    pump()
    await eventually(() => resume !== undefined)
    let before = -1
    while (written !== before) {
      before = written
      await pause(150)
    }
    expect(written).toBeLessThan(total)
    resume?.()
    expect(await answered).toBe(String(total))
  })

  test('CS4 Expect: 100-continue: invited once, and not at all by an answer that needs no look', async () => {
    await using upstream = await mirror()
    await using carrier = await startCarrier((head) =>
      head.target === '/no' ? text(403, 'no') : looking((asked) => forwardTo(upstream.url, asked))(head),
    )
    const wire = await openWire(
      carrier.port,
      'POST /yes HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\nConnection: close\r\n\r\n',
    )
    await wire.until(/100 Continue/)
    wire.socket.write('hello')
    const said = await wire.closed
    expect(statusLines(said)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
    expect(said).toMatch(/hello$/)
    const refused = await openWire(
      carrier.port,
      'POST /no HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n',
    )
    expect(statusLines(await refused.closed)).toEqual(['HTTP/1.1 403'])
  })

  test('CS4 over HTTP/2, with a length and without', async () => {
    const { cert, private: key } = await selfsigned.generate([{ name: 'commonName', value: 'a' }], { keyType: 'ec' })
    await using upstream = await mirror()
    await using carrier = await startCarrier(
      looking((head) => forwardTo(upstream.url, head)),
      { tls: { cert, key } },
    )
    const session = connect(carrier.url, { rejectUnauthorized: false })
    try {
      for (const size of [0, 1, bytes, bytes + 1, 300_000]) {
        for (const length of [{}, { 'content-length': String(size) }]) {
          const sent = Buffer.alloc(size, 'x')
          const stream = session.request({ ':method': 'POST', ':path': '/', ...length })
          stream.end(sent)
          const chunks: Buffer[] = []
          for await (const chunk of stream) chunks.push(chunk as Buffer)
          expect([size, Buffer.concat(chunks).equals(sent)]).toEqual([size, true])
        }
      }
    } finally {
      session.destroy()
    }
  })
})

describe('CS4 what does not go on', () => {
  test('CS4 a refused body is read and forgotten where it is small, and its connection serves on; else it is cut', async () => {
    await using carrier = await startCarrier((head) =>
      head.method === 'GET' ? text(200, 'next') : looking(() => text(403, 'no'), 10)(head),
    )
    const small = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n${'x'.repeat(20)}`,
    )
    await small.until(/403/)
    small.socket.write('x'.repeat(2980))
    small.socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(statusLines(await small.closed)).toEqual(['HTTP/1.1 403', 'HTTP/1.1 200'])
    const large = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n${'x'.repeat(99)}`,
    )
    await large.until(/403[\s\S]*no$/)
    large.socket.write(`${'x'.repeat(100_000)}GET / HTTP/1.1\r\nHost: a\r\n\r\n`)
    expect(statusLines(await large.closed)).toEqual(['HTTP/1.1 403'])
  })

  test('CS4 maxBody counts what was looked at: declared or not, before an upstream hears of it', async () => {
    let heard = 0
    await using upstream = await startUpstream((request, response) => {
      heard++
      request.resume().on('end', () => response.end('ok'))
    })
    await using carrier = await startCarrier(looking((head) => forwardTo(upstream.url, head, { maxBody: 100 })))
    const sending = (size: number, headers?: Record<string, string>) =>
      send({ port: carrier.port, pieces: [Buffer.alloc(size)], ...(headers && { headers }) })
    expect((await sending(100)).answer.statusCode).toBe(200)
    expect((await sending(101)).answer.statusCode).toBe(413)
    expect((await sending(101, { 'content-length': '101' })).answer.statusCode).toBe(413)
    expect(heard).toBe(1)
  })

  test('CS4 a client that leaves in the middle of the look, or before what it led to, leaves nothing behind', async () => {
    await using upstream = await mirror()
    let decide: () => void = () => {}
    await using carrier = await startCarrier((head) => ({
      kind: 'look',
      bytes,
      decide: async () => {
        await new Promise<void>((resolve) => {
          decide = resolve
        })
        return forwardTo(upstream.url, head)
      },
    }))
    const early = await openWire(carrier.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc')
    await eventually(() => carrier.server.inFlight() === 1)
    early.socket.destroy()
    await eventually(() => carrier.server.inFlight() === 0)
    const late = await openWire(carrier.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc')
    await eventually(() => carrier.decided.length === 2)
    await pause(50)
    late.socket.destroy()
    await eventually(() => carrier.server.inFlight() === 0)
    decide()
    await pause(50)
    expect(carrier.logged).toEqual([])
  })

  test('CS4 an upstream that cannot be had: 502, and the connection serves on', async () => {
    await using carrier = await startCarrier((head) =>
      head.method === 'GET' ? text(200, 'next') : looking((asked) => forwardTo('http://127.0.0.1:1', asked))(head),
    )
    const post = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3000\r\n\r\n${'x'.repeat(3000)}`
    const wire = await openWire(carrier.port, `${post}GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 502', 'HTTP/1.1 200'])
  })

  test('CS4 a fault in the second decision is a 500 like any other', async () => {
    await using carrier = await startCarrier(() => ({
      kind: 'look',
      bytes,
      decide: () => Promise.reject(new Error('broken')),
    }))
    expect((await send({ port: carrier.port, pieces: [Buffer.from('a')] })).answer.statusCode).toBe(500)
    expect(carrier.logged).toHaveLength(1)
  })
})
