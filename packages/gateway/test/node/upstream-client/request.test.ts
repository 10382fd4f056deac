import { Readable } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { UpstreamPool } from '../../../src/node/upstream-client/contract.ts'
import { createUpstreamPool } from '../../../src/node/upstream-client/pool.ts'
import { eventually, pause } from '../carrier.ts'
import { type Asked, ask, ok, type RawUpstream, startRawUpstream } from './raw-upstream.ts'

function open({ url }: RawUpstream): UpstreamPool & AsyncDisposable {
  const pool = createUpstreamPool(url)
  return { ...pool, [Symbol.asyncDispose]: () => pool.destroy() }
}

const echo = () => startRawUpstream(({ socket }) => socket.write(ok('')))
const bodyOf = (...parts: string[]) => Readable.from(parts.map((part) => Buffer.from(part)))

describe('what an upstream receives', () => {
  test('a head in one piece, Host where there is none', async () => {
    await using upstream = await echo()
    await using pool = open(upstream)
    await ask(pool, { path: '/p?q=%20', headers: ['X-Name', '\xe9', 'A', ''] })
    const host = new URL(upstream.url).host
    expect(upstream.lines[0]?.received).toBe(
      `GET /p?q=%20 HTTP/1.1\r\nHost: ${host}\r\nConnection: keep-alive\r\nX-Name: \xe9\r\nA: \r\n\r\n`,
    )
  })

  test('the Host that it was given, once', async () => {
    await using upstream = await echo()
    await using pool = open(upstream)
    await ask(pool, { headers: ['hOsT', 'api.example'] })
    expect(upstream.lines[0]?.received).toBe('GET / HTTP/1.1\r\nConnection: keep-alive\r\nhOsT: api.example\r\n\r\n')
  })

  const framed: [string, Asked, string][] = [
    ['POST without a body', { method: 'POST' }, 'Content-Length: 0\r\n\r\n'],
    ['GET without one', {}, 'keep-alive\r\n\r\n'],
    [
      'a body of known length',
      { method: 'POST', headers: ['content-length', '005'], body: bodyOf('he', 'llo') },
      'Content-Length: 5\r\n\r\nhello',
    ],
    [
      'another one',
      { method: 'PUT', body: bodyOf('he', '', 'llo world') },
      'Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n9\r\nllo world\r\n0\r\n\r\n',
    ],
    ['an empty one', { method: 'PATCH', body: bodyOf() }, 'Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
    [
      'a body with DELETE',
      { method: 'DELETE', headers: ['Content-Length', '1'], body: bodyOf('x') },
      'close\r\nContent-Length: 1\r\n\r\nx',
    ],
  ]
  test.each(framed)('%s', async (_, asked, expected) => {
    // Answered once all of it is there, and what would be too much had its time to come: an early answer stops a body.
    await using upstream = await startRawUpstream(async (line) => {
      await eventually(() => line.received.endsWith(expected)).catch(() => {})
      await pause(30)
      line.socket.write(ok(''))
    })
    await using pool = open(upstream)
    await ask(pool, asked)
    const received = upstream.lines[0]?.received ?? ''
    expect(received.slice(received.indexOf('Connection: ') + 12).replace(/^keep-alive\r\n(?!\r)/, '')).toBe(expected)
  })

  test('a body no faster than it is read', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.pause())
    await using pool = open(upstream)
    let made = 0
    const body = new Readable({
      read() {
        made += 64 * 1024
        this.push(made > 64 * 1024 * 1024 ? null : Buffer.alloc(64 * 1024))
      },
    })
    const answer = ask(pool, { method: 'POST', body })
    await eventually(() => upstream.lines[0]?.requests === 1)
    await pause(200)
    expect(made).toBeLessThan(32 * 1024 * 1024)
    expect(body.isPaused()).toBe(true)
    const [line] = upstream.lines
    const socket = line?.socket
    socket?.removeAllListeners('data').on('data', () => {})
    socket?.resume()
    await eventually(() => body.readableEnded)
    socket?.write(ok('all'))
    expect(await answer).toMatchObject({ body: 'all' })
  })
})

describe('a body that is not what was announced', () => {
  test.each([
    ['too long', bodyOf('abcd'), /longer/],
    ['too short', bodyOf('ab'), /shorter/],
  ])('%s: the connection is closed, and no byte too many sent', async (_, body, why) => {
    await using upstream = await startRawUpstream(() => {})
    await using pool = open(upstream)
    await expect(ask(pool, { method: 'POST', headers: ['Content-Length', '3'], body })).rejects.toThrow(why)
    await eventually(() => upstream.lines.every(({ socket }) => socket.closed))
    expect(upstream.lines[0]?.received ?? '').not.toContain('abcd')
  })

  test('broken off: the upstream never sees its end', async () => {
    await using upstream = await startRawUpstream(() => {})
    await using pool = open(upstream)
    const body = new Readable({ read() {} })
    body.push('abc')
    const answer = ask(pool, { method: 'POST', body })
    await eventually(() => upstream.lines[0]?.received.includes('abc') === true)
    body.destroy()
    await expect(answer).rejects.toMatchObject({ code: 'UPSTREAM_REQUEST' })
    await eventually(() => upstream.lines[0]?.socket.closed === true)
    expect(upstream.lines[0]?.received).not.toContain('0\r\n\r\n')
  })

  test('broken before its beginning (request smuggling): the upstream never hears of it', async () => {
    await using upstream = await echo()
    await using pool = open(upstream)
    const body = new Readable({ read() {} })
    const answer = ask(pool, { method: 'POST', body })
    await eventually(() => upstream.lines.length === 1)
    await pause(50)
    body.destroy(new Error('the client broke its framing'))
    await expect(answer).rejects.toThrow('the client broke its framing')
    await eventually(() => upstream.lines[0]?.socket.closed === true)
    expect(upstream.lines[0]?.received).toBe('')
  })

  test('failed while it waits for a connection: nothing is sent', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => {
      if (head.startsWith('GET')) setTimeout(() => socket.write(ok('')), 50)
    })
    const pool = createUpstreamPool(upstream.url, { connections: 1 })
    const first = ask(pool)
    const body = new Readable({ read() {} })
    body.push('abc')
    const second = ask(pool, { method: 'POST', body })
    body.destroy(new Error('the client broke its framing'))
    await expect(second).rejects.toThrow('the client broke its framing')
    await first
    expect(await ask(pool)).toMatchObject({ status: 200 })
    expect(upstream.lines.map(({ received }) => received.includes('POST'))).toEqual([false])
    await pool.destroy()
  })

  test('failed: with its own error', async () => {
    await using upstream = await startRawUpstream(() => {})
    await using pool = open(upstream)
    const body = new Readable({ read() {} })
    body.push('abc')
    const answer = ask(pool, { method: 'POST', body })
    await eventually(() => upstream.lines[0]?.requests === 1)
    body.destroy(new Error('the client broke its framing'))
    await expect(answer).rejects.toThrow('the client broke its framing')
    await eventually(() => upstream.lines[0]?.socket.closed === true)
  })

  test('it is destroyed when its upstream fails, and then its own end is no fault', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.destroy())
    await using pool = open(upstream)
    const body = new Readable({ read() {} })
    body.push('abc')
    await expect(ask(pool, { method: 'POST', body })).rejects.toThrow()
    expect(body.destroyed).toBe(true)
  })
})

describe('what is never written (request splitting)', () => {
  const refused: [string, Asked][] = [
    ...['a b', 'a\r\nX: y', 'a\nb', 'a\0', 'a\x7f', 'a\xe9', '\u010a', ''].map((path): [string, Asked] => [
      `the path ${JSON.stringify(path)}`,
      { path },
    ]),
    ...['a\r\nX: y', 'a\nb', 'a\rb', 'a\0b', 'a\x1bb', 'a\x7f', '\u010a', '\u20ac'].map((value): [string, Asked] => [
      `the value ${JSON.stringify(value)}`,
      { headers: ['A', value] },
    ]),
    ...['A B', 'A:', '', 'A\r\n', 'A\xe9', '\u0141'].map((name): [string, Asked] => [
      `the name ${JSON.stringify(name)}`,
      { headers: [name, 'b'] },
    ]),
    ...['G T', '', 'GET\r\n', 'CONNECT'].map((method): [string, Asked] => [
      `the method ${JSON.stringify(method)}`,
      { method },
    ]),
    ...['Connection', 'keep-alive', 'Transfer-Encoding', 'UPGRADE', 'Expect', 'te', 'Trailer'].map(
      (name): [string, Asked] => [`the header ${name}`, { headers: [name, 'x'] }],
    ),
    ['two hosts', { headers: ['Host', 'a', 'host', 'a'] }],
    ['two lengths', { method: 'POST', headers: ['Content-Length', '1', 'content-length', '1'], body: bodyOf('x') }],
    ['a length without a body', { method: 'POST', headers: ['Content-Length', '1'] }],
    ...['+1', '1,1', 'x', ''].map((length): [string, Asked] => [
      `the length ${length}`,
      { method: 'POST', headers: ['Content-Length', length], body: bodyOf('x') },
    ]),
  ]
  test.each(refused)('%s', async (_, asked) => {
    await using upstream = await echo()
    await using pool = open(upstream)
    // Twice: a name that was looked at before is not taken for a good one.
    for (let i = 0; i < 2; i++) await expect(ask(pool, asked)).rejects.toMatchObject({ code: 'UPSTREAM_REQUEST' })
    expect(upstream.lines).toEqual([])
    expect(await ask(pool)).toMatchObject({ status: 200 })
  })
})
