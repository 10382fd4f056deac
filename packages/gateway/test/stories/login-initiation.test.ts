import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'

const minute = 60_000

/** A page of another site that would like to sign people in, or out, or to fill their cookie jar. */
const evil = 'https://evil.example/page'

/** A world with pages for signed-in users only. */
function protectedWorld(options: WorldOptions = {}): Promise<World> {
  return createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
        { path: '/private/*', static: './public', access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
    ...options,
  })
}

const loginCookies = (browser: Browser) => browser.cookies().filter(({ key }) => key.startsWith('__Host-login-'))

/** Bytes of the longest Cookie header that the browser has sent to the application. */
const longestCookieHeader = (browser: Browser) =>
  Math.max(...browser.seen.map(({ requestHeaders }) => requestHeaders.cookie?.length ?? 0))

test('FX3 images, frames, fetches, scripts, prefetch and prerender start no sign-in, on the login address or a protected page', async () => {
  await using world = await protectedWorld()
  const subresources = {
    image: { mode: 'no-cors', dest: 'image', csrf: false },
    script: { mode: 'no-cors', dest: 'script', csrf: false },
    style: { mode: 'no-cors', dest: 'style', csrf: false },
    fetch: { mode: 'cors', dest: 'empty' },
    'blind fetch': { mode: 'no-cors', dest: 'empty', csrf: false },
    iframe: { mode: 'navigate', dest: 'iframe', csrf: false },
    prefetch: { mode: 'no-cors', dest: 'empty', csrf: false, prefetch: true },
    'prefetched page': { mode: 'navigate', dest: 'document', csrf: false, prefetch: true },
    prerender: { mode: 'navigate', dest: 'document', csrf: false, headers: { 'sec-purpose': 'prefetch;prerender' } },
    'older prefetch': { mode: 'navigate', dest: 'document', csrf: false, headers: { purpose: 'prefetch' } },
  } as const
  for (const [name, options] of Object.entries(subresources)) {
    for (const address of [
      '/auth/login',
      '/auth/login?return_to=/private/x',
      '/auth/step-up',
      '/private/x',
      '/api/echo',
    ]) {
      for (const from of [evil, world.origin]) {
        const browser = world.browser(`${name} ${address} ${from}`)
        await browser.fetch(address, { ...options, from, follow: true })
        expect(browser.allCookies().map(String), `${name} of ${address} from ${from}`).toEqual([])
        const asked = browser.seen.filter(({ url }) => !url.startsWith(world.origin))
        expect(asked.map(({ url }) => url)).toEqual([])
      }
    }
  }
  expect(world.provider.authorizations).toEqual([])
})

test('FX3 what is refused is told so: a page says why, a script gets a problem, and neither is cached or framed', async () => {
  await using world = await protectedWorld()
  const frame = await world.browser().fetch('/auth/login', { mode: 'navigate', dest: 'iframe', from: evil })
  expect(frame.status).toBe(403)
  expect(frame.text).toContain('login_not_navigation')
  expect(frame.header('content-security-policy')).toContain("frame-ancestors 'none'")
  expect(frame.header('cache-control')).toBe('no-store')
  const script = await world.browser().fetch('/auth/login')
  expect(script.status).toBe(403)
  expect(script.json()).toMatchObject({ code: 'login_not_navigation' })
})

test('FX3 a client without Fetch Metadata may sign in by opening a page, and by nothing that asks for an image or JSON', async () => {
  await using world = await createWorld()
  const ask = (...headers: string[]) => {
    const lines = [`Host: ${new URL(world.origin).host}`, 'Connection: close', ...headers]
    return rawRequest(world.port, `GET /auth/login HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`)
  }
  expect(statusesOf(await ask('Accept: text/html,*/*;q=0.8'))).toEqual([303])
  for (const accept of ['image/avif,image/*,*/*;q=0.8', 'application/json', 'text/css,*/*;q=0.1']) {
    expect(statusesOf(await ask(`Accept: ${accept}`)), accept).toEqual([403])
  }
  // Half of the metadata is a forgery or a proxy that strips: it proves nothing.
  const half = await ask('Accept: text/html', 'Sec-Fetch-Mode: navigate')
  expect(statusesOf(half)).toEqual([403])
  expect(half).not.toMatch(/set-cookie/i)
})

test('CK5 a sign-in has a cookie of its own: __Host-, Secure, HttpOnly, Lax, ten minutes; and it is gone at the end', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const page = await browser.visit('/auth/login', { from: world.origin, follow: false })
  const [line, ...more] = page.headers('set-cookie')
  expect(more).toEqual([])
  const [pair = '', ...attributes] = line?.split('; ') ?? []
  expect(pair).toMatch(/^__Host-login-[\w-]+=[\w.-]+$/)
  expect(attributes.sort()).toEqual(['HttpOnly', 'Max-Age=600', 'Path=/', 'SameSite=Lax', 'Secure'])
  // Its name is no piece of the state that would let a callback be guessed.
  const state = new URL(page.location ?? '').searchParams.get('state') ?? ''
  expect(state.replace(pair.slice('__Host-login-'.length, pair.indexOf('=')), '').length).toBeGreaterThanOrEqual(43)
  expect(page.header('cache-control')).toBe('no-store')
  expect(page.header('referrer-policy')).toBe('no-referrer')

  await browser.signIn({ as: 'ada' })
  expect(loginCookies(browser)).toHaveLength(1)
  world.clock.advance(10 * minute)
  expect(loginCookies(browser)).toHaveLength(0)
})

test('peers 3: thirty abandoned sign-ins leave at most five login cookies and small headers, and the last of them still works', async () => {
  await using world = await protectedWorld()
  const browser = world.browser()
  for (let i = 0; i < 30; i++) {
    // Some in the same second, some later: which is oldest must not depend on chance where it shows.
    if (i % 3 === 0) world.clock.advance(1000)
    await browser.visit(`/auth/login?return_to=/private/${i}`, { from: world.origin, follow: false })
    expect(loginCookies(browser).length).toBeLessThanOrEqual(5)
  }
  expect(longestCookieHeader(browser)).toBeLessThan(5000)
  const landing = await browser.signIn({ as: 'ada', returnTo: '/private/last' })
  expect(landing.url).toBe(`${world.origin}/private/last`)
  expect(loginCookies(browser).length).toBeLessThanOrEqual(4)
  await browser.fetch('/auth/logout', { method: 'POST' })
  expect(browser.cookies()).toEqual([])
})

test('peers 3: sign-ins with the longest return addresses do not add up to headers that the gateway refuses', async () => {
  await using world = await protectedWorld()
  const browser = world.browser()
  // 1024 characters, each of which JSON, base64 and sealing make longer.
  const returnTo = `/private/x?${'"\\'.repeat(506)}`
  for (let i = 0; i < 12; i++) {
    world.clock.advance(1000)
    const address = `/auth/login?return_to=${encodeURIComponent(returnTo)}`
    expect((await browser.visit(address, { from: world.origin, follow: false })).status, `sign-in ${i}`).toBe(303)
  }
  expect(longestCookieHeader(browser)).toBeLessThan(8000)
  const landing = await browser.signIn({ as: 'ada', returnTo })
  expect(landing.status).toBe(200)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('peers 3: a failed sign-in takes its cookie with it, and sign-out takes all', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = new URL(await browser.callbackFor({ as: 'ada' }))
  callback.searchParams.set('code', 'wrong')
  expect((await browser.visit(callback.href, { from: world.provider.issuer })).status).toBe(400)
  expect(browser.cookies()).toEqual([])

  await browser.signIn({ as: 'ada' })
  for (let i = 0; i < 3; i++) await browser.visit('/auth/login', { from: world.origin, follow: false })
  expect(loginCookies(browser)).toHaveLength(3)
  // By its own Set-Cookie lines, also where Clear-Site-Data is unknown.
  const out = await browser.fetch('/auth/logout', { method: 'POST' })
  const expired = out.headers('set-cookie').filter((line) => line.includes('Max-Age=0'))
  expect(expired).toHaveLength(4)
  expect(browser.cookies()).toEqual([])
})

test('CK5 peers 4: two tabs sign in at once; each lands on its own page, in either order, and the last one counts', async () => {
  for (const order of [
    ['one', 'two'],
    ['two', 'one'],
  ]) {
    await using world = await protectedWorld()
    const browser = world.browser()
    const tabs = {
      one: { page: await browser.startLogin({ returnTo: '/private/one' }), as: 'ada' },
      two: { page: await browser.startLogin({ returnTo: '/private/two' }), as: 'bob' },
    }
    for (const name of order) {
      const tab = tabs[name as keyof typeof tabs]
      const landing = await browser.submit(tab.page, { button: tab.as })
      expect(landing.url, order.join()).toBe(`${world.origin}/private/${name}`)
      expect(landing.status).toBe(200)
      expect((await browser.fetch('/auth/session')).json()).toMatchObject({ user: { sub: tab.as } })
    }
    expect(browser.cookies().map(({ key }) => key)).toEqual(['__Host-Http-session'])
  }
})

test('FX1 peers 4: of two tabs that sign in at once, the session of the first dies with the second: none is left without an owner', async () => {
  await using world = await protectedWorld()
  const browser = world.browser()
  const [one, two, three] = [await browser.startLogin(), await browser.startLogin(), await browser.startLogin()]
  await browser.submit(one, { button: 'ada' })
  const first = browser.saved()
  expect((await first.fetch('/api/echo')).status).toBe(200)
  await browser.submit(two, { button: 'bob' })
  // Strict hid the first session from the second callback; the transaction told of it.
  expect((await first.fetch('/api/echo')).status).toBe(401)
  const second = browser.saved()
  await browser.submit(three, { button: 'ada' })
  expect((await second.fetch('/api/echo')).status).toBe(401)
  const { sessions } = (await browser.fetch('/auth/sessions')).json<{ sessions: unknown[] }>()
  expect(sessions).toHaveLength(1)
  expect(world.log.events('session_ended')).toHaveLength(2)
})

test('IT2 several providers side by side: the same sub and e-mail at two of them are two users', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  const [corp, partner] = [world.browser('corp'), world.browser('partner')]
  await corp.signIn({ as: 'ada', provider: 'corp' })
  await partner.signIn({ as: 'ada', provider: 'partner' })
  const who = async (browser: Browser) =>
    (await browser.fetch('/auth/session')).json<{
      user: { iss: string; sub: string; email: string }
      provider: string
    }>()
  const [one, two] = [await who(corp), await who(partner)]
  expect(one.user).toMatchObject({ sub: 'ada', email: 'ada@example.com', iss: world.providerNamed('corp').issuer })
  expect(two.user).toMatchObject({ sub: 'ada', email: 'ada@example.com', iss: world.providerNamed('partner').issuer })
  expect([one.provider, two.provider]).toEqual(['corp', 'partner'])

  // The API can tell them apart, and neither sees or ends what is the other's.
  for (const [browser, user] of [
    [corp, one.user],
    [partner, two.user],
  ] as const) {
    await browser.fetch('/api/echo')
    expect(world.upstream.last().header('x-coatcheck-user')).toBe('ada')
    expect(world.upstream.last().header('x-coatcheck-issuer')).toBe(user.iss)
    const { sessions } = (await browser.fetch('/auth/sessions')).json<{ sessions: unknown[] }>()
    expect(sessions).toHaveLength(1)
  }
  await corp.fetch('/auth/logout?everywhere=1', { method: 'POST' })
  expect((await corp.fetch('/api/echo')).status).toBe(401)
  expect((await partner.fetch('/api/echo')).status).toBe(200)
})

test('IT2 one browser goes from one provider to the other: the first session ends, nothing of it is carried over', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  const browser = world.browser()
  await browser.signIn({ as: 'ada', provider: 'corp' })
  const before = browser.saved()
  await browser.signIn({ as: 'eve', provider: 'partner' })
  const now = (await browser.fetch('/auth/session')).json()
  expect(now).toMatchObject({ provider: 'partner', user: { sub: 'eve' }, roles: [] })
  expect((await before.fetch('/api/echo')).status).toBe(401)
})
