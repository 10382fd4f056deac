import { type RequestOptions, request } from 'node:https'
import { text as readText } from 'node:stream/consumers'
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

describe('endpoints', () => {
  test('the body is read and handed over', async () => {
    await using carrier = await startCarrier(() => ({
      kind: 'endpoint',
      maxBody: 5,
      run: async (body) => text(200, `got ${Buffer.from(body).toString()}`),
    }))
    expect(await (await fetch(carrier.url, { method: 'POST', body: 'hello' })).text()).toBe('got hello')
    expect(await (await fetch(carrier.url)).text()).toBe('got ')
    expect((await fetch(carrier.url, { method: 'POST', body: 'hello!' })).status).toBe(413)
  })

  test('a chunked body over the limit is 413 and never handed over', async () => {
    let ran = false
    await using carrier = await startCarrier(() => ({
      kind: 'endpoint',
      maxBody: 5,
      run: async () => {
        ran = true
        return text(200, '')
      },
    }))
    const chunk = '6\r\nhello!\r\n'
    const head = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const wire = await openWire(carrier.port, head + chunk + chunk)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 413'])
    expect(ran).toBe(false)
  })

  test('a client that leaves while its endpoint runs is no fault', async () => {
    const run = () => pause(50).then(() => text(200, 'late'))
    await using carrier = await startCarrier(() => ({ kind: 'endpoint', maxBody: 5, run }))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => carrier.decided.length === 1)
    wire.socket.destroy()
    await pause(100)
    expect(carrier.logged).toEqual([])
  })

  test('a client that leaves in the middle of its body is no fault', async () => {
    await using carrier = await startCarrier(() => ({ kind: 'endpoint', maxBody: 5, run: async () => text(200, '') }))
    const wire = await openWire(carrier.port, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
    await eventually(() => carrier.decided.length === 1)
    wire.socket.destroy()
    await pause(50)
    expect(carrier.logged).toEqual([])
  })
})

describe('faults', () => {
  const broken = () => {
    throw new Error('the cause')
  }
  test.each([
    ['a decision that throws', broken],
    ['a decision that is rejected', async () => broken()],
    ['an endpoint that throws', () => ({ kind: 'endpoint' as const, maxBody: 0, run: broken })],
    ['an endpoint that is rejected', () => ({ kind: 'endpoint' as const, maxBody: 0, run: async () => broken() })],
    ['an answer with a line break in a header', () => text(200, 'x', ['X', 'a\r\nSet-Cookie: b'])],
  ])('%s is 500 with an id whose cause is in the log', async (_, decide) => {
    await using carrier = await startCarrier(decide)
    const response = await fetch(carrier.url)
    expect([response.status, await response.text()]).toEqual([500, '{"code":"internal_error"}'])
    expect(carrier.logged).toEqual([{ err: expect.any(Error), requestId: expect.stringMatching(/^[\w-]{12,}$/) }])
  })
})

describe('the news that an answer was sent', () => {
  const count = () => {
    const calls = { sent: 0, listener: () => void calls.sent++ }
    return calls
  }

  test('comes once, with the answer', async () => {
    const calls = count()
    await using carrier = await startCarrier(() => ({ ...text(200, 'x'), sent: calls.listener }))
    await (await fetch(carrier.url)).text()
    await eventually(() => calls.sent === 1)
  })

  test('does not come for the answer to a fault in its place', async () => {
    const calls = count()
    const bad = { ...text(200, 'x', ['X', 'a\r\nb']), sent: calls.listener }
    await using carrier = await startCarrier(({ target }) =>
      target === '/' ? bad : { kind: 'endpoint', maxBody: 0, run: async () => bad },
    )
    for (const path of ['/', '/endpoint']) expect((await fetch(carrier.url + path)).status).toBe(500)
    await pause(20)
    expect(calls.sent).toBe(0)
  })

  test('does not come when the client left before', async () => {
    const calls = count()
    const decision = gate()
    await using carrier = await startCarrier(async () => {
      await decision.opened
      return { ...text(200, 'x'), sent: calls.listener }
    })
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => carrier.decided.length === 1)
    wire.socket.destroy()
    await eventually(() => carrier.server.inFlight() === 0)
    decision.open()
    await pause(50)
    expect([calls.sent, carrier.logged]).toEqual([0, []])
  })

  test.each([
    ['does not answer', 502, {}],
    ['is sent too much', 413, { maxBody: 1 }],
  ])('an upstream that %s: the refusal carries the new cookie, so that it is not lost', async (_, status, change) => {
    const calls = count()
    const rules = { allowSetCookie: [], dropCors: true, noStore: true, defaults: [], pageDefaults: [] }
    const response = { ...rules, add: ['Set-Cookie', '__Host-session=new; Secure'] }
    await using carrier = await startCarrier((head) => ({
      ...forwardTo('http://127.0.0.1:1', head, { response, ...change }),
      sent: calls.listener,
    }))
    const answer = await fetch(carrier.url, { method: 'POST', body: 'hello' })
    expect([answer.status, answer.headers.getSetCookie()]).toEqual([status, ['__Host-session=new; Secure']])
    await eventually(() => calls.sent === 1)
  })
})

describe('answers', () => {
  test.each([204, 304])('%i carries no body and no length', async (status) => {
    await using carrier = await startCarrier(() => text(status, ''))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await wire.closed).toMatch(/^HTTP\/1\.1 \d{3} (?!.*(content-length|transfer-encoding)).*\r\n\r\n$/is)
  })

  test('HEAD has the length of the body, and no body', async () => {
    await using carrier = await startCarrier(() => text(200, 'grüße'))
    const wire = await openWire(carrier.port, 'HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    expect(await wire.closed).toMatch(/Content-Length: 7\r\n(.*\r\n)*\r\n$/)
  })
})

describe('graceful stop', () => {
  test('requests in flight finish, idle connections close, new ones are refused', async () => {
    const rest = gate()
    await using upstream = await startUpstream(async (_, res) => {
      res.write('be')
      await rest.opened
      res.end('gun')
    })
    await using carrier = await startCarrier((head) =>
      head.target === '/slow' ? rest.opened.then(() => text(200, 'slow')) : forwardTo(upstream.url, head),
    )
    const slow = await openWire(carrier.port, 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n')
    const begun = await openWire(carrier.port, 'GET /begun HTTP/1.1\r\nHost: a\r\n\r\n')
    const idle = await openWire(carrier.port)
    await begun.until(/be/)
    await eventually(() => carrier.decided.length === 2)
    // Longer than the test may take: none of what follows waits for it.
    const stopped = carrier.server.close({ graceMs: 120_000 })
    await idle.closed
    await expect(openWire(carrier.port)).rejects.toThrow('ECONNREFUSED')
    rest.open()
    expect(await slow.closed).toMatch(/Connection: close.*slow$/s)
    expect(await begun.closed).toMatch(/gun\r\n0\r\n\r\n$/)
    await stopped
  })

  test('what is not done in time is cut', async () => {
    await using upstream = await startUpstream((_, res) => void res.write('stream'))
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await wire.until(/stream/)
    await carrier.server.close({ graceMs: 200 })
    await wire.closed
  })
})

describe('TLS', () => {
  const certificate = import('selfsigned').then(async ({ generate }) => {
    const { cert, private: key } = await generate([{ name: 'commonName', value: 'localhost' }])
    return { cert, key }
  })
  const ask = (url: string, options: RequestOptions & { ALPNProtocols?: string[] } = {}) =>
    new Promise<string>((resolve, reject) => {
      request(url, { rejectUnauthorized: false, agent: false, ...options }, (response) => resolve(readText(response)))
        .on('error', reject)
        .end()
    })

  test('speaks over TLS 1.2 or newer; HTTP/1.1 unless HTTP/2 is preferred', async () => {
    await using carrier = await startCarrier(({ peer }) => text(200, peer), { tls: await certificate })
    expect(await ask(carrier.url, { ALPNProtocols: ['http/1.1'] })).toBe('127.0.0.1')
    await expect(ask(carrier.url, { ALPNProtocols: ['http/1.0'] })).rejects.toThrow()
    await expect(ask(carrier.url, { maxVersion: 'TLSv1.1', minVersion: 'TLSv1' })).rejects.toThrow()
  })

  test('requests in flight finish at a stop; half a handshake does not hold it up', async () => {
    const decision = gate()
    const decide = () => decision.opened.then(() => text(200, 'done'))
    await using carrier = await startCarrier(decide, { tls: await certificate })
    const answer = ask(carrier.url)
    const silent = await openWire(carrier.port)
    await eventually(() => carrier.decided.length === 1)
    const started = performance.now()
    const stopped = carrier.server.close({ graceMs: 120_000 })
    await silent.closed
    // A handshake by itself has ten seconds.
    expect(performance.now() - started).toBeLessThan(8000)
    decision.open()
    expect(await answer).toBe('done')
    await stopped
  })
})

describe('what a stop owes to clients', () => {
  test('nothing that follows the last answer of a connection is forwarded: its client may send it again elsewhere', async () => {
    const seen: string[] = []
    await using upstream = await startUpstream((req, res) => {
      seen.push(String(req.url))
      setTimeout(() => res.end('ok'), 300)
    })
    await using carrier = await startCarrier((head) => forwardTo(upstream.url, head))
    const post = (path: string) => `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`
    const wire = await openWire(carrier.port, post('/1'))
    await eventually(() => seen.length === 1)
    const stopped = carrier.server.close({ graceMs: 5000 })
    await pause(80)
    wire.socket.write(post('/2'))
    await pause(80)
    wire.socket.write(post('/3'))
    const received = await wire.closed
    await stopped
    expect([statusLines(received), seen]).toEqual([['HTTP/1.1 200'], ['/1']])
    expect(received).toMatch(/connection: close/i)
  })

  test('an answer that is not read yet arrives whole, also when its client sends on', async () => {
    const size = 3_000_000
    await using carrier = await startCarrier(() => text(200, 'y'.repeat(size)))
    const wire = await openWire(carrier.port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    wire.socket.pause()
    await pause(300)
    const stopped = carrier.server.close({ graceMs: 10_000 })
    await pause(100)
    wire.socket.write('GET /2 HTTP/1.1\r\nHost: a\r\n\r\n')
    await pause(100)
    wire.socket.resume()
    expect((await wire.closed).length).toBeGreaterThan(size)
    await stopped
  })
})
