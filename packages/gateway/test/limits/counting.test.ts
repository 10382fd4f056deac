import fc from 'fast-check'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { createBuckets, heldKeys } from '../../src/limits/buckets.ts'
import { createGuesses } from '../../src/limits/guesses.ts'

const minute = 60_000

test('MO2 whenever they come, no more guesses are heard out in any minute than the limit says', () => {
  const steps = fc.array(fc.integer({ min: 0, max: 20_000 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(steps, fc.integer({ min: 1, max: 8 }), (pauses, requests) => {
      const clock = new FakeClock()
      const guesses = createGuesses({ requests, per: minute }, clock.now, () => {})
      const heard: number[] = []
      for (const pause of pauses) {
        clock.advance(pause)
        const wait = guesses.missed('a')
        if (wait === 0) heard.push(clock.now())
        else {
          expect(wait).toBeGreaterThan(0)
          expect(wait).toBeLessThanOrEqual(minute)
        }
        const recent = heard.filter((at) => at > clock.now() - minute)
        expect(recent.length).toBeLessThanOrEqual(requests)
        // And none is turned away before.
        if (wait > 0) expect(recent.length).toBe(requests)
      }
    }),
  )
})

test('MO2 after the wait that it was told, the next one is heard out', () => {
  const clock = new FakeClock()
  const guesses = createGuesses({ requests: 3, per: minute }, clock.now, () => {})
  for (let i = 0; i < 3; i++) {
    guesses.missed('a')
    clock.advance(1000)
  }
  const wait = guesses.missed('a')
  expect(wait).toBe(57_000)
  clock.advance(wait - 1)
  expect(guesses.missed('a')).toBe(1)
  clock.advance(1)
  expect(guesses.missed('a')).toBe(0)
})

test('a bucket gives `requests` at once and then as many in each `per`; the wait is the time until the next', () => {
  const clock = new FakeClock()
  const buckets = createBuckets({ requests: 60, per: minute }, clock.now)
  for (let i = 0; i < 60; i++) expect(buckets.take('a')).toBe(0)
  expect(buckets.take('a')).toBe(1000)
  expect([buckets.take('b'), buckets.wait('never seen')]).toEqual([0, 0])
  clock.advance(400)
  expect([buckets.wait('a'), buckets.take('a')]).toEqual([600, 600])
  clock.advance(600)
  expect([buckets.wait('a'), buckets.take('a'), buckets.take('a')]).toEqual([0, 0, 1000])
  // However long it was quiet, no more than `requests` at once.
  clock.advance(60 * minute)
  for (let i = 0; i < 60; i++) expect(buckets.take('a')).toBe(0)
  expect(buckets.take('a')).toBe(1000)
})

test('a clock that is set back neither gives nor takes', () => {
  const clock = new FakeClock()
  const buckets = createBuckets({ requests: 2, per: minute }, clock.now)
  expect([buckets.take('a'), buckets.take('a')]).toEqual([0, 0])
  clock.advance(-60 * minute)
  expect(buckets.take('a')).toBe(30_000)
  clock.advance(30_000)
  expect(buckets.take('a')).toBe(0)
})

test('MO2 many networks fill no memory: the least recently seen are forgotten, and no other', () => {
  const clock = new FakeClock()
  const buckets = createBuckets({ requests: 1, per: minute }, clock.now)
  expect(buckets.take('forgotten')).toBe(0)
  for (let i = 0; i < heldKeys; i++) {
    if (i % 1000 === 0) buckets.take('watched')
    buckets.take(`network ${i}`)
  }
  expect(buckets.wait('watched')).toBeGreaterThan(0)
  expect(buckets.wait('forgotten')).toBe(0)
})

test('MO2 a limit of 1000 guesses keeps the times of fewer networks: no more than a million in all', () => {
  const clock = new FakeClock()
  const guesses = createGuesses({ requests: 1000, per: minute }, clock.now, () => {})
  const fill = (network: string) => {
    for (let i = 0; i < 1000; i++) guesses.missed(network)
  }
  fill('first')
  expect(guesses.missed('first')).toBeGreaterThan(0)
  for (let i = 0; i < 1000; i++) guesses.missed(`network ${i}`)
  expect(guesses.missed('first')).toBe(0)
})
