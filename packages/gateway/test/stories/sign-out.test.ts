import { expect, test } from 'vitest'
import { createWorld } from '../../../testkit/src/world.ts'

test('LO1 after sign-out a saved cookie is worth nothing, here and after a restart of the gateway', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const thief = browser.saved()
  expect((await thief.fetch('/api/echo')).status).toBe(200)
  expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  const late = await thief.fetch('/api/echo')
  expect(late.status).toBe(401)
  expect(late.json()).toMatchObject({ code: 'session_expired' })
  await world.stopGateway()
  await world.startGateway()
  expect((await thief.fetch('/api/echo')).status).toBe(401)
  expect((await thief.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('LO2 nobody is signed out from elsewhere: not by GET, not without the header, not by another site', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const foreign = 'http://evil.test:1/'
  expect((await browser.fetch('/auth/logout')).status).toBe(405)
  expect((await browser.visit('/auth/logout', { from: foreign })).status).toBe(405)
  const attempts = [
    await browser.fetch('/auth/logout', { method: 'POST', csrf: false }),
    await browser.fetch('/auth/logout', { method: 'POST', headers: { 'x-csrf': '0' } }),
    await browser.fetch('/auth/logout', { method: 'POST', from: foreign }),
    await browser.visit('/auth/logout', { method: 'POST', from: foreign, body: new URLSearchParams({ a: '1' }) }),
    await browser.fetch('/auth/logout', {
      method: 'POST',
      csrf: false,
      from: foreign,
      mode: 'no-cors',
      body: new URLSearchParams({ a: '1' }),
    }),
  ]
  for (const answer of attempts) {
    expect(answer.status).toBe(403)
    expect(answer.text).toContain('csrf_rejected')
  }
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('LO3 sign-out goes on to the provider with client_id, logout_hint, state and the return address, and no token', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const answer = await browser.fetch('/auth/logout', { method: 'POST' })
  const url = new URL(answer.json<{ redirectTo: string }>().redirectTo)
  expect(url.origin).toBe(world.provider.issuer)
  expect([...url.searchParams.keys()].sort()).toEqual(['client_id', 'logout_hint', 'post_logout_redirect_uri', 'state'])
  expect(url.searchParams.get('post_logout_redirect_uri')).toBe(`${world.origin}/`)
  expect(url.searchParams.get('state')?.length).toBeGreaterThanOrEqual(22)

  const home = await browser.visit(url.href, { from: world.origin })
  expect(new URL(home.url).origin).toBe(world.origin)
  expect(home.status).toBe(200)
  // The provider's own session is over as well: the next sign-in asks who it is.
  const again = await browser.startLogin()
  expect(new URL(again.url).origin).toBe(world.provider.issuer)
  expect(again.forms.length).toBeGreaterThan(0)
})

const returns = [
  '',
  '?state=foreign',
  '?state=a&state=b',
  '?state=',
  '?state=https://evil.test/',
  '?state=%2F%2Fevil.test',
  '?state=x&return_to=https://evil.test/&redirect_uri=https://evil.test/&post_logout_redirect_uri=https://evil.test/',
  '?state=x&url=//evil.test&next=https:evil.test&target_link_uri=https://evil.test',
  '?code=abc&state=x&iss=https://evil.test&session_state=1',
  '?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C%2Fscript%3E&state=x',
  `?state=${'x'.repeat(3000)}`,
]

test('LO3 the return from the provider with any state, none, or more than that is just a visit of the start page', async () => {
  await using world = await createWorld()
  const nobody = world.browser('nobody')
  const user = await world.signedIn()
  const { tokenRequests } = world.provider
  for (const query of returns) {
    for (const browser of [nobody, user]) {
      const page = await browser.visit(`/${query}`, { from: world.provider.issuer, follow: false })
      expect(page.status, query).toBe(200)
      expect(page.text).toContain('The app')
      expect(page.text).not.toContain('<script>alert')
      for (const header of ['location', 'refresh', 'set-cookie']) expect(page.header(header), query).toBeUndefined()
    }
  }
  // Nothing was asked of the provider for it, and nobody was signed out by it.
  expect(world.provider.tokenRequests).toBe(tokenRequests)
  expect((await user.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('LO3 the whole way: the state that goes out comes back, and another one in its place makes no difference', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const { redirectTo } = (await browser.fetch('/auth/logout', { method: 'POST' })).json<{ redirectTo: string }>()
  const sent = new URL(redirectTo).searchParams.get('state')
  const stop = { from: world.origin, stopBefore: (url: URL) => url.origin === world.origin }
  const back = new URL((await browser.visit(redirectTo, stop)).location ?? '')
  expect([back.origin + back.pathname, back.searchParams.get('state')]).toEqual([`${world.origin}/`, sent])
  for (const state of [sent ?? '', 'forged', '']) {
    back.searchParams.set('state', state)
    const page = await browser.visit(back.href, { from: world.provider.issuer, follow: false })
    expect([page.status, page.location]).toEqual([200, undefined])
  }
})

test('LO3 where the start page needs a sign-in, the return leads there and nowhere else', async () => {
  await using world = await createWorld({
    config: { routes: [{ path: '/*', static: './public', access: 'authenticated' }] },
  })
  for (const query of returns.slice(0, -1)) {
    const stop = { from: world.provider.issuer, stopBefore: (url: URL) => url.pathname === '/auth/login' }
    const page = await world.browser(query).visit(`/${query}`, stop)
    const login = new URL(page.location ?? '', world.origin)
    expect([login.origin, login.pathname], query).toEqual([world.origin, '/auth/login'])
    expect(login.searchParams.get('return_to')).toBe(`/${query}`)
  }
})

test('LO3 a form may sign out too, and is led on by a redirect', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const body = new URLSearchParams({ any: 'thing' })
  const answer = await browser.visit('/auth/logout', { method: 'POST', from: `${world.origin}/`, body, follow: false })
  expect(answer.status).toBe(303)
  expect(new URL(answer.location ?? '').origin).toBe(world.provider.issuer)
  expect((await browser.saved().fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('LO3 id_token_hint only where the operator asked for it', async () => {
  await using world = await createWorld({ config: { providers: { corp: { logout: { idTokenHint: true } } } } })
  const browser = await world.signedIn()
  const { redirectTo } = (await browser.fetch('/auth/logout', { method: 'POST' })).json<{ redirectTo: string }>()
  const url = new URL(redirectTo)
  expect(world.provider.issuedTokens).toContain(url.searchParams.get('id_token_hint'))
  expect(url.searchParams.has('logout_hint')).toBe(false)
})

test('LO5 sign-out tells the browser to forget everything, and no cache to keep it', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  await browser.visit('/auth/login', { from: world.origin, follow: false })
  const answer = await browser.fetch('/auth/logout', { method: 'POST' })
  expect(answer.header('clear-site-data')).toBe('"cache", "cookies", "storage"')
  expect(answer.header('cache-control')).toBe('no-store')
  const expired = answer.headers('set-cookie')
  expect(expired.some((cookie) => cookie.startsWith('__Host-Http-session=;'))).toBe(true)
  expect(expired.some((cookie) => cookie.startsWith('__Host-login-'))).toBe(true)
  for (const cookie of expired) expect(cookie).toContain('Max-Age=0')
  expect(browser.cookies()).toEqual([])
})

test('LO8 peers 2: a slow request in flight while the user signs out ends, and brings nothing back', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const thief = browser.saved()
  // Activity is due to be written behind the slow request.
  world.clock.advance(5 * 60_000)
  const slow = browser.fetch('/api/slow?ms=300')
  await expect.poll(() => world.upstream.requests.length).toBe(1)
  expect((await browser.saved().fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  const finished = await slow
  expect(finished.status).toBe(200)
  expect(finished.headers('set-cookie')).toEqual([])
  expect((await thief.fetch('/api/echo')).status).toBe(401)
  world.clock.advance(60_000)
  expect((await thief.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('signing out twice, or without a session, is no error', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const copy = browser.saved()
  await browser.fetch('/auth/logout', { method: 'POST' })
  for (const late of [browser, copy, world.browser('stranger')]) {
    const answer = await late.fetch('/auth/logout', { method: 'POST' })
    expect(answer.status).toBe(200)
    expect(answer.json()).toEqual({ redirectTo: `${world.origin}/` })
  }
})

test('with the provider down, sign-out still ends the session here', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const copy = browser.saved()
  await world.provider.down()
  await world.stopGateway()
  await world.startGateway()
  const answer = await browser.fetch('/auth/logout', { method: 'POST' })
  expect(answer.status).toBe(200)
  expect(answer.json()).toEqual({ redirectTo: `${world.origin}/` })
  expect((await copy.fetch('/api/echo')).status).toBe(401)
  await world.provider.up()
})

test('LO6 a user ends one session, the others, or all of them; never somebody else’s', async () => {
  await using world = await createWorld()
  const desk = await world.signedIn({ browser: 'desk' })
  const phone = await world.signedIn({ browser: 'phone' })
  const tablet = await world.signedIn({ browser: 'tablet' })
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  interface Listed {
    sessions: { id: string; current: boolean; createdAt: string; lastSeenAt: string; device: string; address: string }[]
  }
  const listed = (await desk.fetch('/auth/sessions')).json<Listed>().sessions
  expect(listed).toHaveLength(3)
  expect(listed.filter((one) => one.current)).toHaveLength(1)
  for (const one of listed) {
    expect(one.address).toBe('127.0.0.1')
    expect(one.device).toContain('Chrome')
    expect(new Date(one.createdAt).toISOString()).toBe(one.createdAt)
  }
  const bobs = (await bob.fetch('/auth/sessions')).json<Listed>().sessions
  expect(bobs).toHaveLength(1)
  expect((await desk.fetch(`/auth/sessions/${bobs[0]?.id}`, { method: 'DELETE' })).status).toBe(404)
  const phones = (await phone.fetch('/auth/sessions')).json<Listed>().sessions.find((one) => one.current)
  expect((await desk.fetch(`/auth/sessions/${phones?.id}`, { method: 'DELETE' })).status).toBe(204)
  expect((await phone.fetch('/api/echo')).status).toBe(401)
  expect((await tablet.fetch('/api/echo')).status).toBe(200)
  expect((await desk.fetch('/auth/sessions', { method: 'DELETE' })).status).toBe(400)
  expect((await desk.fetch('/auth/sessions?others=1', { method: 'DELETE' })).status).toBe(204)
  expect((await tablet.fetch('/api/echo')).status).toBe(401)
  expect((await desk.fetch('/api/echo')).status).toBe(200)
  await phone.signIn({ as: 'ada' })
  await desk.fetch('/auth/logout?everywhere=1', { method: 'POST' })
  expect((await phone.fetch('/api/echo')).status).toBe(401)
  expect((await bob.fetch('/api/echo')).status).toBe(200)
})
