import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import type { RequestListener, ServerResponse } from 'node:http'
import { createServer as createTlsServer, type ServerOptions } from 'node:https'
import { type AddressInfo, createServer } from 'node:net'
import selfsigned from 'selfsigned'
import { afterAll, describe, expect, test } from 'vitest'
import { reservePort } from '../../../testkit/src/listen.ts'
import type { PoolSettings } from '../../src/decision.ts'
import { configFolder } from '../config/folder.ts'
import { forwardTo, openWire, pause, startCarrier, startUpstream } from './carrier.ts'

const nowhere = async () => `http://127.0.0.1:${await reservePort()}`

/** The answers of so many requests, one after another, as status and body. */
async function ask(url: string, count = 1, options: RequestInit = {}) {
  const answers: string[] = []
  for (let at = 0; at < count; at++) {
    const response = await fetch(url, { redirect: 'manual', ...options })
    answers.push(`${response.status} ${await response.text()}`)
  }
  return answers
}

const startWith = (settings: PoolSettings, change = {}) =>
  startCarrier((head) => forwardTo(settings.addresses[0] as string, head, { pool: settings, ...change }), {
    pools: [settings],
  })

const named = (name: string) => startUpstream((req, res) => void req.resume().on('end', () => res.end(name)))

/** An upstream that reads a request and hangs up, after saying this. */
async function hangsUp(words = '') {
  const heard: string[] = []
  const server = createServer((socket) => {
    socket
      .on('error', () => {})
      .on('data', (chunk) => {
        heard.push(String(chunk))
        socket.end(words)
      })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    heard,
    [Symbol.asyncDispose]: async () => void server.close(),
  }
}

describe('several addresses', () => {
  test('each gets its part, the least busy first', async () => {
    await using a = await named('a')
    let finish: (() => void) | undefined
    await using b = await startUpstream((req, res) => {
      if (req.url === '/slow') finish = () => res.end('slow')
      else res.end('b')
    })
    await using carrier = await startWith({ addresses: [a.url, b.url] })
    expect((await ask(carrier.url, 4)).sort()).toEqual(['200 a', '200 a', '200 b', '200 b'])
    // Some of them hang at b from now on: others prefer a.
    const slow: Promise<string[]>[] = []
    await expect
      .poll(async () => {
        slow.push(ask(`${carrier.url}/slow`))
        return carrier.decided.length
      })
      .toBeGreaterThan(5)
    await expect.poll(() => finish).toBeDefined()
    expect(await ask(carrier.url, 4)).toEqual(new Array(4).fill('200 a'))
    finish?.()
    await Promise.race(slow)
  })

  test('one that is not there costs nobody anything: uploads too go to another, and it is left alone for a while', async () => {
    await using a = await named('a')
    const dead = await nowhere()
    await using carrier = await startWith({ addresses: [dead, a.url] })
    expect(await ask(carrier.url, 4, { method: 'POST', body: 'a body' })).toEqual(new Array(4).fill('200 a'))
    expect(carrier.logged).toEqual([{ event: 'upstream_aside', upstream: dead, reason: 'ECONNREFUSED' }])
  })

  test('it is tried again after a pause, and is back then', async () => {
    await using a = await named('a')
    const port = await reservePort()
    await using carrier = await startWith({ addresses: [`http://127.0.0.1:${port}`, a.url] })
    expect(await ask(carrier.url, 2)).toEqual(['200 a', '200 a'])
    const late = createServer((socket) =>
      socket.on('error', () => {}).on('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')),
    ).listen(port, '127.0.0.1')
    await expect.poll(async () => (await ask(carrier.url))[0], { interval: 100 }).toBe('200 late')
    expect(carrier.logged).toMatchObject([{ event: 'upstream_aside' }, { event: 'upstream_back' }])
    late.close()
  })

  test('none is there: 502 that says when to try again, and nobody waits', async () => {
    await using carrier = await startWith({ addresses: [await nowhere(), await nowhere()] })
    await ask(carrier.url)
    const answer = await fetch(carrier.url)
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([502, '1'])
    expect(await answer.text()).toContain('upstream_unavailable')
  })

  test('the only address is left alone after five failures in a row', async () => {
    const port = await reservePort()
    await using carrier = await startCarrier((head) => forwardTo(`http://127.0.0.1:${port}`, head))
    const hints = []
    for (let at = 0; at < 6; at++) hints.push((await fetch(carrier.url)).headers.get('retry-after'))
    expect(hints).toEqual([null, null, null, null, null, '1'])
  })

  test('what the client library refuses to send is no outage', async () => {
    await using a = await named('a')
    await using carrier = await startCarrier((head) =>
      forwardTo(a.url, head, head.target === '/odd' ? { headers: ['Host', 'a', 'X', 'a\nb'] } : {}),
    )
    for (let at = 0; at < 8; at++) expect((await fetch(`${carrier.url}/odd`)).status).toBe(502)
    expect(await ask(carrier.url)).toEqual(['200 a'])
  })
})

describe('once more', () => {
  test.each([
    ['GET', undefined, '200 a'],
    ['DELETE', undefined, '200 a'],
    ['POST', undefined, '502 {"code":"upstream_unavailable"}'],
    ['PUT', 'a body', '502 {"code":"upstream_unavailable"}'],
  ])('an upstream hangs up before its answer: %s with body %j is %s', async (method, body, expected) => {
    await using a = await named('a')
    await using broken = await hangsUp()
    await using carrier = await startWith({ addresses: [broken.url, a.url] })
    const answers = await ask(carrier.url, 2, { method, ...(body !== undefined && { body }) })
    expect(answers.sort().at(-1)).toBe(expected)
    expect(broken.heard).toHaveLength(1)
  })

  test('never after the first byte of an answer, and never twice', async () => {
    await using half = await hangsUp('HTTP/1.1 200 OK\r\nConte')
    await using carrier = await startCarrier((head) => forwardTo(half.url, head))
    expect(await ask(carrier.url)).toEqual(['502 {"code":"upstream_unavailable"}'])
    expect(half.heard).toHaveLength(1)
    await using mute = await hangsUp()
    await using other = await startCarrier((head) => forwardTo(mute.url, head))
    expect(await ask(other.url)).toEqual(['502 {"code":"upstream_unavailable"}'])
    expect(mute.heard).toHaveLength(2)
  })

  test('never after a time-out', async () => {
    let heard = 0
    const slow = () => startUpstream(() => void heard++)
    await using one = await slow()
    await using other = await slow()
    await using carrier = await startWith({ addresses: [one.url, other.url] }, { timeout: 1000 })
    expect((await fetch(carrier.url)).status).toBe(504)
    expect(heard).toBe(1)
  })

  test('an upload that waits for its invitation is invited once', async () => {
    await using a = await named('a')
    await using carrier = await startWith({ addresses: [await nowhere(), a.url] })
    for (let at = 0; at < 2; at++) {
      const wire = await openWire(
        carrier.port,
        'PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n',
      )
      await wire.until(/100 Continue\r\n\r\n/)
      wire.socket.write('ab')
      expect((await wire.closed).match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
    }
  })
})

test('health checks: two bad answers take an address out before anyone meets it, a good one brings it back', async () => {
  let ill = false
  const checks: (string | undefined)[] = []
  const handler =
    (name: string): RequestListener =>
    (req, res) => {
      if (req.url !== '/healthz?deep=1') res.end(name)
      else {
        checks.push(req.headers.authorization)
        res.writeHead(ill && name === 'b' ? 503 : 204).end()
      }
    }
  await using a = await startUpstream(handler('a'))
  await using b = await startUpstream(handler('b'))
  const health = { path: '/healthz?deep=1', interval: 40, timeout: 5000 }
  await using carrier = await startWith({ addresses: [a.url, b.url], health })
  expect((await ask(carrier.url, 2)).sort()).toEqual(['200 a', '200 b'])
  ill = true
  await expect.poll(() => carrier.logged).toMatchObject([{ event: 'upstream_aside', upstream: b.url }])
  expect(await ask(carrier.url, 3)).toEqual(['200 a', '200 a', '200 a'])
  ill = false
  await expect.poll(() => carrier.logged.length).toBe(2)
  expect((await ask(carrier.url, 2)).sort()).toEqual(['200 a', '200 b'])
  expect(checks.every((authorization) => authorization === undefined)).toBe(true)
})

test('at most so many connections to an address; the others wait their turn', async () => {
  let most = 0
  await using a = await startUpstream((_, res) => {
    a.server.getConnections((_error, count) => {
      most = Math.max(most, count)
      setTimeout(() => res.end('a'), 20)
    })
  })
  await using carrier = await startWith({ addresses: [a.url], connections: 2 })
  const answers = await Promise.all(Array.from({ length: 8 }, () => ask(carrier.url)))
  expect(answers.flat()).toEqual(new Array(8).fill('200 a'))
  expect(most).toBe(2)
})

test('event streams take no place of those: however many there are, a request finds a connection', async () => {
  const streams: ServerResponse[] = []
  await using a = await startUpstream((req, res) => {
    if (req.url !== '/events') res.end('a')
    else streams.push(res.writeHead(200, { 'Content-Type': 'text/event-stream' }))
    streams.at(-1)?.flushHeaders()
  })
  await using carrier = await startWith({ addresses: [a.url], connections: 2 })
  const open = await Promise.all(Array.from({ length: 5 }, () => fetch(`${carrier.url}/events`)))
  expect(await ask(carrier.url, 2)).toEqual(['200 a', '200 a'])
  // Their connections serve nobody else afterwards, and end with them.
  for (const stream of streams) stream.end('data: last\n\n')
  expect(await Promise.all(open.map((response) => response.text()))).toEqual(new Array(5).fill('data: last\n\n'))
  const connections = () => new Promise<number>((resolve) => a.server.getConnections((_, count) => resolve(count)))
  await expect.poll(connections).toBeLessThanOrEqual(2)
  expect(await ask(carrier.url)).toEqual(['200 a'])
})

test('event streams of a known length use their connection again', async () => {
  const sockets = new Set<unknown>()
  await using a = await startUpstream((req, res) => {
    sockets.add(req.socket)
    res.writeHead(200, { 'Content-Type': 'text/event-stream', 'Content-Length': '9' }).end('data: x\n\n')
  })
  await using carrier = await startWith({ addresses: [a.url] })
  expect(await ask(carrier.url, 5)).toEqual(new Array(5).fill('200 data: x\n\n'))
  expect(sockets.size).toBe(1)
})

describe('TLS to an upstream', async () => {
  const day = 86_400_000
  const validity = {
    keyType: 'ec' as const,
    notBeforeDate: new Date(Date.now() - day),
    notAfterDate: new Date(Date.now() + day),
  }
  const named = (name: string) => [{ name: 'commonName', value: name }]
  const extensions = [
    { name: 'basicConstraints' as const, cA: true },
    { name: 'subjectAltName' as const, altNames: [{ type: 2 as const, value: 'api.internal' }] },
  ]
  const server = await selfsigned.generate(named('api.internal'), { ...validity, extensions })
  const client = await selfsigned.generate(named('gateway'), { ...validity })
  const folder = configFolder({ 'ca.pem': server.cert })
  afterAll(() => folder[Symbol.dispose]())

  async function startTlsUpstream(options: ServerOptions = {}) {
    const upstream = createTlsServer({ cert: server.cert, key: server.private, ...options }, (_, res) =>
      res.end('secure'),
    )
    upstream.listen(0, '127.0.0.1')
    await once(upstream, 'listening')
    return {
      url: `https://127.0.0.1:${(upstream.address() as AddressInfo).port}`,
      [Symbol.asyncDispose]: async () => {
        upstream.closeAllConnections()
        upstream.close()
      },
    }
  }

  test('an authority of one’s own and the name in its certificate', async () => {
    await using upstream = await startTlsUpstream()
    const ca = readFileSync(folder.at('ca.pem'), 'utf8')
    await using good = await startWith({ addresses: [upstream.url], tls: { ca, servername: 'api.internal' } })
    expect(await ask(good.url)).toEqual(['200 secure'])
    const bad: PoolSettings['tls'][] = [
      undefined,
      { ca },
      { servername: 'api.internal' },
      { ca, servername: 'other.internal' },
    ]
    for (const tls of bad) {
      await using carrier = await startWith({ addresses: [upstream.url], ...(tls && { tls }) })
      expect([tls, ...(await ask(carrier.url))]).toEqual([tls, '502 {"code":"upstream_unavailable"}'])
    }
  })

  test('no variable of the environment switches verification off', async () => {
    await using upstream = await startTlsUpstream()
    const before = process.env.NODE_TLS_REJECT_UNAUTHORIZED
    process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
    try {
      await using carrier = await startWith({ addresses: [upstream.url] })
      expect((await fetch(carrier.url)).status).toBe(502)
    } finally {
      if (before === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
      else process.env.NODE_TLS_REJECT_UNAUTHORIZED = before
    }
  })

  test('a certificate of the gateway, for an upstream that asks for one', async () => {
    await using upstream = await startTlsUpstream({ requestCert: true, rejectUnauthorized: true, ca: client.cert })
    const tls = { ca: server.cert, servername: 'api.internal' }
    await using without = await startWith({ addresses: [upstream.url], tls })
    expect((await fetch(without.url)).status).toBe(502)
    const own = { ...tls, cert: client.cert, key: client.private }
    await using carrier = await startWith({ addresses: [upstream.url], tls: own })
    expect(await ask(carrier.url)).toEqual(['200 secure'])
  })
})

describe.each(['own', 'undici'] as const)('maxWaiting, client %s', (client) => {
  test('PX10 one more than may wait is 503 at once; who leaves makes room, and so do answers', async () => {
    const request = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
    const answers: ServerResponse[] = []
    await using a = await startUpstream((_, res) => void answers.push(res))
    const before = process.env.COATCHECK_TEST_CLIENT
    process.env.COATCHECK_TEST_CLIENT = client
    await using carrier = await startWith({ addresses: [a.url], connections: 2, maxWaiting: 3 })
    process.env.COATCHECK_TEST_CLIENT = before ?? 'own'
    const wires = await Promise.all(Array.from({ length: 5 }, () => openWire(carrier.port, request)))
    await expect.poll(() => [carrier.decided.length, answers.length]).toEqual([5, 2])
    const refused = await fetch(carrier.url)
    expect([refused.status, refused.headers.get('retry-after'), await refused.json()]).toEqual([
      503,
      '1',
      { code: 'upstream_busy' },
    ])
    // One that waits leaves: another may wait in its place, and is served in the end.
    wires.pop()?.socket.destroy()
    const enters = async () => {
      const wire = await openWire(carrier.port, request)
      await pause(100)
      wires.push(wire)
      return wire.received
    }
    await expect.poll(enters).toBe('')
    const answering = setInterval(() => {
      for (const res of answers.splice(0)) res.end('done')
    }, 10)
    const words = await Promise.all(wires.map((wire) => wire.until(/done|busy/)))
    expect(words.filter((word) => word.endsWith('done'))).toHaveLength(5)
    clearInterval(answering)
    for (const { socket } of wires) socket.destroy()
  })
})
