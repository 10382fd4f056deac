import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'

/*
 * The application and the provider are two sites (127.0.0.1 and localhost), as in production: SameSite=Strict hides the
 * session from the callback, from the landing after it, and from links on other sites.
 */
function protectedWorld(options: WorldOptions = {}): Promise<World> {
  return createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
        { path: '/admin/*', static: './public', access: { roles: ['admin'] } },
        { path: '/*', static: './public', access: 'authenticated' },
      ],
    }),
    ...options,
  })
}

/** What the browser did since, as `status path`, of this application only. */
function tripOf(browser: Browser, since: number): string[] {
  return browser.seen
    .slice(since)
    .filter(({ url }) => url.startsWith(browser.base))
    .map(({ url, status }) => `${status} ${new URL(url).pathname}`)
}

const elsewhere = 'https://partner.example/page'

test('CK5 peers 16: a protected page opened first goes to sign-in once and comes back signed in, over the bounce page', async () => {
  for (const host of ['127.0.0.1', 'localhost'] as const) {
    await using world = await protectedWorld({ host })
    const browser = world.browser()
    const login = await browser.visit('/page?x=1')
    expect(new URL(login.url).origin).toBe(new URL(world.provider.issuer).origin)
    const since = browser.seen.length
    const landing = await browser.submit(login, { button: 'ada' })
    expect(landing.url).toBe(`${world.origin}/page?x=1`)
    expect(landing.text).toContain('The app')
    expect(tripOf(browser, since)).toEqual(['303 /auth/callback/corp', '200 /page', '200 /page'])
    // The landing came without the Strict cookie, and showed only the page that looks again.
    const bounce = browser.seen.at(-2)
    expect(bounce?.requestHeaders.cookie).toBeUndefined()
    expect(bounce?.requestHeaders['sec-fetch-site']).toBe('cross-site')
    expect(bounce?.body.toString()).not.toContain('The app')
    expect(world.provider.authorizations).toHaveLength(1)
    expect(world.provider.codesRedeemed).toBe(1)
  }
})

test('CK5 the same where the browser shows Strict cookies after redirects, as Chromium does', async () => {
  await using world = await protectedWorld()
  const browser = world.browser('chromium', { sameSite: { redirectsCount: false } })
  const landing = await browser.submit(await browser.visit('/page'), { button: 'ada' })
  expect(landing.url).toBe(`${world.origin}/page`)
  expect(landing.text).toContain('The app')
  expect(world.provider.authorizations).toHaveLength(1)
})

test('CK5 peers 16: a link from another site to a protected page ends on it, signed in, without a trip to the provider', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn()
  const asked = world.provider.requests.length
  const since = browser.seen.length
  const landing = await browser.visit('/page?a=1&b="<x>', { from: elsewhere })
  expect(landing.url).toBe(new URL('/page?a=1&b="<x>', world.origin).href)
  expect(landing.text).toContain('The app')
  expect(tripOf(browser, since)).toEqual(['200 /page', '200 /page'])
  expect(world.provider.requests).toHaveLength(asked)
})

test('CK5 a link from another site, with no session: one bounce, one sign-in, and there it is; no loop', async () => {
  await using world = await protectedWorld()
  const browser = world.browser()
  const login = await browser.visit('/page', { from: elsewhere })
  expect(tripOf(browser, 0)).toEqual(['200 /page', '303 /page', '303 /auth/login'])
  expect(browser.cookies().filter(({ key }) => key.startsWith('__Host-login-'))).toHaveLength(1)
  const landing = await browser.submit(login, { button: 'ada' })
  expect(landing.url).toBe(`${world.origin}/page`)
  expect(landing.text).toContain('The app')
  expect(world.provider.authorizations).toHaveLength(1)
})

test('CK5 a link from another site with a session that ended: one sign-in, no loop', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn()
  world.clock.advance(31 * 60_000)
  const landing = await browser.visit('/page', { from: elsewhere })
  // The provider still knows the user: it sends the browser straight back.
  expect(landing.url).toBe(`${world.origin}/page`)
  expect(landing.text).toContain('The app')
  expect(world.provider.authorizations).toHaveLength(2)
  expect(browser.cookies()).toHaveLength(1)
})

test('CK5 the provider knows the user already: the whole way there and back happens without a click, once', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn()
  await browser.fetch('/auth/logout', { method: 'POST' })
  const since = browser.seen.length
  const landing = await browser.visit('/page', { from: elsewhere })
  expect(landing.url).toBe(`${world.origin}/page`)
  expect(tripOf(browser, since)).toEqual([
    '200 /page',
    '303 /page',
    '303 /auth/login',
    '303 /auth/callback/corp',
    '200 /page',
    '200 /page',
  ])
})

test('CK5 the bounce page carries nothing but its own address: no script, no session, no cache, no frame, no markup of the query', async () => {
  await using world = await protectedWorld()
  for (const browser of [world.browser('anonymous'), await world.signedIn()]) {
    const page = await browser.visit(`/page?x="><script>alert(1)</script>&y='`, { from: elsewhere, follow: false })
    expect(page.status).toBe(200)
    expect(page.text).toContain('http-equiv="refresh"')
    expect(page.text).not.toContain('<script')
    expect(page.text).not.toMatch(/alert\(1\)[^&]*</)
    expect(page.header('cache-control')).toBe('no-store')
    expect(page.header('content-security-policy')).toContain("default-src 'none'")
    expect(page.header('content-security-policy')).toContain("frame-ancestors 'none'")
    expect(page.headers('set-cookie')).toEqual([])
  }
  // Signed in or not, another site is told the same.
  const texts = await Promise.all(
    [world.browser('anonymous'), world.browser()].map((browser) =>
      browser.visit('/page', { from: elsewhere, follow: false }),
    ),
  )
  expect(texts[0]?.text).toBe(texts[1]?.text)
  expect(texts[0]?.status).toBe(texts[1]?.status)
})

test('CK5 RB1 the bounce opens nothing: a page that the user may not see stays closed after it', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn({ as: 'bob' })
  const page = await browser.visit('/admin/x', { from: elsewhere })
  expect(page.status).toBe(403)
  expect(page.text).toContain('access_denied')
  expect(world.provider.authorizations).toHaveLength(1)
})

test('CK5 CS1 a form that another site posts, or a link that it opens, reaches no API: not even after the bounce', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn()
  const body = new URLSearchParams({ amount: '1000' })
  for (const options of [{ method: 'POST', body }, {}]) {
    const page = await browser.visit('/api/transfer?amount=1000', { from: elsewhere, ...options })
    expect(page.status).toBe(403)
    expect(page.text).toContain('csrf_rejected')
  }
  expect(world.upstream.requests).toEqual([])
})

test('CK5 step-up by a link on another site finds the session, and asks for what was demanded', async () => {
  await using world = await protectedWorld()
  const browser = await world.signedIn()
  const page = await browser.visit('/auth/step-up?max_age=0&return_to=/page', { from: elsewhere })
  expect(world.provider.authorizations.at(-1)?.get('max_age')).toBe('0')
  expect(page.forms.length).toBeGreaterThan(0)
})

test('CK5 sameSite: lax: the landing needs no second look', async () => {
  await using world = await protectedWorld({
    config: { session: { sameSite: 'lax' }, routes: [{ path: '/*', static: './public', access: 'authenticated' }] },
  })
  const browser = world.browser()
  const login = await browser.visit('/page')
  const since = browser.seen.length
  const landing = await browser.submit(login, { button: 'ada' })
  expect(landing.text).toContain('The app')
  expect(tripOf(browser, since)).toEqual(['303 /auth/callback/corp', '200 /page'])
})
