import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { ninaPassword } from '../../../testkit/src/cognito.ts'
import { accountScope, createCognitoWorld, nina } from './cognito-world.ts'

const provider = { identityProviders: ['Okta'], scope: `openid profile email ${accountScope}` }
const better = 'Nina-Pass-2'
const minute = 60_000

const change = (browser: Browser, body: unknown, method = 'POST', path = '/auth/password') =>
  browser.fetch(path, { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
const passwords = (currentPassword: string, newPassword: string) => ({ currentPassword, newPassword })

describe('change of the password', () => {
  test('a native user changes their password, and signs in with the new one from then on', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const answer = await change(browser, passwords(ninaPassword, better))
    expect([answer.status, answer.text]).toEqual([204, ''])
    expect((await browser.fetch('/api/echo')).status, 'this session goes on').toBe(200)
    expect((await given.signIn({ ...nina, browser: 'old' })).page.status).toBe(401)
    expect((await given.signIn({ ...nina, password: better, browser: 'new' })).page.status).toBe(200)
    const log = given.world.log.text()
    expect(log).toContain('authn_password_change')
    for (const secret of [ninaPassword, better]) expect(log).not.toContain(secret)
  })

  test.each([
    ['another current password', passwords('Wrong-Pass-1', better), /^Incorrect username or password\.$/],
    ['a new one that breaks the policy', passwords(ninaPassword, 'short'), /^Password did not conform with policy: /],
  ])('%s: 400 with the reason of the pool', async (_, body, reason) => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const answer = await change(browser, body)
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'password_rejected', reason: expect.stringMatching(reason) })
    expect(given.world.log.text()).not.toContain(body.currentPassword)
  })

  test('SA1 an authentication older than five minutes is not enough; after a step-up it is', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    given.world.clock.advance(6 * minute)
    const refused = await change(browser, passwords(ninaPassword, better))
    expect(refused.status).toBe(401)
    expect(refused.header('www-authenticate')).toContain('max_age="300"')
    const { code, stepUpUrl } = refused.json<{ code: string; stepUpUrl: string }>()
    expect(code).toBe('step_up_required')
    expect(given.cognito.pool.apiFaults.count('ChangePassword')).toBe(0)
    const login = await browser.visit(stepUpUrl, { from: given.world.origin })
    await browser.submit(login, { button: 'signIn', fields: { username: 'nina', password: ninaPassword } })
    expect((await change(browser, passwords(ninaPassword, better))).status).toBe(204)
  })

  test('a federated user has no password here, and is not sent to sign in again for that', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    given.world.clock.advance(6 * minute)
    const answer = await change(browser, passwords('a', 'b'))
    expect([answer.status, answer.json().code]).toEqual([403, 'access_denied'])
    expect(given.cognito.pool.apiFaults.count('ChangePassword')).toBe(0)
  })

  test('without the scope, and at a provider that is no user pool: 403', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
    const { browser } = await given.signIn(nina)
    expect((await change(browser, passwords(ninaPassword, better))).status).toBe(403)
    const corp = await given.world.signedIn({ browser: 'corp', provider: 'corp' })
    expect((await change(corp, passwords(ninaPassword, better))).status).toBe(403)
    expect(given.cognito.pool.apiFaults.count('ChangePassword')).toBe(0)
  })

  test('an access token that the pool takes no more is no wrong password: sign in again', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    given.cognito.pool.globalSignOut('nina')
    const answer = await change(browser, passwords(ninaPassword, better))
    expect([answer.status, answer.json().code]).toEqual([401, 'login_required'])
    expect((await browser.fetch('/auth/attributes')).json()).toMatchObject({ code: 'login_required' })
  })

  test('where the pool does not say which of the two it is, it is the password', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    given.cognito.pool.apiFaults.add({ kind: 'fail', status: 500 }, { operation: 'GetUser' })
    const answer = await change(browser, passwords('Wrong-Pass-1', better))
    expect([answer.status, answer.json().code]).toEqual([400, 'password_rejected'])
  })

  test('a pool that is down is no refusal, and one that has enough says when to come back', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const { apiFaults } = given.cognito.pool
    apiFaults.add({ kind: 'fail', status: 500 }, { operation: 'ChangePassword', times: 1 })
    const down = await change(browser, passwords(ninaPassword, better))
    expect([down.status, down.json().code]).toEqual([503, 'provider_unavailable'])
    apiFaults.throttle({ operation: 'ChangePassword', times: 1 })
    const busy = await change(browser, passwords(ninaPassword, better))
    expect([busy.status, busy.header('retry-after')]).toEqual([429, '60'])
    expect((await change(browser, passwords(ninaPassword, better))).status).toBe(204)
  })

  test('CS1 nobody without a session, and no other site: a script of this origin only', async () => {
    await using given = await createCognitoWorld({ provider })
    expect((await change(given.world.browser('nobody'), passwords('a', 'b'))).status).toBe(401)
    const { browser } = await given.signIn(nina)
    const body = JSON.stringify(passwords(ninaPassword, better))
    const headers = { 'content-type': 'application/json' }
    const forged = { method: 'POST', body, headers }
    expect((await browser.fetch('/auth/password', { ...forged, csrf: false })).status).toBe(403)
    expect((await browser.fetch('/auth/password', { ...forged, from: 'https://evil.example' })).status).toBe(403)
    expect(given.cognito.pool.apiFaults.count('ChangePassword')).toBe(0)
  })

  test.each([
    ['a form', 'currentPassword=a&newPassword=b', 'application/x-www-form-urlencoded'],
    ['a member twice', '{"currentPassword":"a","currentPassword":"b","newPassword":"c"}', 'application/json'],
    ['a list', '[]', 'application/json'],
    ['no text', '{"currentPassword":1,"newPassword":"c"}', 'application/json'],
    ['an empty one', '{"currentPassword":"a","newPassword":""}', 'application/json'],
    ['more than was asked', '{"currentPassword":"a","newPassword":"b","user":"ada"}', 'application/json'],
  ])('%s is refused before the pool hears of it', async (_, body, type) => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const answer = await browser.fetch('/auth/password', { method: 'POST', headers: { 'content-type': type }, body })
    expect([answer.status, answer.json().code]).toEqual([400, 'bad_request'])
    expect(given.cognito.pool.apiFaults.count('ChangePassword')).toBe(0)
  })
})

describe('attributes', () => {
  test('a user reads and changes what the pool keeps of them, soon after the sign-in', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    expect((await browser.fetch('/auth/attributes')).json()).toMatchObject({
      username: 'nina',
      attributes: { email: 'nina@example.com', name: 'Nina Native' },
    })
    const update = { name: 'Nina Renamed', 'custom:department': 'Sales' }
    expect((await change(browser, update, 'PATCH', '/auth/attributes')).status).toBe(204)
    expect((await browser.fetch('/auth/attributes')).json()).toMatchObject({ attributes: update })
    given.world.clock.advance(6 * minute)
    expect((await browser.fetch('/auth/attributes')).json()).toMatchObject({ code: 'step_up_required' })
    expect((await change(browser, update, 'PATCH', '/auth/attributes')).json()).toMatchObject({
      code: 'step_up_required',
    })
  })

  test.each([
    ['one that nobody may write', { email_verified: 'true' }, 'unauthorized attribute: email_verified'],
    ['one that the pool does not have', { 'custom:rank': 'boss' }, 'custom:rank: Attribute does not exist'],
  ])('%s: 400 with the reason of the pool', async (_, body, reason) => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const answer = await change(browser, body, 'PATCH', '/auth/attributes')
    expect(answer.status).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'attributes_rejected', reason: expect.stringContaining(reason) })
  })

  test('an address that somebody else has is refused without saying so', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const message = 'An account with the email already exists.'
    const fault = { kind: 'fail', status: 400, code: 'AliasExistsException', message } as const
    given.cognito.pool.apiFaults.add(fault, { operation: 'UpdateUserAttributes' })
    const answer = await change(browser, { email: 'ada@example.com' }, 'PATCH', '/auth/attributes')
    expect(answer.json()).toMatchObject({ code: 'attributes_rejected', reason: 'The user pool does not accept it.' })
    expect(answer.text).not.toContain('exists')
  })

  test.each([['{}'], ['{"name":null}'], ['{"a b":"x"}'], ['{"name":["x"]}']])('%s is no change: 400', async (body) => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    const headers = { 'content-type': 'application/json' }
    expect((await browser.fetch('/auth/attributes', { method: 'PATCH', headers, body })).status).toBe(400)
    expect(given.cognito.pool.apiFaults.count('UpdateUserAttributes')).toBe(0)
  })
})

describe('LO6 signing out everywhere', () => {
  const everywhere = (browser: Browser) => browser.fetch('/auth/logout?everywhere=1', { method: 'POST' })

  test('ends the user’s sessions at the pool too', async () => {
    await using given = await createCognitoWorld({ provider })
    const phone = (await given.signIn({ ...nina, browser: 'phone' })).browser
    const { browser } = await given.signIn(nina)
    expect((await everywhere(browser)).status).toBe(200)
    expect(given.cognito.pool.apiFaults.calls.find((call) => call.operation === 'GlobalSignOut')?.status).toBe(200)
    for (const one of [phone, browser]) {
      expect((await one.fetch('/auth/session')).json()).toEqual({ authenticated: false })
    }
  })

  test('wants a recent sign-in, since it reaches beyond this application; a plain sign-out does not', async () => {
    await using given = await createCognitoWorld({ provider })
    const { browser } = await given.signIn(nina)
    given.world.clock.advance(6 * minute)
    expect((await everywhere(browser)).json()).toMatchObject({
      code: 'step_up_required',
      stepUpUrl: expect.any(String),
    })
    expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  })

  test('a pool that is down holds nobody: all sessions here are over', async () => {
    await using given = await createCognitoWorld({ provider })
    const phone = (await given.signIn({ ...nina, browser: 'phone' })).browser
    const { browser } = await given.signIn(nina)
    given.cognito.pool.apiFaults.add({ kind: 'fail', status: 500 }, { operation: 'GlobalSignOut' })
    expect((await everywhere(browser)).status).toBe(200)
    expect((await phone.fetch('/auth/session')).json()).toEqual({ authenticated: false })
    expect(given.world.log.text()).toContain('signed out everywhere here only')
  })

  test('without the scope the pool is not asked', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
    const { browser } = await given.signIn(nina)
    given.world.clock.advance(6 * minute)
    expect((await everywhere(browser)).status).toBe(200)
    expect(given.cognito.pool.apiFaults.count('GlobalSignOut')).toBe(0)
  })
})
