import { describe, expect, test } from 'vitest'
import { createAdminServer } from '../../src/node/health.ts'
import { createRequestIds, createTraceparents } from '../../src/node/request-id.ts'

describe('the admin listener', () => {
  test('says that the process lives, and whether it can serve', async () => {
    let ok = true
    const ready = async () => {
      return { ok, checks: { store: ok ? 'ok' : 'unreachable' } }
    }
    const admin = createAdminServer({ host: '127.0.0.1', port: 0, ready, log: { error() {} } })
    const url = `http://127.0.0.1:${await admin.listen()}`
    const ask = async (path: string, init?: RequestInit) => {
      const response = await fetch(url + path, init)
      return [response.status, await response.json()]
    }
    expect(await ask('/healthz')).toEqual([200, { status: 'ok' }])
    expect(await ask('/readyz?x')).toEqual([200, { status: 'ok', checks: { store: 'ok' } }])
    ok = false
    expect(await ask('/readyz')).toEqual([503, { status: 'unavailable', checks: { store: 'unreachable' } }])
    expect(await ask('/healthz')).toEqual([200, { status: 'ok' }])
    expect(await ask('/metrics')).toEqual([404, { status: 'not found' }])
    expect(await ask('/healthz', { method: 'POST' })).toEqual([405, { status: 'method not allowed' }])
    await admin.close()
  })

  test('a check that fails itself is not ready', async () => {
    const errors: unknown[] = []
    const log = { error: (fields: unknown) => errors.push(fields) } as never
    const ready = () => Promise.reject(new Error('broken'))
    const admin = createAdminServer({ host: '127.0.0.1', port: 0, ready, log })
    const response = await fetch(`http://127.0.0.1:${await admin.listen()}/readyz`)
    expect(response.status).toBe(503)
    expect(errors).toHaveLength(1)
    await admin.close()
  })
})

describe('ids', () => {
  test('request ids are unique, also across processes', () => {
    const [one, other] = [createRequestIds(), createRequestIds()]
    expect(new Set(Array.from({ length: 1000 }, () => [one(), other()]).flat()).size).toBe(2000)
  })

  test('traceparents are well-formed and differ', () => {
    const next = createTraceparents()
    const all = Array.from({ length: 1000 }, next)
    for (const value of all) expect(value).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(new Set(all).size).toBe(1000)
    expect(new Set(all.map((value) => value.slice(3, 35))).size).toBe(1000)
  })
})
