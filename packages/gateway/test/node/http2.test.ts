import { execFile } from 'node:child_process'
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2'
import { type AddressInfo, connect as connectTcp, createServer } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import selfsigned from 'selfsigned'
import { describe, expect, test } from 'vitest'
import type { Decision } from '../../src/decision.ts'
import type { RequestHead } from '../../src/protocol/head.ts'
import {
  type CarrierOptions,
  eventually,
  forwardTo,
  gate,
  pause,
  startCarrier,
  startUpstream,
  text,
} from './carrier.ts'

const { cert, private: key } = await selfsigned.generate([{ name: 'commonName', value: '127.0.0.1' }], {
  keyType: 'ec',
})

type Decide = (head: RequestHead) => Decision | Promise<Decision>

async function start(decide: Decide, options: CarrierOptions = {}) {
  const heads: RequestHead[] = []
  const carrier = await startCarrier(
    (head) => {
      heads.push(head)
      return decide(head)
    },
    { ...options, tls: { cert, key } },
  )
  const sessions: ClientHttp2Session[] = []
  const open = () => {
    const session = connect(carrier.url, { rejectUnauthorized: false })
    session.on('error', () => {})
    sessions.push(session)
    return session
  }
  return {
    carrier,
    heads,
    open,
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      await carrier[Symbol.asyncDispose]()
    },
  }
}

interface Answer {
  readonly status: number | undefined
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly trailers: IncomingHttpHeaders
  /** The code with which the stream ended. */
  readonly code: number | undefined
}

/** One request and all of its answer, as far as there was one. */
async function ask(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
  body?: string | Buffer,
): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined && headers[':method'] !== 'POST' })
  if (body !== undefined) stream.end(body)
  return await answerOf(stream)
}

function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    let head: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    let body = ''
    stream.on('response', (headers) => {
      head = headers
    })
    stream.on('trailers', (fields) => {
      trailers = fields
    })
    stream.on('data', (chunk) => {
      body += String(chunk)
    })
    stream.on('error', () => {})
    stream.on('close', () =>
      resolve({ status: head[':status'] as never, headers: head, body, trailers, code: stream.rstCode }),
    )
  })
}

const valuesOf = ({ rawHeaders }: RequestHead, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1] === name)

describe('a request', () => {
  test('is decided as one of HTTP/1.1: Host, one Cookie line, no pseudo-headers; its peer is known', async () => {
    await using world = await start(() => text(200, 'fine'))
    const cookie = ['a=1', 'b=2', '__Host-session=x']
    const { status, body } = await ask(world.open(), {
      ':path': '/p?q=1',
      ':authority': 'app.example.com',
      cookie,
      'x-a': 'b',
    })
    expect([status, body]).toEqual([200, 'fine'])
    const [head] = world.heads
    expect(head).toEqual({
      method: 'GET',
      target: '/p?q=1',
      rawHeaders: ['host', 'app.example.com', 'x-a', 'b', 'cookie', 'a=1; b=2; __Host-session=x'],
      peer: '127.0.0.1',
    })
  })

  test('PX1 Host and :authority must say the same', async () => {
    await using world = await start(() => text(200, 'fine'))
    const session = world.open()
    const same = await ask(session, { ':authority': 'app.example.com', host: 'app.example.com' })
    expect([same.status, valuesOf(world.heads[0] as RequestHead, 'host')]).toEqual([200, ['app.example.com']])
    const other = await ask(session, { ':authority': 'app.example.com', host: 'evil.test' })
    expect([other.status, other.body]).toEqual([400, '{"code":"bad_request"}'])
    expect(world.heads).toHaveLength(1)
  })

  test('PX6 CONNECT and another scheme are refused', async () => {
    await using world = await start(() => text(200, 'fine'))
    const session = world.open()
    expect((await ask(session, { ':method': 'CONNECT', ':authority': 'evil.test:443' })).status).toBe(405)
    expect((await ask(session, { ':scheme': 'http' })).status).toBe(400)
    expect(world.heads).toEqual([])
  })

  test('PX6 too many headers are 431 or the end of the stream, too large ones as well', async () => {
    await using world = await start(() => text(200, 'fine'), { limits: { headerCount: 20, headerBytes: 4096 } })
    const many = Object.fromEntries(Array.from({ length: 40 }, (_, at) => [`x-${at}`, 'x']))
    expect((await ask(world.open(), many)).status).not.toBe(200)
    expect((await ask(world.open(), { 'x-long': 'x'.repeat(8000) })).status).not.toBe(200)
    expect(world.heads).toEqual([])
    expect((await ask(world.open(), { 'x-long': 'x'.repeat(2000) })).status).toBe(200)
  })

  test('PX10 uploads: with and without length, piece by piece, with a wait for an invitation', async () => {
    let arrived = ''
    await using upstream = await startUpstream(async (req, res) => {
      arrived = ''
      for await (const chunk of req) arrived += String(chunk)
      res.end(`${req.method} ${req.headers['content-length'] ?? req.headers['transfer-encoding']} ${arrived}`)
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const post = { ':method': 'POST', ':path': '/' }
    expect((await ask(session, { ...post, 'content-length': '5' }, 'hello')).body).toBe('POST 5 hello')
    expect((await ask(session, post, 'hello')).body).toBe('POST chunked hello')
    expect((await ask(session, post, '')).body).toMatch(/^POST (chunked|0) $/)
    const stream = session.request({ ...post, expect: '100-continue' }, { endStream: false })
    const answer = answerOf(stream)
    await once(stream, 'continue')
    for (const piece of ['one,', 'two,']) {
      const before = arrived
      stream.write(piece)
      await expect.poll(() => arrived).toBe(before === 'hello' ? piece : before + piece)
    }
    stream.end('three')
    expect((await answer).body).toBe('POST chunked one,two,three')
    expect((await ask(session, { ...post, expect: '200-ok' }, 'x')).status).toBe(417)
  })

  test('PX10 maxBody: refused before or on the way, and the stream is no more', async () => {
    let aborted = 0
    await using upstream = await startUpstream((req, res) => {
      req
        .resume()
        .on('end', () => res.end('all'))
        .on('close', () => !req.complete && aborted++)
    })
    await using world = await start((head) => forwardTo(upstream.url, head, { maxBody: 100_000 }))
    const session = world.open()
    const post = { ':method': 'POST', ':path': '/' }
    const declared = session.request({ ...post, 'content-length': '100001' }, { endStream: false })
    expect((await answerOf(declared)).status).toBe(413)
    const counted = session.request(post, { endStream: false })
    const answer = answerOf(counted)
    counted.write(Buffer.alloc(100_001))
    expect((await answer).status).toBe(413)
    await eventually(() => aborted === 1)
    expect((await ask(session, post, Buffer.alloc(100_000))).body).toBe('all')
  })
})

describe('an answer', () => {
  test('PX2 carries nothing about the connection, each cookie by itself, and the trailers', async () => {
    await using upstream = await startUpstream((_, res) => {
      res.writeHead(200, [
        'Set-Cookie',
        'a=1',
        'Set-Cookie',
        'b=2',
        'X-Content-Type-Options',
        'nosniff',
        'X-Content-Type-Options',
        'nosniff',
        'Connection',
        'close, X-Hop',
        'X-Hop',
        '1',
        'Keep-Alive',
        'timeout=5',
      ])
      res.addTrailers({ 'X-Checksum': 'abc' })
      res.end('body')
    })
    await using world = await start((head) => {
      const forward = forwardTo(upstream.url, head)
      return { ...forward, response: { ...forward.response, allowSetCookie: ['a', 'b'] } }
    })
    const { status, headers, body, trailers } = await ask(world.open())
    expect([status, body, trailers['x-checksum']]).toEqual([200, 'body', 'abc'])
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2'])
    expect(headers['x-content-type-options']).toBe('nosniff')
    for (const name of ['connection', 'keep-alive', 'transfer-encoding', 'x-hop']) expect(headers[name]).toBeUndefined()
  })

  test('whatever an upstream repeats or calls a status, it gets an answer through or a 502, and nothing ends the process', async () => {
    const repeated = [
      'Content-Language',
      'de',
      'Content-Language',
      'en',
      'ETag',
      '"a"',
      'ETag',
      '"b"',
      'X',
      '1',
      'X',
      '2',
    ]
    await using upstream = await startUpstream((req, res) => {
      if (req.url === '/700') res.writeHead(700, ['X-Left', 'over', 'Content-Length', '2']).end('no')
      else res.writeHead(200, repeated).end('body')
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const { status, headers, body } = await ask(session)
    expect([status, body]).toEqual([200, 'body'])
    expect([headers['content-language'], headers.etag, headers.x]).toEqual(['de, en', '"a"', '1, 2'])
    // HTTP/2 has no such status.
    const odd = await ask(session, { ':path': '/700' })
    expect([odd.status, odd.body, odd.headers['x-left']]).toEqual([502, '{"code":"upstream_unavailable"}', undefined])
  })

  test('HEAD, 204 and 304 have no body', async () => {
    await using upstream = await startUpstream((req, res) => {
      res
        .writeHead(Number(req.url?.slice(1)), {
          ...(req.method === 'HEAD' && { 'Content-Length': '1234' }),
          ETag: '"x"',
        })
        .end()
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const head = await ask(session, { ':method': 'HEAD', ':path': '/200' })
    expect([head.status, head.headers['content-length'], head.body, head.code]).toEqual([200, '1234', '', 0])
    for (const status of [204, 304]) {
      const answer = await ask(session, { ':path': `/${status}` })
      expect([answer.status, answer.headers.etag, answer.body, answer.code]).toEqual([status, '"x"', '', 0])
    }
  })

  test('PX10 many streams at once, each its own; what one waits for holds up no other', async () => {
    await using upstream = await startUpstream((req, res) => {
      setTimeout(() => res.end(req.url), req.url === '/0' ? 500 : 0)
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const order: string[] = []
    await Promise.all(
      Array.from({ length: 50 }, async (_, at) => {
        order.push((await ask(session, { ':path': `/${at}` })).body)
      }),
    )
    expect(order[0]).not.toBe('/0')
    expect(new Set(order).size).toBe(50)
  })

  test('PX10 the first event arrives at once, and a download waits for its reader', async () => {
    let written = 0
    await using upstream = await startUpstream((req, res) => {
      if (req.url === '/events') {
        res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
        return
      }
      const piece = Buffer.alloc(256 * 1024)
      const push = () => {
        for (let more = true; more && !res.destroyed && written < 64 * 1024 * 1024; written += piece.length)
          more = res.write(piece)
      }
      res.on('drain', push)
      push()
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const events = session.request({ ':path': '/events' })
    expect(String((await once(events, 'data'))[0])).toBe('data: 1\n\n')
    const download = session.request({ ':path': '/big' })
    download.pause()
    await expect.poll(() => written).toBeGreaterThan(0)
    await pause(500)
    const held = written
    expect(held).toBeLessThan(32 * 1024 * 1024)
    download.resume()
    await expect.poll(() => written).toBeGreaterThan(held)
    // The events go on beside it.
    expect(events.closed).toBe(false)
  })

  test('PX10 an upload that nobody reads waits in the client', async () => {
    await using upstream = await startUpstream((req) => void req.pause())
    await using world = await start((head) => forwardTo(upstream.url, head))
    const stream = world.open().request({ ':method': 'POST' }, { endStream: false })
    stream.on('error', () => {})
    let taken = 0
    for (let stuck = false; !stuck && taken < 64 * 1024 * 1024; taken += 1024 * 1024) {
      stuck = await Promise.race([
        new Promise<boolean>((resolve) => stream.write(Buffer.alloc(1024 * 1024), () => resolve(false))),
        pause(500).then(() => true),
      ])
    }
    expect(taken).toBeLessThan(32 * 1024 * 1024)
  })
})

test('a head as large as upstreams may send passes, and costs no other stream', async () => {
  const lines = Array.from({ length: 195 }, (_, i) => [`X-H${i}`, '~'.repeat(322)]).flat()
  await using upstream = await startUpstream((_, res) => res.writeHead(200, lines).end('fine'))
  await using world = await start((head) => forwardTo(upstream.url, head))
  // A client that takes such heads.
  const session = connect(world.carrier.url, {
    rejectUnauthorized: false,
    maxHeaderListPairs: 1000,
    settings: { maxHeaderListSize: 1_000_000 },
  })
  const { status, headers, body } = await ask(session)
  expect([status, headers['x-h194'], body]).toEqual([200, '~'.repeat(322), 'fine'])
  expect((await ask(session)).status).toBe(200)
  session.destroy()
})

describe('early hints', () => {
  const answer =
    'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload; as=style\r\nSet-Cookie: evil=1\r\nlink: </b.js>; rel=preload\r\n\r\n' +
    'HTTP/1.1 103 Early Hints\r\nSet-Cookie: evil=2\r\nContent-Security-Policy: default-src *\r\n\r\n' +
    'HTTP/1.1 102 Processing\r\nLink: </c>\r\n\r\n' +
    'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine'

  async function hintsOf(navigation: boolean) {
    const server = createServer((socket) => void socket.on('error', () => {}).once('data', () => socket.end(answer)))
    await once(server.listen(0, '127.0.0.1'), 'listening')
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    await using world = await start((head) => forwardTo(url, head, { navigation }))
    const stream = world.open().request({})
    const hints: IncomingHttpHeaders[] = []
    stream.on('headers', (headers: IncomingHttpHeaders) => hints.push(headers))
    const { status, body } = await answerOf(stream)
    server.close()
    expect([status, body]).toEqual([200, 'fine'])
    return hints.map((hint) => Object.fromEntries(Object.entries(hint)))
  }

  test('PX10 a browser that opens a page gets their links ahead of the answer, and nothing else of them', async () => {
    const link = '</a.css>; rel=preload; as=style, </b.js>; rel=preload'
    expect(await hintsOf(true)).toEqual([{ ':status': 103, link }])
  })

  test('nobody else gets them', async () => {
    expect(await hintsOf(false)).toEqual([])
  })
})

describe('endings', () => {
  test('PX10 a client that resets a stream, or leaves, aborts the upstream request; an upload that stops is no whole one', async () => {
    const closed: [string, boolean][] = []
    let heard = 0
    await using upstream = await startUpstream((req, res) => {
      heard++
      res.on('close', () => closed.push([String(req.url), req.complete && req.method === 'POST']))
      if (req.url === '/receiving') res.write('begun')
      req.resume()
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const waiting = session.request({ ':path': '/waiting' })
    const receiving = session.request({ ':path': '/receiving' })
    const length = { 'content-length': '100' }
    const sending = session.request({ ':path': '/sending', ':method': 'POST', ...length }, { endStream: false })
    for (const stream of [waiting, receiving, sending]) stream.on('error', () => {})
    sending.write('half')
    await once(receiving, 'data')
    await eventually(() => heard === 3)
    waiting.close(constants.NGHTTP2_CANCEL)
    sending.close(constants.NGHTTP2_CANCEL)
    await eventually(() => closed.length === 2)
    // The connection goes on.
    expect(receiving.closed).toBe(false)
    session.destroy()
    await eventually(() => closed.length === 3)
    expect(closed.sort()).toEqual([
      ['/receiving', false],
      ['/sending', false],
      ['/waiting', false],
    ])
    expect(world.carrier.logged).toEqual([])
  })

  test.each([
    ['NO_ERROR', constants.NGHTTP2_NO_ERROR],
    ['CANCEL', constants.NGHTTP2_CANCEL],
  ])('a client that resets a stream by %s, of whose answer it read nothing, leaves nothing behind', async (_, code) => {
    let closed = 0
    await using upstream = await startUpstream((req, res) => {
      res.on('close', () => closed++)
      if (req.url === '/large') res.end(Buffer.alloc(16 * 1024 * 1024))
      else req.resume()
    })
    await using world = await start((head) =>
      head.target === '/own' ? text(200, 'x'.repeat(200_000)) : forwardTo(upstream.url, head),
    )
    const session = world.open()
    const reading = session.request({ ':path': '/large' })
    const sending = session.request({ ':path': '/sending', ':method': 'POST' }, { endStream: false })
    // All of its answer is there, and does not fit the window.
    const own = session.request({ ':path': '/own' })
    for (const stream of [reading, sending, own]) stream.on('error', () => {})
    sending.write('half')
    await Promise.all([once(reading, 'response'), once(own, 'response')])
    await eventually(() => world.heads.length === 3)
    // Its window is full: the rest waits in the gateway.
    await pause(100)
    for (const stream of [reading, sending, own]) stream.close(code)
    await eventually(() => closed === 2)
    session.close()
    const started = performance.now()
    await world.carrier.server.close({ graceMs: 60_000 })
    expect(performance.now() - started).toBeLessThan(10_000)
  })

  test.each([
    ['of known length', { 'Content-Length': '100' }],
    ['in chunks', {}],
  ])(
    'PX10 an upstream that dies in the middle of an answer %s never looks finished, and costs no other stream',
    async (_, headers) => {
      await using upstream = await startUpstream((req, res) => {
        if (req.url === '/fine') {
          res.end('fine')
          return
        }
        res.writeHead(200, headers).write('half')
        setTimeout(() => res.destroy(), 50)
      })
      await using world = await start((head) => forwardTo(upstream.url, head))
      const session = world.open()
      const { status, body, code } = await ask(session)
      expect([status, body]).toEqual([200, 'half'])
      expect(code).not.toBe(constants.NGHTTP2_NO_ERROR)
      expect((await ask(session, { ':path': '/fine' })).body).toBe('fine')
    },
  )

  test('502, 504 and faults are answers like others', async () => {
    await using silent = await startUpstream(() => {})
    await using world = await start((head) => {
      if (head.target === '/fault') throw new Error('the cause')
      if (head.target === '/silent') return forwardTo(silent.url, head, { timeout: 200 })
      return forwardTo('http://127.0.0.1:1', head)
    })
    const session = world.open()
    const statuses = await Promise.all(
      ['/down', '/silent', '/fault'].map(async (path) => (await ask(session, { ':path': path })).status),
    )
    expect(statuses).toEqual([502, 504, 500])
  })

  test('every byte of a short body comes as it was sent', async () => {
    const body = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await using upstream = await startUpstream((_, res) => res.writeHead(200, { 'Content-Length': '256' }).end(body))
    await using world = await start((head) => forwardTo(upstream.url, head))
    const chunks = await world.open().request({}, { endStream: true }).toArray()
    expect(Buffer.concat(chunks as Buffer[]).equals(body)).toBe(true)
  })

  test('stopping: no new requests, and those under way finish', async () => {
    let finish: (() => void) | undefined
    await using upstream = await startUpstream((_, res) => {
      finish = () => res.end('late')
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const session = world.open()
    const idle = world.open()
    await once(idle, 'connect')
    const answer = ask(session)
    await eventually(() => finish !== undefined)
    const stopped = world.carrier.server.close({ graceMs: 5000 })
    await once(idle, 'close')
    finish?.()
    expect((await answer).body).toBe('late')
    await stopped
  })

  test('connections without a request, and streams that do not move, are ended', async () => {
    await using upstream = await startUpstream((req) => void req.resume())
    await using world = await start((head) => forwardTo(upstream.url, head), {
      limits: { keepAliveTimeout: 1000, stalledAfter: 1000 },
    })
    const idle = world.open()
    await once(idle, 'connect')
    // Pings keep nothing alive.
    const pings = setInterval(() => idle.closed || idle.destroyed || idle.ping(() => {}), 50)
    await once(idle, 'close')
    clearInterval(pings)
    const slow = world.open().request({ ':method': 'POST' }, { endStream: false })
    const answer = answerOf(slow)
    slow.write('a')
    expect((await answer).code).toBe(constants.NGHTTP2_CANCEL)
  })
})

describe('beside HTTP/1.1', () => {
  test('who does not offer h2 is served as ever', async () => {
    await using world = await start(() => text(200, 'fine'))
    for (const ALPNProtocols of [undefined, ['http/1.1']]) {
      const socket = connectTls({
        port: world.carrier.port,
        host: '127.0.0.1',
        rejectUnauthorized: false,
        ...(ALPNProtocols && { ALPNProtocols }),
      })
      socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      let received = ''
      for await (const chunk of socket) received += String(chunk)
      expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*fine$/)
    }
    expect(world.heads[0]?.strictlyParsed).toBe(true)
  })

  test('curl speaks HTTP/2 to it', async () => {
    await using upstream = await startUpstream((req, res) => {
      req.resume().on('end', () => res.end(`${req.method} ${req.url} ${req.headers['x-a']}`))
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const options = ['-sk', '--http2', '-w', ' %{http_version} %{http_code}', '-H', 'X-A: b']
    const curl = async (...more: string[]) =>
      (await promisify(execFile)('curl', [...options, ...more, `${world.carrier.url}/p`])).stdout
    expect(await curl()).toBe('GET /p b 2 200')
    expect(await curl('-d', 'x'.repeat(100_000))).toBe('POST /p b 2 200')
  })
})

describe('what nghttp2 refuses below us', () => {
  /** A HEADERS frame with literal fields that are not indexed (RFC 7541 §6.2.2), ending the stream. */
  const headersFrame = (fields: [string, string][], flags = 0x5) => {
    const block = Buffer.concat(
      fields.flatMap(([name, value]) => [
        Buffer.from([0, name.length]),
        Buffer.from(name),
        Buffer.from([value.length]),
        Buffer.from(value, 'latin1'),
      ]),
    )
    return frame(0x1, flags, 1, block)
  }
  const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head[3] = type
    head[4] = flags
    head.writeUInt32BE(stream, 5)
    return Buffer.concat([head, payload])
  }
  const usual: [string, string][] = [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/'],
    [':authority', 'a'],
  ]

  async function send(port: number, ...frames: Buffer[]): Promise<TLSSocket> {
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    socket.resume().write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(0x4, 0, 0), ...frames]))
    return socket
  }

  test('an honest frame made by hand arrives', async () => {
    await using world = await start(() => text(200, 'fine'))
    const socket = await send(world.carrier.port, headersFrame([...usual, ['x-a', 'b']]))
    await eventually(() => world.heads.length === 1)
    socket.destroy()
  })

  test('a connection without a request ends, also when its client does not close its side', async () => {
    await using world = await start(() => text(200, 'fine'), { limits: { keepAliveTimeout: 100, stalledAfter: 100 } })
    const { port } = world.carrier
    const options = { rejectUnauthorized: false, ALPNProtocols: ['h2'] }
    const tcp = connectTcp({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {})
    const socket = connectTls({ ...options, socket: tcp })
      .on('error', () => {})
      .resume()
    await once(socket, 'secureConnect')
    socket.write(Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(0x4, 0, 0)]))
    const closed = new Promise((resolve) => tcp.once('close', resolve))
    // Written to a socket that is gone, a byte is answered by a reset.
    const writing = setInterval(() => tcp.write('x'), 50)
    await closed
    clearInterval(writing)
  })

  test('half a head does not hold up a stop: what is under way on its connection finishes, and then it is cut', async () => {
    const decision = gate()
    await using world = await start(() => decision.opened.then(() => text(200, 'fine')))
    // Its end (CONTINUATION) never comes.
    const half = frame(0x1, 0x1, 3, Buffer.from([0x82]))
    const socket = await send(world.carrier.port, headersFrame(usual), half)
    let received = ''
    socket.on('data', (chunk) => {
      received += String(chunk)
    })
    await eventually(() => world.heads.length === 1)
    const started = performance.now()
    const stopped = world.carrier.server.close({ graceMs: 120_000 })
    await pause(120)
    decision.open()
    await stopped
    expect(performance.now() - started).toBeLessThan(8000)
    expect(received).toContain('fine')
  })

  test.each([100_000, 8_000_000])('beside half a head, a stop waits for the reader of %i bytes', async (size) => {
    const decision = gate()
    await using world = await start(() => decision.opened.then(() => text(200, 'x'.repeat(size))))
    const half = frame(0x1, 0x1, 3, Buffer.from([0x82]))
    const most = Buffer.from('7fffffff', 'hex')
    const settings = frame(0x4, 0, 0, Buffer.concat([Buffer.from([0, 4]), most]))
    const window = frame(0x8, 0, 0, Buffer.from('7f000000', 'hex'))
    const socket = await send(world.carrier.port, settings, window, headersFrame(usual), half)
    let received = 0
    socket.pause().on('data', (chunk: Buffer) => {
      received += chunk.length
    })
    const ended = once(socket, 'close')
    await eventually(() => world.heads.length === 1)
    const stopped = world.carrier.server.close({ graceMs: 120_000 })
    decision.open()
    await pause(500)
    socket.resume()
    await stopped
    await ended
    expect(received).toBeGreaterThan(size)
  })

  test.each<[string, [string, string][]]>([
    ['a name in upper case', [...usual, ['X-A', 'b']]],
    ['Connection', [...usual, ['connection', 'x-csrf']]],
    ['Transfer-Encoding', [...usual, ['transfer-encoding', 'chunked']]],
    ['Upgrade', [...usual, ['upgrade', 'websocket']]],
    ['Keep-Alive', [...usual, ['keep-alive', 'x']]],
    ['another TE than trailers', [...usual, ['te', 'gzip']]],
    ['a pseudo-header twice', [...usual, [':path', '/evil']]],
    ['one after others', [['x-a', 'b'], ...usual]],
    ['one that nobody knows', [...usual.slice(0, 3), [':evil', 'x'], [':authority', 'a']]],
    ['one of answers', [...usual, [':status', '200']]],
    ['no path', usual.filter(([name]) => name !== ':path')],
    ['a path that is none', usual.map(([name, value]) => [name, name === ':path' ? 'evil' : value])],
    ['a length of which no byte comes', [...usual, ['content-length', '5']]],
    ['two lengths', [...usual, ['content-length', '0'], ['content-length', '1']]],
  ])('PX6 %s: no request comes of it', async (_, fields) => {
    await using world = await start(() => text(200, 'fine'))
    const socket = await send(world.carrier.port, headersFrame(fields))
    // The connection's own answer shows that the frame was read.
    await Promise.race([once(socket, 'data'), once(socket, 'close')])
    await pause(100)
    const read = world.heads.filter(({ target }) => target !== 'evil')
    expect(read).toEqual([])
    socket.destroy()
  })

  test('PX2 a value with a line break or NUL is left out, and nothing of it is read as something else', async () => {
    await using world = await start(() => text(200, 'fine'))
    const socket = await send(
      world.carrier.port,
      headersFrame([...usual, ['x-a', 'b\r\nx-evil: 1'], ['x-b', 'a\0b'], ['x-c', 'good']]),
    )
    await eventually(() => world.heads.length === 1)
    expect(world.heads[0]?.rawHeaders).toEqual(['host', 'a', 'x-c', 'good'])
    socket.destroy()
  })

  test('PX10 an upload that its upstream does not read is no whole one either, when its client resets it', async () => {
    let ended: boolean | undefined
    let resume = () => {}
    await using upstream = await startUpstream((req) => {
      resume = () => void req.resume()
      req.pause().once('close', () => {
        ended = req.complete
      })
    })
    await using world = await start((head) => forwardTo(upstream.url, head))
    const stream = world.open().request({ ':method': 'POST' }, { endStream: false })
    stream.on('error', () => {})
    for (let stuck = false; !stuck; ) {
      stuck = await Promise.race([
        new Promise<boolean>((resolve) => stream.write(Buffer.alloc(1024 * 1024), () => resolve(false))),
        pause(300).then(() => true),
      ])
    }
    stream.close(constants.NGHTTP2_CANCEL)
    await pause(100)
    resume()
    await eventually(() => ended !== undefined)
    expect(ended).toBe(false)
  })

  test('PX10 an upload without a length whose client resets the stream is no whole one, for upstreams and endpoints', async () => {
    let whole: boolean | undefined
    let ran = false
    let heard = false
    await using upstream = await startUpstream((req) => {
      heard = true
      req.resume().on('close', () => {
        whole = req.complete
      })
    })
    const run = async () => {
      ran = true
      return text(200, '')
    }
    await using world = await start((head) =>
      head.target === '/own' ? { kind: 'endpoint', maxBody: 100, run } : forwardTo(upstream.url, head),
    )
    const post = (path: string) =>
      usual.map(([name, value]): [string, string] => [
        name,
        name === ':method' ? 'POST' : name === ':path' ? path : value,
      ])
    const reset = frame(0x3, 0, 1, Buffer.from([0, 0, 0, 8]))
    for (const path of ['/', '/own']) {
      const socket = await send(
        world.carrier.port,
        headersFrame(post(path), 0x4),
        frame(0x0, 0, 1, Buffer.from('half')),
      )
      await eventually(() => world.heads.some(({ target }) => target === path) && heard)
      await pause(50)
      socket.write(reset)
      await pause(50)
      socket.destroy()
    }
    await eventually(() => whole !== undefined)
    expect([whole, ran]).toEqual([false, false])
    expect(world.carrier.logged).toEqual([])
  })

  test('after a flood of resets nothing more is taken from the connection (CVE-2023-44487)', async () => {
    let decided = 0
    await using world = await start(() => {
      decided++
      return new Promise(() => {})
    })
    const socket = connectTls({
      port: world.carrier.port,
      host: '127.0.0.1',
      rejectUnauthorized: false,
      ALPNProtocols: ['h2'],
    })
    let received = ''
    socket
      .on('error', () => {})
      .on('data', (chunk: Buffer) => {
        received += chunk.toString('hex')
      })
    await once(socket, 'secureConnect')
    const open = Buffer.from(headersFrame(usual))
    const pieces: Buffer[] = [Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(0x4, 0, 0)]
    for (let id = 1; id < 20_000; id += 2) {
      const one = Buffer.from(open)
      one.writeUInt32BE(id, 5)
      pieces.push(one, frame(0x3, 0, id, Buffer.from([0, 0, 0, 8])))
    }
    socket.write(Buffer.concat(pieces))
    // GOAWAY
    await expect.poll(() => received).toContain('0000080700')
    await pause(100)
    expect(decided).toBeLessThan(2000)
    socket.destroy()
  })
})
