import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { createRevocationQueue } from '../../src/oidc/revocation-queue.ts'
import { createKeyRing, type RingKey } from '../../src/session/key-ring.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const hour = 3_600_000
const ringKey = (id: string): RingKey => ({ id, key: randomBytes(32), createdAt: '' })
const token = { provider: 'corp', session: 'handle', token: 'canary-refresh-token', type: 'refresh_token' } as const

function world(random = () => 0.5) {
  const clock = new FakeClock()
  const { outbox } = createMemoryStore({ now: clock.now })
  const key = ringKey('one')
  const on = (keys: RingKey[]) => createRevocationQueue({ outbox, ring: createKeyRing(keys), now: clock.now, random })
  return { clock, outbox, key, on, queue: on([key]) }
}

test('LO4 what waits is sealed under a key for this alone; a ring that got a newer key opens it, one that lost the key does not', async () => {
  const { clock, outbox, key, on, queue } = world()
  await queue.add(token, 'now')
  const [raw] = await outbox.take(1, clock.now())
  expect(Buffer.from(raw?.bytes ?? []).toString('latin1')).not.toContain('canary')
  expect((await on([ringKey('other')]).take(1))[0]?.revocable).toBeUndefined()
  clock.advance(hour)
  expect((await on([key, ringKey('newer')]).take(1))[0]?.revocable).toEqual(token)
})

test('LO4 bytes that were changed, or moved to another entry, do not open', async () => {
  const { clock, outbox, queue } = world()
  await queue.add(token, 'now')
  const [raw] = await outbox.take(1, clock.now())
  if (!raw) throw new Error('nothing waits')
  await outbox.remove(raw)
  await outbox.add({ id: 'moved', bytes: raw.bytes, dueAt: 0 })
  await outbox.add({ id: raw.id, bytes: raw.bytes.with(-1, (raw.bytes.at(-1) ?? 0) ^ 1), dueAt: 0 })
  expect((await queue.take(5)).map(({ revocable }) => revocable)).toEqual([undefined, undefined])
})

test('LO4 each attempt waits longer than the one before, up to an hour, and is hopeless after a day', async () => {
  const { clock, queue } = world(() => 1)
  await queue.add(token, undefined)
  const began = clock.now()
  const waits: number[] = []
  for (;;) {
    const before = clock.now()
    let [entry] = await queue.take(1)
    while (!entry) {
      clock.advance(1_000)
      entry = (await queue.take(1))[0]
    }
    waits.push(clock.now() - before)
    if (entry.hopeless) break
    await entry.retry(undefined)
  }
  expect(waits.slice(0, 5)).toEqual([10_000, 20_000, 40_000, 80_000, 160_000])
  expect(Math.max(...waits)).toBe(hour)
  expect(clock.now() - began).toBe(24 * hour)
})

test('LO4 pauses differ by chance, and a Retry-After is never undercut, nor does 0 become a hot loop', async () => {
  const pauseOf = async (random: number, retryAfter: number | undefined) => {
    const { clock, outbox, queue } = world(() => random)
    await queue.add(token, retryAfter)
    let waited = 0
    while ((await outbox.take(1, clock.now() + 1)).length === 0) {
      clock.advance(1_000)
      waited += 1_000
    }
    return waited
  }
  expect(await pauseOf(0, undefined)).toBe(5_000)
  expect(await pauseOf(1, undefined)).toBe(10_000)
  expect(await pauseOf(0.5, 120)).toBe(120_000)
  expect(await pauseOf(0, 0)).toBe(5_000)
})
