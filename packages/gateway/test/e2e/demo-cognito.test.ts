import type { Page } from 'playwright-core'
import { expect, test } from 'vitest'
import { browse, startDemo } from './demo-process.ts'

async function signedIn(page: Page, name: string): Promise<void> {
  await page.getByRole('button', { name }).click()
  await page.getByRole('heading', { name }).waitFor()
}

/** Presses a card's button and reads the headline of its answer. */
async function press(page: Page, name: string): Promise<string> {
  await page.getByRole('button', { name, exact: true }).click()
  const status = page.locator('.card', { has: page.getByRole('button', { name, exact: true }) }).locator('.status')
  return await status.innerText()
}

test('demo --cognito: by e-mail domain to Okta, calls with the role of IAM, refusals of both kinds, and nothing in the page', async () => {
  await using demo = await startDemo('--cognito')
  await using browser = await browse()
  const { page } = browser
  const broken: string[] = []
  page.on('pageerror', (error) => broken.push(error.message))
  await page.goto(demo.origin)
  await page.getByRole('button', { name: 'Sign in with your e-mail address' }).click()
  await page.getByLabel('Your e-mail address at work').fill('theo@lyric.example')
  await page.keyboard.press('Enter')
  await signedIn(page, 'Theo Marsh')
  expect(await press(page, 'Call the API')).toMatch(/^200 · Tonight/)
  expect(await page.locator('[data-call="/prod/tonight"] .facts').innerText()).toMatch(
    /role\/LyricStaff[\s\S]*Cookies\s+none/,
  )
  expect(await page.locator('#trace').innerText()).toMatch(/LyricStaff/)
  expect(await press(page, 'Open the takings')).toMatch(/^403/)
  await page.getByText('Coatcheck refused it: AWS was not asked.').waitFor()
  expect(await press(page, 'Open the payroll')).toMatch(/^403/)
  await page.getByText('IAM refused it').waitFor()
  expect(await press(page, 'Put it there')).toMatch(/^200 · Stored/)
  await page.getByRole('button', { name: 'Search this page' }).click()
  await page.getByText('Done. 10 attempts.').waitFor()
  expect(await page.locator('#verdict').innerText()).toMatch(/^0 tokens, 0 keys/)

  await page.locator('header').getByRole('button', { name: 'Sign out' }).click()
  await page.locator('html[data-ready=welcome]').waitFor()
  expect(broken).toEqual([])
  expect(await demo.stop()).toBe(0)
})

test('demo --cognito --https: Salesforce, and a user of the pool who changes their password after a step-up', async () => {
  await using demo = await startDemo('--cognito', '--https')
  await using browser = await browse([`--ignore-certificate-errors-spki-list=${demo.printed(/spki-list=(\S+)/)}`])
  const { page } = browser
  await page.goto(demo.origin)
  await page.getByRole('button', { name: 'Salesforce', exact: true }).click()
  await signedIn(page, 'Paula Stern')
  expect(await press(page, 'Call the API')).toMatch(/^200/)
  expect(await page.locator('[data-call="/prod/tonight"] .facts').innerText()).toContain('role/LyricPartners')
  await page.getByText('Yours is kept by Salesforce').waitFor()
  await page.locator('header').getByRole('button', { name: 'Sign out' }).click()

  const logIn = async (password: string) => {
    await page.getByLabel('Username').fill('ines')
    await page.getByLabel('Password').fill(password)
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
  }
  await page.getByRole('button', { name: 'User pool' }).click()
  await logIn('Curtain-Up-1')
  await page.getByRole('heading', { name: 'Ines Duarte' }).waitFor()
  await page.getByRole('button', { name: 'Sign in again' }).click()
  await logIn('Curtain-Up-1')
  await page.getByRole('heading', { name: 'Ines Duarte' }).waitFor()
  await page.getByLabel('Current password').fill('Curtain-Up-1')
  await page.getByLabel('New password').fill('Curtain-Down-2')
  await page.getByRole('button', { name: 'Change it' }).click()
  await page.getByText('204 · Changed').waitFor()
  await page.getByRole('button', { name: 'Read them' }).click()
  await page.getByLabel('Nickname').fill('Inês')
  await page.getByRole('button', { name: 'Save' }).click()
  await page.getByText('204 · Saved').waitFor()
})

test.each([320, 360])(
  'demo --cognito on a phone, %d px wide: no page is wider than the window, no answer wider than its card',
  async (width) => {
    await using demo = await startDemo('--cognito')
    await using browser = await browse()
    const { page } = browser
    await page.setViewportSize({ width, height: 700 })
    const tooWide = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth)

    await page.goto(demo.origin)
    await page.getByRole('button', { name: 'Okta', exact: true }).click()
    await page.getByRole('button', { name: 'Nora Vance' }).waitFor()
    expect(await tooWide()).toBe(0)
    await signedIn(page, 'Theo Marsh')
    expect(await press(page, 'Open the payroll')).toMatch(/^403/)
    expect(await press(page, 'Call the API')).toMatch(/^200/)
    const cut = () =>
      [...document.querySelectorAll('.card')].filter((card) => card.scrollWidth > card.clientWidth).length
    expect(await page.evaluate(cut)).toBe(0)
    expect(await tooWide()).toBe(0)
  },
)
