import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { formsOf } from '../../../testkit/src/html.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { REPOST_SCRIPT } from '../../src/protocol/repost-page.ts'
import { createHostileWorld, type HostileWorld } from './hostile-world.ts'

const formPost = { authorizationParams: { response_mode: 'form_post' } }
const corpPosts = { config: { providers: { corp: formPost } } }
const evilPosts = { config: { providers: { evil: formPost } } }
const urlencoded = { 'content-type': 'application/x-www-form-urlencoded' }

/** A sign-in up to where the provider's page would post: the fields, in the browser that began it. */
async function answered({ world, provider }: HostileWorld, name = 'user', query = '') {
  const browser = world.browser(name)
  const begun = await browser.visit(`/auth/login?provider=evil${query}`, { from: world.origin, follow: false })
  const { parameters } = await provider.authorize(begun.location ?? '')
  return { browser, fields: parameters }
}

/** As the provider's page posts it: from another site. */
const posting = ({ provider }: HostileWorld, body: URLSearchParams | string | Uint8Array, headers = {}) => ({
  method: 'POST',
  from: `${provider.issuer}/authorize`,
  body,
  headers: { ...(body instanceof URLSearchParams ? {} : urlencoded), ...headers },
})

function expectErrorPage(page: Page, status: number, code: string, what = ''): void {
  expect(page.status, `${what} ${page.text}`).toBe(status)
  expect(page.header('content-type'), what).toContain('text/html')
  expect(page.text, what).toContain(`<code>${code}</code>`)
  expect(page.headers('set-cookie').join(), what).not.toContain('session=')
  expect(page.forms, what).toEqual([])
}

test('CB3 form_post: the code comes by a form, is posted once more from here, and stands in no address, history or log', async () => {
  await using world = await createWorld(corpPosts)
  const browser = world.browser()
  const landing = await browser.signIn({ as: 'ada', returnTo: '/welcome?x=1' })
  expect(landing.url).toBe(`${world.origin}/welcome?x=1`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
  expect(world.provider.authorizations[0]?.get('response_mode')).toBe('form_post')

  const trip = browser.seen.filter(({ url }) => url.includes('/auth/callback/'))
  expect(
    trip.map(({ method, url, status }) => `${method} ${new URL(url).pathname + new URL(url).search} ${status}`),
  ).toEqual(['POST /auth/callback/corp 200', 'POST /auth/callback/corp?again=1 303'])
  // Lax hid the cookie from the first post, and showed it to the second.
  const [first, second] = trip
  expect(first?.requestHeaders).toMatchObject({ 'sec-fetch-site': 'cross-site' })
  expect(first?.requestHeaders.cookie).toBeUndefined()
  expect(second?.requestHeaders).toMatchObject({ 'sec-fetch-site': 'same-origin' })
  expect(second?.requestHeaders.cookie).toContain('__Host-login-')
  expect(browser.cookies().map(({ key }) => key)).toEqual(['__Host-Http-session'])

  const [code = 'none'] = world.provider.issuedCodes
  const state = world.provider.authorizations[0]?.get('state') ?? 'none'
  for (const { url, requestHeaders, rawHeaders } of browser.seen) {
    for (const text of [url, requestHeaders.referer ?? '', rawHeaders.join('\n')]) expect(text).not.toContain(code)
  }
  expect(world.provider.tokenRequests).toBe(1)
  for (const secret of [code, state]) expect(world.log.text()).not.toContain(secret)
})

test('FX1 form_post: the session that the sign-in replaces dies, here as with query', async () => {
  await using world = await createWorld(corpPosts)
  const browser = await world.signedIn()
  const before = browser.saved()
  await browser.signIn({ as: 'ada' })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect((await before.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
  expect(browser.cookies()).toHaveLength(1)
})

test('CB3 form_post from a provider of the same site: the cookie comes along, and one post is enough', async () => {
  await using hostile = await createHostileWorld({ ...evilPosts, host: 'localhost' })
  const { browser, fields } = await answered(hostile)
  const page = await browser.visit('/auth/callback/evil', { ...posting(hostile, fields), follow: false })
  expect(page.status).toBe(303)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('FX2 form_post: fields that were stolen on their way are worth nothing in another browser; it posts once and stops', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  const { browser, fields } = await answered(hostile, 'victim')
  const thief = world.browser('thief')
  const page = await thief.visit('/auth/callback/evil', posting(hostile, fields))
  expectErrorPage(page, 400, 'login_state_mismatch')
  expect(thief.seen.map(({ status }) => status)).toEqual([200, 400])
  // Marked as posted again though it comes from elsewhere: the mark only takes chances away.
  const marked = await world.browser('marked').visit('/auth/callback/evil?again=1', posting(hostile, fields))
  expectErrorPage(marked, 400, 'login_state_mismatch')
  expect(provider.tokenRequests).toBe(0)
  expect((await browser.visit('/auth/callback/evil', posting(hostile, fields))).status).toBe(200)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('CB3 form_post without Fetch Metadata: the mark in the address alone ends it, so that an older browser does not post for ever', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world } = hostile
  const { fields } = await answered(hostile)
  const post = (target: string) => {
    const head = [
      `POST ${target} HTTP/1.1`,
      `Host: ${new URL(world.origin).host}`,
      'Connection: close',
      'Accept: text/html',
    ]
    const type = `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${fields.toString().length}`
    return rawRequest(world.port, `${head.join('\r\n')}\r\n${type}\r\n\r\n${fields}`)
  }
  const first = await post('/auth/callback/evil')
  expect([statusesOf(first), formsOf(first)[0]?.action]).toEqual([[200], '/auth/callback/evil?again=1'])
  const second = await post('/auth/callback/evil?again=1')
  expect([statusesOf(second), formsOf(second)]).toEqual([[400], []])
})

test('CB1 form_post: posted twice, late, or with a state of nobody: no second token request; who is signed in goes on', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { provider } = hostile
  const { browser, fields } = await answered(hostile)
  const saved = browser.saved()
  await browser.visit('/auth/callback/evil', posting(hostile, fields))
  expect(provider.tokenRequests).toBe(1)
  const late = await browser.visit('/auth/callback/evil', posting(hostile, fields))
  expect([late.status, late.url]).toEqual([200, `${hostile.world.origin}/`])
  expectErrorPage(await saved.visit('/auth/callback/evil', posting(hostile, fields)), 400, 'login_state_mismatch')
  const invented = new URLSearchParams({ code: 'x', state: 'y' })
  const stranger = hostile.world.browser('stranger')
  expectErrorPage(await stranger.visit('/auth/callback/evil', posting(hostile, invented)), 400, 'login_state_mismatch')
  expect(provider.tokenRequests).toBe(1)
})

test('CB3 form_post: a form that is not exactly a form is 400, changes nothing, and the honest one still works', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  const { browser, fields } = await answered(hostile)
  const honest = fields.toString()
  const bad: [what: string, body: string | Uint8Array, headers?: Record<string, string>][] = [
    ['a code given twice', `${honest}&code=other`],
    ['a code given twice, spelled otherwise', `${honest}&c%6fde=other`],
    ['a state given twice', `${honest}&state=${fields.get('state')}`],
    ['any field given twice', `${honest}&x=1&x=1`],
    ['JSON', JSON.stringify(Object.fromEntries(fields)), { 'content-type': 'application/json' }],
    ['plain text', honest, { 'content-type': 'text/plain' }],
    ['multipart', honest, { 'content-type': 'multipart/form-data; boundary=x' }],
    ['two types', honest, { 'content-type': 'application/x-www-form-urlencoded, text/plain' }],
    ['another charset', honest, { 'content-type': 'application/x-www-form-urlencoded; charset=utf-7' }],
    ['no type', honest, { 'content-type': '' }],
    ['bytes that are no text', Buffer.from([...Buffer.from(`${honest}&x=`), 0xff, 0xfe])],
    ['more than a form holds', `${honest}&pad=${'x'.repeat(17_000)}`],
  ]
  for (const [what, body, headers] of bad) {
    for (const address of ['/auth/callback/evil', '/auth/callback/evil?again=1']) {
      expectErrorPage(await browser.visit(address, posting(hostile, body, headers)), 400, 'bad_request', what)
    }
  }
  for (const query of ['?code=x', '?state=y', `?${honest}`, '?again=2', '?again=1&again=1', '?again=1&code=x']) {
    expectErrorPage(
      await browser.visit(`/auth/callback/evil${query}`, posting(hostile, fields)),
      400,
      'bad_request',
      query,
    )
  }
  expect((await browser.visit('/auth/callback/evil', posting(hostile, 'x'.repeat(70_000)))).status).toBe(413)
  const refused = world.log.lines.filter(({ code }) => code === 'bad_request')
  expect(refused).toHaveLength(30)
  for (const line of refused) expect(line.reason).toBeTruthy()
  expect(world.log.text()).not.toContain(fields.get('code'))
  expect(provider.tokenRequests).toBe(0)
  expect(world.log.events('session_created')).toEqual([])
  expect((await browser.visit('/auth/callback/evil', posting(hostile, fields))).status).toBe(200)
  expect(provider.codesRedeemed).toBe(1)
})

test('CB3 form_post errors: access_denied is 400 and leads back to the same page, an outage is 503, a silent refusal is no error', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  hostile.twist({ callbackError: { error: 'access_denied', error_description: '<script>alert(1)</script>' } })
  const refused = await world.browser().visit('/auth/login?return_to=/orders?x=1', { from: world.origin })
  expect(refused.url).toBe(`${world.origin}/auth/callback/evil?again=1`)
  expectErrorPage(refused, 400, 'login_failed')
  expect(refused.text).not.toContain('alert')
  expect(refused.text).toContain('<a class="button" href="/auth/login?return_to=%2Forders%3Fx%3D1">Start again</a>')
  expect(world.browser().cookies()).toEqual([])
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('access_denied')

  hostile.twist({ callbackError: { error: 'temporarily_unavailable' } })
  expectErrorPage(await hostile.signIn('outage'), 503, 'provider_unavailable')
  hostile.twist({ callbackError: { error: 'login_required' } })
  const silent = await world.browser('silent').visit('/auth/login?silent=1&return_to=/quiet', { from: world.origin })
  expect([silent.status, silent.url]).toEqual([200, `${world.origin}/quiet`])
  expect(provider.tokenRequests).toBe(0)
})

test('CB3 the page that posts again: only its own script may run, every field comes through as it was, and none becomes markup', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const evil = [
    ['"><script>alert(1)</script>', '"><img src=x onerror=alert(2)>'],
    // Fields that stand before the form's own members (DOM clobbering).
    ['submit', "'><b>"],
    ['action', 'https://evil.example/'],
    ['elements', '&quot;&#38;'],
    ['_charset_', 'x'],
    ['', 'nameless'],
    ['\u202e', '%00 + %2B'],
  ] as const
  hostile.twist({ callbackExtra: evil })
  const { browser, fields } = await answered(hostile)
  const page = await browser.visit('/auth/callback/evil', { ...posting(hostile, fields), follow: false })
  expect(page.status).toBe(200)
  const [form, ...more] = page.forms
  expect(more).toEqual([])
  expect([form?.method, form?.action, form?.buttons.map(({ text }) => text)]).toEqual([
    'POST',
    '/auth/callback/evil?again=1',
    ['Continue'],
  ])
  expect(form?.fields).toEqual([...fields])
  expect(page.text.match(/<script|<img|<b>/g)).toEqual(['<script'])
  const script = /<script>(.*?)<\/script>/.exec(page.text)?.[1] ?? ''
  expect(script).toBe(REPOST_SCRIPT)
  const hash = createHash('sha256').update(script).digest('base64')
  const policy = page.header('content-security-policy') ?? ''
  expect(policy.split('; ').filter((directive) => !directive.startsWith('style-src'))).toEqual([
    "default-src 'none'",
    "base-uri 'none'",
    `script-src 'sha256-${hash}'`,
    "frame-ancestors 'none'",
  ])
  expect(page.headers('set-cookie')).toEqual([])
  expect([page.header('cache-control'), page.header('referrer-policy')]).toEqual(['no-store', 'no-referrer'])
  // Everything that is not the provider's is ignored, as RFC 6749 §4.1.2 asks.
  expect((await browser.submit(page)).status).toBe(200)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
})

test('FX2 CB3 a script, a frame, or a post of this very site gets no page that posts again, but a refusal', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  const { browser, fields } = await answered(hostile)
  const evil = 'https://evil.example/page'
  const attempts = {
    'fetch of another site': { from: evil },
    'blind fetch': { from: evil, mode: 'no-cors', csrf: false },
    'frame of another site': { from: evil, mode: 'navigate', dest: 'iframe', csrf: false },
  } as const
  for (const [name, options] of Object.entries(attempts)) {
    const answer = await browser.fetch('/auth/callback/evil', { ...options, method: 'POST', body: fields })
    expect([name, answer.status]).toEqual([name, 400])
    expect(answer.text, name).toContain('login_state_mismatch')
    expect(formsOf(answer.text), name).toEqual([])
  }
  const own = await world
    .browser('own')
    .visit('/auth/callback/evil', { method: 'POST', from: world.origin, body: fields })
  expectErrorPage(own, 400, 'login_state_mismatch')
  expect(world.browser('own').seen).toHaveLength(1)
  expect(provider.tokenRequests).toBe(0)
})

test('CB3 a code that comes in the address where form_post was asked for is not redeemed: it is known to too many', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  hostile.twist({ responseMode: 'query' })
  expectErrorPage(await hostile.signIn('user'), 400, 'login_failed')
  expect(provider.tokenRequests).toBe(0)
  expect(String(world.log.events('authn_login_fail')[0]?.reason)).toContain('form_post')
  expect(world.browser().cookies()).toEqual([])
  // The other way round nothing is lost: what was asked for by query may come by a form.
  await world.stopGateway()
  await world.startGateway({ providers: { evil: { authorizationParams: { response_mode: 'query' } } } })
  hostile.twist({ responseMode: 'form_post' })
  expect((await hostile.signIn('other')).status).toBe(200)
})

test('CB2 form_post at the path of another provider, or of none: 400, 404, and a foreign iss is refused as ever', async () => {
  await using hostile = await createHostileWorld({ ...evilPosts, providers: ['corp'] })
  const { world, provider } = hostile
  const { browser, fields } = await answered(hostile)
  const at = (name: string, body = fields) => browser.visit(`/auth/callback/${name}`, posting(hostile, body))
  expectErrorPage(await at('corp'), 400, 'login_state_mismatch')
  for (const name of ['nobody', '__proto__', 'constructor']) expectErrorPage(await at(name), 404, 'not_found')
  const foreign = new URLSearchParams(fields)
  foreign.set('iss', world.provider.issuer)
  expectErrorPage(await at('evil', foreign), 400, 'login_failed')
  expect(provider.tokenRequests + world.provider.tokenRequests).toBe(0)
})

test('LG2 form_post: the client secret, code and state of failing posts are in no log line', async () => {
  await using hostile = await createHostileWorld(evilPosts)
  const { world, provider } = hostile
  const { browser, fields } = await answered(hostile)
  await world.browser('other').visit('/auth/callback/evil', posting(hostile, fields))
  await browser.visit('/auth/callback/evil', posting(hostile, `${fields}&code=twice`))
  hostile.twist({ answer: { '/token': { status: 400, type: 'application/json', body: '{"error":"invalid_grant"}' } } })
  expectErrorPage(await browser.visit('/auth/callback/evil', posting(hostile, fields)), 400, 'login_failed')
  expect(provider.tokenRequests).toBe(1)
  expect(world.log.text().length).toBeGreaterThan(500)
  for (const secret of [fields.get('code'), fields.get('state'), clientOf('evil').clientSecret]) {
    expect(world.log.text()).not.toContain(String(secret))
  }
})
