import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import type { EndReason, SessionId, SessionStore, StoredSession, Tombstone } from '../../src/session/store.ts'

const minute = 60_000

export function newId(): SessionId {
  return randomBytes(16).toString('base64url') as SessionId
}

/** A first version of a session, valid for ten minutes of the clock. */
export function session(now: number, changes: Partial<StoredSession> = {}): StoredSession {
  return { id: newId(), version: 1, bytes: randomBytes(300), expiresAt: now + 10 * minute, indices: [], ...changes }
}

export function successor(previous: StoredSession, changes: Partial<StoredSession> = {}): StoredSession {
  return { ...previous, version: previous.version + 1, bytes: randomBytes(300), ...changes }
}

/** What every driver promises, driven by a clock that the test moves. `open` gives an empty store. */
export function describeSessionStore(
  name: string,
  open: (clock: FakeClock) => SessionStore | Promise<SessionStore>,
): void {
  describe(`session store: ${name}`, () => {
    let clock: FakeClock
    let store: SessionStore

    beforeEach(async () => {
      clock = new FakeClock()
      store = await open(clock)
    })
    afterEach(() => store.close())

    async function stored(changes: Partial<StoredSession> = {}): Promise<StoredSession> {
      const first = session(clock.now(), changes)
      expect(await store.put(first, undefined)).toBe(true)
      return first
    }

    function tombstone(id: SessionId, ended: EndReason = 'logout', ms = minute): Tombstone {
      return { id, ended, expiresAt: clock.now() + ms }
    }

    /** `peek` where the driver has it, else by `get`: the two must agree. */
    async function standing(id: SessionId): Promise<number> {
      const row = await store.get(id)
      const got = row === undefined ? 0 : 'ended' in row ? -1 : row.version
      if (store.peek) expect(store.peek(id)).toBe(got)
      return got
    }

    describe('compare-and-set', () => {
      test('what was put is read back whole', async () => {
        const first = await stored({ indices: ['sub:https://idp.example|ann', 'sid:é€😀', 'x'.repeat(3000)] })
        expect(await store.get(first.id)).toEqual({ ...first, bytes: new Uint8Array(first.bytes) })
        expect(await standing(first.id)).toBe(1)
      })

      test('nothing is there before the first put', async () => {
        expect(await store.get(newId())).toBeUndefined()
        expect(await standing(newId())).toBe(0)
      })

      test('a session is created once', async () => {
        const first = await stored()
        expect(await store.put({ ...first, bytes: randomBytes(10) }, undefined)).toBe(false)
        expect(await store.get(first.id)).toEqual({ ...first, bytes: new Uint8Array(first.bytes) })
      })

      test('a writer who read an older version changes nothing', async () => {
        const first = await stored()
        const second = successor(first)
        expect(await store.put(second, 1)).toBe(true)
        expect(await store.put(successor(first), 1)).toBe(false)
        expect(await store.put(successor(successor(second)), 3)).toBe(false)
        expect(await store.get(first.id)).toEqual({ ...second, bytes: new Uint8Array(second.bytes) })
      })

      test('an update of a session that is not there fails', async () => {
        const ghost = successor(session(clock.now()))
        expect(await store.put(ghost, 1)).toBe(false)
        expect(await standing(ghost.id)).toBe(0)
      })

      test('of many concurrent creations exactly one wins', async () => {
        const id = newId()
        const rivals = Array.from({ length: 50 }, () => session(clock.now(), { id }))
        const won = await Promise.all(rivals.map((rival) => store.put(rival, undefined)))
        expect(won.filter(Boolean)).toHaveLength(1)
        expect(await store.get(id)).toMatchObject({ bytes: new Uint8Array(rivals[won.indexOf(true)]?.bytes ?? []) })
      })

      test('of many concurrent updates exactly one wins', async () => {
        const first = await stored()
        const rivals = Array.from({ length: 50 }, () => successor(first))
        const won = await Promise.all(rivals.map((rival) => store.put(rival, 1)))
        expect(won.filter(Boolean)).toHaveLength(1)
        expect(await store.get(first.id)).toMatchObject({
          version: 2,
          bytes: new Uint8Array(rivals[won.indexOf(true)]?.bytes ?? []),
        })
      })

      test('concurrent read-modify-write loses no step', async () => {
        const { id } = await stored()
        async function increment(): Promise<void> {
          for (;;) {
            const row = await store.get(id)
            if (row === undefined || 'ended' in row) throw new Error('the session vanished')
            if (await store.put(successor(row), row.version)) return
          }
        }
        await Promise.all(Array.from({ length: 40 }, increment))
        expect(await standing(id)).toBe(41)
      })

      test('a version that does not count up by one, or a time that is none, is refused', async () => {
        const first = await stored()
        await expect(store.put({ ...first, version: 1 }, 1)).rejects.toThrow(RangeError)
        await expect(store.put({ ...first, version: 3 }, 1)).rejects.toThrow(RangeError)
        await expect(store.put(session(clock.now(), { version: 2 }), undefined)).rejects.toThrow(RangeError)
        await expect(store.put(session(clock.now(), { expiresAt: Number.NaN }), undefined)).rejects.toThrow(RangeError)
        await expect(store.claim('x', Number.NaN)).rejects.toThrow(RangeError)
        expect(await standing(first.id)).toBe(1)
      })

      test('sessions do not touch each other', async () => {
        const all = await Promise.all(Array.from({ length: 300 }, () => stored()))
        await Promise.all(all.map((each, i) => (i % 2 ? store.end(tombstone(each.id)) : store.put(successor(each), 1))))
        for (const [i, each] of all.entries()) expect(await standing(each.id)).toBe(i % 2 ? -1 : 2)
      })
    })

    describe('bytes', () => {
      test.each([0, 1, 255, 4_000, 9_000, 70_000, 1_000_000])('%i bytes come back as they went in', async (length) => {
        const first = await stored({ bytes: randomBytes(length), indices: ['a'] })
        await stored({ bytes: randomBytes(length + 7) })
        const row = await store.get(first.id)
        expect(row && 'bytes' in row && Buffer.compare(row.bytes, first.bytes)).toBe(0)
      })

      test('changing a returned buffer does not change the store', async () => {
        const first = await stored()
        const row = (await store.get(first.id)) as StoredSession
        row.bytes.fill(0)
        expect(await store.get(first.id)).toMatchObject({ bytes: new Uint8Array(first.bytes) })
      })

      test('changing the buffer after put does not change the store', async () => {
        const first = session(clock.now())
        const kept = new Uint8Array(first.bytes)
        const put = store.put(first, undefined)
        first.bytes.fill(0)
        await put
        first.bytes.fill(1)
        expect(await store.get(first.id)).toMatchObject({ bytes: kept })
      })

      test('later reads and writes leave an earlier returned buffer alone', async () => {
        const first = await stored({ bytes: randomBytes(3_000) })
        const others = await Promise.all([10, 3_000, 50_000].map((length) => stored({ bytes: randomBytes(length) })))
        const row = (await store.get(first.id)) as StoredSession
        for (const other of others) {
          await store.get(other.id)
          store.peek?.(other.id)
        }
        await store.put(successor(first), 1)
        await store.get(first.id)
        expect(Buffer.compare(row.bytes, first.bytes)).toBe(0)
      })
    })

    describe('end', () => {
      test('leaves the tombstone instead of the session', async () => {
        const first = await stored({ indices: ['ann'] })
        const stone = tombstone(first.id, 'revoked')
        expect(await store.end(stone)).toBe(true)
        expect(await store.get(first.id)).toEqual(stone)
        expect(await standing(first.id)).toBe(-1)
        expect(await store.find('ann')).toEqual([])
      })

      test.each<EndReason>(['logout', 'replaced', 'idle', 'absolute', 'revoked', 'refresh-rejected', 'unreadable'])(
        'the reason %s is kept',
        async (reason) => {
          const { id } = await stored()
          await store.end(tombstone(id, reason))
          expect(await store.get(id)).toMatchObject({ ended: reason })
        },
      )

      test('is idempotent: the first reason and time stay', async () => {
        const { id } = await stored()
        const stone = tombstone(id, 'logout')
        expect(await store.end(stone)).toBe(true)
        expect(await store.end(tombstone(id, 'idle', 5 * minute))).toBe(false)
        expect(await store.get(id)).toEqual(stone)
      })

      test('of a session that is not there or has expired is false and leaves nothing', async () => {
        const id = newId()
        expect(await store.end(tombstone(id))).toBe(false)
        expect(await standing(id)).toBe(0)
        const expired = await stored()
        clock.advance(10 * minute)
        expect(await store.end(tombstone(expired.id))).toBe(false)
        expect(await standing(expired.id)).toBe(0)
      })

      test('LO8 a write in flight during logout never brings the session back', async () => {
        const first = await stored({ indices: ['ann'] })
        expect(await store.end(tombstone(first.id))).toBe(true)
        expect(await store.put(successor(first), 1)).toBe(false)
        expect(await store.put(first, undefined)).toBe(false)
        await expect(store.put({ ...first, version: 0 }, -1)).rejects.toThrow(RangeError)
        await expect(store.put(first, 0)).rejects.toThrow(RangeError)
        expect(await standing(first.id)).toBe(-1)
        expect(await store.find('ann')).toEqual([])
      })

      test('LO8 whichever of a logout and concurrent writes comes first, the session is ended', async () => {
        for (let round = 0; round < 20; round++) {
          const first = await stored({ indices: ['ann'] })
          const racers = [
            ...Array.from({ length: round % 5 }, () => store.put(successor(first), 1)),
            store.end(tombstone(first.id)),
            ...Array.from({ length: 5 }, () => store.put(successor(first), 1)),
          ]
          await Promise.all(racers)
          expect(await standing(first.id)).toBe(-1)
          expect(await store.put(successor(successor(first)), 2)).toBe(false)
        }
        expect(await store.find('ann')).toEqual([])
      })

      test('with a version expected, only that version is ended: a judgement that came late changes nothing', async () => {
        const first = await stored({ indices: ['user'] })
        expect(await store.put(successor(first), 1)).toBe(true)
        expect(await store.end(tombstone(first.id, 'idle'), 1)).toBe(false)
        expect(await standing(first.id)).toBe(2)
        expect(await store.find('user')).toEqual([first.id])
        expect(await store.end(tombstone(first.id, 'idle'), 2)).toBe(true)
        expect(await store.end(tombstone(first.id, 'idle'), 2)).toBe(false)
        expect(await standing(first.id)).toBe(-1)
        expect(await store.end(tombstone(newId()), 1)).toBe(false)
      })

      test('of a write and an end that expects the version before it, exactly one happens', async () => {
        for (let turn = 0; turn < 20; turn++) {
          const first = await stored()
          const [ended, written] = await Promise.all(
            turn % 2
              ? [store.end(tombstone(first.id, 'idle'), 1), store.put(successor(first), 1)]
              : [store.put(successor(first), 1), store.end(tombstone(first.id, 'idle'), 1)].reverse(),
          )
          expect([ended, written].filter(Boolean)).toHaveLength(1)
          expect([-1, 2]).toContain(await standing(first.id))
        }
      })

      test('of many concurrent ends exactly one is true', async () => {
        const { id } = await stored()
        const ended = await Promise.all(Array.from({ length: 20 }, () => store.end(tombstone(id))))
        expect(ended.filter(Boolean)).toHaveLength(1)
      })

      test('the tombstone goes at its own time', async () => {
        const first = await stored()
        await store.end(tombstone(first.id, 'logout', minute))
        clock.advance(minute - 1)
        expect(await standing(first.id)).toBe(-1)
        expect(await store.put(first, undefined)).toBe(false)
        clock.advance(1)
        expect(await standing(first.id)).toBe(0)
        expect(await store.put(first, undefined)).toBe(true)
      })
    })

    describe('expiry', () => {
      test('an expired session is as if it was never there', async () => {
        const first = await stored({ indices: ['ann'] })
        clock.advance(10 * minute - 1)
        expect(await standing(first.id)).toBe(1)
        expect(await store.find('ann')).toEqual([first.id])
        clock.advance(1)
        expect(await standing(first.id)).toBe(0)
        expect(await store.find('ann')).toEqual([])
        expect(await store.put(successor(first, { expiresAt: clock.now() + minute }), 1)).toBe(false)
      })

      test('a put moves the expiry, in both directions', async () => {
        const first = await stored()
        const longer = successor(first, { expiresAt: first.expiresAt + minute })
        await store.put(longer, 1)
        clock.advance(10 * minute)
        expect(await store.sweep()).toBe(0)
        expect(await standing(first.id)).toBe(2)
        await store.put(successor(longer, { expiresAt: clock.now() + 1 }), 2)
        clock.advance(1)
        expect(await standing(first.id)).toBe(0)
        expect(await store.sweep()).toBe(1)
      })

      test('an expired id can be created anew, under its new indices only', async () => {
        const first = await stored({ indices: ['ann'] })
        clock.advance(10 * minute)
        const again = session(clock.now(), { id: first.id, indices: ['bob'] })
        expect(await store.put(again, undefined)).toBe(true)
        expect(await store.find('ann')).toEqual([])
        expect(await store.find('bob')).toEqual([first.id])
        expect(await store.sweep()).toBe(0)
        expect(await standing(first.id)).toBe(1)
      })
    })

    describe('find', () => {
      test('lists every session under an index, and loses none when others change', async () => {
        const anns = await Promise.all(Array.from({ length: 60 }, (_, i) => stored({ indices: ['ann', `sid-${i}`] })))
        const bob = await stored({ indices: ['bob'] })
        expect(new Set(await store.find('ann'))).toEqual(new Set(anns.map(({ id }) => id)))
        expect(await store.find('sid-7')).toEqual([anns[7]?.id])
        expect(await store.find('bob')).toEqual([bob.id])

        const [ended, written, ...rest] = anns
        if (!ended || !written) throw new Error('no sessions')
        await store.end(tombstone(ended.id))
        await store.put(successor(written), 1)
        expect(new Set(await store.find('ann'))).toEqual(new Set([written, ...rest].map(({ id }) => id)))
        expect(await store.find('sid-0')).toEqual([])
      })

      test('takes an index as a whole: no prefixes, no patterns', async () => {
        const { id } = await stored({ indices: ['ann', 'a\u0000b', ''] })
        for (const index of ['an', 'ann2', 'a', '*', '%', 'a\u0000']) expect(await store.find(index)).toEqual([])
        expect(await store.find('a\u0000b')).toEqual([id])
        expect(await store.find('')).toEqual([id])
      })
    })

    describe('scan', () => {
      async function scanned(limit: number, between?: () => Promise<unknown>): Promise<SessionId[]> {
        const found: SessionId[] = []
        let cursor: string | undefined
        do {
          const page = await store.scan(limit, cursor)
          expect(page.ids.length).toBeLessThanOrEqual(limit)
          found.push(...page.ids)
          cursor = page.cursor
          await between?.()
        } while (cursor !== undefined)
        return found
      }

      test('LO6 gives every live session once, and nothing that ended or expired', async () => {
        expect(await scanned(10)).toEqual([])
        const all = await Promise.all(Array.from({ length: 57 }, () => stored()))
        const ended = await Promise.all(Array.from({ length: 20 }, () => stored()))
        await Promise.all(ended.map(({ id }) => store.end(tombstone(id, 'logout', 60 * minute))))
        await stored({ expiresAt: clock.now() + minute })
        clock.advance(minute)
        for (const limit of [1, 7, 57, 1000]) {
          const ids = await scanned(limit)
          expect(ids.toSorted()).toEqual(all.map(({ id }) => id).toSorted())
        }
      })

      test('LO6 misses no session that lives throughout, while others come and go between the pages', async () => {
        const lasting = await Promise.all(Array.from({ length: 60 }, () => stored()))
        const passing = await Promise.all(Array.from({ length: 60 }, () => stored()))
        const ids = await scanned(5, async () => {
          const gone = passing.pop()
          if (gone) await store.end(tombstone(gone.id))
          await stored()
          clock.advance(1)
          await store.sweep()
        })
        const found = new Set(ids)
        expect(lasting.filter(({ id }) => !found.has(id))).toEqual([])
        expect(found.size).toBe(ids.length)
      })

      test('LO6 ending what each page shows leaves none, and no index entry', async () => {
        await Promise.all(Array.from({ length: 64 }, (_, i) => stored({ indices: [`user-${i % 3}`] })))
        let cursor: string | undefined
        let ended = 0
        do {
          const page = await store.scan(10, cursor)
          for (const id of page.ids) if (await store.end(tombstone(id, 'revoked'))) ended++
          cursor = page.cursor
        } while (cursor !== undefined)
        expect(ended).toBe(64)
        for (const i of [0, 1, 2]) expect(await store.find(`user-${i}`)).toEqual([])
        expect(await scanned(10)).toEqual([])
      })

      test('a page has at least one entry', async () => {
        for (const limit of [0, -1, 1.5, Number.NaN]) await expect(store.scan(limit)).rejects.toThrow(RangeError)
      })
    })

    describe('outbox', () => {
      const add = async (id: string, wait = 0, bytes: Uint8Array = randomBytes(40)) => {
        await store.outbox.add({ id, bytes, dueAt: clock.now() + wait })
        return { id, bytes: new Uint8Array(bytes), addedAt: clock.now() }
      }
      const take = (limit = 10) => store.outbox.take(limit, clock.now() + minute)

      test('LO4 an entry comes back as it was added, when it is due, longest waiting first', async () => {
        const late = await add('late', 2)
        const soon = await add('soon', 1)
        expect(await store.outbox.count()).toBe(2)
        expect(await take()).toEqual([])
        clock.advance(2)
        const taken = await take()
        const lease = { attempts: 1, dueAt: clock.now() + minute }
        expect(taken).toEqual([
          { ...soon, ...lease },
          { ...late, ...lease },
        ])
      })

      test('LO4 a taken entry is nobody else’s until its lease is over, and then due again', async () => {
        await add('one')
        expect(await take()).toMatchObject([{ id: 'one', attempts: 1 }])
        expect(await take()).toEqual([])
        clock.advance(minute - 1)
        expect(await take()).toEqual([])
        clock.advance(1)
        expect(await take()).toMatchObject([{ id: 'one', attempts: 2 }])
        expect(await store.outbox.count()).toBe(1)
      })

      test('LO4 who slept past the lease neither finishes nor puts off what another has taken since', async () => {
        await add('one')
        const [slept] = await take()
        clock.advance(minute)
        const [other] = await take()
        if (!slept || !other) throw new Error('nothing taken')
        expect(await store.outbox.remove(slept)).toBe(false)
        expect(await store.outbox.postpone(slept, clock.now())).toBe(false)
        expect(await take()).toEqual([])
        expect(await store.outbox.remove(other)).toBe(true)
        expect(await store.outbox.remove(other)).toBe(false)
        expect(await store.outbox.count()).toBe(0)
      })

      test('LO4 what is put off is due at its new time, and remembers its age and attempts', async () => {
        const added = await add('one')
        const [taken] = await take()
        if (!taken) throw new Error('nothing taken')
        expect(await store.outbox.postpone(taken, clock.now() + 5 * minute)).toBe(true)
        clock.advance(5 * minute - 1)
        expect(await take()).toEqual([])
        clock.advance(1)
        expect(await take()).toEqual([{ ...added, attempts: 2, dueAt: clock.now() + minute }])
      })

      test('LO4 of many takers at once each entry has one', async () => {
        await Promise.all(Array.from({ length: 60 }, (_, i) => add(`entry-${i}`)))
        const batches = await Promise.all(Array.from({ length: 8 }, () => take(20)))
        const ids = batches.flat().map(({ id }) => id)
        expect(new Set(ids).size).toBe(ids.length)
        const rest = await take(100)
        expect(ids.length + rest.length).toBe(60)
        for (const batch of batches) expect(batch.length).toBeLessThanOrEqual(20)
      })

      test('LO4 a pause as long as the lease in the middle of taking gives no entry twice', async () => {
        await add('one')
        await add('two')
        const taking = take()
        clock.advance(2 * minute)
        expect((await taking).map(({ id, attempts }) => `${id} ${attempts}`).sort()).toEqual(['one 1', 'two 1'])
      })

      test('a sweep takes nothing from it, and buffers are its own', async () => {
        const bytes = randomBytes(2_000)
        const kept = new Uint8Array(bytes)
        await add('one', 0, bytes)
        bytes.fill(0)
        clock.advance(100 * 60 * minute)
        await store.sweep()
        const [taken] = await take()
        expect(taken?.bytes).toEqual(kept)
        taken?.bytes.fill(1)
        clock.advance(minute)
        expect((await take())[0]?.bytes).toEqual(kept)
      })
    })

    describe('notes', () => {
      const note = (text: string, life = minute) => ({ bytes: Buffer.from(text), expiresAt: clock.now() + life })
      const textOf = async (key: string) => {
        const found = await store.notes.get(key)
        return found && Buffer.from(found.bytes).toString()
      }

      test('a note is there until its time is over, or it is removed', async () => {
        await store.notes.set('ann', note('one'))
        await store.notes.set('bob', note('two', 2 * minute))
        expect([await textOf('ann'), await textOf('bob'), await textOf('eve')]).toEqual(['one', 'two', undefined])
        clock.advance(minute)
        expect([await textOf('ann'), await textOf('bob')]).toEqual([undefined, 'two'])
        await store.notes.remove('bob')
        await store.notes.remove('bob')
        expect(await textOf('bob')).toBeUndefined()
      })

      test('the last of many writers stands, under its own time', async () => {
        await Promise.all(Array.from({ length: 20 }, (_, i) => store.notes.set('ann', note(`${i}`, minute + i))))
        await store.notes.set('ann', note('last', 3 * minute))
        clock.advance(2 * minute)
        expect(await store.sweep()).toBe(0)
        expect(await textOf('ann')).toBe('last')
        clock.advance(minute)
        expect(await store.sweep()).toBe(1)
        expect(await store.sweep()).toBe(0)
      })

      test('a note, a claim and a session of the same name are different things, and buffers are its own', async () => {
        const { id } = await stored()
        const bytes = Buffer.from('mine')
        await store.notes.set(id, { bytes, expiresAt: clock.now() + minute })
        bytes.fill(0)
        expect(await textOf(id)).toBe('mine')
        expect(await store.claim(id, clock.now() + minute)).toBe(true)
        expect(await standing(id)).toBe(1)
      })
    })

    describe('claim', () => {
      test('is true once, and again after it expired', async () => {
        expect(await store.claim('state-1', clock.now() + minute)).toBe(true)
        expect(await store.claim('state-1', clock.now() + 9 * minute)).toBe(false)
        expect(await store.claim('state-2', clock.now() + minute)).toBe(true)
        clock.advance(minute - 1)
        expect(await store.claim('state-1', clock.now() + minute)).toBe(false)
        clock.advance(1)
        expect(await store.claim('state-1', clock.now() + minute)).toBe(true)
        expect(await store.claim('state-1', clock.now() + minute)).toBe(false)
      })

      test('a claim that is given back can be claimed again; giving back what nobody has is no error', async () => {
        expect(await store.claim('token-1', clock.now() + minute)).toBe(true)
        await store.release('token-1')
        await store.release('token-1')
        await store.release('token-2')
        expect(await store.claim('token-1', clock.now() + minute)).toBe(true)
        expect(await store.claim('token-1', clock.now() + minute)).toBe(false)
      })

      test('of many concurrent claims exactly one is true, fresh or after expiry', async () => {
        const key = 'k'.repeat(5_000)
        for (let round = 0; round < 2; round++) {
          const claims = Array.from({ length: 50 }, () => store.claim(key, clock.now() + minute))
          expect((await Promise.all(claims)).filter(Boolean)).toHaveLength(1)
          clock.advance(minute)
        }
      })

      test('a claim and a session of the same name are different things', async () => {
        const { id } = await stored({ indices: ['same'] })
        expect(await store.claim(id, clock.now() + minute)).toBe(true)
        expect(await store.claim('same', clock.now() + minute)).toBe(true)
        expect(await standing(id)).toBe(1)
      })
    })

    describe('sweep', () => {
      test('forgets expired sessions, tombstones and claims, and nothing else', async () => {
        const short = await stored({ expiresAt: clock.now() + minute, indices: ['ann'] })
        const long = await stored({ indices: ['ann'] })
        const ended = await stored()
        await store.end(tombstone(ended.id, 'logout', minute))
        const endedLater = await stored()
        await store.end(tombstone(endedLater.id, 'logout', 2 * minute))
        await store.claim('short', clock.now() + minute)
        await store.claim('long', clock.now() + 2 * minute)
        expect(await store.sweep()).toBe(0)

        clock.advance(minute)
        expect(await store.sweep()).toBe(3)
        expect(await store.sweep()).toBe(0)
        expect(await standing(short.id)).toBe(0)
        expect(await standing(ended.id)).toBe(0)
        expect(await standing(endedLater.id)).toBe(-1)
        expect(await store.find('ann')).toEqual([long.id])
        expect(await store.claim('long', clock.now() + minute)).toBe(false)
        expect(await store.claim('short', clock.now() + minute)).toBe(true)
      })

      test('goes through more than one batch, and two sweeps at once count each entry once', async () => {
        const expiresAt = clock.now() + minute
        await Promise.all(Array.from({ length: 700 }, () => stored({ expiresAt, indices: ['ann'] })))
        const kept = await stored({ indices: ['ann'] })
        clock.advance(minute)
        const counts = await Promise.all([store.sweep(), store.sweep()])
        expect(counts[0] + counts[1]).toBe(700)
        expect(await store.find('ann')).toEqual([kept.id])
      })
    })

    describe('closed', () => {
      test('every method throws: a closed store is not an empty one', async () => {
        const first = await stored({ indices: ['ann'] })
        await store.ping()
        await store.close()
        await expect(store.get(first.id)).rejects.toThrow(/closed/)
        await expect(store.put(successor(first), 1)).rejects.toThrow(/closed/)
        await expect(store.end(tombstone(first.id))).rejects.toThrow(/closed/)
        await expect(store.find('ann')).rejects.toThrow(/closed/)
        await expect(store.claim('x', clock.now() + 1)).rejects.toThrow(/closed/)
        await expect(store.scan(1)).rejects.toThrow(/closed/)
        await expect(store.outbox.add({ id: 'x', bytes: randomBytes(1), dueAt: 0 })).rejects.toThrow(/closed/)
        await expect(store.outbox.take(1, 1)).rejects.toThrow(/closed/)
        await expect(store.outbox.count()).rejects.toThrow(/closed/)
        await expect(store.notes.get('x')).rejects.toThrow(/closed/)
        await expect(store.notes.set('x', { bytes: randomBytes(1), expiresAt: 1 })).rejects.toThrow(/closed/)
        await expect(store.notes.remove('x')).rejects.toThrow(/closed/)
        await expect(store.sweep()).rejects.toThrow(/closed/)
        await expect(store.ping()).rejects.toThrow(/closed/)
        if (store.peek) expect(() => store.peek?.(first.id)).toThrow(/closed/)
        await store.close()
      })
    })
  })
}
