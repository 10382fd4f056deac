import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { StoredUser, UserId } from '../../src/identity/user-store.ts'
import type { SessionStore } from '../../src/session/store.ts'

export function userRow(changes: Partial<StoredUser> = {}): StoredUser {
  const id = randomBytes(16).toString('base64url') as UserId
  return { id, version: 1, bytes: randomBytes(300), indices: [], ...changes }
}

export function later(previous: StoredUser, changes: Partial<StoredUser> = {}): StoredUser {
  return { ...previous, version: previous.version + 1, bytes: randomBytes(300), ...changes }
}

/** What every driver promises of the directory of users. `open` gives an empty store. */
export function describeUserStore(name: string, open: () => SessionStore | Promise<SessionStore>): void {
  describe(`user store: ${name}`, () => {
    let store: SessionStore

    beforeEach(async () => {
      store = await open()
    })
    afterEach(() => store.close())

    async function stored(changes: Partial<StoredUser> = {}): Promise<StoredUser> {
      const row = userRow(changes)
      expect(await store.users.put(row, undefined)).toBe(true)
      return row
    }
    const plain = (row: StoredUser) => ({ ...row, bytes: new Uint8Array(row.bytes) })

    test('what was put is read back whole; nothing is there before', async () => {
      const row = await stored({ version: 1_790_000_000_000, indices: ['address:é€😀', 'x'.repeat(3000)] })
      expect(await store.users.get(row.id)).toEqual(plain(row))
      expect(await store.users.get(userRow().id)).toBeUndefined()
    })

    test.each([0, 1, 255, 9_000, 1_000_000])('%i bytes come back as they went in', async (length) => {
      const row = await stored({ bytes: randomBytes(length), indices: ['a'] })
      await stored({ bytes: randomBytes(length + 7) })
      const read = await store.users.get(row.id)
      expect(read?.bytes.length).toBe(length)
      expect(Buffer.from(read?.bytes ?? []).equals(row.bytes)).toBe(true)
    })

    test('a row is created once; a writer who read an older version changes nothing', async () => {
      const first = await stored()
      expect(await store.users.put({ ...first, bytes: randomBytes(10) }, undefined)).toBe(false)
      const second = later(first)
      expect(await store.users.put(second, 1)).toBe(true)
      expect(await store.users.put(later(first), 1)).toBe(false)
      expect(await store.users.put(later(userRow()), 1)).toBe(false)
      expect(await store.users.get(first.id)).toEqual(plain(second))
    })

    test('of many concurrent creations, and of many concurrent updates, exactly one wins', async () => {
      const { id } = userRow()
      const born = await Promise.all(Array.from({ length: 50 }, () => store.users.put(userRow({ id }), undefined)))
      expect(born.filter(Boolean)).toHaveLength(1)
      const row = (await store.users.get(id)) as StoredUser
      const won = await Promise.all(Array.from({ length: 50 }, () => store.users.put(later(row), 1)))
      expect(won.filter(Boolean)).toHaveLength(1)
    })

    test('concurrent read-modify-write loses no step', async () => {
      const { id } = await stored()
      async function increment(): Promise<void> {
        for (;;) {
          const row = await store.users.get(id)
          if (row === undefined) throw new Error('the user vanished')
          if (await store.users.put(later(row), row.version)) return
        }
      }
      await Promise.all(Array.from({ length: 40 }, increment))
      expect((await store.users.get(id))?.version).toBe(41)
    })

    test('an index lists whoever has it now', async () => {
      const one = await stored({ indices: ['a', 'b'] })
      const two = await stored({ indices: ['b'] })
      expect((await store.users.find('b')).sort()).toEqual([one.id, two.id].sort())
      await store.users.put(later(one, { indices: ['a', 'c'] }), 1)
      expect(await store.users.find('b')).toEqual([two.id])
      expect(await store.users.find('c')).toEqual([one.id])
      expect(await store.users.remove(one.id, 2)).toBe(true)
      expect(await store.users.find('a')).toEqual([])
      expect(await store.users.find('none')).toEqual([])
    })

    test('it is forgotten at the version that was read, and at no other; afterwards it may come anew', async () => {
      const row = await stored()
      expect(await store.users.remove(row.id, 2)).toBe(false)
      expect(await store.users.remove(row.id, 1)).toBe(true)
      expect(await store.users.remove(row.id, 1)).toBe(false)
      expect(await store.users.get(row.id)).toBeUndefined()
      expect(await store.users.put(later(row), 1)).toBe(false)
      expect(await store.users.put({ ...row, version: 7 }, undefined)).toBe(true)
    })

    test('all rows come, page by page, each once, although others go meanwhile', async () => {
      const rows = await Promise.all(Array.from({ length: 25 }, () => stored()))
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await store.users.scan(4, cursor)
        expect(page.ids.length).toBeLessThanOrEqual(4)
        seen.push(...page.ids)
        cursor = page.cursor
        const gone = page.ids[0]
        if (gone !== undefined) await store.users.remove(gone, 1)
      } while (cursor !== undefined)
      expect(seen.sort()).toEqual(rows.map(({ id }) => id).sort())
      expect(await store.users.scan(1000)).not.toHaveProperty('cursor')
    })

    test('a version that does not count up by one, or is none, is refused, and so is no limit', async () => {
      const row = await stored()
      await expect(store.users.put({ ...row, version: 3 }, 1)).rejects.toThrow(RangeError)
      await expect(store.users.put(userRow({ version: 0 }), undefined)).rejects.toThrow(RangeError)
      await expect(store.users.put(userRow({ version: Number.NaN }), undefined)).rejects.toThrow(RangeError)
      await expect(store.users.scan(0)).rejects.toThrow(RangeError)
    })

    test('a user outlives the sessions that are swept', async () => {
      const row = await stored()
      await store.sweep()
      expect(await store.users.get(row.id)).toEqual(plain(row))
    })

    test('nobody holds the store’s own bytes, and a closed store answers nothing', async () => {
      const row = await stored()
      const read = await store.users.get(row.id)
      read?.bytes.fill(0)
      expect(await store.users.get(row.id)).toEqual(plain(row))
      await store.close()
      await expect(store.users.get(row.id)).rejects.toThrow('closed')
      await expect(store.users.put(later(row), 1)).rejects.toThrow('closed')
      await expect(store.users.find('a')).rejects.toThrow('closed')
      await expect(store.users.scan(1)).rejects.toThrow('closed')
    })
  })
}
