import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { pages } from '../../../scripts/docs/pages.ts'
import { idsOf, requirementsPage } from '../../../scripts/docs/requirements.ts'
import { titlesIn } from '../../../scripts/docs/test-titles.ts'
import { eventCounters } from '../src/watch/event-metrics.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))

test.each(Object.entries(pages(root)))('%s is up to date (else: npm run docs)', (path, content) => {
  expect(readFileSync(join(root, path), 'utf8')).toBe(content)
})

test('each event of the log and each counter stands in the guide for operators', () => {
  const guide = readFileSync(join(root, 'docs/operations.md'), 'utf8')
  const counters = Object.keys(eventCounters).map((name) => `coatcheck_${name}_total`)
  expect(counters.filter((name) => !guide.includes(`\`${name}\``))).toEqual([])

  // Those of Shared Signals and of dry runs stand where these are explained.
  const told =
    guide + readFileSync(join(root, 'docs/signals.md'), 'utf8') + readFileSync(join(root, 'docs/access.md'), 'utf8')
  const source = join(root, 'packages/gateway/src')
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'))
  const events = files.flatMap((name) =>
    [...readFileSync(join(source, name), 'utf8').matchAll(/\bevent: '(\w+)'/g)].map(([, event]) => event),
  )
  expect(events.length).toBeGreaterThan(50)
  expect([...new Set(events)].filter((event) => !told.includes(`\`${event}\``))).toEqual([])
})

test('titles are found wherever a test really runs', () => {
  const text = `
    test('one', () => {})
    it.each([1, 2])('two %d', () => {})
    test.each\`a\`('three', () => {})
    describe('a group', () => { test("four", () => {}) })
    export function suite(name: string) { test(\`five \${name} end\`, () => {}) }
    test.skip('no', () => {})
    test.todo('no')
    describe.skip('no', () => { test('no', () => {}) })
    // test('no', () => {})
    const text = "test('no')"
    pattern.test('no')
  `
  expect(titlesIn(text)).toEqual(['one', 'two %d', 'four', 'five … end'])
})

test('a title begins with the ids of what it shows', () => {
  expect(idsOf('CK1 the cookie')).toEqual(['CK1'])
  expect(idsOf('PX1, PX6: paths')).toEqual(['PX1', 'PX6'])
  expect(idsOf('FX2 CB1 a callback with CK1 inside')).toEqual(['FX2', 'CB1'])
  expect(idsOf('RS256 is an algorithm')).toEqual([])
  expect(idsOf('a title without')).toEqual([])
})

test('a row without a test says so, and a mistyped id is an error', () => {
  const rows = { Cookie: { CK1: 'one', CK2: 'two' } }
  const page = requirementsPage(rows, [{ file: 'a.test.ts', title: 'CK1 <b> | it' }])
  expect(page).toContain('| CK1 | one | [CK1 \\<b\\> \\| it](../a.test.ts) |')
  expect(page).toContain('| CK2 | two | not yet |')
  expect(page).toContain('1 of 2 rows have a test.')
  expect(() => requirementsPage(rows, [{ file: 'a.test.ts', title: 'CK9 nine' }])).toThrow('no requirement CK9')
  expect(() => requirementsPage(rows, [{ file: 'a.test.ts', title: 'ES25 other' }])).not.toThrow()
})
