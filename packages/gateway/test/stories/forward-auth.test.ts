import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { wireUser } from './wire.ts'

const minute = 60_000

/** A world whose application stands behind a proxy that asks; the test is that proxy. */
const askedWorld = (config: object = {}) =>
  createWorld({
    config: ({ upstream }) => ({
      trustedProxies: ['127.0.0.1'],
      routes: [
        { path: '/open/*', forwardAuth: true, access: 'public' },
        { path: '/api/admin/*', forwardAuth: true, access: { roles: ['admin'] } },
        { path: '/api/fresh', forwardAuth: true, access: { maxAge: '5m' } },
        { path: '/pages/fresh', forwardAuth: true, csrf: 'same-origin', access: { maxAge: '5m' } },
        { path: '/pages/*', forwardAuth: true, csrf: 'same-origin', access: 'authenticated' },
        { path: '/api/*', forwardAuth: true, access: 'authenticated', credential: 'access-token' },
        { path: '/inside/*', upstream, access: 'authenticated', credential: 'access-token' },
        { path: '/', static: './public', access: 'public' },
        { path: '/read', forwardAuth: true, methods: ['GET'], access: 'public' },
      ],
      ...config,
    }),
  })

interface Asked {
  readonly method?: string
  readonly headers?: Record<string, string | undefined>
  readonly csrf?: boolean
  readonly target?: string
}

/** What the proxy asks about a call by the page's script. */
function ask(browser: Browser, uri: string, { method = 'GET', headers = {}, csrf, target }: Asked = {}): Promise<Page> {
  const question = { ...questionOf(browser, uri, method), ...headers }
  const sent = Object.fromEntries(Object.entries(question).filter(([, value]) => value !== undefined))
  return browser.fetch(target ?? '/auth/forward', {
    headers: sent as Record<string, string>,
    ...(csrf !== undefined && { csrf }),
  })
}

function questionOf(browser: Browser, uri: string, method = 'GET'): Record<string, string> {
  return {
    'sec-coatcheck-forward': '1',
    'x-forwarded-method': method,
    'x-forwarded-uri': uri,
    'x-forwarded-host': new URL(browser.base).host,
    'x-forwarded-proto': 'http',
  }
}

/** What the proxy asks about a page that is opened in the window. */
const askForPage = (browser: Browser, uri: string, from?: string) =>
  browser.visit('/auth/forward', { headers: questionOf(browser, uri), follow: false, ...(from && { from }) })

const identityOf = (page: Page) =>
  ['user', 'issuer', 'roles'].map((name) => page.header(`x-coatcheck-${name}`)) as (string | undefined)[]

describe('the same decision', () => {
  test('RB1 an admitted request: 200 with identity, credential and request id, no body, no-store; roles are checked', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn({ as: 'ada', browser: 'ada' })
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const answer = await ask(ada, '/api/things?x=1')
    expect([answer.status, answer.text, answer.header('cache-control')]).toEqual([200, '', 'no-store'])
    expect(identityOf(answer)).toEqual(['ada', world.provider.issuer, 'admin,member'])
    expect(answer.header('authorization')).toMatch(/^Bearer ./)
    expect(world.provider.issuedTokens).toContain(answer.header('authorization')?.slice(7))
    expect(answer.header('x-request-id')).toMatch(/^[\w-]+$/)
    const admin = await ask(ada, '/api/admin/x')
    expect([admin.status, admin.header('authorization')]).toEqual([200, undefined])
    const denied = await ask(bob, '/api/admin/x')
    expect([denied.status, denied.json().code]).toEqual([403, 'access_denied'])
    expect(denied.headers('x-coatcheck-user')).toEqual([])
  })

  test('CS1 CS2 the original is judged for forgery by its own method, header, Origin and Fetch Metadata', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const rows: [Asked, number][] = [
      [{}, 200],
      [{ method: 'DELETE', headers: { origin: world.origin } }, 200],
      [{ csrf: false }, 403],
      [{ headers: { 'x-csrf': '2' } }, 403],
      [{ headers: { 'sec-fetch-site': 'cross-site' } }, 403],
      [{ method: 'POST', headers: { origin: 'https://evil.test' } }, 403],
      [{ method: 'POST', headers: { 'sec-fetch-site': 'none' } }, 403],
      [{ method: 'OPTIONS', csrf: false }, 403],
    ]
    for (const [given, status] of rows) {
      const answer = await ask(ada, '/api/x', given)
      expect([given, answer.status]).toEqual([given, status])
      if (status === 403) expect(answer.json()).toMatchObject({ code: 'csrf_rejected', status: 403 })
    }
  })

  test('CS2 csrf: same-origin: an application without X-CSRF gets its own pages, files, calls and forms, and nothing from elsewhere', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const metadata = (site: string, mode: string, dest: string) => ({
      'sec-fetch-site': site,
      'sec-fetch-mode': mode,
      'sec-fetch-dest': dest,
    })
    const own = { origin: world.origin }
    const rows: [string, Record<string, string>, number][] = [
      ['GET', metadata('same-origin', 'cors', 'empty'), 200],
      ['GET', metadata('same-origin', 'no-cors', 'script'), 200],
      ['GET', metadata('same-origin', 'navigate', 'document'), 200],
      ['GET', metadata('none', 'navigate', 'document'), 200],
      ['GET', metadata('same-site', 'navigate', 'document'), 200],
      ['POST', { ...own, ...metadata('same-origin', 'navigate', 'document') }, 200],
      ['DELETE', { ...own, ...metadata('same-origin', 'cors', 'empty') }, 200],
      ['GET', metadata('same-site', 'no-cors', 'image'), 403],
      ['GET', metadata('cross-site', 'cors', 'empty'), 403],
      ['GET', metadata('same-site', 'navigate', 'iframe'), 403],
      ['GET', { origin: 'https://evil.test', ...metadata('same-origin', 'cors', 'empty') }, 403],
      ['POST', { origin: 'null', ...metadata('cross-site', 'navigate', 'document') }, 403],
      ['POST', metadata('same-site', 'navigate', 'document'), 403],
      ['POST', metadata('none', 'navigate', 'document'), 403],
    ]
    for (const [method, headers, status] of rows) {
      const answer = await ask(ada, '/pages/x', { method, headers, csrf: false })
      expect([method, headers, answer.status]).toEqual([method, headers, status])
    }
    const older = await wireUser(world, 'ada')
    const cookie = /Cookie: .*\r\n/.exec(older.own)?.[0] ?? ''
    for (const [method, line, status] of [
      ['GET', '', 200],
      ['POST', `Origin: ${world.origin}\r\n`, 200],
      ['POST', '', 403],
    ] as const) {
      const question = `X-Forwarded-Method: ${method}\r\nX-Forwarded-Uri: /pages/x\r\nX-Forwarded-Host: ${older.host}\r\nX-Forwarded-Proto: http\r\n`
      const bytes = `GET /auth/forward HTTP/1.1\r\nHost: x\r\n${cookie}${question}${line}Connection: close\r\n\r\n`
      expect([method, line, (await older.send(bytes)).statuses]).toEqual([method, line, [status]])
    }
  })

  test('peers 6 not signed in: a script gets 401 with loginUrl; a window a page that goes to sign-in; both a header for it', async () => {
    await using world = await askedWorld()
    const nobody = world.browser()
    const call = await ask(nobody, '/api/x', { headers: { referer: `${world.origin}/shop` } })
    expect([call.status, call.json().code, call.json().loginUrl]).toEqual([
      401,
      'login_required',
      '/auth/login?return_to=%2Fshop',
    ])
    expect(call.header('x-coatcheck-login-url')).toBe('/auth/login?return_to=%2Fshop')
    const page = await askForPage(nobody, '/api/page?x=1', world.origin)
    expect([page.status, page.header('location')]).toEqual([401, undefined])
    expect(page.header('x-coatcheck-login-url')).toBe('/auth/login?return_to=%2Fapi%2Fpage%3Fx%3D1')
    expect(page.text).toContain('content="0;url=/auth/login?return_to=%2Fapi%2Fpage%3Fx%3D1"')
  })

  test('CK5 a window that comes from another site gets the bounce page, never a 200: the Strict cookie may be hidden', async () => {
    await using world = await askedWorld()
    const page = await askForPage(world.browser(), '/api/page', 'https://elsewhere.test/')
    expect(page.status).toBe(401)
    expect(page.text).toContain('content="0;url=/api/page"')
    expect(page.header('x-coatcheck-login-url')).toBe('/auth/login?return_to=%2Fapi%2Fpage')
  })

  test('SA1 a sign-in too old for the route: 401 with the challenge and stepUpUrl; a window is led to the step-up', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    expect((await ask(ada, '/api/fresh')).status).toBe(200)
    world.clock.advance(6 * minute)
    const call = await ask(ada, '/api/fresh')
    expect([call.status, call.json().code]).toEqual([401, 'step_up_required'])
    expect(call.header('www-authenticate')).toContain('insufficient_user_authentication')
    expect(call.header('x-coatcheck-login-url')).toBe(call.json().stepUpUrl)
    const page = await askForPage(ada, '/pages/fresh', world.origin)
    expect(page.status).toBe(401)
    expect(page.header('x-coatcheck-login-url')).toBe('/auth/step-up?return_to=%2Fpages%2Ffresh&max_age=300')
    expect(page.text).toContain('content="0;url=/auth/step-up?return_to=%2Fpages%2Ffresh&#38;max_age=300"')
  })

  test('PX1 every path trick, unlisted method and unknown route of the original is refused, as 403; problems agree with their status', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const refused = [
      ...['/open/../api/admin/x', '/open/%2e%2e/api/x', '/open/..%2fapi', '//evil', '/open//x', '/open/;x', '/open\\x'],
      ...['/open/x#/api', '/%6fpen/x', '/open/%252e', '/open/%00', '/open/\u00e9'],
      ...['/Api/Admin/x', '/api/Admin/x', '/nowhere', '/auth/login', '/auth/session', '/auth/forward', '/auth/logout'],
    ]
    for (const uri of refused) {
      const { status, text } = await ask(ada, uri)
      expect([uri, status]).toEqual([uri, 403])
      expect(JSON.parse(text).status).toBe(403)
    }
    for (const uri of ['http://app.test/open/x', `${world.origin}/open/x`, 'open/x', '*', '']) {
      expect([uri, (await ask(ada, uri)).status]).toEqual([uri, 403])
    }
    const methods: [string, number][] = [
      ...(['GET', 'HEAD'] as const).map((name): [string, number] => [name, 200]),
      ...['POST', 'get', 'TRACE', 'CONNECT', 'GET POST', ''].map((name): [string, number] => [name, 403]),
    ]
    for (const [method, status] of methods)
      expect([method, (await ask(ada, '/read', { method })).status]).toEqual([method, status])
  })

  test('OU1 the store is down: 503, nobody is signed out, and nothing is admitted', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const { get, peek } = world.store
    const fail = () => {
      throw new Error('down')
    }
    Object.assign(world.store, { get: fail, peek: fail })
    const answer = await ask(ada, '/api/x')
    Object.assign(world.store, { get, peek })
    expect([answer.status, answer.json().code]).toEqual([503, 'store_unavailable'])
    expect(answer.headers('set-cookie')).toEqual([])
    expect((await ask(ada, '/api/x')).status).toBe(200)
  })
})

describe('who may ask, and how', () => {
  test('PX9 the answer is for trusted proxies: to any other address it is 403, with a session or without', async () => {
    await using world = await askedWorld({
      trustedProxies: ['10.0.0.0/8'],
    })
    const ada = await world.signedIn()
    for (const uri of ['/open/x', '/api/x']) {
      const answer = await ask(ada, uri, { headers: { 'x-forwarded-for': '10.1.2.3' } })
      expect([answer.status, answer.json().code]).toEqual([403, 'forward_auth_refused'])
      expect(answer.header('authorization')).toBeUndefined()
    }
    expect(world.log.events('request_refused')[0]).toMatchObject({
      reason: 'the asking address is not in trustedProxies',
      path: '/auth/forward',
    })
  })

  test('each of the four headers exactly once, host and scheme those of the origin; no look-alikes', async () => {
    await using world = await askedWorld()
    const user = await wireUser(world, 'ada')
    const good = ['Method: GET', 'Uri: /api/x', `Host: ${user.host}`, 'Proto: http'].map((one) => `X-Forwarded-${one}`)
    const asking = async (lines: string[]) =>
      (await user.call('/auth/forward', lines.map((line) => `${line}\r\n`).join(''))).statuses
    expect(await asking(good)).toEqual([200])
    expect(
      await asking(good.map((line) => line.toUpperCase().replace('/API/X', '/api/x').replace('HTTP', 'http'))),
    ).toEqual([200])
    for (const [at, line] of good.entries()) {
      expect([line, await asking(good.toSpliced(at, 1))]).toEqual([line, [403]])
      expect([line, await asking([...good, line])]).toEqual([line, [403]])
      expect([line, await asking([...good, line.replace('X-Forwarded-', 'X_Forwarded_')])]).toEqual([line, [403]])
      expect([line, await asking(good.with(at, line.replace(/: .*/, ': ')))]).toEqual([line, [403]])
    }
    const wrong: [number, string][] = [
      [2, 'evil.test'],
      [2, `${user.host}.evil.test`],
      [2, `${user.host}, ${user.host}`],
      [2, '127.0.0.1'],
      [3, 'https'],
      [3, 'http, http'],
    ]
    for (const [at, value] of wrong) {
      const line = String(good[at]).replace(/: .*/, `: ${value}`)
      expect([line, await asking(good.with(at, line))]).toEqual([line, [403]])
    }
  })

  test('the Host of the question is the asking proxy’s business; a target behind the path (Envoy) must be the original’s', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    expect((await ask(ada, '/api/x', { headers: { host: 'coatcheck.internal:8080' } })).status).toBe(200)
    expect((await ask(ada, '/api/x?y=1', { target: '/auth/forward/api/x?y=1' })).status).toBe(200)
    for (const target of ['/auth/forward/open/x', '/auth/forward/api/x', '/auth/forward/'])
      expect((await ask(ada, '/api/x?y=1', { target })).status).toBe(403)
    expect((await ask(ada, '/api/x', { target: '/auth/forwards' })).status).toBe(404)
  })

  test('any method may ask, and a body is not waited for', async () => {
    await using world = await askedWorld()
    const user = await wireUser(world, 'ada')
    const question = `X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /api/x\r\nX-Forwarded-Host: ${user.host}\r\nX-Forwarded-Proto: http\r\n`
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PROPFIND'])
      expect([method, (await user.call('/auth/forward', question, method)).statuses]).toEqual([method, [200]])
    expect((await user.call('/auth/forward', `${question}Content-Length: 5000\r\n`, 'POST')).statuses).toEqual([200])
  })

  test('PX9 the address of the client comes from X-Forwarded-For of the question', async () => {
    await using world = await askedWorld()
    const nobody = world.browser()
    await ask(nobody, '/api/x', { csrf: false, headers: { 'x-forwarded-for': '203.0.113.9' } })
    expect(world.log.events('malicious_csrf')).toMatchObject([{ address: '203.0.113.9', path: '/api/x' }])
  })
})

describe('what the answer carries', () => {
  test('PX2 nobody is said to be nobody: empty identity headers, which overwrite a client’s own', async () => {
    await using world = await askedWorld()
    const answer = await ask(world.browser(), '/open/x', { headers: { 'x-coatcheck-user': 'admin' } })
    expect([answer.status, ...identityOf(answer)]).toEqual([200, '', '', ''])
    expect(answer.header('authorization')).toBeUndefined()
  })

  test('PX3 a token only where the route says forwardAuth, and to a question that no script can forge', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const without = { headers: { 'sec-coatcheck-forward': undefined } }
    for (const [uri, given] of [
      ['/api/x', without],
      ['/api/x', { headers: { 'sec-coatcheck-forward': 'yes' } }],
      ['/inside/x', {}],
      ['/inside/x', without],
    ] as const) {
      const answer = await ask(ada, uri, given)
      expect([answer.status, answer.header('x-coatcheck-user')]).toEqual([200, 'ada'])
      expect(answer.header('authorization')).toBeUndefined()
      expect(findLeaks([answer.exchange], world.provider.issuedTokens)).toEqual([])
    }
    expect(world.log.events('forward_credential_withheld').map((line) => line.reason)).toEqual([
      'the question has no Sec-Coatcheck-Forward: 1',
      'the question has no Sec-Coatcheck-Forward: 1',
      'the route does not say forwardAuth: true',
      'the route does not say forwardAuth: true',
    ])
  })

  test('PX2 the Cookie for the upstream is the client’s own without the gateway’s', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const own = ada.cookies()[0]?.cookieString() ?? ''
    const cookie = `theme=dark; ${own}; __Host-login-x=1; cart=3`
    const given = { headers: { cookie, 'x-trap': 'cookie' } }
    expect((await ask(world.browser('by hand'), '/api/x', given)).header('cookie')).toBe('theme=dark; cart=3')
    expect((await ask(world.browser('by hand'), '/open/x', { headers: { cookie: own } })).header('cookie')).toBe('')
    const unmarked = { headers: { cookie, 'sec-coatcheck-forward': undefined } }
    expect((await ask(world.browser('by hand'), '/api/x', unmarked)).header('cookie')).toBeUndefined()
  })

  test('TO4 a rotation rides on the answer; until the browser shows the new value the old one stays good, however late it comes', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    world.clock.advance(16 * minute)
    const slow = ada.saved()
    const answer = await ask(slow, '/api/x')
    expect(answer.status).toBe(200)
    const [cookie] = answer.headers('set-cookie')
    expect(cookie).toMatch(/^__Host-Http-session=v1\.[\w-]{22}\.2\.[\w-]{43}; Path=\/; Secure; HttpOnly/)
    // The application takes two minutes to answer, so the browser goes on with the old value, and gets a newer one.
    world.clock.advance(minute)
    expect((await ada.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    expect(ada.cookies()[0]?.value).toContain('.3.')
    expect((await ada.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    world.clock.advance(minute)
    const late = { headers: { cookie: String(cookie?.split(';')[0]) } }
    const next = await world.browser('with the late one').fetch('/auth/session', late)
    expect([next.json().authenticated, next.headers('set-cookie').join()]).toEqual([
      true,
      expect.stringContaining('.4.'),
    ])
    expect(world.log.events('session_cookie_reused')).toEqual([])
  })

  test('a request for such a route that comes to the gateway itself: refusals are the same, and what is admitted has no upstream', async () => {
    await using world = await askedWorld()
    const ada = await world.signedIn()
    const page = await ada.fetch('/api/x')
    expect([page.status, page.json().code]).toEqual([502, 'upstream_unavailable'])
    const visit = await world.browser('nobody').visit('/api/x', { from: world.origin, follow: false })
    expect([visit.status, visit.location]).toEqual([303, `${world.origin}/auth/login?return_to=%2Fapi%2Fx`])
  })
})
