import { Readable } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { generate } from 'selfsigned'
import { describe, expect, test } from 'vitest'
import type { Place, UpstreamPool, UpstreamPoolOptions } from '../../../src/node/upstream-client/contract.ts'
import { createUpstreamPool } from '../../../src/node/upstream-client/pool.ts'
import { eventually, pause } from '../carrier.ts'
import { ask, ok, type RawUpstream, startRawUpstream } from './raw-upstream.ts'

function open({ url }: RawUpstream, options?: UpstreamPoolOptions): UpstreamPool & AsyncDisposable {
  const pool = createUpstreamPool(url, options)
  return { ...pool, [Symbol.asyncDispose]: () => pool.destroy() }
}

/** A body that has begun, and does not end. */
function begun(): Readable {
  const body = new Readable({ read() {} })
  body.push('abc')
  return body
}

const pathOf = (head: string) => head.split(' ')[1] as string

describe('the same connection', () => {
  test('serves one request after the other', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => socket.write(ok(pathOf(head))))
    await using pool = open(upstream)
    for (const path of ['/1', '/2', '/3']) expect(await ask(pool, { path })).toMatchObject({ status: 200, body: path })
    expect(upstream.lines.map(({ requests }) => requests)).toEqual([3])
  })

  test('serves those that wait, in order', async () => {
    await using upstream = await startRawUpstream(async ({ socket }, head) => {
      await pause(5)
      socket.write(ok(pathOf(head)))
    })
    await using pool = open(upstream, { connections: 2 })
    const paths = Array.from({ length: 20 }, (_, i) => `/${i}`)
    const answers = await Promise.all(paths.map((path) => ask(pool, { path })))
    expect(answers.map(({ body }) => body)).toEqual(paths)
    expect(upstream.lines).toHaveLength(2)
    // Each line was asked in rising order.
    for (const { received } of upstream.lines) {
      const asked = [...received.matchAll(/GET \/(\d+)/g)].map(([, n]) => Number(n))
      expect(asked).toEqual(asked.toSorted((a, b) => a - b))
    }
  })

  test('a busy pool lets go of what is answered', async () => {
    let answers = 0
    await using upstream = await startRawUpstream(({ socket }) => {
      if (++answers <= 100) socket.write(ok('a'))
    })
    await using pool = open(upstream, { connections: 1 })
    const settled: Promise<unknown>[] = []
    const requests = Array.from({ length: 200 }, (_, i) => {
      const headers = ['X-Number', `${i}`]
      settled.push(ask(pool, { headers }).catch(() => {}))
      return new WeakRef(headers)
    })
    await Promise.all(settled.slice(0, 100))
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const kept = () => {
      collect()
      return requests.slice(0, 100).filter((request) => request.deref() !== undefined).length
    }
    // The last one may still be on the stack. Two hundred of them, kept until the queue was empty, made garbage cost more
    // than all the rest of a request.
    await eventually(() => kept() < 5)
  })

  test.each([
    ['said that it closes', ok('a', 'Connection: close'), {}],
    ['speaks HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na', {}],
    ['will close soon', ok('a', 'Keep-Alive: timeout=1'), {}],
    ['sent a byte too many', `${ok('a')}b`, {}],
    ['sent an answer too many', `${ok('a')}${ok('evil')}`, {}],
    ['answers HEAD, and may send a body', ok(''), { method: 'HEAD' }],
    [
      'was sent a body with GET',
      ok('a'),
      { body: Readable.from([Buffer.from('x')]), headers: ['Content-Length', '1'] },
    ],
    ['answers before it was asked to the end', ok('a'), { method: 'POST', body: begun() }],
  ])('is closed when the upstream %s', async (_, answer, asked) => {
    await using upstream = await startRawUpstream(({ socket, requests }, head) => {
      socket.write(requests === 1 && pathOf(head) === '/first' ? answer : ok('second'))
    })
    await using pool = open(upstream)
    expect(await ask(pool, { path: '/first', ...asked })).toMatchObject({ status: 200 })
    expect(await ask(pool, { path: '/second' })).toMatchObject({ body: 'second' })
    expect(upstream.lines.map(({ requests }) => requests)).toEqual([1, 1])
    await eventually(() => upstream.lines[0]?.socket.closed === true)
  })

  test('is closed at once when something comes that nobody asked for', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('a')))
    await using pool = open(upstream)
    await ask(pool)
    const [line] = upstream.lines
    line?.socket.write(ok('evil'))
    await eventually(() => line?.socket.closed === true)
    expect(await ask(pool)).toMatchObject({ body: 'a' })
  })

  test('is not used when, at that moment, an answer to nothing lies on it (response queue poisoning)', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('right')))
    await using pool = open(upstream)
    await ask(pool)
    upstream.lines[0]?.socket.write(ok('evil'))
    // In the same turn: the bytes have arrived, but nobody has read them.
    expect(await ask(pool)).toMatchObject({ body: 'right' })
    expect(upstream.lines).toHaveLength(2)
  })

  test('is not used when it lay unused for too long', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('a')))
    await using pool = open(upstream, { keepAliveTimeout: 30 })
    await ask(pool)
    await pause(60)
    await ask(pool)
    expect(upstream.lines).toHaveLength(2)
  })

  test('is closed when it lay unused for too long, without being asked for', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('a', 'Keep-Alive: timeout=2.1')))
    await using pool = open(upstream, { keepAliveTimeout: 10 })
    await ask(pool)
    await eventually(() => upstream.lines[0]?.socket.closed === true)
  })
})

describe('a connection that the upstream closes', () => {
  test.each(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])(
    'just when %s is written: it is sent again',
    async (method) => {
      await using upstream = await startRawUpstream(({ socket }) => {
        if (upstream.lines.length === 1 && upstream.lines[0]?.requests === 2) socket.destroy()
        else socket.write(ok(''))
      })
      await using pool = open(upstream)
      await ask(pool)
      const second = ask(pool, { method })
      expect(await second).toMatchObject({ status: 200 })
      expect(second.aborts).toHaveLength(2)
      expect(upstream.lines.map(({ requests }) => requests)).toEqual([2, 1])
    },
  )

  test.each([
    ['POST, which may have been carried out', { method: 'POST' }, undefined],
    ['a body that is gone', { method: 'PUT', body: Readable.from([Buffer.from('x')]) }, undefined],
    ['an answer that had begun', {}, 'H'],
  ])('%s: not sent again', async (_, asked, begun) => {
    await using upstream = await startRawUpstream(({ socket, requests }) => {
      if (requests === 1) socket.write(ok(''))
      else if (begun === undefined) socket.destroy()
      else socket.end(begun)
    })
    await using pool = open(upstream)
    await ask(pool)
    await expect(ask(pool, asked)).rejects.toThrow(/closed|ECONNRESET|EPIPE/)
    expect(upstream.lines).toHaveLength(1)
  })

  test('on the first request as well: not sent again, the upstream does not want it', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.end())
    await using pool = open(upstream)
    await expect(ask(pool)).rejects.toMatchObject({ code: 'UPSTREAM_CLOSED' })
    expect(upstream.lines).toHaveLength(1)
  })

  test('twice: it is sent again once', async () => {
    let wanted = true
    await using upstream = await startRawUpstream(({ socket }) => {
      if (wanted) socket.write(ok(''))
      else socket.destroy()
    })
    await using pool = open(upstream)
    await Promise.all([ask(pool), ask(pool)])
    wanted = false
    await expect(ask(pool)).rejects.toThrow()
    expect(upstream.lines).toHaveLength(3)
  })

  test('in the middle of an answer of known length, or in chunks: an error, never an end', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => {
      const counted = pathOf(head) === '/counted'
      socket.end(`HTTP/1.1 200 OK\r\n${counted ? 'Content-Length: 9' : 'Transfer-Encoding: chunked'}\r\n\r\n3\r\nabc`)
    })
    await using pool = open(upstream)
    await expect(ask(pool, { path: '/counted' })).rejects.toMatchObject({ code: 'UPSTREAM_CLOSED' })
    await expect(ask(pool, { path: '/chunked' })).rejects.toMatchObject({ code: 'UPSTREAM_CLOSED' })
  })

  test('by a reset, at the end of an answer that only the end delimits: an error', async () => {
    await using upstream = await startRawUpstream(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\nabc')
      setTimeout(() => socket.resetAndDestroy(), 20)
    })
    await using pool = open(upstream)
    await expect(ask(pool)).rejects.toMatchObject({ code: 'UPSTREAM_CLOSED', cause: { code: 'ECONNRESET' } })
  })
})

describe('abort', () => {
  test('closes the connection of its request, and no other', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => {
      if (pathOf(head) === '/slow') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc')
      else setTimeout(() => socket.write(ok('other')), 50)
    })
    await using pool = open(upstream)
    const slow = ask(pool, { path: '/slow' })
    const other = ask(pool)
    await eventually(() => upstream.lines.length === 2 && upstream.lines.every(({ requests }) => requests === 1))
    slow.aborts[0]?.()
    await expect(slow).rejects.toMatchObject({ code: 'UPSTREAM_ABORTED' })
    expect(await other).toMatchObject({ body: 'other' })
    await eventually(() => upstream.lines.filter(({ socket }) => socket.closed).length === 1)
  })

  test('that comes late does not reach the next request on the connection', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => {
      setTimeout(() => socket.write(ok(pathOf(head))), pathOf(head) === '/1' ? 0 : 50)
    })
    await using pool = open(upstream, { connections: 1 })
    let ends = 0
    const aborts: (() => void)[] = []
    const first = new Promise<void>((resolve, reject) => {
      const heard = (error?: Error) => {
        ends++
        if (error) reject(error)
        else resolve()
      }
      ask(pool, { path: '/1' }, { onConnect: (one) => aborts.push(one), onComplete: () => heard(), onError: heard })
    })
    await first
    const second = ask(pool, { path: '/2' })
    await eventually(() => upstream.lines[0]?.requests === 2)
    aborts[0]?.()
    expect(await second).toMatchObject({ body: '/2' })
    expect(ends).toBe(1)
    expect(upstream.lines).toHaveLength(1)
  })

  test('before anything is written leaves the connection as it was', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => socket.write(ok(pathOf(head))))
    await using pool = open(upstream, { connections: 1 })
    const gone = ask(pool, { path: '/gone' }, { onConnect: (abort) => abort() })
    await expect(gone).rejects.toMatchObject({ code: 'UPSTREAM_ABORTED' })
    expect(await ask(pool, { path: '/next' })).toMatchObject({ body: '/next' })
    expect(upstream.lines.map(({ received }) => received.includes('/gone'))).toEqual([false])
  })

  test('in the middle of an answer: its handler hears nothing more', async () => {
    await using upstream = await startRawUpstream(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n')
    })
    await using pool = open(upstream)
    let abort = (_?: Error) => {}
    const heard: string[] = []
    await expect(
      ask(
        pool,
        {},
        {
          onConnect(one) {
            abort = one
          },
          onHead() {
            abort(new Error('enough'))
            return true
          },
          onData: () => heard.push('data') > 0,
          onComplete: () => heard.push('complete'),
        },
      ),
    ).rejects.toThrow('enough')
    expect(heard).toEqual([])
  })

  test('a handler that throws loses its request and its connection, and nothing else', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('a')))
    await using pool = open(upstream)
    const thrown = new Error('a fault of the handler')
    const onHead = () => {
      throw thrown
    }
    await expect(ask(pool, {}, { onHead })).rejects.toBe(thrown)
    await eventually(() => upstream.lines[0]?.socket.closed === true)
    expect(await ask(pool)).toMatchObject({ body: 'a' })
  })
})

describe('how a body is handed over', () => {
  /** What a handler heard, in order. */
  async function heardOf(pieces: readonly string[]): Promise<string[]> {
    const heard: string[] = []
    let next = 1
    await using upstream = await startRawUpstream(({ socket }) => socket.write(pieces[0] as string, 'latin1'))
    await using pool = open(upstream)
    await ask(
      pool,
      {},
      {
        onHead: () => heard.push('head') > 0,
        onText: (body) => heard.push(`text ${body.length}`) > 0,
        onData: (chunk) => heard.push(`data ${chunk.length}`) > 0,
        onWait() {
          heard.push('wait')
          upstream.lines[0]?.socket.write(pieces[next++] as string, 'latin1')
        },
      },
    )
    return heard
  }

  test.each([
    ['short and at once: as a text', [ok('abc\xff')], ['head', 'text 4']],
    ['short, behind its head', [ok('abc').slice(0, -3), 'abc'], ['head', 'wait', 'text 3']],
    ['short, in two pieces: as bytes', [ok('abc').slice(0, -1), 'c'], ['head', 'data 2', 'wait', 'data 1']],
    ['none', [ok('')], ['head']],
    [
      'in chunks: as bytes',
      ['HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'],
      ['head', 'data 1'],
    ],
  ])('%s', async (_, pieces, expected) => {
    expect(await heardOf(pieces)).toEqual(expected)
  })

  test('a long one never as a text, however it comes', async () => {
    const long = 'x'.repeat(12 * 1024 + 1)
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok(long)))
    await using pool = open(upstream)
    const onText = () => expect.unreachable('a text')
    expect((await ask(pool, {}, { onText })).body).toBe(long)
  })
})

describe('back-pressure', () => {
  test('an answer waits while its handler does, and then goes on', async () => {
    const total = 32 * 1024 * 1024
    await using upstream = await startRawUpstream(({ socket }) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
      socket.write(Buffer.alloc(total))
    })
    await using pool = open(upstream, { connections: 1 })
    let received = 0
    let resume = () => {}
    let reading = false
    const answer = ask(
      pool,
      {},
      {
        onHead(_status, _headers, goOn) {
          resume = goOn
          return true
        },
        onData(chunk) {
          received += chunk.length
          return reading
        },
      },
    )
    await eventually(() => received > 0)
    await pause(50)
    expect(received).toBeLessThanOrEqual(64 * 1024)
    reading = true
    resume()
    await answer
    expect(received).toBe(total)
    // A paused connection would not hear of its end; this one must be read again.
    expect(upstream.lines[0]?.socket.destroyed).toBe(false)
  })

  test('a connection whose answer ended while its handler waited is read on: what then comes closes it', async () => {
    await using upstream = await startRawUpstream(({ socket }) => socket.write(ok('abc')))
    await using pool = open(upstream)
    await ask(pool, {}, { onData: () => false })
    upstream.lines[0]?.socket.write('x')
    await eventually(() => upstream.lines[0]?.socket.closed === true)
  })
})

describe('closing', () => {
  test('destroy ends what runs, connects and waits; afterwards nothing is taken', async () => {
    await using upstream = await startRawUpstream(() => {})
    const pool = createUpstreamPool(upstream.url, { connections: 1 })
    const asked = [ask(pool), ask(pool)]
    await eventually(() => upstream.lines[0]?.requests === 1)
    const reason = new Error('over')
    const gone = pool.destroy(reason)
    for (const one of asked) await expect(one).rejects.toBe(reason)
    await gone
    await expect(ask(pool)).rejects.toMatchObject({ code: 'UPSTREAM_ABORTED' })
    await eventually(() => upstream.lines.every(({ socket }) => socket.closed))
  })

  test('close lets run what runs and waits', async () => {
    await using upstream = await startRawUpstream(({ socket }) => {
      setTimeout(() => socket.write(ok('a')), 20)
    })
    const pool = createUpstreamPool(upstream.url, { connections: 1 })
    const asked = [ask(pool), ask(pool)]
    await turn()
    const gone = pool.close()
    expect((await Promise.all(asked)).map(({ body }) => body)).toEqual(['a', 'a'])
    await gone
    await eventually(() => upstream.lines.every(({ socket }) => socket.closed))
  })
})

describe('connecting', () => {
  test('an upstream that is not there', async () => {
    const pool = createUpstreamPool('http://127.0.0.1:1')
    await expect(ask(pool)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
    await pool.destroy()
  })

  test('a handshake that does not end in time', async () => {
    await using upstream = await startRawUpstream(() => {})
    const pool = createUpstreamPool(upstream.url.replace('http:', 'https:'), { connectTimeout: 50 })
    await expect(ask(pool)).rejects.toMatchObject({ code: 'UPSTREAM_CONNECT_TIMEOUT' })
    await pool.destroy()
  })

  test('another scheme is refused', () => {
    expect(() => createUpstreamPool('ftp://127.0.0.1')).toThrow(TypeError)
  })
})

describe('TLS', () => {
  const certificate = () => generate([{ name: 'commonName', value: 'localhost' }], { keySize: 2048 })
  const connectTo = (upstream: RawUpstream, tls: UpstreamPoolOptions['tls']) => open(upstream, tls ? { tls } : {})

  test('an upstream whose certificate is known is asked, again and again on one connection', async () => {
    const { cert, private: key } = await certificate()
    await using upstream = await startRawUpstream(({ socket }, head) => socket.write(ok(pathOf(head))), { cert, key })
    await using pool = connectTo(upstream, { ca: cert })
    for (const path of ['/1', '/2']) expect(await ask(pool, { path })).toMatchObject({ body: path })
    const total = 8 * 1024 * 1024
    upstream.lines[0]?.socket.removeAllListeners('data')
    upstream.lines[0]?.socket.on('data', () => {
      upstream.lines[0]?.socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`)
      upstream.lines[0]?.socket.write(Buffer.alloc(total))
    })
    let resume = () => {}
    let received = 0
    await ask(
      pool,
      {},
      {
        onHead(_status, _headers, goOn) {
          resume = goOn
          return true
        },
        onData(chunk) {
          received += chunk.length
          setTimeout(resume, 1)
          return false
        },
      },
    )
    expect(received).toBe(total)
    expect(upstream.lines).toHaveLength(1)
  })

  const untrusted: [string, UpstreamPoolOptions['tls'], boolean][] = [
    ['unknown', {}, false],
    ['unknown, and verification is turned off', { rejectUnauthorized: false }, false],
    ['of another name', { servername: 'elsewhere.example' }, true],
  ]
  test.each(untrusted)('a certificate that is %s: nothing is sent', async (_, tls, known) => {
    const { cert, private: key } = await certificate()
    await using upstream = await startRawUpstream(() => {}, { cert, key })
    await using pool = connectTo(upstream, known ? { ...tls, ca: cert } : tls)
    await expect(ask(pool)).rejects.toThrow(/certificate|altnames/)
    expect(upstream.lines.every(({ received }) => received === '')).toBe(true)
  })
})

test('no connection is opened for those who have left', async () => {
  await using upstream = await startRawUpstream(({ socket }, head) => socket.write(ok(pathOf(head))))
  await using pool = open(upstream)
  let heard = 0
  const gone = {
    ...{ gone: true, onHeaders: () => true, onData: () => true, onComplete() {}, onError() {} },
    onConnect: () => void heard++,
  }
  for (let i = 0; i < 10; i++) pool.dispatch({ method: 'GET', path: '/gone', headers: [], body: null }, gone)
  expect((await ask(pool, { path: '/here' })).body).toBe('/here')
  expect([upstream.lines.length, heard]).toEqual([1, 0])
})

test('who leaves while waiting for a connection is forgotten, however long the others take', async () => {
  await using upstream = await startRawUpstream(() => {})
  await using pool = open(upstream, { connections: 1 })
  void ask(pool, {}).catch(() => {})
  const requests = Array.from({ length: 5000 }, () => {
    const headers = ['X-Number', '1']
    const handler = {
      gone: true,
      onConnect() {},
      onHeaders: () => true,
      onData: () => true,
      onComplete() {},
      onError() {},
    }
    pool.dispatch({ method: 'GET', path: '/', headers, body: null }, handler)
    return new WeakRef(headers)
  })
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  const kept = () => {
    collect()
    return requests.filter((request) => request.deref() !== undefined).length
  }
  await eventually(() => kept() <= 1100)
})

describe('a request that has left its place', () => {
  /** Leaves at once, and hears what comes. */
  function leaver(heard: string[]) {
    let place: Place | undefined
    return {
      onConnect() {},
      onPlace: (given: Place) => {
        place = given
      },
      onHeaders: () => {
        place?.leave()
        return true
      },
      onData: () => true,
      onComplete: () => void heard.push('complete'),
      onError: () => void heard.push('error'),
    }
  }

  test('its connection serves nobody else, however soon the next one comes', async () => {
    await using upstream = await startRawUpstream(({ socket }, head) => socket.write(ok(pathOf(head))))
    await using pool = open(upstream, { connections: 1 })
    const heard: string[] = []
    pool.dispatch({ method: 'GET', path: '/apart', headers: [], body: null }, leaver(heard))
    await eventually(() => heard.length === 1)
    expect((await ask(pool, { path: '/next' })).body).toBe('/next')
    expect([heard, upstream.lines.map(({ requests }) => requests)]).toEqual([['complete'], [1, 1]])
  })

  test('there are 64 times as many at most; one more keeps its place', async () => {
    await using upstream = await startRawUpstream(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    })
    await using pool = open(upstream, { connections: 1 })
    for (let i = 0; i < 66; i++) pool.dispatch({ method: 'GET', path: '/', headers: [], body: null }, leaver([]))
    await eventually(() => upstream.lines.length === 65)
    await pause(100)
    expect([pool.apart(), upstream.lines.length]).toEqual([64, 65])
  })

  test('hears of the end of the pool, which waits for its connection', async () => {
    await using upstream = await startRawUpstream(({ socket }) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
    })
    const pool = createUpstreamPool(upstream.url, { connections: 1 })
    const heard: string[] = []
    pool.dispatch({ method: 'GET', path: '/apart', headers: [], body: null }, leaver(heard))
    await eventually(() => pool.apart() === 1)
    await pool.destroy()
    expect([heard, pool.apart()]).toEqual([['error'], 0])
  })
})
