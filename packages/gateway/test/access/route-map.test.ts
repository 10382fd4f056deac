import { expect, test } from 'vitest'
import { createRouteMap } from '../../src/access/route-map.ts'

const routes = [
  { path: '/*', methods: ['GET'], name: 'site' },
  { path: '/api/*', name: 'api' },
  { path: '/api/admin/*', methods: ['GET', 'POST'], name: 'admin' },
  { path: '/api/admin/health', methods: ['GET'], name: 'health' },
  { path: '/api/admin/health', methods: ['POST'], name: 'health-report' },
]
const find = createRouteMap(routes)
const nameOf = (path: string, method = 'GET') => {
  const match = find(path, method)
  return match?.kind === 'route' ? match.route.name : match
}

test('RB1 the most specific path wins: exact before wildcard, longer before shorter, and /a/* is also /a', () => {
  expect(nameOf('/')).toBe('site')
  expect(nameOf('/apis')).toBe('site')
  expect(nameOf('/api')).toBe('api')
  expect(nameOf('/api/')).toBe('api')
  expect(nameOf('/api/adminx')).toBe('api')
  expect(nameOf('/api/admin')).toBe('admin')
  expect(nameOf('/api/admin/users/1')).toBe('admin')
  expect(nameOf('/api/admin/health')).toBe('health')
  expect(nameOf('/api/admin/health', 'POST')).toBe('health-report')
  expect(nameOf('/api/admin/health/x')).toBe('admin')
})

test('PX6 a method that the most specific route does not list is refused there, and never falls through to a wider rule', () => {
  expect(nameOf('/api/admin/x', 'DELETE')).toEqual({ kind: 'method-not-allowed', allow: 'GET, POST, HEAD' })
  expect(nameOf('/api/x', 'DELETE')).toBe('api')
  expect(nameOf('/x', 'POST')).toEqual({ kind: 'method-not-allowed', allow: 'GET, HEAD' })
  expect(nameOf('/x', 'HEAD')).toBe('site')
})

test('RB1 what no route names does not exist', () => {
  expect(createRouteMap([{ path: '/api/*' }])('/', 'GET')).toBeUndefined()
  expect(createRouteMap([{ path: '/api/*' }])('/apix', 'GET')).toBeUndefined()
  expect(createRouteMap([])('/', 'GET')).toBeUndefined()
})
