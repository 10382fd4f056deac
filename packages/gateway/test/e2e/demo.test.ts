import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { browse, startDemo } from './demo-process.ts'

async function signIn(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name: 'Sign in' }).click()
  await page.getByRole('button', { name }).click()
  await page.getByRole('heading', { name }).waitFor()
}

/** Signs in to the "before" page as well, which runs the script in both pages, and waits until it is through. */
async function attack(page: Page): Promise<void> {
  await page.getByRole('link', { name: 'Sign in there too' }).click()
  await page.getByText('Done. 20 attempts.').waitFor()
}

const verdictOf = (page: Page, side: 'before' | 'coatcheck') => page.locator(`#side-${side} .verdict`).innerText()
const rows = (page: Page, column: 'before' | 'coatcheck') => page.locator(`#attempts td.${column}`).allInnerTexts()

test('the demo: sign in, call the API, let the attacker try both pages, sign out', async () => {
  await using demo = await startDemo()
  expect(statSync(join(demo.cwd, 'data/demo')).mode & 0o777).toBe(0o700)
  await using browser = await browse()
  const { page } = browser
  const broken: string[] = []
  page.on('pageerror', (error) => broken.push(error.message))

  await page.goto(demo.origin)
  await page.getByText('Leave your tokens at the coat check.').waitFor()
  await signIn(page, 'Nora Vance')
  expect(page.url()).toBe(`${demo.origin}/`)
  expect(await page.locator('#roles').innerText()).toMatch(/admin\s+staff/)

  await page.getByRole('button', { name: 'Call the API', exact: true }).click()
  await page.getByText('200 · Good evening, Nora Vance').waitFor()
  expect(await page.locator('[data-call="/api/hello"] .facts').innerText()).toMatch(/Bearer token, \d+ characters/)
  await page.getByRole('button', { name: 'Open the report' }).click()
  await page.getByText('200 · Takings').waitFor()
  await page.getByRole('button', { name: 'Watch' }).click()
  await page.getByText('Door A: a party of four').waitFor()
  expect(await page.locator('#session-list li').count()).toBe(1)

  await attack(page)
  expect(await verdictOf(page, 'coatcheck')).toMatch(/^0 tokens/)
  expect(await rows(page, 'coatcheck')).toEqual(Array(10).fill(expect.stringMatching(/^Nothing/)))
  expect(await verdictOf(page, 'before')).toMatch(/^[3-9] tokens/)
  const found = (await rows(page, 'before')).join('\n')
  for (const kind of ['Access token', 'ID token', 'Refresh token', 'Bearer token']) expect(found).toContain(kind)

  await page.getByRole('button', { name: 'Let the script call the API as you' }).click()
  await page.getByText('It worked: the script asked').waitFor()

  await page.locator('header').getByRole('button', { name: 'Sign out' }).click()
  await page.getByText('Leave your tokens at the coat check.').waitFor()
  expect(page.url()).toBe(`${demo.origin}/`)
  expect(await page.evaluate(async () => (await fetch('/auth/session')).json())).toEqual({ authenticated: false })
  expect(broken).toEqual([])
  expect(await demo.stop()).toBe(0)
})

test('a user without the role sees why the report is closed, and the session list ends another session', async () => {
  await using demo = await startDemo()
  await using browser = await browse()
  await using elsewhere = await browse()
  for (const { page } of [elsewhere, browser]) {
    await page.goto(demo.origin)
    await signIn(page, 'Ines Duarte')
  }
  await browser.page.getByRole('button', { name: 'Open the report' }).click()
  await browser.page.getByText('403 · Not for you').waitFor()
  expect(await browser.page.locator('#session-list li').count()).toBe(2)
  await browser.page.locator('#session-list').getByRole('button', { name: 'End' }).click()
  await expect.poll(() => browser.page.locator('#session-list li').count()).toBe(1)

  await elsewhere.page.getByRole('button', { name: 'Call the API', exact: true }).click()
  await elsewhere.page.getByRole('button', { name: 'Sign in again' }).waitFor()
})

test('--https: the browser takes the certificate by the printed key hash, and all of it works', async () => {
  await using demo = await startDemo('--https')
  expect(demo.origin).toMatch(/^https:\/\/localhost:\d+$/)
  await using browser = await browse([`--ignore-certificate-errors-spki-list=${demo.printed(/spki-list=(\S+)/)}`])
  const { page } = browser
  await page.goto(demo.origin)
  await signIn(page, 'Theo Marsh')
  await attack(page)
  expect(await verdictOf(page, 'coatcheck')).toMatch(/^0 tokens/)
  expect(await verdictOf(page, 'before')).toMatch(/^[3-9] tokens/)
})
