import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Respond } from '../../src/decision.ts'
import { type ErrorCode, errors } from '../../src/errors.ts'
import { bouncePage, errorPage } from '../../src/protocol/page.ts'
import { errorResponse, problemResponse } from '../../src/protocol/problem.ts'

const codes = Object.keys(errors) as ErrorCode[]
const evil = `"><script>alert(1)</script><a href='`

function header({ headers }: Respond, name: string): string | undefined {
  const at = headers.findIndex((text, i) => i % 2 === 0 && text.toLowerCase() === name)
  return at === -1 ? undefined : headers[at + 1]
}

describe('problem documents', () => {
  test.each(codes)('%s is told by code and hint', (code) => {
    const answer = problemResponse(code)
    const { status, title, hint } = errors[code]
    expect(JSON.parse(answer.body)).toEqual({ type: `urn:coatcheck:error:${code}`, title, status, code, detail: hint })
    expect(answer.status).toBe(status)
    expect(header(answer, 'content-type')).toBe('application/problem+json')
    expect(header(answer, 'cache-control')).toBe('no-store')
  })

  test('members and headers are added; the standard members stand', () => {
    const answer = problemResponse('login_required', {
      members: { loginUrl: '/auth/login', code: 'other' },
      requestId: 'r-1',
      headers: ['Allow', 'GET'],
    })
    expect(JSON.parse(answer.body)).toMatchObject({ code: 'login_required', loginUrl: '/auth/login', requestId: 'r-1' })
    expect([header(answer, 'allow'), header(answer, 'x-request-id')]).toEqual(['GET', 'r-1'])
  })

  test('a navigation gets the same as a page', () => {
    const answer = errorResponse('access_denied', { html: true, requestId: 'r-1', headers: ['Set-Cookie', 'a=1'] })
    expect(answer.status).toBe(403)
    expect(header(answer, 'content-type')).toBe('text/html; charset=utf-8')
    expect([header(answer, 'set-cookie'), header(answer, 'x-request-id')]).toEqual(['a=1', 'r-1'])
    expect(header(errorResponse('access_denied', { html: false }), 'content-type')).toBe('application/problem+json')
  })
})

describe('SH1 our own pages', () => {
  const pages: [string, Respond][] = [
    ['bounce', bouncePage('/a?b=1')],
    ...codes.map((code): [string, Respond] => [
      code,
      errorPage(code, { requestId: 'r-1', retryHref: '/auth/login?return_to=%2F' }),
    ]),
  ]

  test.each(pages)('SH1 %s: nothing from elsewhere, no script, no frame, no cache', (_, page) => {
    const style = /<style>([\s\S]*?)<\/style>/.exec(page.body)?.[1] ?? ''
    const hash = createHash('sha256').update(style).digest('base64')
    expect(header(page, 'content-security-policy')).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`,
    )
    expect(header(page, 'referrer-policy')).toBe('no-referrer')
    expect(header(page, 'x-content-type-options')).toBe('nosniff')
    expect(header(page, 'cross-origin-opener-policy')).toBe('same-origin')
    expect(header(page, 'cross-origin-resource-policy')).toBe('same-origin')
    expect(header(page, 'cache-control')).toBe('no-store')
    expect(page.body).not.toMatch(/<script|<img|<link|<form|https?:|url\(| on[a-z]+=| style=/i)
    expect(page.body).toContain('<html lang="en">')
    expect(page.body).toContain('name="viewport"')
  })

  test('an error page says code and request, and nothing that a request brought', () => {
    const { body } = errorPage('bad_request', { requestId: evil })
    expect(body).toContain('<code>bad_request</code>')
    expect(body).not.toContain('<script')
    expect(body).toContain('&#60;script&#62;')
  })

  test.each(['//evil.example', 'https://evil.example', 'javascript:alert(1)', '/\\evil', `/${evil}`, ''])(
    'OR1 a link to %j is never made, nor a refresh',
    (href) => {
      const { body } = errorPage('login_failed', { retryHref: href, refresh: href })
      expect(body).not.toMatch(/evil|alert|http-equiv/)
      expect(bouncePage(href).body).toContain('content="0;url=/"')
    },
  )

  test('CK5 the bounce page opens the address anew by itself, or by a plain link', () => {
    const page = bouncePage(`/orders?x=1&y='"<b>`)
    expect(page.status).toBe(200)
    const href = '/orders?x=1&#38;y=&#39;&#34;&#60;b&#62;'
    expect(page.body).toContain(`<meta http-equiv="refresh" content="0;url=${href}">`)
    expect(page.body).toContain(`<a href="${href}">`)
    expect(errorPage('login_state_mismatch', { refresh: '/auth/x' }).body).toContain('content="0;url=/auth/x"')
  })
})
