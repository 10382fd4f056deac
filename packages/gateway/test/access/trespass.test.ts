import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createTrespasses } from '../../src/access/trespass.ts'
import type { RouteConfig } from '../../src/config/schema.ts'

const upstream = 'http://127.0.0.1:3000'
const route = (path: string, change: Partial<RouteConfig> = {}) =>
  ({ path, upstream, addresses: [upstream], access: 'authenticated', csrf: 'header', ...change }) as RouteConfig
const admin = { access: { roles: ['admin'] } }
const by = (routes: RouteConfig[]) => createTrespasses(routes[0] as RouteConfig, routes)

test('PX1 two routes that share one address of several are neighbours', () => {
  const [one, other] = [upstream, 'http://127.0.0.1:4000']
  const routes = [route('/a/*', { addresses: [one, other] }), route('/a/b', { ...admin, addresses: [other] })]
  expect(by(routes)('/a/B', 'GET')).toBe(true)
})

describe('PX1 a path that its upstream may take for that of a stricter route', () => {
  const twisted = [
    '/api/Admin',
    '/api/ADMIN/users',
    '/api/admin.',
    '/api/admin%20/users',
    '/api/admin.%20./users',
    '/api/report/',
    '/api/Report',
    '/api/report./',
  ]
  test.each(twisted)('PX1 %s', (path) => {
    const routes = [route('/api/*'), route('/api/admin/*', admin), route('/api/report', admin)]
    expect(by(routes)(path, 'GET')).toBe(true)
  })

  test('PX1 a prefix that is cut off makes another route’s path', () => {
    const strip = { stripPrefix: '/api' }
    const routes = [route('/api/*', strip), route('/api/admin/*', admin), route('/hooks/*', { access: 'public' })]
    const trespasses = by(routes)
    for (const path of ['/api/api/admin', '/api/api/admin/users', '/api/api/ADMIN']) {
      expect(trespasses(path, 'GET'), path).toBe(true)
    }
    for (const path of ['/api/users', '/api/api', '/api/api/adminx', '/api/hooks/x', '/api', '/api/', '/api/%20']) {
      expect(trespasses(path, 'GET'), path).toBe(false)
    }
  })

  test('PX6 a method that the route itself would refuse', () => {
    const routes = [route('/api/*'), route('/api/report', { methods: ['GET'] })]
    expect(['GET', 'HEAD', 'POST'].map((method) => by(routes)('/api/report/', method))).toEqual([false, false, true])
  })

  test('CS1 a route without the CSRF header is no way round one with it', () => {
    const routes = [route('/hooks/*', { access: 'public', csrf: 'off' }), route('/hooks/config', { access: 'public' })]
    expect(by(routes)('/hooks/Config', 'POST')).toBe(true)
  })

  test('CS4 header and token stand for neither each other nor less', () => {
    const lands = (own: RouteConfig['csrf'], other: RouteConfig['csrf']) =>
      by([route('/a/*', { csrf: own }), route('/a/b', { csrf: other })])('/a/B', 'POST')
    for (const [own, ...covered] of [
      ['same-origin', 'same-origin'],
      ['header', 'header', 'same-origin'],
      ['token', 'token', 'same-origin'],
    ] as const) {
      for (const other of ['same-origin', 'header', 'token'] as const)
        expect([own, other, lands(own, other)]).toEqual([own, other, !(covered as readonly string[]).includes(other)])
    }
  })

  test('SA1 nor is one that asks for a weaker or an older sign-in', () => {
    const access = { roles: ['admin'], acr: ['mfa'], maxAge: 300_000 }
    for (const weaker of [{ roles: ['admin'] }, { ...access, acr: ['mfa', 'pwd'] }, { ...access, maxAge: 300_001 }]) {
      expect(by([route('/a/*', { access: weaker }), route('/a/b', { access })])('/a/B', 'GET')).toBe(true)
    }
    expect(by([route('/a/*', { access }), route('/a/b', { access })])('/a/B', 'GET')).toBe(false)
  })
})

test('PX1 a WebSocket begins as a request to the same server: neither is a way round the other’s rules', () => {
  const live = { addresses: ['ws://127.0.0.1:3000'] }
  expect(by([route('/*', live), route('/admin/*', admin)])('/Admin/x', 'GET')).toBe(true)
  expect(by([route('/*'), route('/live', { ...live, ...admin })])('/live/', 'GET')).toBe(true)
  expect(by([route('/*', { addresses: ['ws://127.0.0.1:4000'] }), route('/admin/*', admin)])('/Admin/x', 'GET')).toBe(
    false,
  )
})

describe('what is no trespass', () => {
  test.each([
    ['an open place', [route('/a/*'), route('/a/b', { access: 'public' })]],
    ['one that asks for no more', [route('/a/*', admin), route('/a/b')]],
    ['another upstream', [route('/a/*'), route('/a/b', { ...admin, addresses: ['http://127.0.0.1:4000'] })]],
    ['the same place', [route('/a/*'), route('/A/*', admin)]],
    ['static files', [route('/a/*', { addresses: [], static: '/srv' }), route('/a/b', admin)]],
  ])('%s', (_, routes) => {
    for (const path of ['/a/B', '/a/b/', '/a/b.', '/a/', '/a']) expect(by(routes)(path, 'GET')).toBe(false)
  })
})

test('any path is answered, in time that grows with its length alone', () => {
  const trespasses = by([route('/api/*', { stripPrefix: '/api' }), route('/x', admin)])
  const piece = fc.constantFrom('/', '.', '%20', 'A', 'x', '%')
  fc.assert(fc.property(fc.array(piece), (pieces) => typeof trespasses(`/api/${pieces.join('')}`, 'GET') === 'boolean'))
  const begun = performance.now()
  for (const tail of ['.', '%20', '/.', 'A/']) trespasses(`/api/x${tail.repeat(50_000)}y`, 'GET')
  // Some ten milliseconds; in time that grows with the square of the length it would be many seconds.
  expect(performance.now() - begun).toBeLessThan(5000)
})
