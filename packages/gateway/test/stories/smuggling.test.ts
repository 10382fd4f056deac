import { describe, expect, test } from 'vitest'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { openWire, statusLines } from '../node/carrier.ts'
import { rawUpstream, type WireUser, wireUser } from './wire.ts'

/** A request that must never be taken for one: it would be carried out as bob. */
const smuggledBy = (bob: WireUser) => `POST /api/smuggled HTTP/1.1\r\n${bob.own}Content-Length: 0\r\n\r\n`

const targets = (world: World) => world.upstream.requests.map(({ method, target }) => `${method} ${target}`)

/** Each of these is refused with one 400, the connection closed, and the API hears nothing at all. */
async function refusedAll(world: World, requests: readonly (readonly [shown: string, bytes: string])[], status = 400) {
  const bob = await wireUser(world)
  for (const [shown, bytes] of requests) {
    const { statuses, closed } = await bob.send(`${bytes}${smuggledBy(bob)}`)
    expect([shown, statuses, closed]).toEqual([shown, [status], true])
    expect(targets(world), shown).toEqual([])
  }
}

describe('one message, two lengths', () => {
  /** A body that reads as complete in chunks, and by a Content-Length of 5, and by none. */
  const body = '0\r\n\r\n'
  const framings = [
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nContent-Length: 5\r\n',
    'Content-Length: 0\r\nTransfer-Encoding: chunked\r\n',
    'content-length: 5\r\nTRANSFER-ENCODING: chunked\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    'Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Transfer-Encoding\t: chunked\r\n',
    'Transfer-Encoding\x0b: chunked\r\n',
    ' Transfer-Encoding: chunked\r\n',
    'X: x\r\n Transfer-Encoding: chunked\r\n',
    'X: x\r\n\tTransfer-Encoding: chunked\r\n',
    'X: x\nTransfer-Encoding: chunked\r\n',
    'X: x\rTransfer-Encoding: chunked\r\n',
    'X: x\0Transfer-Encoding: chunked\r\n',
    'Transfer-Encoding:\r\n chunked\r\n',
    'Transfer-Encoding:\r\n\tchunked\r\n',
    'Transfer-Encoding: chunked\r\n , identity\r\n',
    ...['identity', 'xchunked', 'chunkedx', 'CHUNKED', 'Chunked', 'chunked, identity', 'identity, chunked', 'gzip'].map(
      coded,
    ),
    ...['gzip, chunked', 'chunked, chunked', 'chunked,', ',chunked', 'chunked;q=1', '"chunked"', 'chunked\t', ''].map(
      coded,
    ),
    ...['chunked\x0b', '\x0bchunked', 'chunked\x0c', 'chunked\0', 'chunked\x85', '\xa0chunked', 'chu nked'].map(coded),
    'Content-Length: 5\r\nContent-Length: 0\r\n',
    'Content-Length: 0\r\nContent-Length: 5\r\n',
    'Content-Length: 5\r\nContent-Length: 5\r\n',
    'Content-Length : 5\r\n',
    'Content-Length:\r\n 5\r\n',
    ...['+5', '-5', '-0', '5,5', '5, 5', '5 5', '0x5', '5h', '5.0', '5e0', '1_0', '', '"5"', '\uff15', '5;', '5\t'].map(
      long,
    ),
    ...['18446744073709551621', '9007199254740997', '99999999999999999999999999'].map(long),
    'Content_Length: 5\r\nContent-Length: x\r\n',
  ]

  function coded(value: string) {
    return `Transfer-Encoding: ${value}\r\n`
  }
  function long(value: string) {
    return `Content-Length: ${value}\r\n`
  }

  test('PX6 Content-Length against Transfer-Encoding, and every disguise of either: one refusal, a closed connection, nothing smuggled', async () => {
    await using world = await createWorld()
    const { own } = await wireUser(world, 'bob')
    const post = (framing: string) => `POST /api/echo HTTP/1.1\r\n${own}${framing}\r\n${body}`
    await refusedAll(
      world,
      framings.map((framing) => [framing, post(framing)]),
    )
  })

  test('PX6 it is the framing that is refused: plain ones pass, and the next request is its own', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const plain: [framing: string, body: string][] = [
      ['Content-Length: 5\r\n', 'hello'],
      ['content-length:5 \r\n', 'hello'],
      ['Content-Length: 005\r\n', 'hello'],
      ['Transfer-Encoding: chunked\r\n', '5\r\nhello\r\n0\r\n\r\n'],
      ['transfer-encoding:chunked\r\n', '2;a=b\r\nhe\r\n003\r\nllo\r\n00\r\n\r\n'],
      // Not the header itself to anyone who matters, so it never goes on.
      ['Transfer_Encoding: chunked\r\nContent-Length: 5\r\n', 'hello'],
    ]
    for (const [framing, sent] of plain) {
      const next = `GET /api/next HTTP/1.1\r\n${bob.own}Connection: close\r\n\r\n`
      const { statuses } = await bob.send(`POST /api/echo HTTP/1.1\r\n${bob.own}${framing}\r\n${sent}${next}`)
      expect([framing, statuses]).toEqual([framing, [200, 200]])
      const [first, second] = world.upstream.requests.splice(0)
      expect([first?.target, String(first?.body), second?.target]).toEqual(['/echo', 'hello', '/next'])
      expect(first?.rawHeaders.filter((name, at) => at % 2 === 0 && name.includes('_'))).toEqual([])
      // One length, and as the gateway understood it.
      const lengths = first?.rawHeaders.filter((_, at, all) =>
        /^(content-length|transfer-encoding)$/i.test(all[at - 1] ?? ''),
      )
      expect(lengths).toEqual([framing.toLowerCase().startsWith('transfer-') ? 'chunked' : '5'])
    }
  })

  test('PX6 a body behind GET, HEAD, DELETE and OPTIONS is the body, never a second request', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const hidden = smuggledBy(bob)
    for (const method of ['GET', 'HEAD', 'DELETE', 'OPTIONS']) {
      await bob.send(
        `${method} /api/echo HTTP/1.1\r\n${bob.own}Connection: close\r\nContent-Length: ${hidden.length}\r\n\r\n${hidden}`,
      )
    }
    expect(targets(world)).toEqual(['GET /echo', 'HEAD /echo', 'DELETE /echo', 'OPTIONS /echo'])
    for (const { body } of world.upstream.requests) expect(String(body)).toBe(hidden)
  })
})

test('PX6 a head that two readers split differently is refused: line ends, NUL, blanks, lines that are no headers', async () => {
  await using world = await createWorld()
  const { own } = await wireUser(world, 'bob')
  const get = (lines: string) => `GET /api/echo HTTP/1.1\r\n${own}${lines}\r\n`
  await refusedAll(world, [
    ['bare LF between headers', get('X-A: a\nX-B: b\r\n')],
    ['bare CR between headers', get('X-A: a\rX-B: b\r\n')],
    ['bare LF everywhere', get('').replaceAll('\r', '')],
    ['bare LF before the end', `GET /api/echo HTTP/1.1\r\n${own}\n`],
    ['bare CR before the end', `GET /api/echo HTTP/1.1\r\n${own}\r\r\n`],
    ['LF behind the request line', get('').replace('\r\n', '\n')],
    ['NUL in a value', get('X-A: a\0b\r\n')],
    ['NUL in a name', get('X-A\0: a\r\n')],
    ['a blank in a name', get('X A: a\r\n')],
    ['a blank behind a name', get('X-A : a\r\n')],
    ['a name in brackets', get('[X-A]: a\r\n')],
    ['a name beyond ASCII', get('X-\xc4: a\r\n')],
    ['no name', get(': a\r\n')],
    ['no colon', get('X-A\r\n')],
    ['obsolete folding', get('X-A: a\r\n b\r\n')],
    ['a folded first line', `GET /api/echo HTTP/1.1\r\n ${own}\r\n`],
    ['DEL in a value', get('X-A: a\x7f\r\n')],
    ['tabs in the request line', get('').replace('GET /api/echo ', 'GET\t/api/echo\t')],
    ['two targets', get('').replace('/api/echo', '/api/echo /api/admin/echo')],
    ['CR in the target', get('').replace('/api/echo', '/api/echo\r')],
    ['NUL in the target', get('').replace('/api/echo', '/api/echo\0')],
    ['tab in the target', get('').replace('/api/echo', '/api/echo\tx')],
  ])
})

test('PX6 chunks: sizes that overflow, signs, odd line ends and extensions end the connection, and what follows is never a request', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const bodies = [
    ...[
      '0x5\r\nhello',
      '+5\r\nhello',
      '-5\r\nhello',
      ' 5\r\nhello',
      '5 \r\nhello',
      '5\t\r\nhello',
      '\r\nhello',
      'g\r\nhello',
    ],
    ...[
      '5\nhello',
      '5\rhello',
      '5;\r\nhello',
      '5 ;x\r\nhello',
      '5;x\nhello',
      '5;x="\r\nhello',
      '5;\0\r\nhello',
      '5_0\r\nhello',
    ],
    ...['ffffffffffffffff1\r\nhello', '10000000000000005\r\nhello', '80000000000000005\r\nhello'],
    `5;${'x'.repeat(20_000)}\r\nhello`,
    ...['5\r\nhello0', '5\r\nhello\n0', '4\r\nhello', '5\r\nhello\r0', '5\r\nhello\r\nX'],
  ].map((chunk) => `${chunk}\r\n0\r\n\r\n`)
  bodies.push(
    '5\r\nhello\r\n0\r\n\n',
    '5\r\nhello\r\n0\r\nX-T : b\r\n\r\n',
    '5\r\nhello\r\n0\r\nX-T: a\n\r\n',
    '0\r\n X: y\r\n\r\n',
  )
  for (const body of bodies) {
    const shown = body.slice(0, 40)
    const { statuses, closed } = await bob.send(
      `POST /api/echo HTTP/1.1\r\n${bob.own}Transfer-Encoding: chunked\r\n\r\n${body}${smuggledBy(bob)}`,
    )
    expect([shown, statuses, closed]).toEqual([shown, [400], true])
  }
  // Some heads were fine and went ahead of their body; no body came out whole, and nothing else came out at all.
  expect(new Set(targets(world))).toEqual(new Set(['POST /echo']))
  for (const { finished } of world.upstream.requests) expect(await finished).toBe(false)
})

test('PX6 a body without its last chunk is never whole: the API request is aborted with its client', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const wire = await openWire(
    world.port,
    `POST /api/echo HTTP/1.1\r\n${bob.own}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n`,
  )
  await expect.poll(() => world.upstream.open).toBe(1)
  wire.socket.end()
  expect(statusLines(await wire.closed)).toEqual([])
  await expect.poll(() => world.upstream.open).toBe(0)
  expect(await world.upstream.last().finished).toBe(false)
})

test('PX6 versions: HTTP/1.1 and 1.0 are spoken, everything else that the parser would take is refused', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const versions = [
    'HTTP/0.9',
    'HTTP/2.0',
    'HTTP/1.2',
    'HTTP/9.9',
    'HTTP/1.10',
    'HTTP/01.1',
    'http/1.1',
    'HTTP/1',
    'HTTP/',
  ]
  await refusedAll(
    world,
    [...versions, 'HTTP/1.1 x', 'FOO/1.1', 'ICE/1.0', ''].map((version) => {
      return [version, `GET /api/echo ${version}\r\n${bob.own}\r\n`]
    }),
  )
  await refusedAll(world, [
    ['HTTP/0.9', 'GET /api/echo\r\n\r\n'],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    // RFC 9112 §6.1: a proxy of that age forwards the chunks as they are and takes them for the next request.
    [
      'chunks in HTTP/1.0',
      `POST /api/echo HTTP/1.0\r\n${bob.own}Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
  ])
  const old = await bob.send(`GET /api/echo HTTP/1.0\r\n${bob.own}\r\n${smuggledBy(bob)}`)
  expect([old.statuses, old.closed]).toEqual([[200], true])
  expect(old.text.toLowerCase()).not.toContain('transfer-encoding')
  expect(targets(world)).toEqual(['GET /echo'])
})

test('PX6 methods: TRACE reflects nothing, CONNECT opens nothing, what a route does not list is 405 with Allow, nonsense is 400', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', methods: ['GET', 'POST'], upstream, stripPrefix: '/api', access: 'authenticated' },
        { path: '/any/*', upstream, access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const bob = await wireUser(world, 'bob')
  const allowOf = ({ text }: { text: string }) => /^allow: (.*)\r$/im.exec(text)?.[1]
  for (const path of ['/api/echo', '/any/echo', '/app.js', '/auth/session', '/nowhere']) {
    const trace = await bob.call(path, 'X-Secret: reflected\r\n', 'TRACE')
    expect([path, trace.statuses, allowOf(trace)?.includes('TRACE')]).toEqual([path, [405], false])
    expect(trace.text).not.toContain('reflected')
  }
  for (const target of ['evil.test:443', `${bob.host}`, '127.0.0.1:22', '/api/echo']) {
    const answer = await bob.send(`CONNECT ${target} HTTP/1.1\r\n${bob.own}\r\nSSH-2.0-smuggled\r\n${smuggledBy(bob)}`)
    expect([target, answer.statuses, answer.closed]).toEqual([target, [400], true])
  }
  for (const method of ['PUT', 'DELETE', 'PATCH', 'OPTIONS', 'PROPFIND', 'PURGE', 'LINK', 'QUERY']) {
    const answer = await bob.call('/api/echo', '', method)
    expect([method, answer.statuses, allowOf(answer)]).toEqual([method, [405], 'GET, POST, HEAD'])
  }
  for (const method of ['POST', 'PUT', 'OPTIONS', 'PURGE']) {
    const answer = await bob.call('/app.js', '', method)
    expect([method, answer.statuses, allowOf(answer)]).toEqual([method, [405], 'GET, HEAD'])
  }
  for (const method of ['DELETE', 'PUT', 'PROPFIND']) {
    const answer = await bob.call('/auth/session', '', method)
    expect([method, answer.statuses, allowOf(answer)]).toEqual([method, [405], 'GET, HEAD, POST'])
  }
  await refusedAll(
    world,
    ['get', 'Get', 'GETT', 'FOO', 'G\0T', '', 'GET\x0b'].map((method) => [
      method,
      `${method} /api/echo HTTP/1.1\r\n${bob.own}\r\n`,
    ]),
  )
  expect(targets(world)).toEqual([])
})

test('PX6 an upgrade is ignored: h2c and WebSocket stay HTTP/1.1, and nothing behind them is read', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const offers = [
    'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n',
    'Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n',
    'Connection: close, upgrade\r\nUpgrade: TLS/1.2\r\n',
  ]
  for (const lines of offers) {
    const { statuses, closed } = await bob.send(`GET /api/echo HTTP/1.1\r\n${bob.own}${lines}\r\n`)
    expect([lines, statuses, closed]).toEqual([lines, [200], true])
    const { rawHeaders } = world.upstream.last()
    expect(rawHeaders.join('\n').toLowerCase()).not.toMatch(/^(upgrade|http2-settings)$/m)
  }
  for (const behind of [smuggledBy(bob), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', '\x81\x85\0\0\0\0hello']) {
    const wire = await openWire(
      world.port,
      `GET /api/slow?ms=500 HTTP/1.1\r\n${bob.own}Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n`,
    )
    await expect.poll(() => world.upstream.open).toBe(1)
    wire.socket.write(behind, 'latin1')
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 200'])
  }
  expect(new Set(targets(world))).toEqual(new Set(['GET /echo', 'GET /slow?ms=500']))
})

test('PX6 behind "Connection: close" nothing is a request, and the answer before it is not lost', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  for (const [line, status] of [
    ['GET /api/slow?ms=50 HTTP/1.1', 200],
    ['GET /api/slow?ms=50 HTTP/1.0', 200],
    ['GET /api/admin/echo HTTP/1.1', 403],
    ['GET /auth/session HTTP/1.1', 200],
    ['GET /app.js HTTP/1.1', 200],
  ] as const) {
    for (const behind of [smuggledBy(bob), 'garbage\0', '\r\n\r\n']) {
      const { statuses, closed } = await bob.send(`${line}\r\n${bob.own}Connection: close\r\n\r\n${behind}`)
      expect([line, behind.slice(0, 9), statuses, closed]).toEqual([line, behind.slice(0, 9), [status], true])
    }
  }
  expect(targets(world).filter((target) => target.includes('smuggled'))).toEqual([])
})

test('PX6 an honest request before a bad one is answered as it should be, and the bad one ends the connection', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const good = `GET /api/echo HTTP/1.1\r\n${bob.own}\r\n`
  const bad = `GET /api/..;/admin/echo HTTP/1.1\r\n${bob.own}\r\n`
  const { statuses, closed } = await bob.send(`${good}${bad}${smuggledBy(bob)}`)
  expect([statuses, closed]).toEqual([[200, 400], true])
  expect(targets(world)).toEqual(['GET /echo'])
})

describe('an upstream whose answer has two readings', () => {
  const ok = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnext'
  const evil = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Evil: 1\r\n\r\nevil'

  test('PX6 bytes behind an answer, or in one that has no body, are nobody’s answer; the next request gets its own', async () => {
    await using upstream = await rawUpstream()
    await using world = await createWorld({
      config: { routes: [{ path: '/*', upstream: upstream.url, access: 'public', csrf: 'off' }] },
    })
    const nobody = await wireUser(world)
    const answers: [method: string, status: number, answer: string][] = [
      ['GET', 200, `HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n${evil}`],
      ['HEAD', 200, `HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`],
      ['GET', 204, `HTTP/1.1 204 No Content\r\n\r\n${evil}`],
      ['GET', 304, `HTTP/1.1 304 Not Modified\r\nContent-Length: ${evil.length}\r\n\r\n${evil}`],
    ]
    for (const [method, status, answer] of answers) {
      upstream.answers(answer)
      const first = await nobody.call('/first', '', method)
      expect([first.statuses, withoutRequestId(first.text).includes('evil')]).toEqual([[status], false])
      upstream.answers(ok)
      const { text } = await nobody.call('/second')
      expect([method, status, text.split('\r\n\r\n')[1]]).toEqual([method, status, 'next'])
      expect(withoutRequestId(text).toLowerCase()).not.toContain('evil')
    }
  })

  test('PX6 an answer that can not be read is 502, once, and says nothing of why', async () => {
    await using upstream = await rawUpstream()
    await using world = await createWorld({
      config: { routes: [{ path: '/*', upstream: upstream.url, access: 'public', csrf: 'off' }] },
    })
    const nobody = await wireUser(world)
    const answers = [
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nevil',
      'HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nevil\r\n0\r\n\r\n',
      'HTTP/1.1 200 OK\r\nX-A: a\0b\r\nContent-Length: 4\r\n\r\nevil',
      'HTTP/1.1 200 OK\r\nX-A: a\r\n b\r\nContent-Length: 4\r\n\r\nevil',
      'HTTP/1.1 200 OK\r\nX-A : a\r\nContent-Length: 4\r\n\r\nevil',
      'HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nevil',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: evil\r\n\r\nevil',
      'HTTP/1.1 099 Evil\r\nContent-Length: 4\r\n\r\nevil',
      'SSH-2.0-evil\r\n',
    ]
    for (const answer of answers) {
      upstream.answers(answer, { end: true })
      const { statuses, text } = await nobody.call('/x')
      expect([answer, statuses]).toEqual([answer, [502]])
      expect(withoutRequestId(text).toLowerCase()).not.toMatch(/evil|undici|parser|127\.0\.0\.1/)
    }
  })

  test('PX6 what an upstream says before its answer, or behind its last chunk, stays behind', async () => {
    await using upstream = await rawUpstream()
    await using world = await createWorld({
      config: { routes: [{ path: '/*', upstream: upstream.url, access: 'public', csrf: 'off' }] },
    })
    upstream.answers(
      `${'HTTP/1.1 103 Early Hints\r\nSet-Cookie: evil=1\r\n\r\n'.repeat(3)}HTTP/1.1 200 evil-reason\r\nTransfer-Encoding: chunked\r\nTrailer: Set-Cookie\r\n\r\n2\r\nok\r\n0\r\nSet-Cookie: evil=1\r\n\r\n`,
    )
    const { statuses, text } = await (await wireUser(world)).call('/x')
    expect(statuses).toEqual([200])
    expect(withoutRequestId(text).toLowerCase()).not.toMatch(/evil|set-cookie/)
  })
})
