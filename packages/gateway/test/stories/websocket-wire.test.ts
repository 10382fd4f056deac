import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { listen } from '../../../testkit/src/listen.ts'
import { openWire, statusLines } from '../node/carrier.ts'
import { liveWorld, startSocketUpstream } from './sockets.ts'
import { rawUpstream, type WireUser, wireUser } from './wire.ts'

const key = 'dGhlIHNhbXBsZSBub25jZQ=='
const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
const version = 'Sec-WebSocket-Version: 13\r\n'
const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket\r\n'
const handshake = `${upgrade}${version}Sec-WebSocket-Key: ${key}\r\n`

/** The bytes of a handshake with these lines. */
const asking = (
  user: WireUser,
  lines = handshake,
  { method = 'GET', target = '/live', http = '1.1', body = '' } = {},
) => `${method} ${target} HTTP/${http}\r\n${user.own}${lines}\r\n${body}`

describe('what is no clean handshake opens nothing', () => {
  const smuggled = 'GET /live/secret HTTP/1.1\r\nHost: x\r\n\r\n'
  const cases: Record<string, [status: number, bytes: (user: WireUser) => string]> = {
    'a plain request': [426, (user) => asking(user, '')],
    HEAD: [426, (user) => asking(user, '', { method: 'HEAD' })],
    POST: [405, (user) => asking(user, 'Content-Length: 0\r\n', { method: 'POST' })],
    'a handshake by POST': [400, (user) => asking(user, handshake, { method: 'POST' })],
    'Upgrade: h2c': [
      426,
      (user) =>
        asking(
          user,
          `Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n`,
        ),
    ],
    'h2c beside websocket': [400, (user) => asking(user, handshake.replace('websocket', 'websocket, h2c'))],
    'two Upgrade headers': [400, (user) => asking(user, `${handshake}Upgrade: websocket\r\n`)],
    'two Upgrade headers, one of them h2c': [400, (user) => asking(user, `${handshake}Upgrade: h2c\r\n`)],
    'without Connection: upgrade': [400, (user) => asking(user, handshake.replace('Connection: Upgrade\r\n', ''))],
    'Connection: close': [400, (user) => asking(user, handshake.replace('Connection: Upgrade', 'Connection: close'))],
    'an empty body, declared': [400, (user) => asking(user, `${handshake}Content-Length: 0\r\n`)],
    'a body': [400, (user) => asking(user, `${handshake}Content-Length: ${smuggled.length}\r\n`, { body: smuggled })],
    'a chunked body': [
      400,
      (user) => asking(user, `${handshake}Transfer-Encoding: chunked\r\n`, { body: `0\r\n\r\n${smuggled}` }),
    ],
    'both framings': [
      400,
      (user) => asking(user, `${handshake}Transfer-Encoding: chunked\r\nContent-Length: 5\r\n`, { body: '0\r\n\r\n' }),
    ],
    'a frame, or a request, before the answer': [400, (user) => asking(user, handshake, { body: smuggled })],
    Expect: [400, (user) => asking(user, `${handshake}Expect: 100-continue\r\n`)],
    'HTTP/1.0': [400, (user) => asking(user, handshake, { http: '1.0' })],
    'another version': [426, (user) => asking(user, handshake.replace('13', '8'))],
    'no version': [426, (user) => asking(user, handshake.replace(version, ''))],
    'two versions': [426, (user) => asking(user, `${handshake}Sec-WebSocket-Version: 12\r\n`)],
    'no key': [400, (user) => asking(user, `${upgrade}${version}`)],
    'a key that is none': [400, (user) => asking(user, handshake.replace(key, 'short'))],
    'two keys': [400, (user) => asking(user, `${handshake}Sec-WebSocket-Key: ${key}\r\n`)],
    'a foreign Host': [421, (user) => asking(user, handshake).replace(user.host, 'evil.example')],
    'no Host': [400, (user) => asking(user, handshake).replace(`Host: ${user.host}\r\n`, '')],
    'another spelling of the path': [400, (user) => asking(user, handshake, { target: '/live/..%2flive' })],
  }

  test('PX6 CS5 each one is refused, reaches no upstream, and is the last of its connection where it wanted to upgrade', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await wireUser(world, 'ada')
    for (const [what, [status, bytes]] of Object.entries(cases)) {
      const sent = bytes(ada)
      const wire = await openWire(world.port, sent)
      await wire.until(/\r\n\r\n/)
      if (/^upgrade:/im.test(sent)) await wire.closed
      else wire.socket.destroy()
      expect([what, statusLines(wire.received)]).toEqual([what, [`HTTP/1.1 ${status}`]])
      if (status === 426)
        expect(wire.received).toMatch(
          /^Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r$/m,
        )
    }
    expect([upstream.handshakes, upstream.requests]).toEqual([[], []])
  })

  test('PX6 bytes that come before the upstream’s agreement are refused, and never relayed', async () => {
    await using upstream = await rawUpstream()
    await using world = await liveWorld({ url: upstream.url.replace('http', 'ws') })
    const ada = await wireUser(world, 'ada')
    const wire = await openWire(world.port, asking(ada))
    await expect.poll(() => upstream.heads.length).toBe(1)
    wire.socket.write(smuggled)
    // While another request is answered, the gateway reads those bytes.
    expect((await ada.call('/api/echo')).statuses).toEqual([200])
    upstream.answers('')
    // The upstream agrees only now.
    for (const socket of upstream.sockets) socket.write(agreement())
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 400'])
    expect(upstream.heads.join('')).not.toContain('secret')
  })

  test('PX6 a handshake behind a request that is still being answered ends the connection, and nothing else', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await wireUser(world, 'ada')
    const endless = `GET /api/hang HTTP/1.1\r\n${ada.own}\r\n`
    expect(statusLines(await (await openWire(world.port, endless + asking(ada))).closed)).toEqual([])
    await expect.poll(() => world.upstream.open).toBe(0)
    const wire = await openWire(world.port, endless)
    await expect.poll(() => world.upstream.open).toBe(1)
    wire.socket.write(asking(ada))
    expect(statusLines(await wire.closed)).toEqual([])
    expect(upstream.handshakes).toEqual([])
    // Behind an answer that is complete it is one like any other.
    const patient = await openWire(world.port, `GET /api/echo HTTP/1.1\r\n${ada.own}\r\n`)
    await patient.until(/"body":""/)
    patient.socket.write(asking(ada))
    await patient.until(/101 Switching/)
    patient.socket.destroy()
  })

  test('PX6 on a route of requests an Upgrade is ignored: no WebSocket, and the request is answered as one', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream)
    const ada = await wireUser(world, 'ada')
    const { statuses, closed } = await ada.send(asking(ada, handshake, { target: '/api/echo' }))
    expect([statuses, closed]).toEqual([[200], true])
    expect(world.upstream.last().header('upgrade')).toBeUndefined()
    expect(upstream.handshakes).toEqual([])
    const files = await ada.send(asking(ada, handshake, { target: '/app.js' }))
    expect([files.statuses, files.closed]).toEqual([[200], true])
    const own = await ada.send(asking(ada, handshake, { target: '/auth/session' }))
    expect([own.statuses, own.closed]).toEqual([[200], true])
    // A body with an Upgrade that nobody takes is still the body.
    const post = await ada.send(
      asking(ada, 'Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n', {
        method: 'POST',
        target: '/api/echo',
        body: 'hello',
      }),
    )
    expect(post.statuses).toEqual([200])
    expect(world.upstream.last().body.toString()).toBe('hello')
  })

  test('requests and WebSockets may share a path', async () => {
    await using upstream = await startSocketUpstream()
    await using world = await liveWorld(upstream, {
      routes: [
        {
          path: '/live',
          upstream: upstream.url.replace('ws', 'http'),
          access: 'authenticated',
          methods: ['GET', 'POST'],
        },
      ],
    })
    const ada = await wireUser(world, 'ada')
    expect((await ada.call('/live')).text).toContain('plain')
    const put = await ada.call('/live', '', 'PUT')
    expect(put.text).toMatch(/405[\s\S]*Allow: GET, POST, HEAD\r\n/)
    const wire = await openWire(world.port, asking(ada))
    expect(await wire.until(/\r\n\r\n/)).toContain('101 Switching Protocols')
    wire.socket.destroy()
  })
})

const agreement = (lines = '', status = '101 Switching Protocols') =>
  `HTTP/1.1 ${status}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n${lines}\r\n`

describe('what is no agreement of the upstream opens nothing', () => {
  const frame = '\x81\x05hello'
  const cases: Record<string, [status: number, answer: string]> = {
    '200': [502, 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'],
    '200 with all that a 101 has': [502, agreement('Content-Length: 0\r\n', '200 OK') + frame],
    '204': [502, 'HTTP/1.1 204 No Content\r\n\r\n'],
    'a 101 with a wrong accept': [502, agreement().replace(accept, 'AAAAAAAAAAAAAAAAAAAAAAAAAAA=') + frame],
    'a 101 without accept': [502, agreement().replace(/Sec-WebSocket-Accept.*\r\n/, '') + frame],
    'a 101 with two accepts': [502, agreement(`Sec-WebSocket-Accept: ${accept}\r\n`) + frame],
    'a 101 to something else': [502, agreement().replace('websocket', 'h2c') + frame],
    'a 101 without Upgrade': [502, agreement().replace('Upgrade: websocket\r\n', '') + frame],
    'a 101 without Connection': [502, agreement().replace('Connection: Upgrade\r\n', '') + frame],
    'a subprotocol that nobody offered': [502, agreement('Sec-WebSocket-Protocol: admin\r\n') + frame],
    'an extension that nobody offered': [502, agreement('Sec-WebSocket-Extensions: permessage-deflate\r\n') + frame],
    'no HTTP': [502, `SSH-2.0-OpenSSH\r\n`],
    'a hang-up': [502, ''],
    '403, which is its own affair': [
      403,
      'HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 4\r\nX-Reason: full\r\n\r\nfull',
    ],
    '503 in chunks': [503, 'HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbusy\r\n0\r\n\r\n'],
    'a refusal with a huge body': [
      403,
      `HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nContent-Length: 100000\r\n\r\n${'x'.repeat(100_000)}`,
    ],
    'a refusal that breaks off': [403, 'HTTP/1.1 403 Forbidden\r\nContent-Length: 100\r\n\r\nhalf'],
    'a redirect': [302, 'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'],
  }

  test('PX6 each one is answered in plain HTTP, not one byte of what follows is relayed either way, and the connection ends', async () => {
    await using upstream = await rawUpstream()
    await using world = await liveWorld({ url: upstream.url.replace('http', 'ws') })
    const ada = await wireUser(world, 'ada')
    for (const [what, [status, answer]] of Object.entries(cases)) {
      upstream.answers(answer, { end: true })
      const { text, statuses, closed } = await ada.send(asking(ada))
      expect([what, statuses, closed]).toEqual([what, [status], true])
      expect(text.startsWith('HTTP/1.1 101')).toBe(false)
      if (status === 502) expect(text).toMatch(/"code":"upstream_unavailable"/)
      expect(text).not.toContain('hello')
      if (what.startsWith('403')) expect(text).toMatch(/X-Reason: full[\s\S]*\r\n\r\nfull$/)
      if (what.startsWith('503')) expect(text).toMatch(/Content-Length: 4[\s\S]*\r\n\r\nbusy$/)
      if (what.startsWith('a refusal')) expect(text).toMatch(/Content-Length: 0\r\n[\s\S]*\r\n\r\n$/)
    }
  })

  test('an upstream that is down is 502, one that says nothing 504', async () => {
    const upstream = await rawUpstream()
    await using world = await liveWorld({ url: upstream.url.replace('http', 'ws') }, { live: { timeout: '1s' } })
    const ada = await wireUser(world, 'ada')
    expect((await ada.send(asking(ada))).text).toMatch(/504[\s\S]*"code":"upstream_timeout"/)
    await upstream[Symbol.asyncDispose]()
    expect((await ada.send(asking(ada))).text).toMatch(/502[\s\S]*"code":"upstream_unavailable"/)
  })

  test('LO1 a sign-out during the handshake ends that, too', async () => {
    await using upstream = await rawUpstream()
    await using world = await liveWorld({ url: upstream.url.replace('http', 'ws') })
    const ada = await wireUser(world, 'ada')
    const wire = await openWire(world.port, asking(ada))
    await expect.poll(() => upstream.heads.length).toBe(1)
    await world.browser('ada').fetch('/auth/logout', { method: 'POST' })
    expect(await wire.closed).toMatch(/401[\s\S]*"code":"session_expired"/)
  })

  test('only the handshake and allowed cookies of a 101 reach the client, and what was said behind it', async () => {
    await using upstream = await rawUpstream()
    await using world = await liveWorld(
      { url: upstream.url.replace('http', 'ws') },
      { live: { allowSetCookie: ['theme'] } },
    )
    const ada = await wireUser(world, 'ada')
    upstream.answers(
      `${agreement('Server: secret\r\nSet-Cookie: theme=dark\r\nSet-Cookie: __Host-Http-session=evil; Path=/; Secure\r\nContent-Length: 3\r\nX-Accel-Redirect: /etc\r\n')}${frame}`,
    )
    const wire = await openWire(world.port, asking(ada))
    const text = await wire.until(/hello/)
    wire.socket.destroy()
    expect(text.split('\r\n').slice(0, -1)).toEqual([
      'HTTP/1.1 101 Switching Protocols',
      'Connection: Upgrade',
      'Upgrade: websocket',
      `Sec-WebSocket-Accept: ${accept}`,
      'Set-Cookie: theme=dark',
      '',
    ])
  })
})

describe('an open tunnel', () => {
  /** A client and the upstream's end of its tunnel, both as bytes. */
  async function tunnel(live: Record<string, unknown> = {}) {
    const sockets: Socket[] = []
    const received: Buffer[] = []
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write(agreement())
        sockets.push(socket)
        socket.on('data', (chunk) => received.push(chunk))
      })
    })
    const port = await listen(server)
    const world = await liveWorld({ url: `ws://127.0.0.1:${port}` }, { live })
    const ada = await wireUser(world, 'ada')
    const wire = await openWire(world.port, asking(ada))
    await wire.until(/\r\n\r\n/)
    await expect.poll(() => sockets.length).toBe(1)
    const [there] = sockets
    if (!there) throw new Error('no upstream')
    return {
      world,
      wire,
      there,
      received: () => Buffer.concat(received),
      frames: () => Buffer.from(wire.received.slice(wire.received.indexOf('\r\n\r\n') + 4), 'latin1'),
      signOut: () => world.browser('ada').fetch('/auth/logout', { method: 'POST' }),
      async [Symbol.asyncDispose]() {
        wire.socket.destroy()
        there.destroy()
        await world[Symbol.asyncDispose]()
        await new Promise((resolve) => server.close(resolve))
      },
    }
  }

  const bye = Buffer.from('\x88\x11\x11\x31session_expired', 'latin1')

  test('LO1 the close frame waits for the end of the frame that is on its way, and comes before the next', async () => {
    await using open = await tunnel()
    const frame = Buffer.concat([Buffer.from([0x82, 126, 1, 0]), Buffer.alloc(256, 'a')])
    open.there.write(frame.subarray(0, 100))
    await expect.poll(() => open.frames().length).toBe(100)
    void open.signOut()
    await expect.poll(() => open.world.log.lines.some(({ event }) => event === 'streams_ended')).toBe(true)
    // What the client says meanwhile is said to nobody.
    open.wire.socket.write('\x81\x83\0\0\0\0two', 'latin1')
    open.there.write(Buffer.concat([frame.subarray(100), Buffer.from('\x81\x05later', 'latin1')]))
    await open.wire.closed
    expect(open.received().toString('latin1')).not.toContain('two')
    expect(open.frames()).toEqual(Buffer.concat([frame, bye]))
  })

  test('LO1 a frame that does not end is cut: no close frame within it, and nothing more', async () => {
    await using open = await tunnel()
    const begun = Buffer.from('\x82\x7e\x01\x00aaa', 'latin1')
    open.there.write(begun)
    await expect.poll(() => open.frames().length).toBe(begun.length)
    await open.signOut()
    await open.wire.closed
    expect(open.frames()).toEqual(begun)
  })

  test('LO1 from the moment on that the session is over, nothing of the client reaches the upstream', async () => {
    await using open = await tunnel()
    open.wire.socket.write('\x81\x83\0\0\0\0one', 'latin1')
    await expect.poll(() => open.received().toString('latin1')).toContain('one')
    await open.signOut()
    await expect.poll(() => open.frames().equals(bye)).toBe(true)
    open.wire.socket.write('\x81\x83\0\0\0\0two', 'latin1')
    await open.wire.closed
    // The upstream hears a close frame, masked as a client's are.
    const text = open.received()
    expect(text.toString('latin1')).not.toContain('two')
    const close = text.subarray(9)
    expect([close[0], close[1]]).toEqual([0x88, 0x80 | 12])
    const payload = close.subarray(6).map((byte, i) => byte ^ (close[2 + (i % 4)] as number))
    expect([Buffer.from(payload).readUInt16BE(0), String(Buffer.from(payload).subarray(2))]).toEqual([
      1001,
      'going_away',
    ])
  })

  test('a silent client is sent a ping; one that answers lives on, one that doesn’t is cut, with its upstream', async () => {
    await using open = await tunnel({ streams: { ping: '1s' } })
    const ping = Buffer.from([0x89, 0])
    await expect.poll(() => open.frames().equals(ping)).toBe(true)
    open.wire.socket.write('\x8a\x80\0\0\0\0', 'latin1')
    await expect.poll(() => open.frames().equals(Buffer.concat([ping, ping]))).toBe(true)
    const gone = new Promise((resolve) => open.there.once('end', resolve))
    await open.wire.closed
    await gone
  })

  test('no ping lands within a frame', async () => {
    await using open = await tunnel({ streams: { ping: '1s' } })
    const begun = Buffer.from('\x82\x7e\x01\x00aaa', 'latin1')
    open.there.write(begun)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect(open.frames()).toEqual(begun)
    open.there.write(Buffer.alloc(253, 'a'))
    await expect
      .poll(
        () =>
          open
            .frames()
            .subarray(260)
            .equals(Buffer.from([0x89, 0])),
        { timeout: 5_000 },
      )
      .toBe(true)
  })

  test('streams.idle closes what says nothing; pings and pongs are no messages', async () => {
    await using open = await tunnel({ streams: { ping: '1s', idle: '2s' } })
    const answering = setInterval(() => open.wire.socket.write('\x8a\x80\0\0\0\0', 'latin1'), 200)
    try {
      await open.wire.closed
    } finally {
      clearInterval(answering)
    }
    expect(open.frames().subarray(-8)).toEqual(Buffer.from('\x88\x06\x11\x38idle', 'latin1'))
  })

  test('half a connection may end before the other: what is still said arrives, in both directions', async () => {
    await using one = await tunnel()
    one.wire.socket.end('\x81\x83\0\0\0\0end', 'latin1')
    const heard = new Promise((resolve) => one.there.once('end', resolve))
    one.there.resume()
    await heard
    expect(one.received().toString('latin1')).toContain('end')
    one.there.end('\x81\x04last', 'latin1')
    await one.wire.closed
    expect(one.frames().toString('latin1')).toBe('\x81\x04last')

    await using other = await tunnel()
    other.there.end('\x81\x04last', 'latin1')
    await other.wire.until(/last/)
    other.wire.socket.write('\x81\x83\0\0\0\0end', 'latin1')
    await other.wire.closed
    // The client of this test ends when the gateway does; what it had said before is there.
    await expect.poll(() => other.there.readableEnded).toBe(true)
  })

  test('an upstream that breaks off looks broken off, and a client that leaves takes its upstream connection with it', async () => {
    await using one = await tunnel()
    one.there.resetAndDestroy()
    await one.wire.closed
    expect(one.frames()).toEqual(Buffer.alloc(0))
    await using other = await tunnel()
    const gone = new Promise((resolve) => other.there.once('end', resolve))
    other.wire.socket.resetAndDestroy()
    await gone
  })
})
