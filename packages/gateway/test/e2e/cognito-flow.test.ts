/// <reference lib="dom" />
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { launchChromium } from '../../../testkit/src/chromium.ts'
import { roleArn } from '../../../testkit/src/cognito.ts'
import { createAwsWorld } from '../stories/aws-world.ts'
import { type CognitoWorld, createCognitoWorld } from '../stories/cognito-world.ts'

// The way of a user from the first page to AWS, one step a story, as a browser sees it.

let chromium: Browser
beforeAll(async () => {
  chromium = await launchChromium()
})
afterAll(() => chromium.close())

/** A window of its own, on the application's page, and every address that it ever asked for. */
async function open(given: CognitoWorld) {
  const context = await chromium.newContext()
  const page = await context.newPage()
  const asked: URL[] = []
  page.on('request', (request) => asked.push(new URL(request.url())))
  await page.goto(`${given.world.origin}/`)
  return { page, asked, [Symbol.asyncDispose]: () => context.close() }
}

/** What a script of the page hears. */
function ask(page: Page, path: string, method = 'GET'): Promise<{ status: number; text: string; body: Heard }> {
  return page.evaluate(
    async ([to, by]) => {
      const answer = await fetch(to, { method: by, headers: { 'x-csrf': '1' } })
      const text = await answer.text()
      return { status: answer.status, text, body: JSON.parse(text) }
    },
    [path, method] as const,
  )
}

interface Heard {
  readonly authenticated?: boolean
  readonly [name: string]: unknown
}

async function signIn(page: Page, given: CognitoWorld, as = 'ada'): Promise<void> {
  await page.goto(`${given.world.origin}/auth/login?return_to=/done&idp=Okta`)
  await page.locator(`button[value=${as}]`).click()
  await page.waitForURL(`${given.world.origin}/done`)
}

test('step 1: the page loads and asks for its session: there is none, and afterwards it is the user’s', async () => {
  await using given = await createAwsWorld()
  await using window = await open(given)
  expect(await ask(window.page, '/auth/session')).toMatchObject({ status: 200, body: { authenticated: false } })
  await signIn(window.page, given)
  const { body } = await ask(window.page, '/auth/session')
  expect(body).toMatchObject({ authenticated: true, provider: 'aws', user: { username: 'Okta_ada' } })
})

test('step 2: what is protected is refused without a session, and with one the page knows how long it lasts', async () => {
  await using given = await createAwsWorld()
  await using window = await open(given)
  const refused = await ask(window.page, '/prod/items')
  expect(refused).toMatchObject({ status: 401, body: { code: 'login_required' } })
  expect(refused.body.loginUrl).toMatch(/^\/auth\/login\?return_to=/)
  expect(given.cognito.aws('execute-api').received).toHaveLength(0)
  // A person is led to the sign-in instead.
  await window.page.goto(`${given.world.origin}/prod/items`)
  expect(new URL(window.page.url()).origin).toBe(given.cognito.pool.domain)

  await signIn(window.page, given)
  const { body } = await ask(window.page, '/auth/session')
  const [auth, idle, end] = [body.authTime, body.idleExpiresAt, body.expiresAt].map((time) => Date.parse(String(time)))
  expect([Number(idle) - Number(auth), Number(end) - Number(auth)].every((ms) => ms > 0)).toBe(true)
  expect(Number(idle)).toBeLessThan(Number(end))
})

test('step 3: the link, or the domain of an e-mail address, leads straight to the provider behind the pool; the pool asks whoever is left', async () => {
  await using given = await createCognitoWorld({
    provider: {
      identityProviders: ['Okta', 'Salesforce', 'COGNITO'],
      homeRealms: { 'example.com': 'Okta', 'agency.example': 'Salesforce' },
    },
  })
  await using window = await open(given)
  const { page } = window
  const { origin } = given.world
  const { okta, salesforce, pool } = given.cognito
  const at = () => new URL(page.url()).origin
  for (const [address, provider] of [
    ['ada@example.com', okta.issuer],
    ['sal@AGENCY.example', salesforce.issuer],
    ['someone@elsewhere.example', pool.domain],
  ] as const) {
    await page.goto(`${origin}/auth/login?return_to=/done`)
    await page.getByLabel('Your e-mail address at work').fill(address)
    await page.getByRole('button', { name: 'Continue' }).click()
    await expect.poll(at, { message: address }).toBe(provider)
  }
  await page.goto(`${origin}/auth/login?return_to=/done&idp=Salesforce`)
  expect(at()).toBe(salesforce.issuer)
  const elsewhere = await page.goto(`${origin}/auth/login?return_to=/done&idp=Elsewhere`)
  expect([elsewhere?.status(), at()]).toEqual([400, origin])
})

test('step 4: the provider’s user comes with groups, and at the next sign-in with what changed meanwhile', async () => {
  await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
  await using window = await open(given)
  const { page } = window
  await signIn(page, given, 'bob')
  const first = (await ask(page, '/auth/session')).body
  expect(first).toMatchObject({
    user: { username: 'Okta_bob', identityProvider: 'Okta', groups: expect.arrayContaining(['users']) },
    roles: [],
  })
  const bob = given.cognito.okta.users.find(({ sub }) => sub === 'bob')
  if (bob) bob.groups = ['users', 'admin']
  const { redirectTo } = (await ask(page, '/auth/logout', 'POST')).body
  await page.goto(String(redirectTo))
  await page.goto(`${given.world.origin}/auth/login?return_to=/done&idp=Okta`)
  // Signing out of the application and the pool is none at Okta.
  await page.waitForURL(`${given.world.origin}/done`)
  const second = (await ask(page, '/auth/session')).body
  expect(second).toMatchObject({ user: { groups: expect.arrayContaining(['users', 'admin']) }, roles: ['admin'] })
  expect((second.user as { sub: string }).sub).toBe((first.user as { sub: string }).sub)
})

test('step 5: the code is exchanged on the server alone: S256 and a nonce go out, the browser never asks for a token, and a code works once', async () => {
  await using given = await createAwsWorld()
  await using window = await open(given)
  const { page, asked } = window
  await signIn(page, given)
  const { pool } = given.cognito
  const authorization = asked.find(({ origin, pathname }) => origin === pool.domain && pathname === '/oauth2/authorize')
  expect(Object.fromEntries(authorization?.searchParams ?? [])).toMatchObject({
    response_type: 'code',
    code_challenge_method: 'S256',
    code_challenge: expect.stringMatching(/^[\w-]{43}$/),
    nonce: expect.stringMatching(/^[\w-]{16,}$/),
  })
  expect(asked.filter(({ pathname }) => /token|oauth2\/userInfo/i.test(pathname))).toEqual([])
  expect(pool.domainFaults.count('/oauth2/token')).toBe(1)

  const callback = asked.find(({ origin, pathname }) => origin === given.world.origin && /callback/.test(pathname))
  expect(callback?.searchParams.get('code')).toBeTruthy()
  const context = await chromium.newContext()
  const stolen = await (await context.newPage()).goto(String(callback))
  expect(stolen?.status()).toBe(400)
  await context.close()
  expect(pool.domainFaults.count('/oauth2/token')).toBe(1)
})

test('step 6: calls reach AWS with the user’s role, each user’s own; nothing of the keys is in the browser, and after sign-out nothing is signed', async () => {
  await using given = await createAwsWorld()
  await using ada = await open(given)
  await using bob = await open(given)
  await signIn(ada.page, given, 'ada')
  await signIn(bob.page, given, 'bob')
  const api = given.cognito.aws('execute-api')
  for (const path of ['/prod/a', '/prod/b']) {
    await Promise.all([ask(ada.page, path), ask(bob.page, path)])
  }
  const seen = api.accepted.map((one) => one.roleArn)
  expect(seen.filter((arn) => arn === roleArn('admin'))).toHaveLength(2)
  expect(seen.filter((arn) => arn === roleArn('users'))).toHaveLength(2)
  expect(given.cognito.identityPool.faults.count('GetCredentialsForIdentity')).toBe(2)
  const kept = await ada.page.evaluate('JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie])')
  expect(kept).toBe('[{},{},""]')

  await ask(ada.page, '/auth/logout', 'POST')
  expect((await ask(ada.page, '/prod/a')).status).toBe(401)
  expect(api.received).toHaveLength(4)
})
