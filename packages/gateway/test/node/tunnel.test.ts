import { once } from 'node:events'
import { expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { createCertificate } from '../../src/demo/certificate.ts'
import type { RequestHead } from '../../src/protocol/head.ts'
import { readHandshake } from '../../src/protocol/websocket.ts'
import { startSocketUpstream } from '../stories/sockets.ts'
import { forwardTo, openWire, startCarrier, statusLines, text } from './carrier.ts'

/** Decides as the guard would for a route to this upstream. */
const tunnelTo = (upstream: string) => (head: RequestHead) => {
  const handshake = readHandshake(head.method, head.rawHeaders)
  if (handshake.kind !== 'handshake') return text(426, 'WebSocket only')
  const { path, headers, response, requestId } = forwardTo(upstream, head)
  const sent = headers.filter((_, i) => !/^host$/i.test(headers[i - (i % 2)] as string))
  const times = { timeout: 5000, ping: 30_000, idle: undefined }
  return {
    kind: 'tunnel' as const,
    upstream,
    path,
    headers: sent,
    response,
    offer: handshake.offer,
    requestId,
    ...times,
  }
}

test('a WebSocket over TLS, on both ways', async () => {
  const { cert, key } = await createCertificate()
  await using upstream = await startSocketUpstream()
  await using carrier = await startCarrier(tunnelTo(upstream.url), { tls: { cert, key } })
  const socket = new WebSocket(`wss://127.0.0.1:${carrier.port}/`, { rejectUnauthorized: false })
  await once(socket, 'open')
  socket.send('over TLS')
  expect(String((await once(socket, 'message'))[0])).toBe('over TLS')
  socket.close(1000)
  expect((await once(socket, 'close'))[0]).toBe(1000)
})

test('a head that can not be sent is 502, and the carrier lives on', async () => {
  await using upstream = await startSocketUpstream()
  const decide = tunnelTo(upstream.url)
  await using carrier = await startCarrier((head) => {
    const decision = decide(head)
    return decision.kind === 'tunnel' ? { ...decision, path: '/a b' } : decision
  })
  const handshake =
    'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
  for (let i = 0; i < 2; i++) {
    const wire = await openWire(carrier.port, handshake)
    expect(statusLines(await wire.closed)).toEqual(['HTTP/1.1 502'])
  }
  expect(upstream.handshakes).toEqual([])
})
