import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import type { SessionStore } from '../../src/session/store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

/** A real store with a switch: while it is broken every call fails, as with a lost disk or network. */
function breakable() {
  const clock = new FakeClock(Date.now())
  const inner = createMemoryStore({ now: clock.now })
  const state = { broken: false }
  const store = new Proxy(inner, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown
      if (typeof member !== 'function' || name === 'close') return member
      return (...args: unknown[]) => {
        if (state.broken) {
          if (name === 'peek') throw new Error('the store is broken')
          return Promise.reject(new Error('the store is broken'))
        }
        return member.apply(target, args)
      }
    },
  }) as SessionStore
  return { clock, store, state }
}

test('OU1 peers 13: a store that fails is 503, never a sign-out: no cookie is deleted, and all goes on when it is back', async () => {
  const { clock, store, state } = breakable()
  await using world = await createWorld({ clock, store })
  const browser = await world.signedIn()
  state.broken = true
  for (const answer of [
    await browser.fetch('/api/echo'),
    await browser.fetch('/auth/session'),
    await browser.fetch('/auth/sessions'),
    await browser.fetch('/auth/logout', { method: 'POST' }),
    await world.browser('fresh').signIn({ as: 'bob' }),
  ]) {
    expect(answer.status, answer.url).toBe(503)
    expect(answer.header('retry-after')).toBeDefined()
    expect(answer.text).toContain('store_unavailable')
    expect(answer.headers('set-cookie').filter((cookie) => cookie.includes('session='))).toEqual([])
    expect(answer.header('clear-site-data')).toBeUndefined()
  }
  expect(world.upstream.requests).toEqual([])
  const ready = await fetch(`${world.adminUrl}/readyz`)
  expect(ready.status).toBe(503)
  expect((await fetch(`${world.adminUrl}/healthz`)).status).toBe(200)
  state.broken = false
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect((await fetch(`${world.adminUrl}/readyz`)).status).toBe(200)
})

test('OU1 a navigation during a store outage gets a page and no redirect: no loop through the provider', async () => {
  const { clock, store, state } = breakable()
  await using world = await createWorld({
    clock,
    store,
    config: { routes: [{ path: '/*', static: './public', access: 'authenticated' }] },
  })
  const browser = await world.signedIn()
  state.broken = true
  const page = await browser.visit('/', { from: world.origin })
  expect(page.status).toBe(503)
  expect(page.header('content-type')).toContain('text/html')
  state.broken = false
  expect((await browser.visit('/', { from: world.origin })).status).toBe(200)
})

test('OU1 provider down: a good access token goes on working; an expired one is 503 and comes back with the provider', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await world.signedIn()
  await world.provider.down()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  world.clock.advance(11 * 60_000)
  const refused = await browser.fetch('/api/echo')
  expect(refused.status).toBe(503)
  expect(refused.json()).toMatchObject({ code: 'provider_unavailable' })
  expect(refused.header('retry-after')).toBeDefined()
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  await world.provider.up()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('OU1 a provider that answers with errors signs nobody out, and neither does a client secret that it no longer takes', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await world.signedIn()
  world.clock.advance(11 * 60_000)
  for (const status of [500, 502, 429, 401, 403, 404]) {
    const restore = world.provider.failWith(status, '/token')
    expect((await browser.fetch('/api/echo')).status, `provider answers ${status}`).toBe(503)
    restore()
  }
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('OU2 peers 10: with the provider down the gateway starts, serves the app and sessions, and signs in once it is back', async () => {
  await using world = await createWorld({
    store: 'lmdb',
    beforeStart: async ({ provider }) => {
      await provider.down()
    },
  })
  const browser = world.browser()
  expect((await browser.visit('/')).text).toContain('The app')
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  expect((await fetch(`${world.adminUrl}/readyz`)).status).toBe(200)
  const refused = await browser.startLogin()
  expect(refused.status).toBe(503)
  expect(refused.text).toContain('provider_unavailable')
  expect(browser.cookies()).toEqual([])
  await world.provider.up()
  await expect.poll(async () => (await browser.signIn({ as: 'ada' })).status, { interval: 250 }).toBe(200)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('OU1 a provider that goes down between the two halves of a sign-in fails it cleanly', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  await world.provider.down()
  const page = await browser.visit(callback, { from: world.provider.issuer })
  expect(page.status).toBe(503)
  expect(page.text).toContain('provider_unavailable')
  expect(browser.cookies()).toEqual([])
  await world.provider.up()
  expect((await browser.signIn({ as: 'ada' })).status).toBe(200)
})
