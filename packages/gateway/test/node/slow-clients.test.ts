import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { PoolSettings } from '../../src/decision.ts'
import { LongClient, SlowClients } from '../../src/node/slow-clients.ts'
import { forwardTo, openWire, startCarrier, startUpstream, type Upstream } from './carrier.ts'

/** Answers GET /large with 64 MB, anything else when it has read all of the request. */
const startAny = () =>
  startUpstream((req, res) => {
    if (req.url === '/large') res.end(Buffer.alloc(64 * 1024 * 1024))
    else req.resume().on('end', () => res.end(`${req.method} done`))
  })

function startBefore(upstream: Upstream, connections: number) {
  const pool: PoolSettings = { addresses: [upstream.url], connections }
  return startCarrier((head) => forwardTo(upstream.url, head, { pool, timeout: 60_000 }), { pools: [pool] })
}

const upload = 'POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nfirst'

/** A client with an address of its own on loopback that reads nothing. */
async function openDeaf(port: number, localAddress: string, request: string): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', localAddress }).on('error', () => {})
  await once(socket, 'connect')
  socket.pause()
  socket.write(request)
  return socket
}

describe('PX10 clients that hardly send or read hold no connection of the upstream', () => {
  test('slow uploads, as many as there are connections: others are answered, and so are they in the end', async () => {
    await using upstream = await startAny()
    await using carrier = await startBefore(upstream, 2)
    const wires = await Promise.all([1, 2, 3, 4].map(() => openWire(carrier.port, upload)))
    expect(await (await fetch(carrier.url)).text()).toBe('GET done')
    for (const wire of wires) wire.socket.write('x'.repeat(1_000_000 - 5))
    for (const wire of wires) expect(await wire.until(/done/)).toMatch(/^HTTP\/1\.1 200 [\s\S]*POST done$/)
    for (const wire of wires) wire.socket.destroy()
  })

  test('slow readers of large answers: others are answered', async () => {
    await using upstream = await startAny()
    await using carrier = await startBefore(upstream, 2)
    const large = 'GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n'
    const deaf = await Promise.all([1, 2, 3, 4].map(() => openDeaf(carrier.port, '127.0.0.1', large)))
    expect(await (await fetch(carrier.url)).text()).toBe('GET done')
    for (const socket of deaf) socket.destroy()
  })

  test('there is an end to it: of more than four times as many, the slowest of the network with the most are told 408', async () => {
    await using upstream = await startAny()
    await using carrier = await startBefore(upstream, 1)
    const open = async (localAddress: string) => {
      const socket = await openDeaf(carrier.port, localAddress, upload)
      return { socket, received: () => String(socket.read() ?? '') }
    }
    const single = await open('127.0.0.2')
    const many = await Promise.all(Array.from({ length: 6 }, () => open('127.0.0.3')))
    const refused: string[] = []
    await expect
      .poll(() => {
        refused.push(...many.map(({ received }) => received()).filter((text) => text !== ''))
        return refused.length
      })
      .toBe(3)
    for (const answer of refused)
      expect(answer).toMatch(/^HTTP\/1\.1 408 .*\r\n[\s\S]*Connection: close\r\n[\s\S]*client_too_slow/)
    expect(await (await fetch(carrier.url)).text()).toBe('GET done')
    expect(carrier.logged).toContainEqual(
      expect.objectContaining({ event: 'slow_clients_cut', upstream: upstream.url }),
    )
    single.socket.write('x'.repeat(1_000_000 - 5))
    await expect.poll(() => single.received()).toMatch(/POST done$/)
    for (const { socket } of [single, ...many]) socket.destroy()
  })
})

describe('which one is cut', () => {
  const cut: string[] = []
  const clientOf = (network: string, name: string, { pace = 0, waiting = true } = {}) => {
    const client = new LongClient(network, 0, () => cut.push(name))
    client.look(1, pace, waiting)
    return client
  }
  const full = (limit: number) => {
    cut.length = 0
    return new SlowClients(limit, () => {})
  }

  test('of the network that has the most, the one that moves the least', () => {
    const slow = full(3)
    for (const client of [clientOf('b', 'b1'), clientOf('a', 'a1', { pace: 10 }), clientOf('a', 'a2', { pace: 5 })]) {
      expect(slow.take(client)).toBe(true)
    }
    expect(slow.take(clientOf('c', 'c1'))).toBe(true)
    expect(cut).toEqual(['a2'])
  })

  test('the newcomer, if its network has the most and it moves the least', () => {
    const slow = full(2)
    slow.take(clientOf('a', 'a1', { pace: 10 }))
    slow.take(clientOf('b', 'b1', { pace: 10 }))
    expect(slow.take(clientOf('b', 'b2'))).toBe(false)
    expect(cut).toEqual(['b2'])
  })

  test('none that has become faster: the newcomer keeps the connection that it has', () => {
    const slow = full(1)
    const once = clientOf('a', 'a1')
    slow.take(once)
    once.look(2, 100_000, false)
    expect(slow.take(clientOf('a', 'a2'))).toBe(false)
    expect(cut).toEqual([])
    slow.forget(once)
    expect(slow.take(clientOf('a', 'a3'))).toBe(true)
  })

  test('a client that its exchange does not wait for is not slow, however little it moves', () => {
    expect(clientOf('a', 'a1', { waiting: false }).slow).toBe(false)
    expect(clientOf('a', 'a1', { pace: 16 * 1024 }).slow).toBe(false)
    expect(clientOf('a', 'a1', { pace: 16 * 1024 - 1 }).slow).toBe(true)
    const late = new LongClient('a', 4, () => {})
    late.look(4.2, 3_000, true)
    expect([late.slow, late.pace]).toEqual([true, expect.closeTo(15_000)])
    late.look(4.2, 3_000, true)
    expect(late.pace).toBeCloseTo(15_000)
    late.look(5, 17_000, true)
    expect([late.slow, late.pace]).toEqual([false, expect.closeTo(17_500)])
  })
})
