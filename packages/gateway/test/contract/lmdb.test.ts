import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { open } from 'lmdb'
import { afterAll, describe, expect, test } from 'vitest'
import type { SessionStore } from '../../src/session/store.ts'
import { createLmdbStore } from '../../src/stores/lmdb.ts'
import { SecondProcess } from './second-process.ts'
import { describeSessionStore, newId, session, successor } from './session-store.ts'
import { describeUserStore } from './user-store.ts'

const base = mkdtempSync(join(tmpdir(), 'coatcheck-lmdb-'))
let folders = 0
afterAll(() => rmSync(base, { recursive: true }))

function folder(): string {
  return join(base, `store.${++folders}`)
}

function openHere(path: string): SessionStore & { peek(id: string): number } & AsyncDisposable {
  const store = createLmdbStore({ path, now: Date.now })
  return Object.assign(store as SessionStore & { peek(id: string): number }, { [Symbol.asyncDispose]: store.close })
}

describeSessionStore('lmdb', ({ now }) => createLmdbStore({ path: folder(), now }))
describeUserStore('lmdb', () => createLmdbStore({ path: folder(), now: Date.now }))

describe('lmdb: several processes on one folder', { timeout: 60_000 }, () => {
  test('exactly the accepted increments count', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    await using third = await SecondProcess.start(path)
    const first = session(Date.now())
    await store.put(first, undefined)
    let won = 0
    const here = (async () => {
      while (won < 300) {
        const row = await store.get(first.id)
        if (row === undefined || 'ended' in row) throw new Error('the session vanished')
        if (await store.put(successor(row), row.version)) won++
      }
    })()
    const there = [second.call('hammer', first.id, 300), third.call('hammer', first.id, 300)]
    expect(await Promise.all([...there, here])).toEqual([300, 300, undefined])
    expect(store.peek(first.id)).toBe(901)
    expect(await second.call('peek', first.id)).toBe(901)
  })

  test('LO8 of a logout in one process and writes in another, the logout is final', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    for (let round = 0; round < 10; round++) {
      const first = session(Date.now())
      await store.put(first, undefined)
      const hammered = expect(second.call('hammer', first.id, 1_000_000)).rejects.toThrow('vanished')
      await wait(round)
      expect(await store.end({ id: first.id, ended: 'logout', expiresAt: Date.now() + 60_000 })).toBe(true)
      await hammered
      expect(store.peek(first.id)).toBe(-1)
    }
  })

  test('peek sees the commit of another process at once, in the same turn of the event loop', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    const first = session(Date.now())
    await store.put(first, undefined)
    void second.call('hammer', first.id, 1_000_000).catch(() => {})
    // No await: lmdb-js alone would show one snapshot for as long as this loop runs.
    const seen = new Set<number>()
    for (const until = Date.now() + 20_000; seen.size < 20 && Date.now() < until; ) seen.add(store.peek(first.id))
    expect(seen.size).toBe(20)
    await second.kill()
  })

  test('of concurrent claims in two processes one is true', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    for (let round = 0; round < 30; round++) {
      const expiresAt = Date.now() + 60_000
      const answers = [second.call('claim', `jti-${round}`, expiresAt), store.claim(`jti-${round}`, expiresAt)]
      expect((await Promise.all(answers)).filter(Boolean)).toHaveLength(1)
    }
  })

  test('LO4 two processes that take from the outbox never get the same entry, and one takes over from a dead one', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    const entries = Array.from({ length: 200 }, (_, i) => ({ id: `entry-${i}`, bytes: Buffer.from([i]), dueAt: i }))
    await Promise.all(entries.map((entry) => store.outbox.add(entry)))
    const until = Date.now() + 60_000
    const seen: string[] = []
    const drain = async (take: () => Promise<unknown>) => {
      for (;;) {
        const taken = (await take()) as { id: string }[]
        if (taken.length === 0) return
        seen.push(...taken.map(({ id }) => id))
      }
    }
    await Promise.all([
      drain(() => store.outbox.take(7, until)),
      drain(() => store.outbox.take(3, until)),
      drain(() => second.call('outbox', 'take', 5, until)),
    ])
    expect(seen.length).toBe(200)
    expect(new Set(seen).size).toBe(200)

    await store.outbox.add({ id: 'orphan', bytes: Buffer.from('x'), dueAt: 0 })
    expect(await second.call('outbox', 'take', 1, Date.now() + 50)).toMatchObject([{ id: 'orphan' }])
    await second.kill()
    await expect.poll(() => store.outbox.take(1, until)).toMatchObject([{ id: 'orphan', attempts: 2 }])
  })

  test('LO6 a scan sees every session of all processes while another one writes', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    const lasting = await Promise.all(
      Array.from({ length: 150 }, async () => {
        const next = session(Date.now())
        await second.call('put', next, undefined)
        return next.id
      }),
    )
    void second.call('pour', 'noise').catch(() => {})
    const found = new Set<string>()
    let cursor: string | undefined
    do {
      const page = await store.scan(10, cursor)
      for (const id of page.ids) found.add(id)
      cursor = page.cursor
    } while (cursor !== undefined)
    await second.kill()
    expect(lasting.filter((id) => !found.has(id))).toEqual([])
  })

  test('processes that start together on a new folder share one store', async () => {
    const path = folder()
    const [second, third, fourth] = await Promise.all([1, 2, 3].map(() => SecondProcess.start(path)))
    await using a = second as SecondProcess
    await using b = third as SecondProcess
    await using c = fourth as SecondProcess
    const first = session(Date.now(), { indices: ['ann'] })
    expect(await a.call('put', first, undefined)).toBe(true)
    expect(await b.call('put', successor(first), 1)).toBe(true)
    expect(await c.call('find', 'ann')).toEqual([first.id])
    expect(await a.call('peek', first.id)).toBe(2)
  })

  test('a reader follows while another process grows the file', async () => {
    const path = folder()
    await using store = openHere(path)
    await using second = await SecondProcess.start(path)
    for (let i = 0; i < 40; i++) {
      const next = session(Date.now(), { bytes: Buffer.alloc(1_000_000, i) })
      expect(await second.call('put', next, undefined)).toBe(true)
      expect(await store.get(next.id)).toMatchObject({ version: 1 })
    }
  })
})

describe('lmdb: on disk', { timeout: 60_000 }, () => {
  test('sessions, tombstones, indices, claims and the outbox outlive a restart', async () => {
    const path = folder()
    const first = session(Date.now(), { indices: ['ann'] })
    const gone = session(Date.now())
    {
      await using store = openHere(path)
      await store.put(first, undefined)
      await store.put(gone, undefined)
      await store.end({ id: gone.id, ended: 'logout', expiresAt: Date.now() + 60_000 })
      await store.claim('jti', Date.now() + 60_000)
      await store.outbox.add({ id: 'waiting', bytes: Buffer.from('sealed'), dueAt: 0 })
    }
    await using store = openHere(path)
    expect(await store.get(first.id)).toEqual({ ...first, bytes: new Uint8Array(first.bytes) })
    expect(await store.find('ann')).toEqual([first.id])
    expect(await store.put(successor(gone), 1)).toBe(false)
    expect(store.peek(gone.id)).toBe(-1)
    expect(await store.claim('jti', Date.now() + 60_000)).toBe(false)
    expect(await store.outbox.take(5, Date.now() + 60_000)).toMatchObject([{ id: 'waiting', attempts: 1 }])
  })

  test('what was asked for before close is done', async () => {
    const path = folder()
    const first = session(Date.now())
    const store = createLmdbStore({ path, now: Date.now })
    const put = store.put(first, undefined)
    await store.close()
    expect(await put).toBe(true)
    await using again = openHere(path)
    expect(again.peek(first.id)).toBe(1)
  })

  test('every acknowledged put outlives kill -9, and the other processes go on', async () => {
    const path = folder()
    await using store = openHere(path)
    for (let round = 0; round < 3; round++) {
      await using second = await SecondProcess.start(path)
      const index = `round-${round}`
      void second.call('pour', index).catch(() => {})
      while (second.poured.length < 50) await wait(5)
      await second.kill()
      const found = new Set(await store.find(index))
      expect(second.poured.filter((id) => !found.has(id))).toEqual([])
      // One put was in flight: it is there wholly or not at all.
      for (const id of found) expect(await store.get(id)).toMatchObject({ version: 1, indices: [index] })
      expect(found.size - second.poured.length).toBeLessThanOrEqual(2)
      expect(await store.put(session(Date.now()), undefined)).toBe(true)
    }
  })

  test('folder and files are for the gateway alone', async () => {
    const path = join(folder(), 'data', 'sessions')
    await using store = openHere(path)
    await store.ping()
    const mode = (file: string) => statSync(file).mode & 0o777
    expect([path, join(path, 'data.mdb'), join(path, 'lock.mdb')].map(mode)).toEqual([0o700, 0o600, 0o600])
  })

  test('what is forgotten leaves nothing behind, in the indices neither', async () => {
    const path = folder()
    let time = 1_000
    const store = createLmdbStore({ path, now: () => time })
    const [kept, ended, expired] = [1, 2, 3].map(() => session(time, { indices: ['ann', 'sid'] }))
    if (!kept || !ended || !expired) throw new Error('no sessions')
    for (const each of [kept, ended, expired]) await store.put(each, undefined)
    await store.put(successor(kept, { expiresAt: kept.expiresAt + 1 }), 1)
    await store.end({ id: ended.id, ended: 'logout', expiresAt: time + 5 })
    await store.claim('jti', time + 1)
    time += 1
    await store.claim('jti', time + 1)
    time = kept.expiresAt
    await store.put({ ...expired, expiresAt: time + 1 }, undefined)
    time += 1
    expect(await store.sweep()).toBe(4)
    await store.close()

    const raw = open({ path, noSubdir: false, overlappingSync: false, encoding: 'binary' })
    const counts = ['sessions', 'listed', 'claims', 'expiry'].map((name) => {
      const stats = raw.openDB({ name, encoding: 'binary', keyEncoding: 'binary' }).getStats()
      return [name, (stats as { entryCount: number }).entryCount]
    })
    await raw.close()
    expect(Object.fromEntries(counts)).toEqual({ sessions: 0, listed: 0, claims: 0, expiry: 0 })
  })

  test('swept space is used again', async () => {
    const path = folder()
    let time = 0
    const store = createLmdbStore({ path, now: () => time })
    const sizes: number[] = []
    for (let round = 0; round < 8; round++) {
      const puts = Array.from({ length: 200 }, () => session(time, { bytes: Buffer.alloc(3_000), expiresAt: time + 1 }))
      await Promise.all(puts.map((next) => store.put(next, undefined)))
      time += 1
      expect(await store.sweep()).toBe(200)
      sizes.push(statSync(join(path, 'data.mdb')).size)
    }
    await store.close()
    expect(sizes.at(-1)).toBeLessThan(2 * (sizes[1] ?? 0))
  })
})

describe('lmdb: a folder that can not be used', () => {
  function opening(path: string): () => SessionStore {
    return () => createLmdbStore({ path, now: Date.now })
  }

  test('a file in place of the folder', () => {
    const path = folder()
    writeFileSync(path, '')
    expect(opening(path)).toThrow(/can not be opened at .*not a folder/)
    expect(opening(join(path, 'below'))).toThrow(/can not be opened at/)
  })

  test('a folder that can not be made', () => {
    expect(opening('/proc/coatcheck/sessions')).toThrow(/can not be opened at \/proc\/coatcheck\/sessions/)
  })

  test.each(['short', 'x'.repeat(100_000)])('a data file that is not one (case %#)', (content) => {
    const path = folder()
    mkdirSync(path)
    writeFileSync(join(path, 'data.mdb'), content)
    expect(opening(path)).toThrow(/not an LMDB file/)
  })

  test('a layout of another version, or of another program, is refused and left as it was', async () => {
    const path = folder()
    const foreign = open({ path, noSubdir: false, overlappingSync: false, encoding: 'binary' })
    await foreign.put('theirs', Buffer.from('data'))
    await foreign.close()
    expect(opening(path)).toThrow(/layout unknown, this version of Coatcheck reads layout 1/)

    const later = folder()
    await createLmdbStore({ path: later, now: Date.now }).close()
    const stamp = open({ path: later, noSubdir: false, overlappingSync: false, encoding: 'binary' })
    await stamp.put('coatcheck:layout', Buffer.from('2'))
    await stamp.close()
    expect(opening(later)).toThrow(/layout 2, this version of Coatcheck reads layout 1/)
    const untouched = open({ path, noSubdir: false, overlappingSync: false, encoding: 'binary' })
    expect([...untouched.getKeys()]).toEqual(['theirs'])
    await untouched.close()
  })

  test('ping notices a folder that was deleted under a running gateway', async () => {
    const path = folder()
    await using store = openHere(path)
    await store.ping()
    rmSync(path, { recursive: true })
    await expect(store.ping()).rejects.toThrow()
    await using other = openHere(path)
    await other.ping()
    await expect(store.ping()).rejects.toThrow(/replaced while in use/)
    expect(store.peek(newId())).toBe(0)
  })
})
