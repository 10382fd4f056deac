import { expect, test } from 'vitest'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { createHostileWorld } from './hostile-world.ts'

const minute = 60_000

/** An error that a person sees: a page of ours with this code, that lets nobody frame or keep it, and sets no session. */
function expectErrorPage(page: Page, status: number, code: string): void {
  expect(page.status, page.text).toBe(status)
  expect(page.header('content-type')).toContain('text/html')
  expect(page.text).toContain(code)
  expect(page.header('cache-control')).toBe('no-store')
  expect(page.header('content-security-policy')).toContain("default-src 'none'")
  expect(page.headers('set-cookie').join()).not.toContain('session=')
}

test('FX1 a sign-in makes a new session id, also for the same user, and the one before is dead though Strict hid it', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const before = browser.saved()
  const old = before.cookies()[0]?.value
  expect((await before.fetch('/api/echo')).status).toBe(200)
  await browser.signIn({ as: 'ada' })
  const callback = browser.seen.findLast(({ url }) => url.includes('/auth/callback/'))
  expect(callback?.requestHeaders.cookie).not.toContain('session')
  expect(browser.cookies()[0]?.value).not.toBe(old)
  expect(browser.cookies()[0]?.value.slice(0, 25)).not.toBe(old?.slice(0, 25))
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const refused = await before.fetch('/api/echo')
  expect(refused.status).toBe(401)
  expect(refused.json()).toMatchObject({ code: 'session_expired' })
  expect(world.log.events('session_ended')).toMatchObject([{ reason: 'replaced' }])
})

test('FX1 a sign-in that began by a link on another site ends the hidden session too', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const before = browser.saved()
  const landing = await browser.visit('/auth/login?return_to=/again', { from: 'https://partner.example/' })
  expect(landing.url).toBe(`${world.origin}/again`)
  expect(browser.cookies()).toHaveLength(1)
  expect(browser.cookies()[0]?.value).not.toBe(before.cookies()[0]?.value)
  expect((await before.fetch('/api/echo')).status).toBe(401)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('FX1 a sign-in that fails, or is abandoned, leaves the session alone', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const callback = new URL(await browser.callbackFor({ as: 'ada' }))
  callback.searchParams.set('code', 'wrong')
  expectErrorPage(await browser.visit(callback.href, { from: world.provider.issuer }), 400, 'login_failed')
  await browser.visit('/auth/login', { from: world.origin, follow: false })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.log.events('session_ended')).toEqual([])
})

test('FX1 a session cookie that was planted before the sign-in is not adopted, and ends nobody else’s session', async () => {
  await using world = await createWorld()
  const victim = await world.signedIn({ browser: 'victim' })
  const [, id, generation] = victim.cookies()[0]?.value.split('.') ?? []
  // The id of the victim's session is no secret of the kind that ends it.
  const planted = `__Host-Http-session=v1.${id}.${generation}.${'A'.repeat(43)}`
  const attacker = world.browser('attacker')
  const login = await attacker.visit('/auth/login', {
    from: world.origin,
    follow: false,
    headers: { cookie: planted },
  })
  const page = await attacker.visit(login.location ?? '', { from: world.origin })
  await attacker.submit(page, { button: 'eve' })
  expect((await attacker.fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'eve' } })
  expect(attacker.cookies()[0]?.value).not.toContain(id)
  expect((await victim.fetch('/api/echo')).status).toBe(200)
})

test('FX2 a callback address stolen from the victim is useless in another browser, and the victim still signs in', async () => {
  await using world = await createWorld()
  const victim = world.browser('victim')
  const callback = await victim.callbackFor({ as: 'ada' })
  const attacker = world.browser('attacker')
  for (const from of [world.provider.issuer, world.origin, undefined]) {
    expectErrorPage(await attacker.visit(callback, from ? { from } : {}), 400, 'login_state_mismatch')
  }
  const scripted = await attacker.fetch(callback)
  expect(scripted.status).toBe(400)
  expect(scripted.header('content-type')).toBe('application/problem+json')
  expect(scripted.json()).toMatchObject({ code: 'login_state_mismatch' })
  expect(world.provider.tokenRequests).toBe(0)
  expect(attacker.cookies()).toEqual([])

  expect((await victim.visit(callback, { from: world.provider.issuer })).status).toBe(200)
  expect((await victim.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
})

test('FX2 login CSRF: the attacker’s own callback, opened by the victim, signs the victim in to nothing', async () => {
  await using world = await createWorld()
  const callback = await world.browser('attacker').callbackFor({ as: 'eve' })
  const victim = world.browser('victim')
  // The victim has a sign-in under way, too: one browser's sign-in does not answer for another's.
  await victim.startLogin()
  expectErrorPage(await victim.visit(callback, { from: 'https://evil.example/' }), 400, 'login_state_mismatch')
  expect(world.provider.tokenRequests).toBe(0)
  const signedIn = await world.signedIn({ browser: 'signed-in' })
  await signedIn.visit(callback, { from: 'https://evil.example/' })
  expect((await signedIn.fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'ada' } })
})

test('FX2 code injection: a stolen code in a sign-in of the attacker’s own fails at the provider, by PKCE', async () => {
  await using world = await createWorld()
  const stolen = new URL(await world.browser('victim').callbackFor({ as: 'ada' })).searchParams.get('code') ?? ''
  const attacker = world.browser('attacker')
  const own = new URL(await attacker.callbackFor({ as: 'eve' }))
  own.searchParams.set('code', stolen)
  expectErrorPage(await attacker.visit(own.href, { from: world.provider.issuer }), 400, 'login_failed')
  expect(attacker.cookies()).toEqual([])
  expect(world.provider.codesRedeemed).toBe(0)
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('invalid_grant')
})

test('FX2 a login cookie moved to another sign-in’s name, or changed by a bit, opens nothing', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const one = await browser.callbackFor({ as: 'ada' })
  const two = await browser.callbackFor({ as: 'ada' })
  const [first, second] = browser.cookies().filter(({ key }) => key.startsWith('__Host-login-'))
  const other = world.browser('other')
  const sealed = first?.value ?? ''
  const flipped = `${sealed.slice(0, -2)}${sealed.at(-2) === 'A' ? 'B' : 'A'}${sealed.at(-1)}`
  const forged = [
    `${first?.key}=${second?.value}; ${second?.key}=${first?.value}`,
    `${first?.key}=${flipped}; ${second?.key}=${flipped}`,
    `${first?.key}=${sealed}; ${first?.key}=${sealed}; ${second?.key}=${second?.value}; ${second?.key}=x`,
    `${first?.key}=; ${second?.key}=.`,
  ]
  for (const cookie of forged) {
    for (const callback of [one, two]) {
      const page = await other.visit(callback, { from: world.provider.issuer, headers: { cookie } })
      expectErrorPage(page, 400, 'login_state_mismatch')
    }
  }
  expect(world.provider.tokenRequests).toBe(0)
})

test('CB1 unknown, missing, cut, foreign, used and expired states: 400, and no token request', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  const state = new URL(callback).searchParams.get('state') ?? ''
  const withState = (value: string | undefined) => {
    const url = new URL(callback)
    if (value === undefined) url.searchParams.delete('state')
    else url.searchParams.set('state', value)
    return url.href
  }
  const wrong = [
    undefined,
    '',
    'x',
    state.slice(0, -1),
    `${state}A`,
    // The id of this browser's own cookie, and not the secret: the cookie is found, and does not match.
    state.slice(0, 12) + 'A'.repeat(43),
    state.toUpperCase(),
    `${state.slice(0, 12)}${state.slice(12).split('').reverse().join('')}`,
    '../'.repeat(20),
    '__proto__',
  ]
  for (const value of wrong) {
    const page = await browser.visit(withState(value), { from: world.provider.issuer })
    expectErrorPage(page, 400, 'login_state_mismatch')
    expect(page.text).not.toContain(state)
  }
  expect(world.provider.tokenRequests).toBe(0)

  const saved = browser.saved()
  expect((await browser.visit(callback, { from: world.provider.issuer })).status).toBe(200)
  expect(world.provider.tokenRequests).toBe(1)
  // Used, in a browser that kept the cookie: a copy of the cookie jar from before is worth nothing after.
  expectErrorPage(await saved.visit(callback, { from: world.provider.issuer }), 400, 'login_state_mismatch')
  expectErrorPage(await saved.visit(callback), 400, 'login_state_mismatch')
  expect(world.provider.tokenRequests).toBe(1)
})

test('CB1 a state expires on the server: a browser that keeps the cookie past its time completes nothing', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  const cookie = browser.cookies().map((one) => one.cookieString())
  world.clock.advance(10 * minute)
  const late = await browser.visit(callback, { from: world.provider.issuer, headers: { cookie: cookie.join('; ') } })
  expectErrorPage(late, 400, 'login_state_mismatch')
  expect(world.provider.tokenRequests).toBe(0)
})

test('CB1 two requests with one callback at the same moment: one token request, one session', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  const twin = browser.saved()
  const pages = await Promise.all(
    [browser, twin].map((one) => one.visit(callback, { from: world.provider.issuer, follow: false })),
  )
  expect(pages.map(({ status }) => status).sort()).toEqual([303, 400])
  expect(world.provider.tokenRequests).toBe(1)
  expect(world.log.events('session_created')).toHaveLength(1)
})

test('CB1 peers 4: a late callback in a browser that is signed in goes on to a local page; no token request', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  await browser.visit(callback, { from: world.provider.issuer })
  const redeemed = world.provider.tokenRequests

  // Reloaded, from the history, or from the address bar: the session shows.
  for (const options of [{}, { from: world.origin }]) {
    const page = await browser.visit(callback, { ...options, follow: false })
    expect(page.status).toBe(303)
    expect(page.header('location')).toBe('/')
  }
  // From the provider's site Strict hides it at first: the page looks again by itself.
  for (const url of [callback, `${world.origin}/auth/callback/corp?state=invented&code=x`]) {
    const before = browser.seen.length
    const landing = await browser.visit(url, { from: world.provider.issuer })
    expect(landing.url).toBe(`${world.origin}/`)
    expect(landing.status).toBe(200)
    expect(browser.seen.slice(before).map(({ status }) => status)).toEqual([400, 303, 200])
  }
  expect(world.provider.tokenRequests).toBe(redeemed)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('CB1 peers 4: a callback that arrives twice (a double click at the provider) ends signed in, not with an error', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada' })
  const cookie = browser.cookies().map((one) => one.cookieString())
  await browser.visit(callback, { from: world.provider.issuer })
  // The second request left the browser before the first was answered: the login cookie was still there, no session was.
  const second = { from: world.provider.issuer, headers: { cookie: cookie.join('; ') }, follow: false }
  const refused = await browser.visit(callback, second)
  expectErrorPage(refused, 400, 'login_state_mismatch')
  expect(refused.text).toContain('http-equiv="refresh"')
  const refresh = /url=([^"]+)/.exec(refused.text)?.[1] ?? ''
  const landing = await browser.visit(refresh, { from: callback })
  expect(landing.url).toBe(`${world.origin}/`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('CB1 the page that looks again stops after one look when there is no session: no loop', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const page = await browser.visit('/auth/callback/corp?state=unknown', { from: world.provider.issuer })
  expectErrorPage(page, 400, 'login_state_mismatch')
  expect(browser.seen).toHaveLength(2)
  expect(page.text).not.toContain('http-equiv="refresh"')
})

test('CB2 RFC 9207: an iss that is another’s, or missing though promised: refused before any token request', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  for (const callbackIss of ['https://evil.example', `${provider.issuer}/`, provider.issuer.toUpperCase(), '', null]) {
    hostile.twist({ callbackIss })
    const page = await hostile.signIn('user')
    expectErrorPage(page, 400, 'login_failed')
    expect(world.browser().cookies(), String(callbackIss)).toEqual([])
  }
  expect(provider.tokenRequests).toBe(0)
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('iss')
  hostile.twist({})
  expect((await hostile.signIn('user')).status).toBe(200)
})

test('CB2 an error in the name of another issuer is not believed either: the iss comes first', async () => {
  await using hostile = await createHostileWorld()
  hostile.twist({ callbackIss: 'https://evil.example', callbackError: { error: 'temporarily_unavailable' } })
  expectErrorPage(await hostile.signIn(), 400, 'login_failed')
})

test('CB2 a provider that never promised iss may leave it out, and is held to it when it sends one', async () => {
  await using hostile = await createHostileWorld()
  const metadata = { authorization_response_iss_parameter_supported: undefined }
  hostile.twist({ metadata, callbackIss: 'https://evil.example' })
  expectErrorPage(await hostile.signIn(), 400, 'login_failed')
  expect(hostile.provider.tokenRequests).toBe(0)
  hostile.twist({ metadata, callbackIss: null })
  expect((await hostile.signIn()).status).toBe(200)
})

test('CB2 mix-up: a hostile provider passes the browser on to the honest one; the honest code goes to neither', async () => {
  await using hostile = await createHostileWorld({ providers: ['corp'] })
  const { world } = hostile
  const corp = world.providerNamed('corp')
  const victim = world.browser('victim')
  const begun = await victim.visit('/auth/login?provider=evil', { from: world.origin, follow: false })
  const asked = new URL(begun.location ?? '')
  // The attacker rewrites the request: the honest provider's client and redirect URI, the sign-in's own state and challenge.
  const passedOn = new URL(`${corp.issuer}/auth`)
  for (const [name, value] of asked.searchParams) passedOn.searchParams.set(name, value)
  passedOn.searchParams.set('client_id', clientOf('corp').clientId)
  passedOn.searchParams.set('redirect_uri', `${world.origin}/auth/callback/corp`)
  const page = await victim.visit(passedOn.href, { from: hostile.provider.issuer })
  const isCallback = (url: URL) => url.pathname.startsWith('/auth/callback/')
  const { location = '' } = await victim.submit(page, { button: 'ada', stopBefore: isCallback })
  expect(location).toContain('/auth/callback/corp?')
  expectErrorPage(await victim.visit(location, { from: corp.issuer }), 400, 'login_state_mismatch')

  // The same answer, bent to the redirect URI of the provider where the sign-in began.
  const bent = new URL(location)
  bent.pathname = '/auth/callback/evil'
  expectErrorPage(await victim.visit(bent.href, { from: corp.issuer }), 400, 'login_failed')
  expect(corp.tokenRequests).toBe(0)
  expect(hostile.provider.tokenRequests).toBe(0)
  expect(victim.cookies()).toEqual([])
})

test('CB2 a callback at the path of another provider, or of none, completes nothing', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada', provider: 'corp' })
  const at = (name: string) =>
    browser.visit(callback.replace('/callback/corp', `/callback/${name}`), { from: 'https://x.example' })
  expectErrorPage(await at('partner'), 400, 'login_state_mismatch')
  for (const name of ['nobody', '__proto__', 'constructor', 'Corp']) expectErrorPage(await at(name), 404, 'not_found')
  expect(world.providerNamed('corp').tokenRequests).toBe(0)
  expect(world.providerNamed('partner').tokenRequests).toBe(0)
  expect((await browser.visit(callback, { from: world.providerNamed('corp').issuer })).status).toBe(200)
})

test('CB3 a parameter given twice is refused, with nothing asked of the provider; the honest callback still works', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const browser = world.browser()
  const begun = await browser.visit('/auth/login', { from: world.origin, follow: false })
  const callback = provider.authorizeRedirect(begun.location ?? '')
  const state = new URL(callback).searchParams.get('state') ?? ''
  const doubled = [
    '&code=other',
    `&state=${state}`,
    '&state=other',
    `&iss=${encodeURIComponent(provider.issuer)}`,
    '&c%6fde=other',
    '&x=1&x=1',
  ]
  for (const more of doubled) {
    const page = await browser.visit(callback + more, { from: provider.issuer })
    expectErrorPage(page, 400, 'bad_request')
  }
  expect(provider.tokenRequests).toBe(0)
  expect((await browser.visit(callback, { from: provider.issuer })).status).toBe(200)
})

test('CB3 a code beside an error, a token, an ID token or a signed response: refused, and the code stays unspent', async () => {
  await using hostile = await createHostileWorld()
  const mixed: [string, string][] = [
    ['error', 'access_denied'],
    ['id_token', 'eyJhbGciOiJub25lIn0.e30.'],
    ['token', 'x'],
    ['response', 'eyJhbGciOiJub25lIn0.e30.'],
  ]
  for (const extra of mixed) {
    hostile.twist({ callbackExtra: [extra] })
    expectErrorPage(await hostile.signIn(), 400, 'login_failed')
  }
  expect(hostile.provider.tokenRequests).toBe(0)
})

test('CB3 LG2 the callback ends in a 303 to a clean address; code, state, nonce, verifier and tokens are in no log line', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const callback = await browser.callbackFor({ as: 'ada', returnTo: '/welcome' })
  const page = await browser.visit(callback, { from: world.provider.issuer, follow: false })
  expect(page.status).toBe(303)
  expect(page.header('location')).toBe('/welcome')
  expect(page.header('cache-control')).toBe('no-store')
  expect(page.header('referrer-policy')).toBe('no-referrer')
  expect(page.text).toBe('')
  const session = browser.cookies()[0]?.value ?? 'none'
  // Failures write the most: the same callback again, a wrong code, a doubled one, another browser.
  const again = await browser.callbackFor({ as: 'ada' })
  await browser.visit(`${again}&code=second`, { from: world.provider.issuer })
  await world.browser('other').visit(again, { from: world.provider.issuer })
  await world.provider.down()
  await browser.visit(again, { from: world.provider.issuer })
  await world.provider.up()

  const { searchParams: asked } = new URL(callback)
  const secrets = [
    ...world.provider.issuedCodes,
    ...world.provider.issuedTokens,
    ...world.provider.authorizations.flatMap((one) => [one.get('state'), one.get('nonce')]),
    world.provider.at('/token')[0]?.params.get('code_verifier'),
    asked.get('code'),
    session,
    session.split('.')[1],
    session.split('.')[3],
    clientOf('corp').clientSecret,
  ]
  expect(secrets.length).toBeGreaterThanOrEqual(13)
  const log = world.log.text()
  expect(log.length).toBeGreaterThan(500)
  for (const secret of secrets) {
    expect(secret).toBeTruthy()
    expect(log.includes(String(secret)), String(secret)).toBe(false)
  }
})

test('the provider refused: 400 login_failed, a friendly page that repeats nothing of what the provider said; the log has it, escaped', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const error_description = '<script>alert(1)</script>\r\n{"level":"info"}\u202egnp.exe'
  for (const error of ['access_denied', 'login_required', 'invalid_request', '"><img src=x onerror=alert(1)>']) {
    hostile.twist({ callbackError: { error, error_description } })
    const page = await hostile.signIn('user')
    expectErrorPage(page, 400, 'login_failed')
    expect(withoutRequestId(page.text)).not.toMatch(/alert|<script|onerror|gnp\.exe/)
    if (/^\w+$/.test(error)) expect(page.text).not.toContain(error)
    expect(page.text).toContain('href="/auth/login?return_to=%2F"')
    expect(world.browser().cookies()).toEqual([])
  }
  expect(provider.tokenRequests).toBe(0)
  const [line] = world.log.events('authn_login_fail')
  expect(line).toMatchObject({ code: 'login_failed', provider: 'evil' })
  expect(String(line?.reason)).toContain('access_denied')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there
  expect(String(line?.reason)).not.toMatch(/[\x00-\x1f\u202e]/)
})

test('the provider is out of order and says so: 503 provider_unavailable with Retry-After, and the session before lives on', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  await hostile.signIn('user')
  for (const error of ['server_error', 'temporarily_unavailable']) {
    hostile.twist({ callbackError: { error, error_description: '<b>maintenance</b>' } })
    const page = await hostile.signIn('user')
    expectErrorPage(page, 503, 'provider_unavailable')
    expect(page.header('retry-after')).toMatch(/^\d+$/)
    expect(page.text).not.toContain('maintenance')
    expect(
      world
        .browser()
        .cookies()
        .map(({ key }) => key),
    ).toEqual(['__Host-Http-session'])
  }
  expect((await world.browser().fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('a failed callback is a page to a navigation and a problem document to a script, alike in all else', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  hostile.twist({ callbackError: { error: 'access_denied' } })
  const browser = world.browser()
  const begun = await browser.visit('/auth/login', { from: world.origin, follow: false })
  const callback = provider.authorizeRedirect(begun.location ?? '')
  const scripted = await browser.fetch(callback)
  expect(scripted.status).toBe(400)
  expect(scripted.header('content-type')).toBe('application/problem+json')
  expect(scripted.json()).toEqual({
    type: 'urn:coatcheck:error:login_failed',
    title: expect.any(String),
    status: 400,
    code: 'login_failed',
    detail: expect.any(String),
    requestId: expect.any(String),
  })
  expect(browser.cookies()).toEqual([])
})

test('a callback without code and without error, or with an empty code, is refused', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  for (const change of ['delete', 'empty'] as const) {
    const callback = new URL(await browser.callbackFor({ as: 'ada' }))
    if (change === 'delete') callback.searchParams.delete('code')
    else callback.searchParams.set('code', '')
    expectErrorPage(await browser.visit(callback.href, { from: world.provider.issuer }), 400, 'login_failed')
  }
  expect(world.provider.tokenRequests).toBe(0)
  expect(browser.cookies()).toEqual([])
})
