import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { parseCookieValue } from '../../src/session/cookie-value.ts'
import { newRingKey } from '../../src/session/key-file.ts'
import { createKeyRing } from '../../src/session/key-ring.ts'
import type { LiveSession } from '../../src/session/record.ts'
import type { Lease } from '../../src/session/refresh-lease.ts'
import { createSessions, type SessionEvent, type Sessions } from '../../src/session/sessions.ts'
import type { SessionId, SessionStore, StoredSession } from '../../src/session/store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const minute = 60_000
const hour = 60 * minute
const tokens = { accessToken: 'canary-access', refreshToken: 'canary-refresh', idToken: 'canary-id', obtainedAt: 0 }
const ada = {
  subject: { iss: 'https://idp.test', sub: 'ada' },
  provider: 'corp',
  authenticatedAt: 0,
  roles: ['admin'],
  claims: { name: 'Ada' },
  userAgent: 'test',
  address: '127.0.0.1',
}

function world(
  options: { rotate?: number; ring?: ReturnType<typeof createKeyRing>; store?: SessionStore; clock?: FakeClock } = {},
) {
  const clock = options.clock ?? new FakeClock()
  const ring = options.ring ?? createKeyRing([newRingKey(0)])
  const store = options.store ?? createMemoryStore({ now: clock.now })
  const events: SessionEvent[] = []
  const faults: unknown[] = []
  const open = () =>
    createSessions({
      store,
      ring,
      timeouts: { idle: 30 * minute, absolute: 12 * hour, rotate: options.rotate ?? 13 * hour, grace: 30_000 },
      now: clock.now,
      rolesOf: () => [],
      onEvent: (event) => events.push(event),
      onFault: (fault) => faults.push(fault),
    })
  return { clock, ring, store, events, faults, sessions: open(), another: open }
}

async function leaseOf(sessions: Sessions, session: LiveSession): Promise<Lease> {
  const lease = await sessions.refreshLeases.take(session)
  if (lease.kind !== 'granted') throw new Error(lease.kind)
  return lease
}

const idOf = (cookie: string) => parseCookieValue(cookie)?.id as SessionId

test('a session opens with its cookie: in this process without a promise, in another process from the store', async () => {
  const { sessions, another } = world()
  const cookie = await sessions.create(ada, tokens)
  expect(await sessions.open(cookie)).toMatchObject({ kind: 'live', session: { tokens } })
  expect(sessions.open(cookie)).toMatchObject({ kind: 'live' })
  expect(await another().open(cookie)).toMatchObject({ kind: 'live', session: { record: { subject: ada.subject } } })
})

test('ID2 an id that was never issued, or the right id with another secret, opens nothing and is reported', async () => {
  const { sessions, events, another } = world()
  const cookie = await sessions.create(ada, tokens)
  const stranger = await world().sessions.create(ada, tokens)
  expect(await sessions.open(stranger)).toEqual({ kind: 'unknown' })
  const forged = `${cookie.slice(0, -43)}${stranger.slice(-43)}`
  await sessions.open(cookie)
  expect(await sessions.open(forged)).toEqual({ kind: 'unknown' })
  expect(await another().open(forged)).toEqual({ kind: 'unknown' })
  expect(events.filter((event) => event.event === 'session_unknown')).toHaveLength(3)
  expect(await sessions.open(cookie)).toMatchObject({ kind: 'live' })
})

test('TO1 idle: thirty minutes without a request end it; a request a minute before resets only that clock', async () => {
  const { clock, sessions, another } = world()
  const cookie = await sessions.create(ada, tokens)
  clock.advance(29 * minute)
  const opened = await sessions.open(cookie)
  if (opened.kind !== 'live') throw new Error(opened.kind)
  sessions.touch(opened.session)
  await new Promise(setImmediate)
  clock.advance(29 * minute)
  expect(await sessions.open(cookie)).toMatchObject({ kind: 'live' })
  expect(await another().open(cookie)).toMatchObject({ kind: 'live' })
  clock.advance(minute)
  expect(await sessions.open(cookie)).toEqual({ kind: 'ended', reason: 'idle' })
  expect(await sessions.open(cookie)).toMatchObject({ kind: 'ended' })
})

test('TO2 absolute: twelve hours after sign-in it ends, however active', async () => {
  const { clock, sessions } = world()
  const cookie = await sessions.create(ada, tokens)
  for (let at = 0; at < 12 * 60 - 1; at++) {
    clock.advance(minute)
    const opened = await sessions.open(cookie)
    if (opened.kind !== 'live') throw new Error(`ended after ${at} minutes`)
    sessions.touch(opened.session)
    expect(sessions.expiry(opened.session).idleExpiresAt).toBeLessThanOrEqual(sessions.expiry(opened.session).expiresAt)
  }
  clock.advance(minute)
  expect(await sessions.open(cookie)).toEqual({ kind: 'ended', reason: 'absolute' })
})

test('activity is written at most once a minute, and a cache that fell behind never shortens a session', async () => {
  const { clock, sessions, store, faults } = world()
  const cookie = await sessions.create(ada, tokens)
  const version = () => store.peek?.(idOf(cookie))
  for (let second = 0; second < 180; second++) {
    clock.advance(1000)
    const opened = await sessions.open(cookie)
    if (opened.kind !== 'live') throw new Error(opened.kind)
    sessions.touch(opened.session)
    await new Promise(setImmediate)
  }
  expect(version()).toBe(4)
  expect(faults).toEqual([])
})

test('LO8 a write that was on its way when the session ended does not bring it back', async () => {
  const inner = createMemoryStore({ now: () => 0 })
  let hold: Promise<void> | undefined
  const store: SessionStore = {
    ...inner,
    peek: inner.peek as NonNullable<SessionStore['peek']>,
    async put(next: StoredSession, expected: number | undefined) {
      await hold
      return await inner.put(next, expected)
    },
  }
  const { sessions, clock, another } = world({ store })
  const cookie = await sessions.create(ada, tokens)
  const opened = await sessions.open(cookie)
  if (opened.kind !== 'live') throw new Error(opened.kind)
  const lease = await leaseOf(sessions, opened.session)
  let release = () => {}
  hold = new Promise((resolve) => {
    release = resolve
  })
  clock.advance(5 * minute)
  sessions.touch(opened.session)
  const replacing = lease.renew({ ...tokens, accessToken: 'fresh' })
  await new Promise(setImmediate)
  expect(await sessions.end(opened.session.id, 'logout')).toBe(true)
  release()
  expect(await replacing).toBeUndefined()
  expect(await sessions.open(cookie)).toEqual({ kind: 'ended', reason: 'logout' })
  expect(await another().open(cookie)).toEqual({ kind: 'ended', reason: 'logout' })
})

test('LO1 a session that one process ended is over in another at its next request, cached or not', async () => {
  const { sessions, another } = world()
  const cookie = await sessions.create(ada, tokens)
  const other = another()
  await other.open(cookie)
  expect(other.open(cookie)).toMatchObject({ kind: 'live' })
  await sessions.end(idOf(cookie), 'logout')
  expect(await other.open(cookie)).toEqual({ kind: 'ended', reason: 'logout' })
})

test('ST1 two rows swapped in the store: both sessions are dead and reported, a third lives', async () => {
  const { sessions, store, events, another } = world()
  const [one, two, three] = [
    await sessions.create(ada, tokens),
    await sessions.create(ada, tokens),
    await sessions.create(ada, tokens),
  ]
  const rows = (await Promise.all([store.get(idOf(one)), store.get(idOf(two))])) as [StoredSession, StoredSession]
  await store.put({ ...rows[0], version: 2, bytes: rows[1].bytes }, 1)
  await store.put({ ...rows[1], version: 2, bytes: rows[0].bytes }, 1)
  const fresh = another()
  expect(await fresh.open(one)).toEqual({ kind: 'ended', reason: 'unreadable' })
  expect(await fresh.open(two)).toEqual({ kind: 'ended', reason: 'unreadable' })
  expect(await fresh.open(three)).toMatchObject({ kind: 'live' })
  expect(events.filter((event) => event.event === 'crypt_decrypt_fail')).toHaveLength(2)
})

test('a key ring that lacks the key is an outage, not a sign-out: the session opens again with the right ring', async () => {
  const right = world()
  const cookie = await right.sessions.create(ada, tokens)
  const wrong = world({ store: right.store, clock: right.clock })
  await expect(wrong.sessions.open(cookie)).rejects.toThrow('key ring')
  expect(await right.another().open(cookie)).toMatchObject({ kind: 'live' })
})

test('ST2 a new key in front of the ring signs nobody out, and seals from then on', async () => {
  const old = newRingKey(0)
  const before = world({ ring: createKeyRing([old]) })
  const cookie = await before.sessions.create(ada, tokens)
  const next = newRingKey(1)
  const after = world({ ring: createKeyRing([old, next]), store: before.store, clock: before.clock })
  const opened = await after.sessions.open(cookie)
  expect(opened).toMatchObject({ kind: 'live', session: { tokens } })
  before.clock.advance(2 * minute)
  if (opened.kind === 'live') after.sessions.touch(opened.session)
  await new Promise(setImmediate)
  const row = (await after.store.get(idOf(cookie))) as StoredSession
  expect(Buffer.from(row.bytes).toString('latin1')).toContain(next.id)
})

test('a user sees their own sessions, by a handle that opens nothing, and nobody else’s', async () => {
  const { sessions } = world()
  const mine = [await sessions.create(ada, tokens), await sessions.create(ada, tokens)]
  await sessions.create({ ...ada, subject: { iss: 'https://other.test', sub: 'ada' } }, tokens)
  const listed = await sessions.ofUser(ada.subject)
  expect(new Set(listed.map((one) => one.id))).toEqual(new Set(mine.map(idOf)))
  for (const { handle, id } of listed) expect(handle).not.toContain(id)
})

test('a secret that was proved for one value of the cookie is worth nothing under the number of the next', async () => {
  const { clock, sessions } = world({ rotate: 15 * minute })
  const first = await sessions.create(ada, tokens)
  for (let at = 0; at < 2; at++) await sessions.open(first)
  clock.advance(15 * minute)
  const opened = await sessions.open(first)
  if (opened.kind !== 'live' || !opened.rotationDue) throw new Error('no rotation')
  const rotated = await sessions.rotate(opened.session, first)
  const second = String(rotated?.cookie)
  expect(await sessions.open(second)).toMatchObject({ kind: 'live' })
  expect(await sessions.open(first.replace('.1.', '.2.'))).toEqual({ kind: 'unknown' })
  expect(await sessions.open(second.replace('.2.', '.1.'))).toEqual({ kind: 'unknown' })
  // New tokens written with the first value, while the second is the newest: the first stays the superseded one.
  const lease = await leaseOf(sessions, opened.session)
  await lease.renew({ ...tokens, accessToken: 'fresh' })
  expect(await sessions.open(second)).toMatchObject({ kind: 'live', session: { tokens: { accessToken: 'fresh' } } })
  clock.advance(minute)
  expect(await sessions.open(first)).toEqual({ kind: 'ended', reason: 'cookie-reused' })
})

/** A process that stands still: its reads are answered when it goes on. */
function standingStill(store: SessionStore) {
  let goOn = () => {}
  const held = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const get: SessionStore['get'] = async (id) => {
    await held
    return await store.get(id)
  }
  return { store: { ...store, get }, goOn }
}

async function rotated(sessions: Sessions, cookie: string): Promise<string> {
  const opened = await sessions.open(cookie)
  if (opened.kind !== 'live' || !opened.rotationDue) throw new Error(`${opened.kind}, and no rotation due`)
  sessions.touch(opened.session)
  const next = await sessions.rotate(opened.session, cookie)
  next?.delivered()
  await new Promise(setImmediate)
  return next?.cookie ?? ''
}

test('TO4 a request that its process kept for longer than the grace is judged by when it arrived: no false alarm, nobody signed out', async () => {
  const { clock, ring, store, events, sessions } = world({ rotate: 15 * minute })
  const cookie = await sessions.create(ada, tokens)
  clock.advance(15 * minute)
  await rotated(sessions, cookie)
  const still = standingStill(store)
  const stalled = world({ rotate: 15 * minute, store: still.store, clock, ring }).sessions.open(cookie)
  clock.advance(31_000)
  still.goOn()
  expect(await stalled).toMatchObject({ kind: 'live', session: { tokens } })
  expect(events.map(({ event }) => event)).not.toContain('session_cookie_reused')
  // A request that arrives by now is another matter.
  expect(await sessions.open(cookie)).toEqual({ kind: 'ended', reason: 'cookie-reused' })
})

test('TO4 a request that its process kept until the key copy of its cookie was gone is refused, and its session lives on', async () => {
  const { clock, ring, store, sessions } = world({ rotate: 15 * minute })
  const cookie = await sessions.create(ada, tokens)
  clock.advance(15 * minute)
  const second = await rotated(sessions, cookie)
  const still = standingStill(store)
  const stalled = world({ rotate: 15 * minute, store: still.store, clock, ring }).sessions.open(cookie)
  clock.advance(15 * minute)
  const third = await rotated(sessions, second)
  still.goOn()
  expect(await stalled).toEqual({ kind: 'unknown' })
  expect(await sessions.open(third)).toMatchObject({ kind: 'live' })
})
