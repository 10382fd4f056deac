import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser } from '../src/browser.ts'
import { hop, leading, setting, startTwoSites, type TwoSites, testCookies } from './two-sites.ts'

let sites: TwoSites
let A = ''
let B = ''
beforeAll(async () => {
  sites = await startTwoSites()
  A = sites.A
  B = sites.B
})
afterAll(() => sites.close())

const last = () => sites.last()

async function browserWithCookies(options: { redirectsCount: boolean } = { redirectsCount: true }): Promise<Browser> {
  const browser = new Browser({ base: A, sameSite: options })
  await browser.visit(setting(...testCookies))
  return browser
}

describe('which SameSite cookies travel, and what Sec-Fetch-Site says', () => {
  type Go = (browser: Browser) => Promise<unknown>
  const all = 'strict lax none plain'
  const rows: [name: string, go: Go, cookies: string, site: string][] = [
    ['the address bar', (b) => b.visit('/end'), all, 'none'],
    ['a link of the same site', (b) => b.visit('/end', { from: `${A}/x` }), all, 'same-origin'],
    ['a link of another site', (b) => b.visit('/end', { from: `${B}/x` }), 'lax none plain', 'cross-site'],
    ['that, and a redirect', (b) => b.visit(hop('/end'), { from: `${B}/x` }), 'lax none plain', 'cross-site'],
    [
      'out and back by redirects',
      (b) => b.visit(hop(B + hop(`${A}/end`)), { from: A }),
      'lax none plain',
      'cross-site',
    ],
    ['the same from the address bar', (b) => b.visit(hop(B + hop(`${A}/end`))), 'lax none plain', 'none'],
    ['a refresh after a foreign link', (b) => b.visit(leading('refresh', `${A}/end`), { from: B }), all, 'same-origin'],
    ['a form of the same site', async (b) => b.submit(await b.visit(leading('form', `${A}/end`))), all, 'same-origin'],
    [
      'a form of another site',
      async (b) => b.submit(await b.visit(B + leading('form', `${A}/end`))),
      'none plain',
      'cross-site',
    ],
    ['a self-submitting form', (b) => b.visit(B + leading('auto', `${A}/end`)), 'none plain', 'cross-site'],
    [
      'a foreign form and a 303',
      async (b) => b.submit(await b.visit(B + leading('form', B + hop(`${A}/end`)))),
      'lax none plain',
      'cross-site',
    ],
    ['a fetch of the same origin', (b) => b.fetch('/end'), all, 'same-origin'],
    ['a foreign fetch', (b) => b.fetch('/end', { from: B }), 'none', 'cross-site'],
    ['a foreign image', (b) => b.fetch('/end', { from: B, mode: 'no-cors', dest: 'image' }), 'none', 'cross-site'],
    ['a foreign frame', (b) => b.fetch('/end', { from: B, mode: 'navigate', dest: 'iframe' }), 'none', 'cross-site'],
  ]
  test.each(rows)('%s', async (_name, go, cookies, site) => {
    await go(await browserWithCookies())
    expect(last()).toMatchObject({ at: `${A}/end`, cookies, site })
  })

  test('as Chromium does it, redirects through another site hide nothing', async () => {
    const browser = await browserWithCookies({ redirectsCount: false })
    await browser.visit(hop(B + hop(`${A}/end`)), { from: A })
    expect(last()).toMatchObject({ cookies: 'strict lax none plain', site: 'cross-site' })
  })

  test('after two minutes a cookie without SameSite is as good as Lax', async () => {
    let now = 1_000_000_000_000
    const browser = new Browser({ base: A, now: () => now })
    await browser.visit(setting('plain=1; Path=/'))
    now += 121_000
    await browser.submit(await browser.visit(B + leading('form', `${A}/end`)))
    expect(last().cookies).toBe('')
  })
})

describe('which cookies are kept', () => {
  test.each([
    ['__Host-Http-session=1; Secure; HttpOnly; Path=/', true],
    ['__Host-Http-session=1; Secure; Path=/', false],
    ['__Host-login-1=1; Secure; Path=/', true],
    ['__Host-login-1=1; Path=/', false],
    ['__Host-login-1=1; Secure; Path=/auth', false],
    ['__Host-login-1=1; Secure; Path=/; Domain=127.0.0.1', false],
    ['a=1; SameSite=None', false],
    [`a=${'x'.repeat(4100)}`, false],
    ['a=1; Max-Age=60', true],
    ['a=1; Max-Age=0', false],
  ])('%s', async (cookie, kept) => {
    const browser = new Browser({ base: A })
    await browser.visit(setting(cookie))
    expect(browser.cookies('/auth').length > 0 || browser.cookies('/set').length > 0).toBe(kept)
  })

  test('Max-Age runs by the clock of the test, and Clear-Site-Data empties the jar', async () => {
    let now = 1_000_000_000_000
    const browser = new Browser({ base: A, now: () => now })
    await browser.visit(setting('a=1; Max-Age=60; Path=/', 'b=1; Path=/'))
    now += 61_000
    expect(browser.cookies().map((cookie) => cookie.key)).toEqual(['b'])
  })

  test('a saved browser keeps what the first one loses', async () => {
    const browser = await browserWithCookies()
    const thief = browser.saved()
    await browser.visit(setting('strict=; Path=/; Max-Age=0'))
    expect(browser.cookies().some((cookie) => cookie.key === 'strict')).toBe(false)
    await thief.visit('/end')
    expect(last().cookies).toBe('strict lax none plain')
  })
})

describe('headers of Chromium', () => {
  test('a navigation', async () => {
    await new Browser({ base: A }).visit('/end')
    const { headers } = last()
    expect(headers).toMatchObject({
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
      'sec-fetch-user': '?1',
    })
    expect(headers.accept).toMatch(/^text\/html/)
    expect(headers).not.toHaveProperty('origin')
  })

  test('a fetch: Origin only with unsafe methods, X-CSRF unless told otherwise', async () => {
    const browser = new Browser({ base: A })
    await browser.fetch('/end')
    expect(last().headers).toMatchObject({ 'x-csrf': '1', 'sec-fetch-mode': 'cors', 'sec-fetch-dest': 'empty' })
    expect(last().headers).not.toHaveProperty('origin')
    await browser.fetch('/end', { method: 'DELETE', csrf: false })
    expect(last().headers).toMatchObject({ origin: A })
    expect(last().headers).not.toHaveProperty('x-csrf')
  })

  test('a form: Origin of the page, null once a 307 has led to another origin', async () => {
    const browser = new Browser({ base: A })
    await browser.submit(await browser.visit(leading('form', `${A}/end`)))
    expect(last()).toMatchObject({
      method: 'POST',
      headers: { origin: A, 'content-type': 'application/x-www-form-urlencoded' },
    })
    await browser.submit(await browser.visit(leading('form', A + hop(`${B}/end`, 307))))
    expect(last()).toMatchObject({ at: `${B}/end`, method: 'POST', headers: { origin: 'null' } })
  })
})
