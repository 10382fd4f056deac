import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { createUpstreamPool } from '../../../src/node/upstream-client/pool.ts'
import { type Line, startRawUpstream } from './raw-upstream.ts'

/**
 * One answer that reaches another request is one user's data in another user's browser. Ten thousand requests, each with an
 * id of its own, over a few connections to an upstream that answers in every way, says more than it was asked, and dies at
 * any moment, for clients that leave at any moment: whatever a handler hears bears its own id.
 */
test('no answer ever reaches another request', async () => {
  const seed = Date.now() % 1_000_000
  const random = generator(seed)
  const pick = <T>(...all: T[]): T => all[Math.floor(random() * all.length)] as T
  const heads = new Map<Line, string[]>()

  await using upstream = await startRawUpstream((line, head) => {
    const waiting = heads.get(line) ?? []
    heads.set(line, waiting)
    waiting.push(/^x-id: (\S+)/m.exec(head)?.[1] ?? '')
    const delay = pick(0, 0, 0, 1, 3)
    if (delay === 0) answer(line, waiting)
    else setTimeout(() => answer(line, waiting), delay)
  })

  function answer({ socket }: Line, waiting: string[]): void {
    const id = waiting.shift()
    if (id === undefined || socket.destroyed) return
    const body = `<${id}>`.repeat(pick(0, 1, 20, 2000))
    const close = pick('', '', '', '', 'Connection: close\r\n', 'Keep-Alive: timeout=1\r\n')
    const start = `${pick('', '', 'HTTP/1.1 103 Early Hints\r\n\r\n')}HTTP/1.1 200 OK\r\nX-Id: ${id}\r\n${close}`
    const evil = `HTTP/1.1 200 OK\r\nX-Id: evil\r\nContent-Length: 4\r\n\r\nevil`
    const half = Math.ceil(body.length / 2)
    const chunk = (data: string) => (data === '' ? '' : `${data.length.toString(16)}\r\n${data}\r\n`)
    const counted = `${start}Content-Length: ${body.length}\r\n\r\n`
    const inChunks = `${start}Transfer-Encoding: chunked\r\n\r\n`
    const whole = pick(counted + body, `${inChunks}${chunk(body.slice(0, half))}${chunk(body.slice(half))}0\r\n\r\n`)
    switch (pick(...'wwwwwwwwpppxyezdbrn')) {
      case 'w':
        socket.write(whole, 'latin1')
        break
      case 'p': {
        // In pieces.
        const cut = Math.floor(random() * whole.length)
        socket.write(whole.slice(0, cut), 'latin1')
        setTimeout(() => socket.write(whole.slice(cut), 'latin1'), pick(0, 1, 2))
        break
      }
      case 'x':
        // More than was asked for: at once, and right behind it.
        socket.write(whole + evil, 'latin1')
        break
      case 'y':
        socket.write(whole, 'latin1')
        process.nextTick(() => socket.write(evil))
        break
      case 'z':
        socket.write(whole, 'latin1')
        setImmediate(() => socket.write(evil))
        break
      case 'e':
        socket.end(`${start}\r\n${body}`, 'latin1')
        break
      case 'd':
        socket.destroy()
        break
      case 'b':
        // Dies in the middle.
        socket.end(whole.slice(0, Math.floor(random() * whole.length)), 'latin1')
        break
      case 'r':
        socket.write(whole.slice(0, Math.floor(random() * whole.length)), 'latin1')
        socket.resetAndDestroy()
        break
      case 'n':
        // Ends properly, without having said so.
        socket.end(whole, 'latin1')
        break
    }
  }

  const pool = createUpstreamPool(upstream.url, { connections: 16 })
  const ends = { complete: 0, failed: 0, aborted: 0 }
  const wrong: string[] = []

  function exchange(id: string): Promise<void> {
    return new Promise((done) => {
      const method = pick('GET', 'GET', 'GET', 'POST', 'DELETE')
      const body = method === 'POST' ? Readable.from([Buffer.from('x'.repeat(pick(1, 70_000)))]) : null
      let abort: (() => void) | undefined
      let over = false
      let received = ''
      const end = (how: keyof typeof ends) => {
        if (over) wrong.push(`${id} ended twice`)
        over = true
        ends[how]++
        done()
      }
      const leave = () => {
        if (!over) abort?.()
      }
      let leaving = false
      pool.dispatch(
        { method, path: '/', headers: ['x-id', id], body },
        {
          onConnect(one) {
            abort = () => {
              leaving = true
              one()
            }
            const when = pick(-1, -1, -1, -1, -1, -1, 0, 1, 2)
            if (when >= 0) setTimeout(leave, when)
          },
          onHead(status, headers) {
            const theirs = headers[headers.indexOf('X-Id') + 1]
            if (over || (status === 200 && theirs !== id)) wrong.push(`${id} got the head of ${theirs}`)
            if (pick(...Array<boolean>(20).fill(false), true)) leave()
            return true
          },
          onHeaders: () => true,
          onData(chunk) {
            received += chunk.toString('latin1')
            if (over || !`<${id}>`.repeat(2001).startsWith(received)) wrong.push(`${id} got ${received.slice(0, 40)}`)
            return true
          },
          onComplete() {
            if (received.length % (id.length + 2) !== 0) wrong.push(`${id} got a part only`)
            end('complete')
          },
          onError: () => end(leaving ? 'aborted' : 'failed'),
        },
      )
    })
  }

  let next = 0
  const total = 10_000
  await Promise.all(
    Array.from({ length: 40 }, async () => {
      while (next < total) await exchange(String(next++))
    }),
  )
  await pool.destroy()
  expect(wrong, `seed ${seed}`).toEqual([])
  expect(ends.complete + ends.failed + ends.aborted).toBe(total)
  // All of it happened, and often; and connections served again.
  expect(ends.complete).toBeGreaterThan(total / 2)
  expect(ends.failed).toBeGreaterThan(total / 100)
  expect(ends.aborted).toBeGreaterThan(total / 100)
  expect(upstream.lines.length).toBeLessThan(0.8 * total)
}, 60_000)

/** A small generator of its own, so that a failure can be played again. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}
