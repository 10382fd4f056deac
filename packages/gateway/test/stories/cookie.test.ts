import { expect, test } from 'vitest'
import { sampleUsers } from '../../../testkit/src/provider.ts'
import { createWorld } from '../../../testkit/src/world.ts'

test('CK1 the session cookie: __Host- prefix, Secure, HttpOnly, Path=/, SameSite=Strict, no Domain, no lifetime of its own', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const set = browser.seen.flatMap(({ rawHeaders }) =>
    rawHeaders.filter((_value, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'set-cookie'),
  )
  const session = set.filter((cookie) => cookie.startsWith('__Host-Http-session='))
  expect(session).toHaveLength(1)
  const attributes = session[0]?.split('; ').slice(1).sort()
  expect(attributes).toEqual(['HttpOnly', 'Path=/', 'SameSite=Strict', 'Secure'])
})

test('CK1 sameSite: lax and the other cookie name, where an operator needs them', async () => {
  await using world = await createWorld({ config: { session: { sameSite: 'lax', cookie: '__Host-session' } } })
  const browser = await world.signedIn()
  const [cookie] = browser.cookies()
  expect(cookie?.key).toBe('__Host-session')
  expect(cookie?.sameSite).toBe('lax')
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  await browser.fetch('/auth/logout', { method: 'POST' })
  expect(browser.cookies()).toEqual([])
})

test('CK3 peers 5: 200 KB of claims and tokens to match make no cookie larger, and the session works', async () => {
  const groups = Array.from({ length: 4000 }, (_, at) => `department-${at}-of-a-very-large-enterprise`)
  const users = sampleUsers().map((user) => (user.sub === 'ada' ? { ...user, groups: ['ops', ...groups] } : user))
  await using world = await createWorld({
    provider: { users },
    config: { providers: { corp: { claims: ['name', 'groups'] } } },
  })
  const browser = await world.signedIn({ returnTo: `/deep?${'x'.repeat(900)}` })
  expect(Math.max(...[...world.provider.issuedTokens].map((token) => token.length))).toBeGreaterThan(100_000)
  const info = (await browser.fetch('/auth/session')).json<{ user: { groups: string[] }; roles: string[] }>()
  expect(info.user.groups).toHaveLength(4001)
  expect(info.roles).toEqual(['admin'])
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  for (const { rawHeaders } of browser.seen) {
    rawHeaders.forEach((value, at) => {
      if (at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'set-cookie') expect(value.length).toBeLessThan(4096)
    })
  }
})

test('CK4 ID2 the cookie’s value works only as the cookie: not in the address, another header, a body, or another cookie', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const value = String(browser.cookies()[0]?.value)
  const stranger = world.browser('stranger')
  for (const options of [
    { headers: { authorization: `Bearer ${value}` } },
    { headers: { cookie: `session=${value}` } },
    { headers: { cookie: `__host-http-session=${value}` } },
    { headers: { cookie: `__Host-session=${value}` } },
    { headers: { 'x-session': value } },
    { method: 'POST', body: new URLSearchParams({ '__Host-Http-session': value }) },
  ]) {
    expect((await stranger.fetch('/api/echo', options)).status, JSON.stringify(Object.keys(options))).toBe(401)
  }
  expect((await stranger.fetch(`/api/echo?__Host-Http-session=${value}`)).status).toBe(401)
})

test('ID2 a session id that the gateway never issued is not adopted, and it is reported by a hash of it', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const invented = `v1.${'A'.repeat(22)}.1.${'B'.repeat(43)}`
  const planted = { headers: { cookie: `__Host-Http-session=${invented}` } }
  expect((await browser.fetch('/api/echo', planted)).status).toBe(401)
  expect((await browser.fetch('/auth/session', planted)).json()).toEqual({ authenticated: false })
  await browser.signIn({ as: 'ada' })
  expect(browser.cookies()[0]?.value).not.toContain('A'.repeat(22))
  const [event] = world.log.events('session_unknown')
  expect(event?.session).toMatch(/^[\w-]{22}$/)
  expect(world.log.text()).not.toContain('A'.repeat(22))
})

test('a session cookie that comes twice is refused: whichever one were believed, an attacker may have set it', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const value = String(browser.cookies()[0]?.value)
  const doubled = { headers: { cookie: `__Host-Http-session=${value}; __Host-Http-session=${value}` } }
  expect((await world.browser('other').fetch('/api/echo', doubled)).status).toBe(400)
})
