/// <reference lib="dom" />
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { createHostileWorld } from '../stories/hostile-world.ts'

/*
 * Answers by form_post in a real Chromium, over two sites: SameSite hides the cookie of the sign-in from the provider's
 * post, the policy of our page lets its own script run, and the code is in no address that the browser keeps.
 */
let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

async function context(options: Parameters<Browser['newContext']>[0] = {}) {
  const inner = await chromium.newContext(options)
  return Object.assign(inner, { [Symbol.asyncDispose]: () => inner.close() })
}

/** Every address that the window asked for, and what its pages complained of. */
function watch(page: Page) {
  const requests: { method: string; url: string; referer: string | undefined }[] = []
  const complaints: string[] = []
  page.on('request', (request) => {
    if (!request.isNavigationRequest()) return
    requests.push({ method: request.method(), url: request.url(), referer: request.headers().referer })
  })
  page.on('console', (message) => complaints.push(message.text()))
  page.on('pageerror', (error) => complaints.push(error.message))
  return { requests, complaints }
}

test('CB3 CK5 form_post in a real browser over two sites: posted twice, signed in, and the code is in no address or history', async () => {
  await using world = await createWorld({
    config: { providers: { corp: { authorizationParams: { response_mode: 'form_post' } } } },
  })
  await using browser = await context()
  const page = await browser.newPage()
  const { requests, complaints } = watch(page)
  await page.goto(`${world.origin}/start`)
  await page.goto(`${world.origin}/auth/login?return_to=/welcome`)
  await page.locator('button[value=ada]').click()
  await page.waitForURL(`${world.origin}/welcome`)
  const session = await page.evaluate(async () => (await fetch('/auth/session')).json())
  expect(session).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
  const posts = requests.filter(({ url }) => url.includes('/auth/callback/'))
  expect(posts.map(({ method, url }) => `${method} ${url}`)).toEqual([
    `POST ${world.origin}/auth/callback/corp`,
    `POST ${world.origin}/auth/callback/corp?again=1`,
  ])
  const [code = 'none'] = world.provider.issuedCodes
  expect(JSON.stringify(requests)).not.toContain(code)
  expect(complaints.filter((text) => /security policy|refused|error/i.test(text))).toEqual([])
  // Neither post stays in the history: back leads to a page, not to a form that would be sent again.
  const tokenRequests = world.provider.tokenRequests
  await page.goBack()
  expect(page.url()).not.toContain('/auth/callback/')
  expect(world.provider.tokenRequests).toBe(tokenRequests)
})

test('CB3 the sign-in may lead on to another site, hostile field names stop nothing, and without scripts a button posts', async () => {
  await using hostile = await createHostileWorld({
    config: ({ upstream }) => ({
      providers: { evil: { authorizationParams: { response_mode: 'form_post' } } },
      routes: [
        { path: '/leave', upstream, access: 'public', csrf: 'off' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const { world, provider } = hostile
  const elsewhere = `${provider.issuer}/.well-known/openid-configuration`
  world.upstream.on('/leave', ({ response }) => void response.writeHead(302, { location: elsewhere }).end())
  hostile.twist({
    callbackExtra: [
      ['submit', 'x'],
      ['forms', 'x'],
      ['"><script>document.title="owned"</script>', '<b>'],
    ],
  })
  await using browser = await context()
  const page = await browser.newPage()
  const { complaints } = watch(page)
  await page.goto(`${world.origin}/auth/login?return_to=/leave`)
  // A form-action of 'self' would stop the browser here: it counts for redirects too.
  await page.waitForURL(elsewhere, { timeout: 10_000 })
  await page.goto(`${world.origin}/`)
  expect(await page.evaluate(async () => (await fetch('/auth/session')).json())).toMatchObject({ authenticated: true })
  expect(complaints.filter((text) => /security policy|refused/i.test(text))).toEqual([])

  await using plain = await context({ javaScriptEnabled: false })
  const window = await plain.newPage()
  await window.goto(`${world.origin}/auth/login?return_to=/welcome`)
  await window.getByRole('button', { name: 'Go on' }).click()
  await window.waitForURL(`${world.origin}/auth/callback/evil`)
  expect(await window.title()).toBe('One moment')
  await window.getByRole('button', { name: 'Continue' }).click()
  await window.waitForURL(`${world.origin}/welcome`)
  await window.goto(`${world.origin}/auth/session`)
  expect(await window.textContent('body')).toContain('"authenticated":true')
})
