import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { gate } from '../node/carrier.ts'

const minute = 60_000

/** An answer of the API that comes when the test says so. */
function held(world: World) {
  const answer = gate()
  world.upstream.on('/held', async ({ response }) => {
    await answer.opened
    response.end()
  })
  return answer
}

const cookieOf = (browser: Browser) => String(browser.cookies()[0]?.value)
const sessionCookies = (pages: { headers(name: string): string[] }[]) =>
  pages.flatMap((page) => page.headers('set-cookie')).filter((cookie) => cookie.includes('session='))

test('TO4 50 parallel requests across a rotation: no 401, one new cookie, and the session goes on with it', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const before = cookieOf(browser)
  world.clock.advance(16 * minute)
  const answers = await Promise.all(Array.from({ length: 50 }, (_, at) => browser.saved().fetch(`/api/echo?n=${at}`)))
  expect(answers.map((answer) => answer.status)).toEqual(new Array(50).fill(200))
  const [cookie, ...more] = sessionCookies(answers)
  expect(more).toEqual([])
  expect(cookie).toMatch(
    /^__Host-Http-session=v1\.[\w-]{22}\.2\.[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict$/,
  )
  const [, id, , secret] = before.split('.')
  expect(cookie).toContain(id)
  expect(cookie).not.toContain(secret)
  const next = { headers: { cookie: String(cookie?.split(';')[0]) } }
  expect((await world.browser('with the new one').fetch('/api/echo', next)).status).toBe(200)
})

test('TO4 the value before works for the grace, not a moment longer; every fifteen minutes there is a new one', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const seen = new Set([cookieOf(browser)])
  for (let turn = 0; turn < 4; turn++) {
    world.clock.advance(15 * minute)
    const old = browser.saved()
    expect((await browser.fetch('/auth/session')).status).toBe(200)
    seen.add(cookieOf(browser))
    expect(seen.size).toBe(turn + 2)
    world.clock.advance(29_000)
    expect((await old.fetch('/api/echo')).status).toBe(200)
    expect((await browser.fetch('/api/echo')).status).toBe(200)
  }
})

test('MO3 a superseded value after its grace is a copy: the session ends for thief and owner alike, with an alert', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const thief = browser.saved()
  world.clock.advance(15 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(31_000)
  const answer = await thief.fetch('/api/echo')
  expect(answer.status).toBe(401)
  expect(answer.json()).toMatchObject({ code: 'session_expired' })
  expect((await browser.fetch('/api/echo')).status).toBe(401)
  const [alert] = world.log.events('session_cookie_reused')
  expect(alert).toMatchObject({ level: 'error', session: expect.stringMatching(/^[\w-]{22}$/) })
})

test('MO3 a thief who rotates first does not stay unseen: the owner’s own next request ends the session', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const thief = browser.saved()
  world.clock.advance(15 * minute)
  expect((await thief.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(minute)
  expect((await browser.fetch('/api/echo')).status).toBe(401)
  expect((await thief.fetch('/api/echo')).status).toBe(401)
  expect(world.log.events('session_cookie_reused')).toHaveLength(1)
})

test('MO3 an invented secret under a known id ends nobody’s session, whatever generation it claims', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.clock.advance(15 * minute)
  await browser.fetch('/api/echo')
  world.clock.advance(31_000)
  const [, id] = cookieOf(browser).split('.')
  for (const generation of [1, 2, 3]) {
    const cookie = `__Host-Http-session=v1.${id}.${generation}.${'A'.repeat(43)}`
    expect((await world.browser('other').fetch('/api/echo', { headers: { cookie } })).status).toBe(401)
  }
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('TO4 an answer with a new value that never arrived signs nobody out: the old value works, and gets another', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.clock.advance(15 * minute)
  const abort = new AbortController()
  const lost = browser
    .saved()
    .fetch('/api/slow?ms=2000', { signal: abort.signal })
    .catch(() => 'lost')
  await expect.poll(() => world.upstream.requests.length).toBe(1)
  abort.abort()
  expect(await lost).toBe('lost')
  world.clock.advance(5 * minute)
  const first = cookieOf(browser)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(cookieOf(browser)).not.toBe(first)
  expect(cookieOf(browser)).toContain('.3.')
  world.clock.advance(minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('TO4 the rotation survives a restart, and the tokens open with the new value alone', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  world.clock.advance(15 * minute)
  await browser.fetch('/api/echo')
  await world.stopGateway()
  await world.startGateway()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.upstream.requests.at(-1)?.rawHeaders.join()).toContain('Bearer ')
})

test('FX1 LO1 a rotated session still ends everywhere: no earlier or later value of it works after sign-out', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const first = browser.saved()
  world.clock.advance(15 * minute)
  await browser.fetch('/api/echo')
  const second = browser.saved()
  await browser.fetch('/auth/logout', { method: 'POST' })
  for (const copy of [first, second]) expect((await copy.fetch('/api/echo')).status).toBe(401)
  expect(world.log.events('session_cookie_reused')).toEqual([])
})

test('TO4 a new value that a slow answer brings after a newer one is no copy: it works, is replaced at once, and no alert goes out', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.clock.advance(16 * minute)
  const answer = held(world)
  const slow = browser.saved().fetch('/api/held')
  await expect.poll(() => world.upstream.requests.length).toBe(1)
  world.clock.advance(6_000)
  expect((await browser.fetch('/api/echo')).headers('set-cookie').join()).toContain('.3.')
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(19_000)
  answer.open()
  const [late] = (await slow).headers('set-cookie')
  const cookie = String(late?.split(';')[0])
  expect(cookie).toContain('.2.')
  world.clock.advance(15_000)
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => world.browser('with the late one').fetch('/api/echo', { headers: { cookie } })),
  )
  expect(answers.map(({ status }) => status)).toEqual(new Array(10).fill(200))
  const [next, ...more] = sessionCookies(answers)
  expect([next?.includes('.4.'), more]).toEqual([true, []])
  expect(world.log.events('session_cookie_reused')).toEqual([])
  // From its arrival on it has its grace, and then it is a copy like any other.
  world.clock.advance(2 * minute)
  expect((await world.browser('thief').fetch('/api/echo', { headers: { cookie } })).status).toBe(401)
  expect(world.log.events('session_cookie_reused')).toHaveLength(1)
})

test('MO3 two who hold different values find each other out: whoever is superseded by the other’s use ends both', async () => {
  await using world = await createWorld()
  const owner = await world.signedIn()
  const thief = owner.saved()
  world.clock.advance(16 * minute)
  // The thief's own request rotates, and is slow; the owner gets a later value meanwhile.
  const answer = held(world)
  const slow = thief.fetch('/api/held')
  await expect.poll(() => world.upstream.requests.length).toBe(1)
  world.clock.advance(6_000)
  expect((await owner.fetch('/api/echo')).status).toBe(200)
  expect((await owner.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(19_000)
  answer.open()
  await slow
  world.clock.advance(15_000)
  expect((await thief.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(31_000)
  expect((await owner.fetch('/api/echo')).status).toBe(401)
  expect((await thief.fetch('/api/echo')).status).toBe(401)
  expect(world.log.events('session_cookie_reused')).toHaveLength(1)
})
