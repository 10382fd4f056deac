import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Forward } from '../../src/decision.ts'
import type { RequestHead } from '../../src/protocol/head.ts'
import { siftTrailers } from '../../src/protocol/sift-response.ts'
import { forwardTo, openWire, pause, startCarrier, statusLines } from './carrier.ts'

const ok = 'Content-Length: 2\r\n\r\nok'
const chunked = '2\r\nok\r\n0\r\n\r\n'

/** What a client gets when the upstream says this, byte for byte; and how many connections it opened for two requests. */
async function passedOn(answer: string, request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n') {
  let opened = 0
  const server = createServer((socket) => {
    opened++
    socket.on('error', () => {}).on('data', () => socket.write(answer, 'latin1'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  await using carrier = await startCarrier((head) => forwardTo(url, head, { timeout: 1000 }))
  const first = await (await openWire(carrier.port, request)).closed
  const before = opened
  await (await openWire(carrier.port, request)).closed
  server.close()
  return { text: first, statuses: statusLines(first), reused: opened === before }
}

describe('PX6 an answer that two readers could read differently is 502, and its connection is never used again', () => {
  test.each([
    ['two lengths', `HTTP/1.1 200 OK\r\nContent-Length: 3\r\n${ok}`],
    ['the same length twice', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\n${ok}`],
    ['a list of lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok'],
    ['a length and chunks', `HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`],
    ['chunks and a length', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n${chunked}`],
    ['a signed length', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok'],
    ['a negative length', 'HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok'],
    ['a hexadecimal length', 'HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok'],
    ['an empty length', 'HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nok'],
    ['a length beyond counting', 'HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nok'],
    ['another transfer coding', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nok'],
    ['two transfer codings', `HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${chunked}`],
    [
      'chunks that are not the last coding',
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n${chunked}`,
    ],
    ['a coding that looks like chunks', `HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n${chunked}`],
    ['chunks twice', `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n${chunked}`],
    ['a folded header', `HTTP/1.1 200 OK\r\nX: a\r\n b\r\n${ok}`],
    ['a folded first header', `HTTP/1.1 200 OK\r\n X: a\r\n${ok}`],
    ['a bare CR in a value', `HTTP/1.1 200 OK\r\nX: a\rb\r\n${ok}`],
    ['a bare CR as line end', `HTTP/1.1 200 OK\rX: a\r\n${ok}`],
    ['bare LFs', 'HTTP/1.1 200 OK\nX: a\nContent-Length: 2\n\nok'],
    ['NUL', `HTTP/1.1 200 OK\r\nX: a\0b\r\n${ok}`],
    ['a blank before the colon', `HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok`],
    ['a header without a colon', `HTTP/1.1 200 OK\r\nfoo\r\n${ok}`],
    ['a header without a name', `HTTP/1.1 200 OK\r\n: foo\r\n${ok}`],
    ['HTTP/0.9', 'ok'],
    ['another version', `HTTP/1.2 200 OK\r\n${ok}`],
    ['a status of two digits', `HTTP/1.1 99 OK\r\n${ok}`],
    ['a status of four digits', `HTTP/1.1 1000 OK\r\n${ok}`],
  ])('PX6 %s', async (_, answer) => {
    const { statuses, text, reused } = await passedOn(answer)
    expect([statuses, reused]).toEqual([['HTTP/1.1 502'], false])
    expect(text).not.toContain('ok\r\n')
  })

  test.each([
    ['a size that is none', 'xyz\r\nok\r\n0\r\n\r\n'],
    ['bare LFs', '2\nok\n0\n\n'],
    ['a size beyond counting', '10000000000000002\r\nok\r\n0\r\n\r\n'],
    ['a length among the trailers', '2\r\nok\r\n0\r\nContent-Length: 5\r\n\r\n'],
  ])('PX6 broken chunks (%s) never look whole', async (_, body) => {
    const { text } = await passedOn(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${body}`)
    expect(text).not.toMatch(/\r\n0\r\n/)
  })
})

describe('what belongs to one hop', () => {
  test('PX2 headers that the upstream nominates in Connection stay behind', async () => {
    const { text } = await passedOn(`HTTP/1.1 200 OK\r\nConnection: X-Hop, close\r\nX-Hop: 1\r\nX-End: 2\r\n${ok}`)
    expect(text).toContain('X-End: 2')
    expect(text).not.toMatch(/x-hop/i)
  })

  test('204 and 304 have no body, and a 204 no length either', async () => {
    const none = await passedOn('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n')
    expect(none.text).toMatch(/^HTTP\/1\.1 204 [\s\S]*\r\n\r\n$/)
    expect(none.text).not.toMatch(/content-length/i)
    const same = await passedOn('HTTP/1.1 304 Not Modified\r\nContent-Length: 2\r\nETag: "x"\r\n\r\n')
    expect(same.text).toMatch(/ETag: "x"\r\n[\s\S]*\r\n\r\n$/)
  })

  test('trailers arrive behind a body in chunks; what a client could take for a header of the answer does not', async () => {
    const trailers = 'X-Checksum: abc\r\nSet-Cookie: a=b\r\nServer-Timing: db;dur=5\r\nLocation: /evil\r\n'
    const answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Checksum\r\n\r\n2\r\nok\r\n0\r\n${trailers}\r\n`
    const { text, reused } = await passedOn(answer)
    expect(text).toMatch(/\r\n2\r\nok\r\n0\r\nX-Checksum: abc\r\nServer-Timing: db;dur=5\r\n\r\n$/)
    expect(text).not.toMatch(/set-cookie|location|trailer:/i)
    expect(reused).toBe(true)
    // HTTP/1.0 knows no chunks.
    const old = await passedOn(answer, 'GET / HTTP/1.0\r\nHost: a\r\n\r\n')
    expect(old.text).toMatch(/\r\n\r\nok$/)
  })

  test('PX3 no trailer is a cookie, a framing, an identity, a policy of the browser, or a rule of the gateway', () => {
    const dropped = [
      ...['Set-Cookie', 'Content-Length', 'Transfer-Encoding', 'Trailer', 'Host', 'Cookie', 'Authorization', 'TE'],
      ...['Content-Type', 'Content-Encoding', 'Content-Security-Policy', 'Cache-Control', 'Location', 'Vary', 'Age'],
      ...['Access-Control-Allow-Origin', 'Clear-Site-Data', 'Sec-Session-Registration', 'X-Coatcheck-User', 'Refresh'],
      ...['X-Forwarded-For', 'Connection', 'Keep-Alive', 'WWW-Authenticate', 'X-Frame-Options', 'ETag', 'bad name'],
    ]
    expect(siftTrailers(dropped.flatMap((name) => [name, 'x']))).toEqual([])
    expect(siftTrailers(['grpc-status', '0', 'Content-Digest', 'x', 'Bad', 'a\nb'])).toEqual([
      ['grpc-status', '0'],
      ['Content-Digest', 'x'],
    ])
  })
})

describe('a refusal that is held until the guard has said what becomes of it', () => {
  /** What the client receives, and what would have ended the process. */
  async function heldBack(answer: string, change: (head: RequestHead, url: string) => Forward) {
    const faults: unknown[] = []
    const note = (fault: unknown) => void faults.push(fault)
    process.on('uncaughtExceptionMonitor', note)
    const server = createServer((socket) => {
      socket
        .on('error', () => {})
        .on('data', () => {
          socket.write(answer, 'latin1')
          setTimeout(() => socket.destroy(), 50)
        })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await using carrier = await startCarrier((head) => change(head, url))
    const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
    const received = await (await openWire(carrier.port, request)).closed
    server.close()
    // What is written behind the end of an answer is found out a moment later.
    await pause(20)
    process.removeListener('uncaughtExceptionMonitor', note)
    return { received, faults }
  }

  test('PX10 it breaks off while the guard reads of it: 502, and not a byte of it behind that', async () => {
    const { received, faults } = await heldBack(
      'HTTP/1.1 403 Forbidden\r\nContent-Length: 20\r\n\r\nhalf',
      (head, url) => forwardTo(url, head, { refused: (_, { look }) => look(1024).then(() => undefined) }),
    )
    expect(statusLines(received)).toEqual(['HTTP/1.1 502'])
    expect([received.includes('half'), faults]).toEqual([false, []])
  })

  test('LO1 it is an event stream, and its session has too many: refused, and not a byte of it behind that', async () => {
    const stream = 'HTTP/1.1 401 Unauthorized\r\nContent-Type: text/event-stream\r\n\r\ndata: half\n\n'
    const { received, faults } = await heldBack(stream, (head, url) =>
      forwardTo(url, head, { unauthorized: () => pause(20).then(() => undefined), live: () => undefined }),
    )
    expect(received).toContain('too_many_streams')
    expect([received.includes('half'), faults]).toEqual([false, []])
  })
})
