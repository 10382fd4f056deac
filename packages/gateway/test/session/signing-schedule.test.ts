import fc from 'fast-check'
import { expect, test } from 'vitest'
import { retirable } from '../../src/session/key-rotation.ts'
import { type DatedKey, keysMaxAge, signingSchedule } from '../../src/session/signing-schedule.ts'

const minute = 60_000
const longestTtl = 15 * minute
const start = Date.UTC(2026, 0, 1)

/** A ring whose keys came so many milliseconds after the start. */
const ringOf = (...at: number[]): DatedKey[] =>
  at.map((ms, index) => ({ id: `key-${index}`, createdAt: new Date(start + ms).toISOString() }))

/** As it was at a time. */
const at = (ring: readonly DatedKey[], now: number) =>
  signingSchedule(
    ring.filter(({ createdAt }) => Date.parse(createdAt) <= now),
    now,
  )
const ids = (keys: readonly DatedKey[]) => keys.map(({ id }) => id)

test('PX7 the only key signs at once; a new one is published first, and the old one until its last token is over', () => {
  const ring = ringOf(0, 60 * minute)
  const seen = [0, 59, 60, 74, 75, 94, 95].map((minutes) => {
    const { signs, published } = at(ring, start + minutes * minute)
    return [minutes, signs.id, ids(published)]
  })
  expect(seen).toEqual([
    [0, 'key-0', ['key-0']],
    [59, 'key-0', ['key-0']],
    [60, 'key-0', ['key-0', 'key-1']],
    [74, 'key-0', ['key-0', 'key-1']],
    [75, 'key-1', ['key-0', 'key-1']],
    [94, 'key-1', ['key-0', 'key-1']],
    [95, 'key-1', ['key-1']],
  ])
})

test('PX7 keys without a readable date: the newest signs, none of them vanishes', () => {
  const ring = [
    { id: 'a', createdAt: 'once' },
    { id: 'b', createdAt: '' },
  ]
  const { signs, published } = signingSchedule(ring, start)
  expect([signs.id, ids(published)]).toEqual(['b', ['a', 'b']])
})

const sumOf = (gaps: readonly number[]) => gaps.reduce((sum, gap) => sum + gap, 0)
const rotations = fc
  .array(fc.integer({ min: 0, max: 90 * minute }), { maxLength: 6 })
  .map((gaps) => ringOf(...gaps.map((_, at) => sumOf(gaps.slice(0, at))), sumOf(gaps)))
const within = (ms: number) => fc.integer({ min: 0, max: ms })

test('PX7 however often keys are rotated, whoever keeps the keys for as long as allowed knows the key of every live token', () => {
  fc.assert(
    fc.property(
      rotations,
      within(10 * 60 * minute),
      within(longestTtl),
      within(keysMaxAge),
      (ring, signed, age, kept) => {
        const kid = at(ring, start + signed).signs.id
        const read = Math.max(start, start + signed + age - kept)
        expect(ids(at(ring, read).published)).toContain(kid)
      },
    ),
    { numRuns: 500 },
  )
})

test('PX7 ST2 a key that may be retired signs nothing, and is not missed', () => {
  fc.assert(
    fc.property(rotations, within(48 * 60 * minute), within(24 * 60 * minute), (ring, now, absolute) => {
      const keys = ring
        .filter(({ createdAt }) => Date.parse(createdAt) <= start + now)
        .map((key) => ({ ...key, key: new Uint8Array(32) }))
      const { published } = signingSchedule(keys, start + now)
      for (const key of published) expect(retirable(keys, key, { now: start + now, absolute })).toBe(false)
    }),
    { numRuns: 500 },
  )
})

test('PX7 a key that withdraws the others signs at once, and nothing that they signed is believed', () => {
  const [first, second] = ringOf(0, 60 * minute)
  const third = { id: 'key-2', createdAt: new Date(start + 61 * minute).toISOString(), withdraws: true } as const
  const ring = [first, second, third].filter((key) => key !== undefined)
  const { signs, published } = at(ring, start + 61 * minute)
  expect([signs.id, ids(published)]).toEqual(['key-2', ['key-2']])
  // The next rotation is an ordinary one again.
  const next = { id: 'key-3', createdAt: new Date(start + 62 * minute).toISOString() }
  const later = at([...ring, next], start + 62 * minute)
  expect([later.signs.id, ids(later.published)]).toEqual(['key-2', ['key-2', 'key-3']])
})
