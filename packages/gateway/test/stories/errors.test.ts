import { describe, expect, test } from 'vitest'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import { FakeClock } from '../../../testkit/src/clock.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { type ErrorCode, errors } from '../../src/errors.ts'
import type { SessionStore } from '../../src/session/store.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { wireUser } from './wire.ts'

const adminsOnly = (upstream: string) => ({ path: '/api/admin/*', upstream, access: { roles: ['admin'] } })

/** What a failing store says of itself: for the log alone. */
const storeSecret = 'ECONNREFUSED redis://:hunter2@10.1.2.3:6379'

/** A world in which every error can be had, by a script and by a person. */
async function worldOfErrors() {
  const clock = new FakeClock(Date.now())
  const inner = createMemoryStore({ now: clock.now })
  const state = { broken: false }
  const store = new Proxy(inner, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown
      if (typeof member !== 'function') return member
      return (...args: unknown[]) => {
        if (!state.broken || name === 'close') return member.apply(target, args)
        throw new Error(storeSecret)
      }
    },
  }) as SessionStore
  const world = await createWorld({
    clock,
    store,
    config: ({ upstream }) => ({
      routes: [
        adminsOnly(upstream),
        { path: '/api/*', methods: ['GET'], upstream, stripPrefix: '/api', access: 'authenticated', timeout: '1s' },
        { path: '/upload', upstream, access: 'authenticated', maxBody: '1kb' },
        { path: '/down', upstream: 'http://127.0.0.1:9', access: 'authenticated' },
        { path: '/', static: './public', access: 'public' },
      ],
    }),
  })
  return { world, state }
}

/** Nothing of how the gateway is made, of what stands behind it, or of what was sent. */
function expectDiscreet(world: World, answer: string) {
  const text = withoutRequestId(answer)
  for (const secret of [
    ...[world.upstream.url, new URL(world.upstream.url).host, String(world.upstream.port), world.provider.issuer],
    ...[
      world.folder,
      process.cwd(),
      'node_modules',
      'node:',
      '.ts:',
      '    at ',
      'Error:',
      'ECONN',
      'undici',
      'hunter2',
    ],
    ...['canary', storeSecret],
  ])
    expect(text).not.toContain(secret)
}

function expectProblem(world: World, page: Page, code: ErrorCode) {
  const { status, title, hint } = errors[code]
  expect([page.status, page.header('content-type')]).toEqual([status, 'application/problem+json'])
  const requestId = page.header('x-request-id')
  expect(page.json()).toMatchObject({
    type: `urn:coatcheck:error:${code}`,
    title,
    status,
    code,
    detail: hint,
    requestId,
  })
  const members = ['type', 'title', 'status', 'code', 'detail', 'requestId', ...(status === 401 ? ['loginUrl'] : [])]
  expect(Object.keys(page.json())).toEqual(members)
  expect(requestId).toMatch(/^[\w-]+$/)
  expect(page.header('content-security-policy')).toBe("default-src 'none'; frame-ancestors 'none'")
  expectDiscreet(world, page.text)
}

function expectPage(world: World, page: Page, code: ErrorCode) {
  expect([page.status, page.header('content-type')]).toEqual([errors[code].status, 'text/html; charset=utf-8'])
  expect(page.title).toBe(errors[code].title)
  expect(page.text).toContain(`<code>${code}</code>`)
  expect(page.text).toContain(`<code>${page.header('x-request-id')}</code>`)
  const csp = page.header('content-security-policy') ?? ''
  for (const directive of ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"])
    expect(csp).toContain(directive)
  expect(csp).not.toMatch(/unsafe|script-src|\*/)
  expect(page.header('referrer-policy')).toBe('no-referrer')
  expect(page.text).not.toMatch(/<script|\son\w+=|https?:\/\//i)
  expectDiscreet(world, page.text)
}

test('SH1 LG2 every error is a problem document to a script and a page to a person, of one status and code; neither says more than it must', async () => {
  const { world, state } = await worldOfErrors()
  await using _ = world
  world.upstream.on('/dies', ({ request }) => void request.socket.destroy())
  const eve = await world.signedIn({ as: 'eve', browser: 'eve' })
  const rows: [
    code: ErrorCode,
    path: string,
    options?: { method?: string; body?: string; headers?: Record<string, string> },
  ][] = [
    ['bad_request', '/api/x;canary'],
    ['bad_request', '/api/%5ccanary'],
    ['bad_request', '/api/echo', { headers: { connection: 'close, cookie' } }],
    ['misdirected_request', '/api/echo', { headers: { host: 'canary.test' } }],
    ['access_denied', '/api/admin/canary'],
    ['not_found', '/canary'],
    ['not_found', '/auth/canary'],
    ['method_not_allowed', '/api/echo', { method: 'DELETE' }],
    ['csrf_rejected', '/api/echo?canary', { headers: { 'x-csrf': 'canary' } }],
    ['upstream_unavailable', '/api/dies'],
    ['upstream_unavailable', '/down'],
    ['upstream_timeout', '/api/hang'],
    ['payload_too_large', '/upload', { method: 'POST', body: 'canary'.repeat(1000) }],
    ['store_unavailable', '/api/echo'],
  ]
  for (const [code, path, options = {}] of rows) {
    state.broken = code === 'store_unavailable'
    const { body, ...rest } = options
    const sent = { ...rest, ...(body !== undefined && { body }), headers: { 'x-csrf': '1', ...options.headers } }
    const problem = await eve.fetch(path, sent)
    expectProblem(world, problem, code)
    const page = await eve.visit(path, { ...sent, from: `${world.origin}/`, follow: false })
    expectPage(world, page, code)
    for (const answer of [problem, page]) {
      expect([code, answer.headers('cache-control')]).toEqual([code, ['no-store']])
      expect(answer.header('x-content-type-options')).toBe('nosniff')
      expect(answer.header('cross-origin-resource-policy')).toBe('same-origin')
      expect(answer.headers('set-cookie')).toEqual([])
      expect([code, answer.header('retry-after') !== undefined]).toEqual([code, answer.status === 503])
      expect([code, answer.header('allow')]).toEqual([code, code === 'method_not_allowed' ? 'GET, HEAD' : undefined])
    }
  }
  state.broken = false
})

test('an error in place of an answer can be found in the log by the id that its reader has, with the cause', async () => {
  const { world, state } = await worldOfErrors()
  await using _ = world
  const eve = await world.signedIn({ as: 'eve', browser: 'eve' })
  const logged = (page: Page) => world.log.lines.filter((line) => line.requestId === page.header('x-request-id'))
  const csrf = await eve.fetch('/api/echo', { csrf: false })
  expect(logged(csrf)).toEqual([
    expect.objectContaining({ event: 'malicious_csrf', path: '/api/echo', reason: 'X-CSRF is missing' }),
  ])
  const denied = await eve.fetch('/api/admin/echo')
  expect(logged(denied)).toEqual([expect.objectContaining({ event: 'authz_fail', path: '/api/admin/echo' })])
  const down = await eve.fetch('/down')
  expect(logged(down)).toEqual([
    expect.objectContaining({ upstream: 'http://127.0.0.1:9', level: 'warn' }),
    expect.objectContaining({ event: 'request_refused', code: 'upstream_unavailable', route: '/down', level: 'warn' }),
  ])
  state.broken = true
  const store = await eve.fetch('/api/echo')
  expect(logged(store)).toEqual([
    expect.objectContaining({ event: 'store_unavailable', level: 'error', reason: expect.any(String) }),
  ])
  state.broken = false
})

test('OU1 the provider is down: 503 with a page, and not a word of its address or of what it said', async () => {
  await using world = await createWorld()
  const fails = [
    () => world.provider.failAs(500, { error: 'server_error', error_description: 'canary' }, '/token'),
    () => world.provider.failWith(503, '/token'),
    () => world.provider.tamper('/token', () => '<html>canary'),
    () => world.provider.tamper('/jwks', () => 'canary'),
  ]
  for (const fail of fails) {
    await world.provider.rotateKeys()
    const undo = fail()
    const page = await world.browser().signIn({ as: 'ada' })
    undo()
    expect(page.header('content-type')).toBe('text/html; charset=utf-8')
    expect([503, 400]).toContain(page.status)
    expectPage(world, page, page.status === 503 ? 'provider_unavailable' : 'login_failed')
  }
  await world.stopGateway()
  await world.provider.down()
  await world.startGateway()
  expectPage(world, await world.browser('late').visit('/auth/login', { from: world.origin }), 'provider_unavailable')
  await world.provider.up()
})

describe('who is not signed in', () => {
  test('RB1 peers 6: a script always hears 401 problem+json with loginUrl, never a redirect; a person is led to sign-in', async () => {
    await using world = await createWorld()
    const anonymous = world.browser('anonymous')
    const calls = [
      {},
      { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } },
      { method: 'DELETE' },
      { headers: { accept: 'application/json' } },
      { headers: { accept: 'text/html,*/*' } },
      { headers: { 'x-requested-with': 'XMLHttpRequest', accept: 'text/html' } },
      { headers: { accept: 'text/event-stream' } },
      { mode: 'same-origin' as const },
      { mode: 'no-cors' as const, dest: 'image' as const },
      { mode: 'no-cors' as const, dest: 'script' as const },
    ]
    for (const call of calls) {
      for (const path of ['/api/echo', '/api/admin/echo', '/api']) {
        const page = await anonymous.fetch(path, { ...call, from: `${world.origin}/shop?x=1` })
        expectProblem(world, page, 'login_required')
        expect(page.json().loginUrl).toBe('/auth/login?return_to=%2Fshop%3Fx%3D1')
        expect(page.header('location')).toBeUndefined()
        expect(page.headers('set-cookie')).toEqual([])
      }
    }
    const visit = await anonymous.visit('/api/echo?x=1', { from: `${world.origin}/`, follow: false })
    expect([visit.status, visit.location]).toEqual([303, `${world.origin}/auth/login?return_to=%2Fapi%2Fecho%3Fx%3D1`])
    // A tool without Fetch Metadata is judged by what it accepts.
    const tool = await wireUser(world)
    expect((await tool.call('/api/echo', 'Accept: application/json\r\n')).statuses).toEqual([401])
    expect((await tool.call('/api/echo')).statuses).toEqual([401])
    expect((await tool.call('/api/echo', 'Accept: text/html\r\n')).statuses).toEqual([303])
    expect(world.upstream.requests).toEqual([])
  })

  test('OR1 the loginUrl leads back into the application only, whatever Referer says', async () => {
    await using world = await createWorld()
    const nobody = await wireUser(world)
    for (const [referer, returnTo] of [
      [`${world.origin}/shop`, '/shop'],
      ['https://evil.test/shop', '/'],
      [`${world.origin}.evil.test/shop`, '/'],
      [`${world.origin}@evil.test/`, '/'],
      [`${world.origin.toUpperCase()}/x`, '/'],
      ['//evil.test', '/'],
      ['javascript:alert(1)', '/'],
      ['', '/'],
    ]) {
      const { text } = await nobody.call('/api/echo', `Referer: ${referer}\r\n`)
      expect([referer, /"loginUrl":"([^"]*)"/.exec(text)?.[1]]).toEqual([
        referer,
        `/auth/login?return_to=${encodeURIComponent(String(returnTo))}`,
      ])
    }
    // A Referer of this origin may still hold a trap; the sign-in itself looks again.
    const trap = await world.browser().fetch('/api/echo', { headers: { referer: `${world.origin}//evil.test` } })
    const landing = await world.browser().visit(String(trap.json().loginUrl), { from: world.origin })
    const end = await world.browser().submit(landing, { button: 'ada' })
    expect(end.url).toBe(`${world.origin}/`)
  })
})

describe('RB1 deny by default', () => {
  test('RB1 what no route names is 404 for everybody, signed in or not, and looks the same', async () => {
    const { world } = await worldOfErrors()
    await using _ = world
    const ada = await world.signedIn({ as: 'ada', browser: 'ada' })
    for (const browser of [ada, world.browser('nobody')])
      for (const path of [
        '/x',
        '/ap',
        '/apix',
        '/upload/x',
        '/down/',
        '/index.html',
        '/.well-known/x',
        '/authx',
        '/healthz',
        '/metrics',
      ])
        expectProblem(world, await browser.fetch(path), 'not_found')
    expect(world.upstream.requests).toEqual([])
  })

  test('RB1 roles: 401 for nobody, 403 for the wrong one, on any method and path below; the right one passes', async () => {
    await using world = await createWorld({
      config: ({ upstream }) => ({
        routes: [
          adminsOnly(upstream),
          { path: '/api/staff/*', upstream, access: { roles: ['member', 'admin'] } },
          { path: '/api/*', upstream, access: 'authenticated' },
          { path: '/*', static: './public', access: 'public' },
        ],
      }),
    })
    const users = { nobody: world.browser('nobody') }
    const [ada, bob, eve] = await Promise.all(['ada', 'bob', 'eve'].map((as) => world.signedIn({ as, browser: as })))
    const who = { ...users, eve, bob, ada }
    const table: [path: string, statuses: number[]][] = [
      ['/api/admin', [401, 403, 403, 200]],
      ['/api/admin/x/y', [401, 403, 403, 200]],
      ['/api/staff/x', [401, 403, 200, 200]],
      ['/api/x', [401, 200, 200, 200]],
      ['/app.js', [200, 200, 200, 200]],
    ]
    for (const [path, statuses] of table) {
      for (const method of path === '/app.js'
        ? ['GET', 'HEAD']
        : ['GET', 'HEAD', 'OPTIONS', 'POST', 'DELETE', 'PATCH']) {
        const got = await Promise.all(
          Object.values(who).map(async (browser) => (await browser?.fetch(path, { method }))?.status),
        )
        expect([path, method, got]).toEqual([path, method, statuses])
      }
    }
    for (const { target, rawHeaders } of world.upstream.requests) {
      const roles = rawHeaders[rawHeaders.indexOf('X-Coatcheck-Roles') + 1]
      if (target.startsWith('/api/admin')) expect(roles).toBe('admin,member')
      if (target.startsWith('/api/staff')) expect(roles).not.toBe('')
    }
    expect(world.log.events('authz_fail').length).toBeGreaterThan(10)
  })
})
