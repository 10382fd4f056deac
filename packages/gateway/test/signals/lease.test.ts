import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { createLease } from '../../src/signals/lease.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

test('one holds it, renews it in time, and gives it back; who died leaves it to run out', async () => {
  const clock = new FakeClock()
  const store = createMemoryStore({ now: clock.now })
  const lease = () => createLease({ store, now: clock.now }, 'poll', 60_000)
  const [one, other] = [lease(), lease()]
  expect(await one.hold()).toBe(true)
  expect(await other.hold()).toBe(false)
  for (let n = 0; n < 5; n++) {
    clock.advance(40_000)
    expect(await one.hold()).toBe(true)
    expect(await other.hold()).toBe(false)
  }
  await one.release()
  expect(await other.hold()).toBe(true)
  // `other` dies.
  clock.advance(60_001)
  expect(await one.hold()).toBe(true)
  // What ran out is no longer ours to give back.
  await other.release()
  expect(await lease().hold()).toBe(false)
})
