/// <reference lib="dom" />
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { formsOf } from '../../../testkit/src/canaries.ts'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

/*
 * A real Chromium against the real gateway. The application is on 127.0.0.1 and the provider on localhost: two sites, as
 * in production, so that SameSite does what it does there.
 */
let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

/** A world with a public page, a page for signed-in users only, and the API. */
function realWorld(): Promise<World> {
  return createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
        { path: '/private/*', static: './public', access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
}

async function context(options: Parameters<Browser['newContext']>[0] = {}) {
  const inner = await chromium.newContext(options)
  return Object.assign(inner, { [Symbol.asyncDispose]: () => inner.close() })
}

async function signIn(world: World, page: Page, returnTo = '/'): Promise<void> {
  await page.goto(`${world.origin}/auth/login?return_to=${encodeURIComponent(returnTo)}`)
  await choose(page)
  await page.waitForURL(`${world.origin}${returnTo}`)
}

const choose = (page: Page) => page.locator('button[value=ada]').click()

const session = (page: Page) => page.evaluate(async () => (await fetch('/auth/session')).json())

test('CK1 CK5 a real sign-in over two sites: the landing is signed in, the cookie is out of the reach of scripts', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const page = await browser.newPage()
  await signIn(world, page, '/welcome')
  expect(await session(page)).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
  expect(await page.evaluate('document.cookie')).toBe('')
  expect(await page.evaluate('cookieStore.getAll().then((all) => all.length)')).toBe(0)
  const cookies = await browser.cookies(world.origin)
  expect(cookies).toHaveLength(1)
  expect(cookies[0]).toMatchObject({
    name: '__Host-Http-session',
    domain: '127.0.0.1',
    path: '/',
    httpOnly: true,
    secure: true,
    sameSite: 'Strict',
    expires: -1,
  })
})

test('CK5 peers 16: a protected page opened first leads through sign-in and back to it; so does a link on another site', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const page = await browser.newPage()
  await page.goto(`${world.origin}/private/page?x=1`)
  await choose(page)
  await page.waitForURL(`${world.origin}/private/page?x=1`)
  expect(await page.textContent('h1')).toBe('The app')
  expect(world.provider.authorizations).toHaveLength(1)

  await using elsewhere = await linkPage(`${world.origin}/private/other`)
  await page.goto(elsewhere.url)
  await page.click('a')
  await page.waitForURL(`${world.origin}/private/other`)
  await page.waitForSelector('h1:has-text("The app")')
  expect(world.provider.authorizations).toHaveLength(1)
})

test('two tabs sign in at once, and both end up signed in', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const [one, two] = [await browser.newPage(), await browser.newPage()]
  await one.goto(`${world.origin}/auth/login?return_to=/one`)
  await two.goto(`${world.origin}/auth/login?return_to=/two`)
  await choose(one)
  await one.waitForURL(`${world.origin}/one`)
  await choose(two)
  await two.waitForURL(`${world.origin}/two`)
  for (const page of [one, two]) expect(await session(page)).toMatchObject({ authenticated: true })
  expect((await browser.cookies(world.origin)).map((cookie) => cookie.name)).toEqual(['__Host-Http-session'])
})

test('FX2 CB1 a callback address stolen on its way is useless in another browser, and late in its own it just goes on', async () => {
  await using world = await realWorld()
  await using victim = await context()
  await using attacker = await context()
  const page = await victim.newPage()
  const callback = page.waitForRequest((request) => request.url().includes('/auth/callback/'))
  await signIn(world, page)
  const url = (await callback).url()
  const redeemed = world.provider.tokenRequests
  const thief = await attacker.newPage()
  const refused = await thief.goto(url)
  expect(refused?.status()).toBe(400)
  expect(await thief.textContent('body')).toContain('login_state_mismatch')
  expect(await thief.goto(`${world.origin}/auth/session`).then((answer) => answer?.json())).toEqual({
    authenticated: false,
  })

  // The victim comes by the same address again, from the provider's site: Strict hides the session at first.
  await using elsewhere = await linkPage(url)
  await page.goto(elsewhere.url)
  await page.click('a')
  await page.waitForURL(`${world.origin}/`)
  expect(await session(page)).toMatchObject({ authenticated: true })
  expect(world.provider.tokenRequests).toBe(redeemed)
})

test('FX3 an image, a frame, a fetch and a prefetch of the login address, from another site or this one, start no sign-in', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const login = `${world.origin}/auth/login`
  await using elsewhere = await linkPage(
    login,
    `<img src="${login}"><iframe src="${login}"></iframe><iframe src="${world.origin}/private/x"></iframe>
     <link rel="prefetch" href="${login}"><script src="${login}"></script>`,
  )
  const page = await browser.newPage()
  await page.goto(elsewhere.url, { waitUntil: 'networkidle' })
  await page.goto(`${world.origin}/`)
  await page.evaluate(async (address) => {
    await fetch(address, { redirect: 'manual' })
    const image = new Image()
    image.src = address
    await image.decode().catch(() => {})
    const link = document.createElement('link')
    link.rel = 'prefetch'
    link.href = address
    document.head.append(link)
    await new Promise((resolve) => setTimeout(resolve, 300))
  }, login)
  expect(world.provider.authorizations).toHaveLength(0)
  expect(await browser.cookies(world.origin)).toEqual([])
})

test('LO1 LO5 sign-out empties the browser: cookies, storage, caches; and the session is gone on the server', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const page = await browser.newPage()
  await signIn(world, page)
  await page.evaluate(async () => {
    localStorage.setItem('draft', 'x')
    sessionStorage.setItem('draft', 'x')
    await new Promise((resolve) => {
      indexedDB.open('drafts', 1).onsuccess = resolve
    })
    await (await caches.open('drafts')).put('/draft', new Response('x'))
  })
  const saved = await browser.cookies(world.origin)
  const { redirectTo } = await page.evaluate(async () =>
    (await fetch('/auth/logout', { method: 'POST', headers: { 'X-CSRF': '1' } })).json(),
  )
  await page.goto(redirectTo)
  await page.waitForURL((url) => url.origin === world.origin)
  expect(await browser.cookies(world.origin)).toEqual([])
  const left = await page.evaluate(async () => ({
    local: localStorage.length,
    session: sessionStorage.length,
    databases: (await indexedDB.databases()).length,
    caches: (await caches.keys()).length,
  }))
  expect(left).toEqual({ local: 0, session: 0, databases: 0, caches: 0 })
  await using thief = await context()
  await thief.addCookies(saved)
  const copy = await thief.newPage()
  await copy.goto(`${world.origin}/`)
  expect(await session(copy)).toEqual({ authenticated: false })
})

test('PX3 CK4 canaries: in all that a real browser gets to see, stores or sends, there is no token, and the cookie is only a cookie', async () => {
  await using world = await realWorld()
  await using browser = await context()
  const seen = recordAll(browser)
  const page = await browser.newPage()
  await signIn(world, page)
  await page.evaluate(async () => {
    const csrf = { 'X-CSRF': '1' }
    for (const path of [
      '/api/echo',
      '/auth/session',
      '/auth/sessions',
      '/api/status?code=500',
      '/nowhere',
      '/auth/nowhere',
    ]) {
      await (await fetch(path, { headers: csrf })).text()
      await (await fetch(path)).text()
    }
  })
  const secret = String((await browser.cookies(world.origin))[0]?.value.split('.')[3])
  const storage = await page.evaluate(() =>
    JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]),
  )
  const { redirectTo } = await page.evaluate(async () =>
    (await fetch('/auth/logout', { method: 'POST', headers: { 'X-CSRF': '1' } })).json(),
  )
  await page.goto(redirectTo)
  await page.waitForURL((url) => url.origin === world.origin)
  const everything = [...(await seen()), storage]
  const canaries = [...world.provider.issuedTokens]
  expect(canaries.length).toBeGreaterThanOrEqual(3)
  expect(everything.length).toBeGreaterThan(15)
  for (const text of everything) {
    for (const token of canaries)
      for (const form of formsOf(token)) expect(text.includes(form), text.slice(0, 200)).toBe(false)
    expect(text.includes(secret), text.slice(0, 200)).toBe(false)
  }
})

/** Address, headers (but Set-Cookie's) and body of all answers, and the addresses and bodies of all requests. */
function recordAll(browser: BrowserContext): () => Promise<string[]> {
  const pending: Promise<string>[] = []
  browser.on('response', (response) => {
    const request = response.request()
    pending.push(
      (async () => {
        const headers = (await response.headersArray()).filter(({ name }) => name.toLowerCase() !== 'set-cookie')
        const body = await response.text().catch(() => '')
        return [response.url(), JSON.stringify(headers), body, request.url(), request.postData() ?? ''].join('\n')
      })(),
    )
  })
  return () => Promise.all(pending)
}

/** A page on the provider's site (localhost), another site than the application's, with a link. */
async function linkPage(href: string, more = '') {
  const server = createServer((_request, response) => {
    response.setHeader('content-type', 'text/html')
    response.end(`<!doctype html><a href="${href.replaceAll('&', '&amp;')}">go</a>${more}`)
  })
  await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve))
  const url = `http://localhost:${(server.address() as AddressInfo).port}/`
  const close = () => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  }
  return { url, [Symbol.asyncDispose]: async () => void (await close()) }
}
