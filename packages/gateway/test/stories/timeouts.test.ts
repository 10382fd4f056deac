import { expect, test } from 'vitest'
import { formsOf } from '../../../testkit/src/canaries.ts'
import { sampleUsers } from '../../../testkit/src/provider.ts'
import { createWorld } from '../../../testkit/src/world.ts'

const minute = 60_000
const hour = 60 * minute

interface SessionInfo {
  readonly authenticated: boolean
  readonly idleExpiresAt: string
  readonly expiresAt: string
  readonly authTime: string
}

test('TO1 thirty minutes without a request end the session on the server, whatever the cookie says', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  world.clock.advance(29 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(29 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(31 * minute)
  const late = await browser.fetch('/api/echo')
  expect(late.status).toBe(401)
  expect(late.json()).toMatchObject({ code: 'session_expired', loginUrl: '/auth/login?return_to=%2F' })
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('TO2 twelve hours after sign-in the session ends, however active; signing in again starts both clocks anew', async () => {
  await using world = await createWorld({ config: { routes: [{ path: '/*', static: './public', access: 'public' }] } })
  const browser = await world.signedIn()
  const first = (await browser.fetch('/auth/session')).json<SessionInfo>()
  expect(Date.parse(first.expiresAt) - world.clock.now()).toBe(12 * hour)
  for (let at = 0; at < 47; at++) {
    world.clock.advance(15 * minute)
    const info = (await browser.fetch('/auth/session', { method: 'POST' })).json<SessionInfo>()
    expect(info.authenticated, `after ${(at + 1) * 15} minutes`).toBe(true)
    expect(info.expiresAt).toBe(first.expiresAt)
    expect(Date.parse(info.idleExpiresAt)).toBeLessThanOrEqual(Date.parse(info.expiresAt))
  }
  world.clock.advance(15 * minute)
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  await browser.signIn({ as: 'ada' })
  const again = (await browser.fetch('/auth/session')).json<SessionInfo>()
  expect(Date.parse(again.expiresAt) - world.clock.now()).toBe(12 * hour)
  expect(Date.parse(again.idleExpiresAt) - world.clock.now()).toBe(30 * minute)
})

test('TO6 a page that polls with ?passive=1 does not keep the session alive; without it, it does', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const poll = (query: string) => browser.fetch(`/auth/session${query}`)
  const start = (await poll('?passive=1')).json<SessionInfo>()
  for (let at = 0; at < 29; at++) {
    world.clock.advance(minute)
    expect((await poll('?passive=1')).json<SessionInfo>().idleExpiresAt).toBe(start.idleExpiresAt)
  }
  world.clock.advance(minute)
  expect((await poll('?passive=1')).json()).toEqual({ authenticated: false })

  const other = await world.signedIn({ browser: 'other' })
  for (let at = 0; at < 4; at++) {
    world.clock.advance(20 * minute)
    expect((await other.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  }
})

test('CK2 the cookie is opaque and goes with the browser session; replayed after its time it is worth nothing', async () => {
  // Names so long that chance does not write them.
  const users = sampleUsers().map((user) => ({ ...user, sub: `${user.sub}-of-the-users` }))
  await using world = await createWorld({ providers: ['corporation'], provider: { users } })
  const browser = await world.signedIn({ as: 'ada-of-the-users' })
  const [cookie] = browser.cookies()
  expect(cookie?.value).toMatch(/^v1\.[\w-]{22}\.1\.[\w-]{43}$/)
  expect(cookie?.expires).toBe('Infinity')
  expect(cookie?.maxAge).toBeNull()
  for (const part of ['ada-of-the-users', 'Ada Lovelace', 'example.com', 'corporation']) {
    for (const form of formsOf(part)) expect(cookie?.value).not.toContain(form)
    expect(Buffer.from(cookie?.value ?? '', 'base64url').toString('latin1')).not.toContain(part)
  }
  const saved = browser.saved()
  world.clock.advance(31 * minute)
  expect((await saved.fetch('/api/echo')).status).toBe(401)
})

test('TO1 peers 12: short timeouts, to the second, scale the writes with them', async () => {
  await using world = await createWorld({ config: { session: { idle: '2s', absolute: '5s' } } })
  const browser = await world.signedIn()
  for (let at = 0; at < 4; at++) {
    world.clock.advance(1100)
    expect((await browser.fetch('/api/echo')).status, `step ${at}`).toBe(200)
  }
  world.clock.advance(600)
  expect((await browser.fetch('/api/echo')).status).toBe(401)
})
