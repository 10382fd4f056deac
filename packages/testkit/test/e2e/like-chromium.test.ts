import type { Browser as Chromium, Page as ChromiumPage } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Browser } from '../../src/browser.ts'
import { launchChromium } from '../../src/chromium.ts'
import { hop, leading, setting, startTwoSites, type TwoSites, testCookies } from '../two-sites.ts'

// The scripted browser is only worth something if it sends what a real one does: both make the same journeys here.
let sites: TwoSites
let chromium: Chromium
beforeAll(async () => {
  sites = await startTwoSites()
  chromium = await launchChromium()
})
afterAll(async () => {
  await chromium?.close()
  await sites?.close()
})

interface Journey {
  scripted(browser: Browser, A: string, B: string): Promise<unknown>
  real(page: ChromiumPage, A: string, B: string): Promise<unknown>
}

const journeys: Record<string, Journey> = {
  'the address bar': {
    scripted: (browser) => browser.visit('/end'),
    real: (page, A) => page.goto(`${A}/end`),
  },
  'a link of the same site': {
    scripted: (browser, A) => browser.visit('/end', { from: A }),
    real: (page, A) => press(page, A + leading('link', `${A}/end`), 'a'),
  },
  'a link of another site': {
    scripted: (browser, _A, B) => browser.visit('/end', { from: B }),
    real: (page, A, B) => press(page, B + leading('link', `${A}/end`), 'a'),
  },
  'out and back by redirects': {
    scripted: (browser, A, B) => browser.visit(hop(B + hop(`${A}/end`)), { from: A }),
    real: (page, A, B) => press(page, A + leading('link', A + hop(B + hop(`${A}/end`))), 'a'),
  },
  'a refresh after a foreign link': {
    scripted: (browser, A, B) => browser.visit(leading('refresh', `${A}/end`), { from: B }),
    real: (page, A, B) => press(page, B + leading('link', A + leading('refresh', `${A}/end`)), 'a'),
  },
  'a form of another site': {
    scripted: async (browser, A, B) => browser.submit(await browser.visit(B + leading('form', `${A}/end`))),
    real: (page, A, B) => press(page, B + leading('form', `${A}/end`), 'button'),
  },
  'a foreign form and a 303, as at the end of a sign-in': {
    scripted: async (browser, A, B) => browser.submit(await browser.visit(B + leading('form', B + hop(`${A}/end`)))),
    real: (page, A, B) => press(page, B + leading('form', B + hop(`${A}/end`)), 'button'),
  },
  'a form that submits itself': {
    scripted: (browser, A, B) => browser.visit(B + leading('auto', `${A}/end`)),
    real: (page, A, B) => page.goto(B + leading('auto', `${A}/end`)).then(() => page.waitForURL(`${A}/end`)),
  },
  'a fetch with an unsafe method': {
    scripted: (browser) => browser.fetch('/end', { method: 'DELETE', csrf: false }),
    real: async (page, A) => {
      await page.goto(`${A}/page`)
      await page.evaluate("fetch('/end', { method: 'DELETE' }).then(() => undefined)")
    },
  },
}

async function press(page: ChromiumPage, address: string, what: string): Promise<void> {
  await page.goto(address)
  await page.click(what)
  await page.waitForURL('**/end')
}

const telling = ['origin', 'sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'sec-fetch-user']

function arrived() {
  const { at, method, cookies, headers } = sites.last()
  const referer = headers.referer && new URL(headers.referer).origin
  // The list of picture formats changes with every version.
  const accept = headers.accept?.split(',')[0]
  return { at, method, cookies, referer, accept, ...Object.fromEntries(telling.map((name) => [name, headers[name]])) }
}

test.each(Object.entries(journeys))('%s: Chromium and the scripted browser send the same', async (_name, journey) => {
  const { A, B } = sites
  const context = await chromium.newContext()
  const page = await context.newPage()
  await page.goto(A + setting(...testCookies))
  await journey.real(page, A, B)
  const real = arrived()
  await context.close()

  const browser = new Browser({ base: A, sameSite: { redirectsCount: false } })
  await browser.visit(setting(...testCookies))
  await journey.scripted(browser, A, B)
  expect(arrived()).toEqual(real)
})
