import { once } from 'node:events'
import { request } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, test } from 'vitest'
import {
  eventually,
  forwardTo,
  gate,
  openWire,
  pause,
  startCarrier,
  startUpstream,
  statusLines,
  text,
} from './carrier.ts'

const host = 'Host: a\r\n'

describe('framing', () => {
  test.each([
    ['Content-Length first', 'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n'],
    ['Transfer-Encoding first', 'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n'],
    ['two Content-Lengths', 'Content-Length: 0\r\nContent-Length: 5\r\n'],
    ['a hidden Transfer-Encoding', 'Content-Length: 5\r\nTransfer-Encoding : chunked\r\n'],
    ['an unknown coding', 'Transfer-Encoding: chunked, gzip\r\n'],
    ['a folded header', 'Content-Length: 0\r\nX: a\r\n Transfer-Encoding: chunked\r\n'],
    ['a bare LF', 'X: a\nTransfer-Encoding: chunked\r\n'],
  ])('PX6 %s: one refusal, and what follows is never read as a request', async (_, headers) => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const smuggled = `GET /smuggled HTTP/1.1\r\n${host}\r\n`
    const wire = await openWire(carrier.port, `POST / HTTP/1.1\r\n${host}${headers}\r\n0\r\n\r\n${smuggled}`)
    const received = await wire.closed
    expect(statusLines(received)).toEqual(['HTTP/1.1 400'])
    expect(received).toMatch(/connection: close/i)
    expect(received).toContain('"code":"bad_request"')
    expect(carrier.decided).toEqual([])
  })

  test('PX6 a refusal by the guard ends the connection, whatever the bytes after it look like', async () => {
    await using carrier = await startCarrier(() => text(400, 'no'))
    const wire = await openWire(
      carrier.port,
      `POST /first HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\nabcGET /smuggled HTTP/1.1\r\n${host}\r\n`,
    )
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
    expect(carrier.decided).toEqual(['POST /first'])
  })

  test('PX6 a refused chunked body ends the connection', async () => {
    await using carrier = await startCarrier(() => text(403, 'no'))
    const wire = await openWire(
      carrier.port,
      `POST /first HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /next HTTP/1.1\r\n${host}\r\n`,
    )
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 403'])
    expect(carrier.decided).toEqual(['POST /first'])
  })

  test('a refused small body is drained, and the connection serves the next request', async () => {
    await using carrier = await startCarrier(() => text(403, 'no'))
    const wire = await openWire(carrier.port, `POST /first HTTP/1.1\r\n${host}Content-Length: 3\r\n\r\n`)
    await wire.until(/no$/)
    wire.socket.write(`abcGET /next HTTP/1.1\r\n${host}\r\n`)
    await wire.until(/no.*no$/s)
    expect(carrier.decided).toEqual(['POST /first', 'GET /next'])
    wire.socket.destroy()
  })

  test('a client that still sends can read the refusal of its large upload', async () => {
    await using carrier = await startCarrier(() => text(403, 'refused'))
    const answer = await new Promise<number | undefined>((resolve, reject) => {
      const upload = request(`${carrier.url}/`, { method: 'POST' }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      upload.on('error', reject)
      for (let i = 0; i < 32; i++) upload.write(Buffer.alloc(64 * 1024))
    })
    expect(answer).toBe(403)
  })

  test('pipelined requests are answered in order', async () => {
    await using carrier = await startCarrier(async ({ target }) => {
      await pause(target === '/1' ? 50 : 0)
      return text(200, `[${target}]`)
    })
    const wire = await openWire(
      carrier.port,
      ['/1', '/2', '/3'].map((t) => `GET ${t} HTTP/1.1\r\n${host}\r\n`).join(''),
    )
    const received = await wire.until(/\[\/3\]/)
    expect(received.match(/\[.*?\]/g)).toEqual(['[/1]', '[/2]', '[/3]'])
    wire.socket.destroy()
  })

  test('a client that heaps requests up behind a slow answer: some are answered, more are never decided, a flood is cut', async () => {
    let slow = gate()
    await using carrier = await startCarrier(async () => {
      await slow.opened
      return text(200, 'ok')
    })
    const requests = (count: number) => `GET / HTTP/1.1\r\n${host}\r\n`.repeat(count)
    const wire = await openWire(carrier.port, requests(300))
    await eventually(() => carrier.decided.length > 0)
    await pause(50)
    slow.open()
    const received = await wire.closed
    expect([carrier.decided.length, statusLines(received).length]).toEqual([101, 101])
    expect(received.match(/connection: close/gi)).toHaveLength(1)

    slow = gate()
    const flood = await openWire(carrier.port, requests(2000))
    expect([await flood.closed, carrier.decided.length]).toEqual(['', 202])
    const expecting = await openWire(
      carrier.port,
      `${requests(1)}${`GET / HTTP/1.1\r\n${host}Expect: x\r\n\r\n`.repeat(2000)}`,
    )
    expect([await expecting.closed, carrier.decided.length]).toEqual(['', 203])
    slow.open()
  })

  test('and a client that keeps within it may do so again and again', async () => {
    await using carrier = await startCarrier(({ target }) => pause(1).then(() => text(200, `[${target}]`)))
    const wire = await openWire(carrier.port)
    for (let round = 0; round < 5; round++) {
      wire.socket.write(`${`GET /1 HTTP/1.1\r\n${host}\r\n`.repeat(49)}GET /round${round} HTTP/1.1\r\n${host}\r\n`)
      await wire.until(new RegExp(`\\[/round${round}\\]`))
    }
    expect(statusLines(wire.received)).toHaveLength(250)
    wire.socket.destroy()
  })

  test('as many as it likes, as long as the answers keep up', async () => {
    await using carrier = await startCarrier(({ target }) => text(200, `[${target}]`))
    const wire = await openWire(carrier.port, `GET /1 HTTP/1.1\r\n${host}\r\n`.repeat(1000))
    wire.socket.write(`GET /2 HTTP/1.1\r\n${host}\r\n`)
    expect(statusLines(await wire.until(/\[\/2\]/))).toHaveLength(1001)
    wire.socket.destroy()
  })

  test('garbage behind a request in flight is not answered in its place', async () => {
    await using carrier = await startCarrier(() => pause(100).then(() => text(200, 'late')))
    const wire = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}\r\n\0\0\0\r\n\r\n`)
    expect(await wire.closed).not.toContain('400')
  })

  test('PX6 a body that breaks its framing on the way ends the connection, and the upstream request', async () => {
    let heard = false
    let aborted = false
    await using upstream = await startUpstream((req) => {
      heard = true
      req.resume().on('close', () => {
        aborted = !req.complete
      })
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\n${host}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    )
    await eventually(() => heard)
    wire.socket.write(`zz\r\nGET /smuggled HTTP/1.1\r\n${host}\r\n`)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
    await eventually(() => aborted)
    expect(carrier.decided).toEqual(['POST /'])
  })

  test('PX6 a late refusal ends its connection even if the next request was read before', async () => {
    await using carrier = await startCarrier(({ target }) =>
      target === '/bad' ? pause(50).then(() => text(400, 'no')) : text(200, 'ok'),
    )
    const wire = await openWire(carrier.port, `GET /bad HTTP/1.1\r\n${host}\r\nGET /next HTTP/1.1\r\n${host}\r\n`)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
  })

  test('PX6 a WebSocket handshake behind the last answer of a connection is no request either, and ends nothing else', async () => {
    await using carrier = await startCarrier(() => text(400, 'no'))
    const next = `GET /next HTTP/1.1\r\n${host}\r\n`
    const socket = connect({ port: carrier.port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
    socket.resume().write(next)
    await once(socket, 'end')
    const handshake =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n'
    socket.write(`${next}GET /live HTTP/1.1\r\n${host}${handshake}\r\n`)
    // Written to a socket that is gone, a byte is answered by a reset.
    while (!socket.destroyed) {
      socket.write('x')
      await pause(20)
    }
    expect(carrier.decided).toEqual(['GET /next'])
    const wire = await openWire(carrier.port, next)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
  })

  test('PX6 a WebSocket handshake right behind a request that is answered at once ends its connection, and nothing else', async () => {
    await using carrier = await startCarrier(() => text(200, 'fine'))
    const next = `GET /next HTTP/1.1\r\n${host}\r\n`
    const handshake =
      'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAA\r\n'
    const first = await openWire(carrier.port, `${next}GET /live HTTP/1.1\r\n${host}${handshake}\r\n`)
    expect(statusLines(await first.closed)).toEqual(['HTTP/1.1 200'])
    const wire = await openWire(carrier.port, next)
    await wire.until(/fine/)
    expect(carrier.decided).toEqual(['GET /next', 'GET /next'])
    wire.socket.destroy()
  })

  test('PX6 CONNECT behind a request in flight is not answered in its place', async () => {
    await using carrier = await startCarrier(() => pause(100).then(() => text(200, 'late')))
    const wire = await openWire(
      carrier.port,
      `GET / HTTP/1.1\r\n${host}\r\nCONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n`,
    )
    expect(await wire.closed).not.toContain('400')
  })

  test('PX6 CONNECT is refused before anything is decided', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const wire = await openWire(
      carrier.port,
      `CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\nGET / HTTP/1.1\r\n${host}\r\n`,
    )
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
    expect(carrier.decided).toEqual([])
  })

  test('PX6 TRACE is decided like any other method, and never echoed', async () => {
    await using carrier = await startCarrier(({ method }) => text(method === 'TRACE' ? 405 : 200, 'no'))
    const wire = await openWire(carrier.port, `TRACE / HTTP/1.1\r\n${host}X-Secret: s\r\nConnection: close\r\n\r\n`)
    const received = await wire.closed
    expect(statusLines(received)).toEqual(['HTTP/1.1 405'])
    expect(received).not.toContain('X-Secret')
  })

  test('an Upgrade is ignored, h2c and WebSocket alike', async () => {
    await using carrier = await startCarrier(() => text(200, 'plain'))
    for (const upgrade of ['h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__', 'websocket']) {
      const wire = await openWire(
        carrier.port,
        `GET / HTTP/1.1\r\n${host}Connection: Upgrade\r\nUpgrade: ${upgrade}\r\n\r\n`,
      )
      expect(statusLines(await wire.until(/plain/))).toEqual(['HTTP/1.1 200'])
      wire.socket.destroy()
    }
    const preface = await openWire(carrier.port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    expect(statusLines(await preface.closed)).toEqual(['HTTP/1.1 400'])
  })

  test('a request without Host is refused', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\n\r\n')
    expect(await wire.closed).toMatch(/^HTTP\/1\.1 400 .*"code":"bad_request"/s)
    expect(carrier.decided).toEqual([])
  })

  test('too many headers, or too large ones, are 431 and not silently dropped', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const many = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}${'a: b\r\n'.repeat(100)}\r\n`)
    expect(await many.closed).toMatch(/^HTTP\/1\.1 431 .*"code":"headers_too_large"/s)
    const large = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}Cookie: ${'x'.repeat(17_000)}\r\n\r\n`)
    expect(await large.closed).toMatch(/^HTTP\/1\.1 431 .*"code":"headers_too_large"/s)
    expect(carrier.decided).toEqual([])
  })

  test('the head is handed over as it came', async () => {
    const heads: unknown[] = []
    await using carrier = await startCarrier((head) => {
      heads.push(head)
      return text(200, 'ok')
    })
    const wire = await openWire(carrier.port, 'GET /a/%2e%2E//b;c?d#e HTTP/1.1\r\nhOsT: a\r\nX: 1\r\nX: 2\r\n\r\n')
    await wire.until(/ok$/)
    wire.socket.destroy()
    expect(heads).toEqual([
      {
        method: 'GET',
        target: '/a/%2e%2E//b;c?d#e',
        rawHeaders: ['hOsT', 'a', 'X', '1', 'X', '2'],
        strictlyParsed: true,
        peer: '127.0.0.1',
      },
    ])
  })

  test('PX6 the parser refuses every character that a header value may not have: the guard need not look again', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const bytes = Array.from({ length: 256 }, (_, byte) => byte)
    const allowed = bytes.filter((byte) => byte === 0x09 || (byte >= 0x20 && byte <= 0x7e) || byte >= 0x80)
    for (const byte of bytes.filter((one) => !allowed.includes(one))) {
      const wire = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}X: a${String.fromCharCode(byte)}b\r\n\r\n`)
      expect(statusLines(await wire.closed), `byte ${byte}`).toEqual(['HTTP/1.1 400'])
    }
    expect(carrier.decided).toEqual([])
  })
})

describe('Expect', () => {
  test('a refused upload is not invited', async () => {
    await using carrier = await startCarrier(() => text(401, 'no'))
    const wire = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n`,
    )
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 401'])
  })

  test('an upload that is forwarded is invited once, and the upstream hears nothing of it', async () => {
    await using upstream = await startUpstream((req, res) => {
      req.on('data', (chunk) => res.write(chunk)).on('end', () => res.end(`|${req.headers.expect}`))
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n`,
    )
    await wire.until(/100 Continue/)
    wire.socket.write('abc')
    expect(statusLines(await wire.until(/undefined/))).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
    wire.socket.destroy()
  })

  test('an upload that is too long for its route is refused without being invited', async () => {
    await using carrier = await startCarrier((head) => forwardTo('http://127.0.0.1:1', head, { maxBody: 2 }))
    const wire = await openWire(
      carrier.port,
      `POST / HTTP/1.1\r\n${host}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n`,
    )
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 413'])
  })

  test('other expectations are 417', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'))
    const wire = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}Expect: magic\r\n\r\n`)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 417'])
  })
})

describe('slow clients', () => {
  const limits = { headersTimeout: 300, stalledAfter: 300 }

  test.each([
    ['nothing', ''],
    ['half a head', `GET / HTTP/1.1\r\n${host}`],
  ])('a client that sends %s is cut', async (_, sent) => {
    await using carrier = await startCarrier(() => text(200, 'ok'), { limits })
    const wire = await openWire(carrier.port, sent)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 408'])
  })

  test('a head that drips is cut', async () => {
    await using carrier = await startCarrier(() => text(200, 'ok'), { limits })
    const wire = await openWire(carrier.port, `GET / HTTP/1.1\r\n${host}`)
    const drip = setInterval(() => wire.socket.write('a: b\r\n'), 20)
    await wire.closed
    clearInterval(drip)
    expect(carrier.decided).toEqual([])
  })

  test('a body that drips is cut, with the upstream request behind it', async () => {
    let aborted = false
    await using upstream = await startUpstream((req) => {
      req.resume().on('close', () => {
        aborted = !req.complete
      })
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head), { limits })
    const wire = await openWire(carrier.port, `POST / HTTP/1.1\r\n${host}Content-Length: 10000\r\n\r\n`)
    const drip = setInterval(() => wire.socket.write('x'), 20)
    await wire.closed
    clearInterval(drip)
    await eventually(() => aborted)
  })

  test('an upload that moves is not cut, however long it takes', async () => {
    await using upstream = await startUpstream((req, res) => {
      req.resume().on('end', () => res.end('done'))
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { timeout: 1000 }), {
      limits: { headersTimeout: 1000, stalledAfter: 1000 },
    })
    const wire = await openWire(carrier.port, `POST / HTTP/1.1\r\n${host}Content-Length: 102400\r\n\r\n`)
    for (let i = 0; i < 20; i++) {
      wire.socket.write('x'.repeat(5120))
      await pause(100)
    }
    await wire.until(/done$/)
    wire.socket.destroy()
  })

  test('a client that reads nothing of its answer is cut', async () => {
    let closed = false
    await using upstream = await startUpstream((_, res) => {
      res.write(Buffer.alloc(64 * 1024 * 1024))
      res.on('close', () => {
        closed = true
      })
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head), { limits })
    const wire = await openWire(carrier.port)
    wire.socket.pause()
    wire.socket.write(`GET / HTTP/1.1\r\n${host}\r\n`)
    await eventually(() => closed)
    wire.socket.destroy()
  })
})
