import { describe, expect, test } from 'vitest'
import { createRequestIds, createTraceparents } from '../../src/node/request-id.ts'

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
