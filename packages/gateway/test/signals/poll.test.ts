import { expect, test } from 'vitest'
import { captureLog } from '../../../testkit/src/log.ts'
import { startPolling } from '../../src/signals/poll.ts'
import type { Transmitter } from '../../src/signals/transmitters.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const now = Date.now
const transmitter = { issuer: 'https://tr.test' } as Transmitter

function polling(answers: (asked: number) => Response) {
  const log = captureLog()
  const asked: unknown[] = []
  const poller = startPolling({ log: log.logger, now, store: createMemoryStore({ now }) }, transmitter, {
    poll: { url: 'https://tr.test/poll', token: 'secret', interval: 5 },
    receiver: { receive: async () => {} },
    send: async (_url, init) => {
      asked.push(JSON.parse(String(init.body)))
      return answers(asked.length)
    },
  })
  return { log, asked, poller }
}

test('SS4 answers that make no sense are failures: nothing is done for them, and it is asked again', async () => {
  const nonsense: readonly (readonly [body: string, status: number])[] = [
    ['{}', 401],
    ['no JSON', 200],
    ['[]', 200],
    ['{"sets":[]}', 200],
    ['{"sets":{},"sets":{"a":"b"}}', 200],
    ['x'.repeat(5 * 1024 * 1024), 200],
  ]
  const { log, asked, poller } = polling((n) => {
    const [body, status] = nonsense[n - 1] ?? ['{"sets":{}}', 200]
    return new Response(body, { status })
  })
  await expect.poll(() => asked.length).toBeGreaterThan(nonsense.length + 2)
  await poller.stop()
  expect(log.events('signal_poll_failed')).toHaveLength(nonsense.length)
  expect(asked.every((one) => JSON.stringify(one) === '{"maxEvents":50,"returnImmediately":true}')).toBe(true)
})

test('SS4 failures in a row make the pauses longer', async () => {
  const times: number[] = []
  const { poller } = polling(() => {
    times.push(performance.now())
    return new Response('', { status: 503 })
  })
  await expect.poll(() => times.length).toBeGreaterThan(8)
  await poller.stop()
  const pauses = times.slice(1).map((time, n) => time - (times[n] ?? 0))
  // 2⁸ · 5 ms at least halved, against 2 · 5 ms: more than chance or a loaded machine makes of equal pauses.
  expect(pauses.at(7) ?? 0).toBeGreaterThan(500)
})
