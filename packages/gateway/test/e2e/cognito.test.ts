/// <reference lib="dom" />
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { accountScope, createCognitoWorld } from '../stories/cognito-world.ts'

let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

const session = '(async () => (await fetch("/auth/session")).json())()'

test('an employee gives an e-mail address, signs in with Okta behind the user pool, and signs out: no token in the browser', async () => {
  await using given = await createCognitoWorld({
    provider: { homeRealms: { 'example.com': 'Okta' }, scope: `openid profile email ${accountScope}` },
  })
  const { origin } = given.world
  const context = await chromium.newContext()
  const page = await context.newPage()
  await page.goto(`${origin}/auth/login?return_to=/done`)
  const field = page.getByLabel('Your e-mail address at work')
  expect(await field.evaluate((one) => one === document.activeElement)).toBe(true)
  await field.fill('ada@example.com')
  await page.keyboard.press('Enter')
  await page.locator('button[value=ada]').click()
  await page.waitForURL(`${origin}/done`)
  expect(await page.evaluate(session)).toMatchObject({
    authenticated: true,
    user: { username: 'Okta_ada', identityProvider: 'Okta', groups: expect.arrayContaining(['admin']) },
    roles: ['admin'],
  })
  const kept = await page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
  expect(kept).toBe('[{},{},""]')

  const { redirectTo } = (await page.evaluate(
    '(async () => (await fetch("/auth/logout", { method: "POST", headers: { "x-csrf": "1" } })).json())()',
  )) as { redirectTo: string }
  await page.goto(redirectTo)
  await page.waitForURL(`${origin}/`)
  expect(await page.evaluate(session)).toEqual({ authenticated: false })
  await context.close()
})
