import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { framingOfAnswer } from '../../src/node/answer-framing.ts'
import { createRequestIds, createTraceparents } from '../../src/node/request-id.ts'
import { Roster } from '../../src/node/roster.ts'

describe('ids', () => {
  test('request ids are unique, also across processes', () => {
    const [one, other] = [createRequestIds(), createRequestIds()]
    expect(new Set(Array.from({ length: 1000 }, () => [one(), other()]).flat()).size).toBe(2000)
  })

  test('a request id is never taken for an option of a command line', () => {
    for (let i = 0; i < 2000; i++) expect(createRequestIds()()).toMatch(/^\w[\w-]{10,}$/)
  })

  test('traceparents are well-formed and differ', () => {
    const next = createTraceparents()
    const all = Array.from({ length: 1000 }, next)
    for (const value of all) expect(value).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(new Set(all).size).toBe(1000)
    expect(new Set(all.map((value) => value.slice(3, 35))).size).toBe(1000)
  })
})

test('Roster: whoever leaves during a visit, and takes others along, none that stays is left out', () => {
  fc.assert(
    fc.property(fc.array(fc.array(fc.nat(19), { maxLength: 3 }), { minLength: 20, maxLength: 20 }), (leavers) => {
      const roster = new Roster<{ index: number; readonly name: number }>()
      const all = leavers.map((_, name) => ({ index: -1, name }))
      for (const one of all) roster.add(one)
      const visited = new Set<number>()
      roster.visit(({ name }) => {
        visited.add(name)
        for (const leaver of leavers[name] as number[]) roster.remove(all[leaver] as (typeof all)[number])
      })
      const stayed = all.filter(({ index }) => index !== -1)
      expect(stayed.filter(({ name }) => !visited.has(name))).toEqual([])
      expect(roster.size).toBe(stayed.length)
      for (const one of all) expect(roster.remove(one)).toBe(stayed.includes(one))
      expect(roster.size).toBe(0)
    }),
  )
})

test.each<[string, string[], boolean]>([
  ['an event stream', ['Content-Type', 'text/event-stream'], true],
  ['one in other letters, with a parameter', ['content-type', 'Text/Event-Stream;charset=utf-8'], true],
  ['another type that begins alike', ['Content-Type', 'text/event-streamfoo'], false],
  [
    'the first of two, as the client gets it',
    ['Content-Type', 'text/html', 'Content-Type', 'text/event-stream'],
    false,
  ],
  ['the first of two, an event stream', ['Content-Type', 'text/event-stream', 'content-type', 'text/html'], true],
])('an answer without an end of its own: %s', (_, headers, endless) => {
  expect(framingOfAnswer(headers, 200)?.endless).toBe(endless)
})
