import { describe, expect, test } from 'vitest'
import { cspProblem, namesReports, withNonce, withoutNonce, withReports } from '../../src/protocol/csp.ts'
import { policyOf, securityHeaders } from '../../src/protocol/security-headers.ts'

describe('SH1 a policy with a nonce', () => {
  test('SH1 each page gets its own; what is no page has none, and a directive of which nothing is left allows nothing', () => {
    const csp = "script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'nonce-{nonce}'; img-src *"
    expect(withNonce(csp, 'abc')).toBe("script-src 'nonce-abc' 'strict-dynamic'; style-src 'nonce-abc'; img-src *")
    expect(withoutNonce(csp)).toBe("script-src 'strict-dynamic'; style-src 'none'; img-src *")
    expect(withoutNonce("style-src 'nonce-{nonce}', script-src 'self' 'nonce-{nonce}'")).toBe(
      "style-src 'none', script-src 'self'",
    )
  })

  test("SH1 'unsafe-inline' beside a nonce, there for old browsers, does not come to life where there is no page", () => {
    const csp =
      "script-src 'nonce-{nonce}' 'strict-dynamic' 'Unsafe-Inline' https:; style-src 'unsafe-inline' 'nonce-{nonce}'"
    expect(withoutNonce(csp)).toBe("script-src 'strict-dynamic' https:; style-src 'none'")
    expect(withoutNonce("style-src 'unsafe-inline'; script-src 'nonce-{nonce}'")).toBe(
      "style-src 'unsafe-inline'; script-src 'none'",
    )
  })

  test.each([
    ["script-src 'nonce-{nonce}'", undefined],
    ["script-src 'self'", undefined],
    ["script-src 'nonce-abc'", 'a nonce that stays the same'],
    ["script-src 'NONCE-{nonce}'", 'a placeholder is'],
    ['script-src nonce-{nonce}', 'a placeholder is'],
    ["script-src 'nonce-{{nonce}}'", 'a placeholder is'],
    ["script-src 'nonce-{Nonce}'", 'a placeholder is'],
  ])('SH1 %s: %s', (csp, problem) => {
    if (problem === undefined) expect(cspProblem(csp)).toBeUndefined()
    else expect(cspProblem(csp)).toContain(problem)
  })
})

describe('SH1 reports', () => {
  test('SH1 over https by both ways, over http by the one that works there; the default policy too', () => {
    const reports = '/auth/csp-reports'
    const own = { csp: "default-src 'self'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'", reports }
    expect(policyOf({ https: true, ...own })).toBe(`${own.csp}; report-uri /auth/csp-reports; report-to csp`)
    expect(policyOf({ https: false, ...own })).toBe(`${own.csp}; report-uri /auth/csp-reports`)
    const headers = securityHeaders({ https: true, host: 'a.example', reports })
    expect(headers[headers.indexOf('reporting-endpoints') + 1]).toBe('csp="/auth/csp-reports"')
    expect(headers[headers.indexOf('content-security-policy') + 1]).toMatch(/; report-uri \S+; report-to csp$/)
    expect(securityHeaders({ https: false, reports })).not.toContain('reporting-endpoints')
    expect(securityHeaders({ https: true }).join()).not.toMatch(/report/)
    expect(withReports("script-src 'self', style-src 'self'", { path: '/r', group: undefined })).toBe(
      "script-src 'self'; report-uri /r, style-src 'self'; report-uri /r",
    )
  })

  test('SH1 a policy that says itself where reports go', () => {
    for (const csp of ['report-uri /x', "default-src 'self';REPORT-TO x", 'a; report-to x; b'])
      expect(namesReports(csp)).toBe(true)
    for (const csp of ["default-src 'self'", 'img-src https://report-uri.example', 'x-report-to a'])
      expect(namesReports(csp)).toBe(false)
  })
})
