import { describe, expect, test } from 'vitest'
import { pageDefaults, securityDefaults, securityHeaders } from '../../src/protocol/security-headers.ts'

function named(headers: readonly string[]): Record<string, string> {
  return Object.fromEntries(headers.flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] ?? '']] : [])))
}

describe('SH1 what we serve', () => {
  test('SH1 over https', () => {
    expect(named(securityHeaders({ https: true, host: 'app.example.com' }))).toEqual({
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'content-security-policy':
        "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
      'cross-origin-opener-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'same-origin',
      'cross-origin-resource-policy': 'same-origin',
    })
  })

  test.each(['localhost', 'localhost:8443', 'app.localhost', '127.0.0.1:8443', '[::1]:8443'])(
    'no HSTS for %s, which would bind its other ports',
    (host) => {
      expect(named(securityHeaders({ https: true, host }))).not.toHaveProperty('strict-transport-security')
    },
  )
  test('no HSTS over http', () => {
    expect(named(securityHeaders({ https: false }))).not.toHaveProperty('strict-transport-security')
  })

  test.each([
    ["default-src 'self'", "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"],
    [
      "default-src 'self';\n  BASE-URI 'self' ;\n",
      "default-src 'self'; BASE-URI 'self'; object-src 'none'; frame-ancestors 'none'",
    ],
    [
      "object-src 'self'; base-uri x; frame-ancestors https://a",
      "object-src 'self'; base-uri x; frame-ancestors https://a",
    ],
    ['', "object-src 'none'; base-uri 'none'; frame-ancestors 'none'"],
  ])('SH1 a configured policy %j is completed where it is silent', (csp, whole) => {
    expect(named(securityHeaders({ https: false, csp }))['content-security-policy']).toBe(whole)
  })

  test('an upstream that says nothing is given transport and sniffing protection, and its pages may not be framed by others', () => {
    expect(Object.keys(named(securityDefaults({ https: true })))).toEqual([
      'strict-transport-security',
      'x-content-type-options',
      'cross-origin-resource-policy',
    ])
    expect(named(pageDefaults)).toEqual({
      'content-security-policy': "frame-ancestors 'self'",
      'referrer-policy': 'same-origin',
    })
  })
})
