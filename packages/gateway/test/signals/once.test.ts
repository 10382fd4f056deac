import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { createOnce } from '../../src/signals/once.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const hour = 3_600_000

function world() {
  const clock = new FakeClock()
  const store = createMemoryStore({ now: clock.now })
  const done: string[] = []
  const process = () => createOnce({ store, now: clock.now })
  const work = (name: string) => async () => void done.push(name)
  return { clock, store, done, process, work, until: clock.now() + hour }
}

test('a token is carried out once, here and in another process, until it is forgotten', async () => {
  const { clock, done, process, work, until } = world()
  const [here, there] = [process(), process()]
  expect(await here('a', until, work('here'))).toBe(true)
  expect(await here('a', until, work('here again'))).toBe(false)
  clock.advance(hour / 2)
  expect(await there('a', until, work('there'))).toBe(false)
  expect(await here('b', until, work('b'))).toBe(true)
  clock.advance(hour)
  expect(await here('a', until + 2 * hour, work('much later'))).toBe(true)
  expect(done).toEqual(['here', 'b', 'much later'])
})

test('SS4 a process that is killed in the middle has not used the token up: its next delivery is carried out', async () => {
  const { clock, done, process, work, until } = world()
  void process()('a', until, () => new Promise(() => {}))
  const restarted = process()
  const again = restarted('a', until, work('after the crash'))
  // The moment passes for which the claim of the dead one stands.
  clock.advance(1_001)
  expect(await again).toBe(true)
  expect(done).toEqual(['after the crash'])
})

test('work that failed may come again; who came at the same time hears of the failure as well', async () => {
  const { done, process, work, until } = world()
  const once = process()
  const failing = async () => {
    await new Promise(setImmediate)
    throw new Error('the store is broken')
  }
  const both = await Promise.allSettled([once('a', until, failing), once('a', until, work('second'))])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await once('a', until, work('again'))).toBe(true)
  expect(done).toEqual(['again'])
})
