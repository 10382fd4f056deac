import { describe, expect, test } from 'vitest'
import type { Forward } from '../../src/decision.ts'
import { HeldBodies } from '../../src/node/held-bodies.ts'
import { forwardTo, openWire, startCarrier, startUpstream, statusLines } from './carrier.ts'

const MB = 1024 * 1024

/** A session per path, whose bodies are held before they go on: as where a request is signed together with its body. */
async function startHolding(upstream: string) {
  const carrier = await startCarrier((head) => {
    const session = { id: head.target } as Forward['session']
    const signed = forwardTo(upstream, head, { maxBody: 40 * MB })
    return { ...signed, session, withBody: () => signed }
  })
  return carrier
}

const post = (path: string, length: number, body = '') =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\nContent-Length: ${length}\r\n\r\n${body}`

describe('request bodies that are held whole take no more memory than there is for them', () => {
  test('a session has room for some at once, and for others when those are over', async () => {
    await using upstream = await startUpstream((req, res) => void req.resume().on('end', () => res.end('done')))
    await using carrier = await startHolding(upstream.url)
    const begun = [
      await openWire(carrier.port, post('/ada', 40 * MB)),
      await openWire(carrier.port, post('/ada', 20 * MB)),
    ]
    await expect.poll(() => carrier.decided.length).toBe(2)
    const refused = await openWire(carrier.port, post('/ada', 10 * MB))
    expect(await refused.until(/too_many_requests/)).toMatch(/^HTTP\/1\.1 429[\s\S]*Retry-After: 1\r\n/)
    // One that is small, and those of others, pass.
    for (const path of ['/ada', '/bob']) {
      const wire = await openWire(carrier.port, post(path, 2, 'ok'))
      expect(statusLines(await wire.until(/done/))).toEqual(['HTTP/1.1 200'])
      wire.socket.destroy()
    }
    // The client of one leaves.
    begun[0]?.socket.destroy()
    await begun[0]?.closed
    const answered = async () => {
      const wire = await openWire(carrier.port, post('/ada', 10 * MB, 'x'.repeat(10 * MB)))
      const received = await wire.until(/done|too_many_requests/)
      wire.socket.destroy()
      return received
    }
    await expect.poll(answered).toMatch(/done$/)
    // An answer gives its room back as well.
    for (let i = 0; i < 10; i++) expect(await answered()).toMatch(/done$/)
    for (const { socket } of [...begun, refused]) socket.destroy()
  })

  test('a body without a length counts as the largest that its route takes', async () => {
    await using upstream = await startUpstream((_, res) => res.end())
    await using carrier = await startHolding(upstream.url)
    const chunked = 'POST /ada HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const first = await openWire(carrier.port, chunked)
    await expect.poll(() => carrier.decided.length).toBe(1)
    const second = await openWire(carrier.port, chunked)
    expect(await second.until(/too_many_requests/)).toMatch(/^HTTP\/1\.1 429/)
    for (const { socket } of [first, second]) socket.destroy()
  })

  test('pipelined behind an answer that does not come: their room is free when their client leaves', async () => {
    await using upstream = await startUpstream((req) => void req.resume())
    await using carrier = await startHolding(upstream.url)
    const body = 'x'.repeat(1000)
    const wire = await openWire(carrier.port, post('/ada', 1000, body) + post('/ada', 40 * MB))
    await expect.poll(() => carrier.decided.length).toBe(2)
    wire.socket.destroy()
    await wire.closed
    const again = async () => {
      const next = await openWire(carrier.port, post('/ada', 40 * MB))
      const decided = carrier.decided.length
      await expect.poll(() => carrier.decided.length).toBeGreaterThan(decided)
      await new Promise((resolve) => setTimeout(resolve, 50))
      next.socket.destroy()
      return next.received
    }
    await expect.poll(again).toBe('')
  })
})

describe('HeldBodies', () => {
  const limits = { all: 100, each: 60 }

  test('one that is alone finds room, however large it is', () => {
    const held = new HeldBodies(limits)
    const giveBack = held.take('a', 500)
    expect(giveBack).toBeDefined()
    expect(held.take('b', 1)).toBeUndefined()
    giveBack?.()
    expect(held.take('b', 1)).toBeDefined()
  })

  test('of one owner, and of all', () => {
    const held = new HeldBodies(limits)
    expect(held.take('a', 60)).toBeDefined()
    expect(held.take('a', 1)).toBeUndefined()
    expect(held.take('b', 40)).toBeDefined()
    expect(held.take('c', 1)).toBeUndefined()
  })

  test('room is given back once', () => {
    const held = new HeldBodies(limits)
    const giveBack = held.take('a', 60)
    held.take('b', 40)
    giveBack?.()
    giveBack?.()
    expect(held.take('a', 60)).toBeDefined()
    expect(held.take('c', 1)).toBeUndefined()
  })
})
