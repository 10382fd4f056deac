import { once } from 'node:events'
import { createServer, IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import { framingOf, LeanRequest } from '../../src/node/lean-request.ts'
import { openWire } from './carrier.ts'

/** What a server sees of this head, by each of the two classes. */
async function seen<T>(head: string, look: (request: IncomingMessage) => T): Promise<[lean: T, usual: T]> {
  const looks: T[] = []
  for (const Class of [LeanRequest, IncomingMessage]) {
    const server = createServer({ IncomingMessage: Class, requireHostHeader: false }, (request, response) => {
      looks.push(look(request))
      response.end('done')
    })
    server.on('checkExpectation', (request, response) => {
      looks.push(look(request))
      response.end('done')
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const wire = await openWire((server.address() as AddressInfo).port, head)
    await wire.until(/done/)
    wire.socket.destroy()
    server.close()
  }
  return looks as [T, T]
}

const heads = [
  'GET / HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\ncookie: c=d\r\nX: 1\r\nx: 2\r\n\r\n',
  'GET / HTTP/1.1\r\nhOST: a\r\nHost: b\r\nUpgrade: h2c\r\nupgrade: websocket\r\nConnection: Upgrade\r\n\r\n',
  'POST / HTTP/1.1\r\nContent-LENGTH: 3\r\n\r\nabc',
  'POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-encoding: chunked\r\n\r\n0\r\n\r\n',
  'GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\nexpect: more\r\n\r\n',
  'GET / HTTP/1.1\r\nHost:\r\n\r\n',
  'GET / HTTP/1.0\r\n\r\n',
]

test.each(heads)('the framing is read as node:http reads it: %j', async (head) => {
  const names = ['host', 'expect', 'upgrade', 'content-length', 'transfer-encoding'] as const
  const [lean, usual] = await seen(head, (request) => names.map((name) => framingOf(request)[name]))
  expect(lean).toEqual(usual)
})

test.each(heads)('headers are what node:http makes of them, asked in whatever way: %j', async (head) => {
  const [lean, usual] = await seen(head, ({ headers }) => {
    const before = [
      { ...headers },
      Object.keys(headers),
      headers.expect,
      headers.cookie,
      'host' in headers,
      headers.nothing,
    ]
    delete headers.host
    headers.added = 'later'
    return [...before, JSON.stringify(headers), Object.hasOwn(headers, 'host'), headers.added]
  })
  expect(lean).toEqual(usual)
})

test('what was changed stays so, whoever asks', async () => {
  const [lean] = await seen('GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n', (request) => {
    delete request.headers.range
    return request.headers.range
  })
  expect(lean).toBeUndefined()
})

test('nothing is built where nobody looks', async () => {
  const built: boolean[] = []
  class Watched extends LeanRequest {
    override get whole() {
      built.push(true)
      return super.whole
    }
  }
  const server = createServer({ IncomingMessage: Watched, requireHostHeader: false }, (request, response) => {
    response.end(`done ${framingOf(request).host}`)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const wire = await openWire((server.address() as AddressInfo).port, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await wire.until(/done/)
  wire.socket.destroy()
  server.close()
  expect(built).toEqual([])
})
