import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { createWorld } from '../../../testkit/src/world.ts'
import { openWire, pause, statusLines } from '../node/carrier.ts'
import { wireUser } from './wire.ts'

/** Something that a test waits for and another side brings about. */
function promised<Value>() {
  let resolve: (value: Value) => void = () => {}
  const promise = new Promise<Value>((done) => {
    resolve = done
  })
  return { promise, resolve }
}

describe('down', () => {
  test('PX10 events arrive one by one, each before the next is written, the head before the first; idleness cuts nothing', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', timeout: '1s' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    const source = promised<ServerResponse>()
    world.upstream.on('/events', ({ response }) => {
      response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' }).flushHeaders()
      source.resolve(response)
    })
    const browser = await world.signedIn()
    const stream = await browser.stream('/api/events', {
      headers: { accept: 'text/event-stream', 'last-event-id': '41' },
    })
    expect([stream.status, world.upstream.last().header('last-event-id')]).toEqual([200, '41'])
    const upstream = await source.promise
    for (const n of [1, 2, 3]) {
      upstream.write(`id: ${n}\ndata: event ${n}\n\n`)
      expect(String((await stream.chunks.next()).value)).toBe(`id: ${n}\ndata: event ${n}\n\n`)
      // Longer than the route's timeout: silence is what an event stream does.
      if (n === 2) await pause(1300)
    }
    upstream.end()
    expect((await stream.chunks.next()).done).toBe(true)
  })

  test('PX10 an endless download waits for its reader: the upstream is held back, and goes on when the reader does', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    let sent = 0
    const piece = Buffer.alloc(65_536, 'x')
    world.upstream.on('/endless', ({ response }) => {
      const fill = () => {
        for (let more = true; more && !response.destroyed; sent += piece.length) more = response.write(piece)
      }
      response.writeHead(200).on('drain', fill)
      fill()
    })
    const wire = await openWire(world.port)
    wire.socket.pause()
    wire.socket.write(`GET /api/endless HTTP/1.1\r\n${bob.own}\r\n`)
    await expect.poll(() => sent).toBeGreaterThan(0)
    const steady = async () => {
      for (let before = -1; before !== sent; await pause(150)) before = sent
      return sent
    }
    const held = await steady()
    expect(held).toBeLessThan(64 * 1024 * 1024)
    wire.socket.resume()
    await expect.poll(() => sent).toBeGreaterThan(held)
    wire.socket.destroy()
    await expect.poll(() => world.upstream.open).toBe(0)
  })

  test('PX10 an upstream that dies in the middle never looks finished: with a length, in chunks, and to a proxy that speaks HTTP/1.0', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const deaths: Record<string, object> = { '/with-length': { 'content-length': '1000' }, '/in-chunks': {} }
    for (const [path, headers] of Object.entries(deaths)) {
      world.upstream.on(path, ({ response }) => {
        response.writeHead(200, headers as Record<string, string>).write('half')
        setTimeout(() => response.destroy(), 20)
      })
      const { statuses, text, closed } = await bob.send(`GET /api${path} HTTP/1.1\r\n${bob.own}\r\n`)
      expect([path, statuses, closed]).toEqual([path, [200], true])
      expect(text).toContain('half')
      expect(text).not.toMatch(/\r\n0\r\n/)
      // Where the end of the connection is the end of the answer, only a reset tells that this is none.
      const socket = connect(world.port, '127.0.0.1')
      const ended = promised<string>()
      socket.on('error', (error: NodeJS.ErrnoException) => ended.resolve(String(error.code)))
      socket.on('end', () => ended.resolve('a clean end'))
      socket.resume()
      socket.write(`GET /api${path} HTTP/1.0\r\n${bob.own}\r\n`)
      expect([path, await ended.promise]).toEqual([path, 'ECONNRESET'])
    }
    expect(world.log.lines.filter(({ msg }) => msg === 'upstream failed')).toHaveLength(4)
  })

  test('PX5 redirects are the browser’s business: status and Location pass as they are, and nothing is followed', async () => {
    await using world = await createWorld()
    const browser = await world.signedIn()
    const targets = [
      '/echo',
      '//evil.test/x',
      'https://evil.test/?a=b#c',
      world.upstream.url,
      'http://169.254.169.254/latest/',
      'javascript:0',
      '',
    ]
    for (const code of [300, 301, 302, 303, 305, 307, 308]) {
      for (const to of targets) {
        const before = world.upstream.requests.length
        const path = `/api/redirect?code=${code}&to=${encodeURIComponent(to)}`
        const page = await browser.fetch(path, { method: 'POST', body: 'x' })
        expect([code, page.status, page.header('location')]).toEqual([code, code, to])
        expect(world.upstream.requests.length - before).toBe(1)
      }
    }
    expect(world.upstream.requests.every(({ target }) => target.startsWith('/redirect'))).toBe(true)
  })

  test('PX10 204, 205, 304, HEAD, ranges and compressed bytes pass as they are; the connection stays in step', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const packed = gzipSync('hello '.repeat(1000))
    const { upstream } = world
    upstream.on('/packed', ({ response }) => {
      response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': packed.length, etag: '"p"' }).end(packed)
    })
    upstream.on('/range', ({ request, response }) => {
      expect([request.headers.range, request.headers['if-range']]).toEqual(['bytes=2-4', '"r"'])
      response.writeHead(206, { 'content-range': 'bytes 2-4/10', 'content-length': 3 }).end('234')
    })
    upstream.on('/same', ({ request, response }) => {
      expect(request.headers['if-none-match']).toBe('"s"')
      response.writeHead(304, { etag: '"s"' }).end()
    })
    upstream.on('/none', ({ response }) => void response.writeHead(204).end())
    const requests: [line: string, lines: string, status: number, body: string][] = [
      ['GET /api/packed', 'Accept-Encoding: gzip\r\n', 200, packed.toString('latin1')],
      ['HEAD /api/packed', '', 200, ''],
      ['GET /api/range', 'Range: bytes=2-4\r\nIf-Range: "r"\r\n', 206, '234'],
      ['GET /api/same', 'If-None-Match: "s"\r\n', 304, ''],
      ['DELETE /api/none', '', 204, ''],
      ['HEAD /api/echo', '', 200, ''],
    ]
    for (const [line, lines, status, body] of requests) {
      const { text, statuses } = await bob.send(
        `${line} HTTP/1.1\r\n${bob.own}${lines}\r\nGET /api/packed HTTP/1.1\r\n${bob.own}Connection: close\r\n\r\n`,
      )
      expect([line, statuses]).toEqual([line, [status, 200]])
      const second = text.indexOf('HTTP/1.1 200', 9)
      expect([line, text.slice(text.indexOf('\r\n\r\n') + 4, second) === body]).toEqual([line, true])
      expect(text.endsWith(packed.toString('latin1'))).toBe(true)
      if (line.includes('packed')) expect(text).toMatch(/^content-encoding: gzip\r$/im)
      if (line === 'HEAD /api/packed') expect(text).toMatch(new RegExp(`^content-length: ${packed.length}\r$`, 'im'))
    }
  })
})

describe('up', () => {
  test('PX10 an upload reaches the upstream piece by piece, before it is complete', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    let arrived = ''
    world.upstream.on('/pieces', async ({ request, response }) => {
      for await (const chunk of request) arrived += String(chunk)
      response.end(arrived)
    })
    const wire = await openWire(
      world.port,
      `PUT /api/pieces HTTP/1.1\r\n${bob.own}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n`,
    )
    for (const piece of ['one,', 'two,', 'three']) {
      const before = arrived
      wire.socket.write(`${piece.length.toString(16)}\r\n${piece}\r\n`)
      await expect.poll(() => arrived).toBe(before + piece)
    }
    wire.socket.write('0\r\n\r\n')
    expect(await wire.closed).toMatch(/one,two,three/)
  })

  test('PX10 an upload that nobody reads waits in the client, not in the gateway', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [{ path: '/*', upstream, access: 'public', csrf: 'off', maxBody: '1gb', timeout: '1s' }],
      }),
    })
    const nobody = await wireUser(world)
    const total = 100 * 1024 * 1024
    const wire = await openWire(world.port, `PUT /hang HTTP/1.1\r\n${nobody.own}Content-Length: ${total}\r\n\r\n`)
    const piece = Buffer.alloc(1024 * 1024)
    let given = 0
    let stuck = false
    while (!stuck && given < total) {
      given += piece.length
      if (!wire.socket.write(piece))
        stuck = await Promise.race([once(wire.socket, 'drain').then(() => false), pause(500).then(() => true)])
    }
    expect(stuck).toBe(true)
    expect(given).toBeLessThan(total / 2)
    // That is the upstream's fault, and told so; what the client still has is never read.
    await wire.until(/HTTP\/1\.1 504 /)
    wire.socket.destroy()
  })

  test('PX10 access comes before the first byte of a body: nobody is invited to send what is refused', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/api/admin/*', upstream, access: { roles: ['admin'] } },
          { path: '/api/*', methods: ['POST'], upstream, stripPrefix: '/api', access: 'authenticated', maxBody: '1mb' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    const nobody = await wireUser(world)
    const bob = await wireUser(world, 'bob')
    const huge = 'Content-Length: 1000000000\r\n'
    const rows: [status: number, user: typeof bob, head: string][] = [
      [401, nobody, `POST /api/upload HTTP/1.1\r\n${nobody.own}`],
      [403, bob, `POST /api/admin/x HTTP/1.1\r\n${bob.own}`],
      [403, bob, `POST /api/upload HTTP/1.1\r\n${bob.own.replace('X-CSRF: 1', 'X-CSRF: 2')}`],
      [404, bob, `POST /elsewhere HTTP/1.1\r\n${bob.own}`],
      [405, bob, `PUT /api/upload HTTP/1.1\r\n${bob.own}`],
      [413, bob, `POST /api/upload HTTP/1.1\r\n${bob.own}`],
      [413, bob, `POST /auth/session HTTP/1.1\r\n${bob.own}`],
      [421, bob, `POST /api/upload HTTP/1.1\r\n${bob.own.replace(bob.host, 'evil.test')}`],
    ]
    for (const [status, user, head] of rows) {
      for (const expectation of ['Expect: 100-continue\r\n', '']) {
        // Only the head is ever sent, and the answer comes all the same; the connection is of no more use.
        const { statuses, closed } = await user.send(`${head}${huge}${expectation}\r\n`)
        expect([head.split('\r\n')[0], status, statuses, closed]).toEqual([
          head.split('\r\n')[0],
          status,
          [status],
          true,
        ])
      }
    }
    expect(world.upstream.requests).toEqual([])
    // Who may is invited, once, and the upstream hears the body alone.
    const wire = await openWire(
      world.port,
      `POST /api/upload HTTP/1.1\r\n${bob.own}Connection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n`,
    )
    await wire.until(/HTTP\/1\.1 100 Continue\r\n\r\n/)
    wire.socket.write('hello')
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
    expect(wire.received).toContain('{"bytes":5}')
    expect(world.upstream.last().header('expect')).toBeUndefined()
    expect((await bob.call('/api/upload', 'Content-Length: 0\r\nExpect: 200-ok\r\n', 'POST')).statuses).toEqual([417])
  })

  test('PX10 maxBody: a body in chunks is counted on the way, 413, and the upstream request is aborted; at the limit it passes', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({ routes: [{ path: '/*', upstream, access: 'public', csrf: 'off', maxBody: '1kb' }] }),
    })
    const nobody = await wireUser(world)
    const put = (framing: string, body: string) =>
      nobody.send(`PUT /upload HTTP/1.1\r\n${nobody.own}Connection: close\r\n${framing}\r\n\r\n${body}`)
    const chunked = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
    const fits = 'x'.repeat(1024)
    expect((await put('Content-Length: 1024', fits)).text).toContain('{"bytes":1024}')
    expect((await put('Transfer-Encoding: chunked', chunked(fits))).text).toContain('{"bytes":1024}')
    const heard = world.upstream.requests.length
    expect((await put('Content-Length: 1025', `${fits}x`)).statuses).toEqual([413])
    expect(world.upstream.requests).toHaveLength(heard)
    const over = await put('Transfer-Encoding: chunked', chunked(`${fits}x`))
    expect(over.statuses).toEqual([413])
    await expect.poll(() => world.upstream.open).toBe(0)
    for (const { finished } of world.upstream.requests.slice(heard)) expect(await finished).toBe(false)
  })
})

describe('when one side leaves', () => {
  test('PX10 a client that goes takes its upstream request along: while it waits, while it sends, while it receives', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const begin: [state: string, request: string][] = [
      ['waiting', `GET /api/hang HTTP/1.1\r\n${bob.own}\r\n`],
      ['sending', `PUT /api/upload HTTP/1.1\r\n${bob.own}Content-Length: 1000\r\n\r\nhalf`],
      ['receiving', `GET /api/sse HTTP/1.1\r\n${bob.own}\r\n`],
    ]
    for (const [state, request] of begin) {
      const wire = await openWire(world.port, request)
      await expect.poll(() => world.upstream.open).toBe(1)
      if (state === 'receiving') await wire.until(/event 1/)
      wire.socket.destroy()
      await expect.poll(() => world.upstream.open, { message: state }).toBe(0)
      expect([state, await world.upstream.last().finished]).toEqual([state, false])
    }
    // And nothing of it is left: the next request is as good as the first.
    expect((await bob.call('/api/echo')).statuses).toEqual([200])
  })

  test('an upstream that is silent is 504, one that is not there 502; others are served meanwhile', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/down', upstream: 'http://127.0.0.1:9', access: 'authenticated' },
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', timeout: '1s' },
          { path: '/', static: './public', access: 'public' },
        ],
      }),
    })
    const browser = await world.signedIn()
    const silent = Promise.all(Array.from({ length: 20 }, () => browser.fetch('/api/hang')))
    await expect.poll(() => world.upstream.open).toBe(20)
    expect((await browser.fetch('/api/echo')).status).toBe(200)
    expect((await browser.fetch('/down')).json()).toMatchObject({ status: 502, code: 'upstream_unavailable' })
    for (const page of await silent) expect(page.json()).toMatchObject({ status: 504, code: 'upstream_timeout' })
    await expect.poll(() => world.upstream.open).toBe(0)
    // Slow to begin, but in time; and a body may take as long as it likes, so long as it moves.
    expect((await browser.fetch('/api/slow?ms=400')).status).toBe(200)
    expect((await browser.fetch('/api/sse?events=4&ms=300')).text).toContain('event 4')
  })
})
