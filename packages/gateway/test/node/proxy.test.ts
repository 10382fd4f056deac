import { once } from 'node:events'
import { type IncomingMessage, request as send } from 'node:http'
import { createServer } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { describe, expect, test } from 'vitest'
import { eventually, forwardTo, gate, openWire, pause, startCarrier, startUpstream, statusLines } from './carrier.ts'

async function answerTo(
  url: string,
  options: Parameters<typeof send>[1] = {},
  body?: string,
): Promise<IncomingMessage> {
  const request = send(url, { agent: false, ...options })
  request.end(body)
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return response
}

/** An upstream that says exactly this, byte for byte. */
async function rawUpstream(answer: string, after: 'close' | 'stay' = 'close') {
  const heard: string[] = []
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      heard.push(chunk.toString('latin1'))
      socket.write(answer, 'latin1')
      if (after === 'close') socket.end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address() as { port: number }
  return {
    url: `http://127.0.0.1:${address.port}`,
    heard,
    async [Symbol.asyncDispose]() {
      server.close()
    },
  }
}

describe('passing on', () => {
  test.each([
    ['GET', undefined, {}],
    ['POST', 'hello', {}],
    ['POST', '', {}],
    ['PUT', 'hello', { 'Transfer-Encoding': 'chunked' }],
    ['DELETE', undefined, {}],
    ['GET', 'a body', { 'Content-Length': '6' }],
    ['OPTIONS', undefined, {}],
    ['PATCH', 'x', {}],
  ])('%s with body %j arrives as it was sent', async (method, body, headers) => {
    await using upstream = await startUpstream(async (req, res) => {
      res.setHeader('X-Length', req.headers['content-length'] ?? 'none')
      res.end(`${req.method} ${req.url} ${await readText(req)}`)
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const response = await answerTo(`${carrier.url}/p?q=1`, { method, headers }, body)
    expect(await readText(response)).toBe(`${method} /p?q=1 ${body ?? ''}`)
    const expected = 'Transfer-Encoding' in headers ? 'none' : body?.length
    if (body !== undefined && method !== 'GET') expect(response.headers['x-length']).toBe(String(expected))
  })

  test('a body that arrived while the decision was awaited is whole', async () => {
    await using upstream = await startUpstream(async (req, res) => res.end(await readText(req)))
    await using carrier = await startCarrier((head) => pause(50).then(() => forwardTo(upstream.url, head)))
    expect(await readText(await answerTo(carrier.url, { method: 'POST' }, 'early'))).toBe('early')
  })

  test.each(['in one piece', 'behind its head', 'in two pieces', 'in chunks'])(
    'every byte comes as it was sent, %s',
    async (how) => {
      const body = Buffer.from(Array.from({ length: 512 }, (_, i) => i & 0xff))
      await using upstream = await startUpstream(async (_, res) => {
        if (how !== 'in chunks') res.setHeader('Content-Length', body.length)
        if (how === 'behind its head') res.flushHeaders()
        if (how === 'in two pieces') res.write(body.subarray(0, 100))
        if (how !== 'in one piece') await pause(20)
        res.end(how === 'in two pieces' ? body.subarray(100) : body)
      })
      await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
      const response = await answerTo(carrier.url, {})
      const chunks = await response.toArray()
      expect(Buffer.concat(chunks as Buffer[]).equals(body)).toBe(true)
    },
  )

  test.each([204, 304])('%i has no body, and the connection lives on', async (status) => {
    await using upstream = await startUpstream((_, res) => {
      res.writeHead(status, { ETag: '"x"' }).end()
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port)
    for (let i = 1; i <= 2; i++) {
      wire.socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
      await eventually(() => statusLines(wire.received).length === i && wire.received.endsWith('\r\n\r\n'))
    }
    expect(wire.received).not.toMatch(/transfer-encoding/i)
    wire.socket.destroy()
  })

  test('HEAD keeps the length and has no body', async () => {
    await using upstream = await startUpstream((_, res) => res.writeHead(200, { 'Content-Length': '1234' }).end())
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await wire.closed).toMatch(/content-length: 1234\r\n(.*\r\n)*\r\n$/i)
  })

  test('PX5 a redirect of the upstream is passed on, not followed', async () => {
    let followed = false
    await using trap = await startUpstream((_, res) => {
      followed = true
      res.end()
    })
    await using upstream = await startUpstream((_, res) => res.writeHead(302, { Location: `${trap.url}/` }).end('go'))
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const response = await answerTo(carrier.url)
    expect([response.statusCode, response.headers.location, await readText(response)]).toEqual([
      302,
      `${trap.url}/`,
      'go',
    ])
    expect(followed).toBe(false)
  })

  test('early hints are left out, the answer behind them arrives', async () => {
    await using upstream = await rawUpstream(
      'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 Fine\r\nContent-Length: 2\r\n\r\nok',
    )
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    const received = await wire.closed
    expect(received).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
    expect(received).not.toContain('Link')
  })

  test.each([
    ['switches protocols unasked', 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n'],
    ['switches protocols without saying to which', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
    ['speaks nonsense', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ['frames its answer twice', 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\nok'],
    ['hangs up', ''],
  ])('an upstream that %s is 502', async (_, answer) => {
    await using upstream = await rawUpstream(answer)
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const response = await answerTo(carrier.url)
    expect([response.statusCode, await readText(response)]).toEqual([502, '{"code":"upstream_unavailable"}'])
    expect(carrier.logged).toHaveLength(1)
  })

  test('a response that is smuggled behind another is dropped', async () => {
    const one = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
    await using upstream = await rawUpstream(`${one}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`, 'stay')
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head), { connections: 1 })
    for (let i = 0; i < 3; i++) expect(await readText(await answerTo(carrier.url))).toBe('ok')
  })
})

describe('streaming', () => {
  test.each(['text/event-stream', 'Text/Event-Stream; charset=utf-8'])(
    'PX10 the first event of an event stream (%s) arrives before the upstream ends, and idleness does not cut it',
    async (type) => {
      let say = (_: string) => {}
      await using upstream = await startUpstream((_, res) => {
        res.writeHead(200, { 'Content-Type': type }).flushHeaders()
        say = (text) => res.write(text)
      })
      await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { timeout: 1000 }))
      const response = await answerTo(carrier.url)
      for (const event of ['data: 1\n\n', 'data: 2\n\n']) {
        const heard = once(response, 'data') as Promise<[Buffer]>
        say(event)
        expect(String((await heard)[0])).toBe(event)
        if (event.includes('1')) await pause(1500)
      }
      response.destroy()
    },
  )

  test('PX10 the head arrives although the body is far away', async () => {
    await using upstream = await startUpstream((_, res) => res.writeHead(200, { 'Content-Length': '5' }).flushHeaders())
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const response = await answerTo(carrier.url)
    expect(response.statusCode).toBe(200)
    response.destroy()
  })

  test('PX10 an upload waits while the upstream does not read', async () => {
    let resume: (() => void) | undefined
    await using upstream = await startUpstream((req, res) => {
      resume = () => req.resume()
      req.on('end', () => res.end('all'))
      req.pause()
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const total = 64 * 1024 * 1024
    const upload = send(carrier.url, { method: 'POST', agent: false, headers: { 'Content-Length': total } })
    const piece = Buffer.alloc(256 * 1024)
    let written = 0
    const push = () => {
      while (written < total) {
        written += piece.length
        if (!upload.write(piece)) return
      }
      upload.end()
    }
    upload.on('drain', push)
    push()
    await eventually(() => resume !== undefined)
    await pause(500)
    expect(written).toBeLessThan(32 * 1024 * 1024)
    resume?.()
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    expect(await readText(response)).toBe('all')
  })

  test('PX10 a download waits while the client does not read', async () => {
    let written = 0
    const total = 64 * 1024 * 1024
    await using upstream = await startUpstream((_, res) => {
      const piece = Buffer.alloc(256 * 1024)
      const push = () => {
        while (written < total) {
          written += piece.length
          if (!res.write(piece)) return
        }
        res.end()
      }
      res.on('drain', push)
      push()
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const response = await answerTo(carrier.url)
    response.pause()
    await pause(500)
    expect(written).toBeLessThan(32 * 1024 * 1024)
    let read = 0
    for await (const chunk of response) read += (chunk as Buffer).length
    expect(read).toBe(total)
  })

  test('PX10 200 MB up and down again do not grow memory', async () => {
    const total = 200 * 1024 * 1024
    await using upstream = await startUpstream((req, res) => void req.pipe(res))
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const before = process.memoryUsage().rss
    let peak = 0
    const watch = setInterval(() => {
      peak = Math.max(peak, process.memoryUsage().rss - before)
    }, 10)
    const upload = send(carrier.url, { method: 'POST', agent: false })
    const piece = Buffer.alloc(64 * 1024)
    let written = 0
    const push = () => {
      while (written < total) {
        written += piece.length
        if (!upload.write(piece)) return
      }
      upload.end()
    }
    upload.on('drain', push)
    push()
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    let read = 0
    for await (const chunk of response) read += (chunk as Buffer).length
    clearInterval(watch)
    expect(read).toBe(total)
    expect(peak).toBeLessThan(120 * 1024 * 1024)
  })
})

describe('endings', () => {
  test('PX10 a client that leaves aborts the upstream request: waiting, receiving, sending, pipelined', async () => {
    const closed: string[] = []
    let heard = 0
    await using upstream = await startUpstream((req, res) => {
      heard++
      res.on('close', () => closed.push(req.url ?? ''))
      if (req.url === '/receiving') res.write('begun')
      req.resume()
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wires = [
      await openWire(carrier.port, 'GET /waiting HTTP/1.1\r\nHost: a\r\n\r\n'),
      await openWire(carrier.port, 'GET /receiving HTTP/1.1\r\nHost: a\r\n\r\n'),
      await openWire(carrier.port, 'POST /sending HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc'),
      await openWire(carrier.port, 'GET /p1 HTTP/1.1\r\nHost: a\r\n\r\nGET /p2 HTTP/1.1\r\nHost: a\r\n\r\n'),
    ]
    await wires[1]?.until(/begun/)
    await eventually(() => heard === 5)
    for (const { socket } of wires) socket.destroy()
    await eventually(() => closed.length === 5)
    expect(closed.sort()).toEqual(['/p1', '/p2', '/receiving', '/sending', '/waiting'])
    expect(carrier.logged).toEqual([])
  })

  test('aborted answers leave the pool healthy', async () => {
    await using upstream = await startUpstream((req, res) => {
      if (req.url === '/slow') res.write('begun')
      else res.end('ok')
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head), { connections: 2 })
    for (let i = 0; i < 10; i++) {
      const slow = await answerTo(`${carrier.url}/slow`)
      slow.on('error', () => {}).destroy()
    }
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => readText(await answerTo(`${carrier.url}/fast`))),
    )
    expect(new Set(answers)).toEqual(new Set(['ok']))
  })

  test('a request whose client left while it waited for a connection is never sent', async () => {
    const seen: string[] = []
    const answer = gate()
    await using upstream = await startUpstream(async (req, res) => {
      seen.push(req.url ?? '')
      await answer.opened
      res.end('ok')
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head), { connections: 1 })
    const first = answerTo(`${carrier.url}/first`)
    await eventually(() => seen.length === 1)
    const second = await openWire(carrier.port, 'GET /second HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => carrier.decided.length === 2)
    second.socket.destroy()
    await eventually(() => carrier.server.inFlight() === 1)
    answer.open()
    await first
    expect(await readText(await answerTo(`${carrier.url}/third`))).toBe('ok')
    expect(seen).toEqual(['/first', '/third'])
  })

  test.each([
    ['of known length', { 'Content-Length': '100' }],
    ['in chunks', {}],
  ])('PX10 an upstream that dies in the middle of an answer %s never looks finished', async (_, headers) => {
    await using upstream = await startUpstream((_, res) => {
      res.writeHead(200, headers).write('half')
      setTimeout(() => res.destroy(), 50)
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const received = await wire.closed
    expect(received).toContain('half')
    expect(received).not.toMatch(/\r\n0\r\n/)
    const response = await answerTo(carrier.url)
    await expect(readText(response)).rejects.toThrow()
  })

  test('an upstream that does not answer in time is 504, connected or not, and the client may go on', async () => {
    let aborted = 0
    await using upstream = await startUpstream((req) => {
      req.resume().on('close', () => aborted++)
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { timeout: 300 }), {
      connections: 1,
    })
    const answers = await Promise.all([
      answerTo(carrier.url),
      answerTo(carrier.url),
      answerTo(carrier.url, { method: 'POST' }, 'body'),
    ])
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([504, 504, 504])
    expect(await readText(answers[0] as IncomingMessage)).toBe('{"code":"upstream_timeout"}')
    await eventually(() => aborted > 0)
  })

  test('an answer that stops in the middle is cut', async () => {
    await using upstream = await startUpstream((_, res) => void res.write('half'))
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { timeout: 1000 }))
    await expect(readText(await answerTo(carrier.url))).rejects.toThrow()
  })

  test('an upstream that is not there is 502', async () => {
    await using carrier = await startCarrier((head) => forwardTo('http://127.0.0.1:1', head))
    const response = await answerTo(carrier.url, { method: 'POST' }, 'body')
    expect([response.statusCode, await readText(response)]).toEqual([502, '{"code":"upstream_unavailable"}'])
    expect(JSON.stringify(carrier.logged)).toContain('ECONNREFUSED')
  })

  test('an upload that is refused by the upstream before its end is answered, and its connection closed', async () => {
    await using upstream = await startUpstream((_, res) => {
      res.writeHead(403, { Connection: 'close' }).end('refused')
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc')
    const received = await wire.closed
    expect(statusLines(received)).toEqual(['HTTP/1.1 403'])
    expect(received).toMatch(/refused\r\n0\r\n\r\n$/)
  })

  test('an upload that dies with its upstream is 502, readable by the client that still sends', async () => {
    await using upstream = await startUpstream((req) => {
      req.once('data', () => req.socket.destroy())
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const status = await new Promise((resolve, reject) => {
      const upload = send(carrier.url, { method: 'POST', agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
      upload.on('error', reject)
      for (let i = 0; i < 64; i++) upload.write(Buffer.alloc(64 * 1024))
    })
    expect(status).toBe(502)
  })
})

describe('maxBody', () => {
  test('a declared length over it is refused before the upstream hears of it', async () => {
    await using carrier = await startCarrier((head) => forwardTo('http://127.0.0.1:1', head, { maxBody: 4 }))
    const response = await answerTo(carrier.url, { method: 'POST' }, 'hello')
    expect([response.statusCode, await readText(response)]).toEqual([413, '{"code":"payload_too_large"}'])
  })

  test('an undeclared one is counted, and the upstream request aborted', async () => {
    let whole = false
    let aborted = false
    await using upstream = await startUpstream((req) => {
      req.resume().on('close', () => {
        whole = req.complete
        aborted = true
      })
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { maxBody: 100_000 }))
    const upload = send(carrier.url, { method: 'POST', agent: false })
    upload.on('error', () => {})
    for (let i = 0; i < 10; i++) upload.write('x'.repeat(20_000))
    const [response] = (await once(upload, 'response')) as [IncomingMessage]
    expect(response.statusCode).toBe(413)
    upload.destroy()
    await eventually(() => aborted)
    expect(whole).toBe(false)
  })

  test('a body of exactly that size passes', async () => {
    await using upstream = await startUpstream(async (req, res) => res.end(await readText(req)))
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head, { maxBody: 5 }))
    const options = { method: 'POST', headers: { 'Transfer-Encoding': 'chunked' } }
    expect(await readText(await answerTo(carrier.url, options, 'hello'))).toBe('hello')
  })
})
