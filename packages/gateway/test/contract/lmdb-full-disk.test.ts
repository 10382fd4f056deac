import type * as fs from 'node:fs'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { SessionStore } from '../../src/session/store.ts'
import { createLmdbStore } from '../../src/stores/lmdb.ts'
import { session, successor } from './session-store.ts'

const disk = vi.hoisted(() => ({ free: Number.POSITIVE_INFINITY }))
vi.mock('node:fs', async (original) => ({
  ...(await original<typeof fs>()),
  statfsSync: () => ({ bavail: disk.free, bsize: 1 }),
}))

let path: string
let store: SessionStore
beforeEach(() => {
  disk.free = 2 ** 30
  path = mkdtempSync(join(tmpdir(), 'coatcheck-full-'))
  store = createLmdbStore({ path, now: Date.now })
})
afterEach(async () => {
  await store.close()
  rmSync(path, { recursive: true })
})

test('on a nearly full disk nothing new is stored, but sessions can be read and ended', async () => {
  const first = session(Date.now(), { indices: ['ann'] })
  await store.put(first, undefined)
  disk.free = 2 ** 22
  await expect(store.put(session(Date.now()), undefined)).rejects.toThrow(/could not be written: only 4194304 bytes/)
  await expect(store.put(successor(first), 1)).rejects.toThrow(/could not be written/)
  await expect(store.claim('jti', Date.now() + 60_000)).rejects.toThrow(/could not be written/)
  await expect(store.ping()).rejects.toThrow(/disk space/)
  expect(await store.get(first.id)).toMatchObject({ version: 1 })
  expect(await store.end({ id: first.id, ended: 'logout', expiresAt: Date.now() })).toBe(true)
  expect(await store.sweep()).toBe(1)
})

test('room within the data file counts: it never shrinks', async () => {
  const all = Array.from({ length: 20 }, () => session(Date.now(), { bytes: Buffer.alloc(500_000) }))
  await Promise.all(all.map((each) => store.put(each, undefined)))
  disk.free = 2 ** 21
  await expect(store.put(session(Date.now()), undefined)).rejects.toThrow(/could not be written/)
  for (const { id } of all) await store.end({ id, ended: 'logout', expiresAt: Date.now() })
  expect(await store.put(session(Date.now()), undefined)).toBe(true)
})

test('on a full disk a logout fails loudly rather than by half', async () => {
  const first = session(Date.now(), { indices: ['ann'] })
  await store.put(first, undefined)
  disk.free = 0
  const stone = { id: first.id, ended: 'logout', expiresAt: Date.now() + 60_000 } as const
  await expect(store.end(stone)).rejects.toThrow(/could not be written/)
  expect(await store.get(first.id)).toMatchObject({ version: 1 })
  disk.free = 2 ** 30
  await store.ping()
  expect(await store.end(stone)).toBe(true)
})

test('a store is not created on a full disk', () => {
  disk.free = 1000
  expect(() => createLmdbStore({ path: join(path, 'new'), now: Date.now })).toThrow(
    /can not be opened at .* 1000 bytes/,
  )
})
