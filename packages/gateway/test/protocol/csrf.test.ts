import { describe, expect, test } from 'vitest'
import { csrfRefusal, formPostRefusal } from '../../src/protocol/csrf.ts'

const own = 'https://app.example.com'
const call = { csrf: '1', origin: undefined, secFetchSite: undefined }
const unsafe = ['POST', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'get']
const safe = ['GET', 'HEAD', 'OPTIONS']

describe('CS1 the custom header', () => {
  test.each([undefined, '', '0', 'true', '11', '1, 1', ' 1'])('CS1 X-CSRF %j is refused on every method', (csrf) => {
    for (const method of [...safe, ...unsafe]) {
      expect(csrfRefusal({ csrf, origin: own, secFetchSite: 'same-origin' }, method, own)).toMatch(/^X-CSRF/)
    }
  })
})

describe('CS2 Sec-Fetch-Site, then Origin', () => {
  test('CS2 same-origin passes, with Origin or without', () => {
    for (const method of [...safe, ...unsafe]) {
      expect(csrfRefusal({ ...call, secFetchSite: 'same-origin' }, method, own)).toBeUndefined()
      expect(csrfRefusal({ ...call, secFetchSite: 'same-origin', origin: own }, method, own)).toBeUndefined()
    }
  })

  test.each(['cross-site', 'same-site', '', 'Same-Origin', 'same-origin, same-origin', 'x'])(
    'CS2 %j is refused',
    (secFetchSite) => {
      for (const method of [...safe, ...unsafe]) {
        expect(csrfRefusal({ ...call, secFetchSite }, method, own)).toMatch(/^Sec-Fetch-Site/)
        expect(csrfRefusal({ ...call, secFetchSite, origin: own }, method, own)).toMatch(/^Sec-Fetch-Site/)
      }
    },
  )

  test('CS2 none (not from a page) reads, and changes nothing', () => {
    for (const method of safe) expect(csrfRefusal({ ...call, secFetchSite: 'none' }, method, own)).toBeUndefined()
    for (const method of unsafe) expect(csrfRefusal({ ...call, secFetchSite: 'none' }, method, own)).toBeDefined()
  })

  const foreign = ['null', '', 'https://evil.example', 'https://app.example.com.evil.example', 'http://app.example.com']
  test.each([...foreign, `${own}:443`, `${own}/`, 'HTTPS://APP.EXAMPLE.COM', 'https://sub.app.example.com'])(
    'CS2 Origin %j is refused, whatever Sec-Fetch-Site says',
    (origin) => {
      for (const secFetchSite of [undefined, 'same-origin', 'none']) {
        for (const method of [...safe, ...unsafe])
          expect(csrfRefusal({ ...call, secFetchSite, origin }, method, own)).toMatch(/^Origin/)
      }
    },
  )

  test('CS2 without Fetch Metadata the exact Origin passes; without both only safe methods do', () => {
    for (const method of unsafe) {
      expect(csrfRefusal({ ...call, origin: own }, method, own)).toBeUndefined()
      expect(csrfRefusal(call, method, own)).toBeDefined()
    }
    for (const method of safe) expect(csrfRefusal(call, method, own)).toBeUndefined()
  })
})

describe('LO2 sign-out by a plain form', () => {
  const form = {
    origin: own,
    secFetchSite: 'same-origin',
    secFetchMode: 'navigate',
    contentType: 'application/x-www-form-urlencoded',
  }
  const old = { ...form, secFetchSite: undefined, secFetchMode: undefined }

  test('LO2 a form of the own origin passes, in a browser with Fetch Metadata and in one without', () => {
    expect(formPostRefusal(form, own)).toBeUndefined()
    expect(formPostRefusal({ ...form, origin: undefined }, own)).toBeUndefined()
    for (const contentType of [
      'application/x-www-form-urlencoded;charset=UTF-8',
      'multipart/form-data; boundary=x',
      'Text/Plain',
    ]) {
      expect(formPostRefusal({ ...old, contentType }, own)).toBeUndefined()
    }
  })

  test.each<[string, Partial<typeof old | typeof form>]>([
    ['of another site', { secFetchSite: 'cross-site' }],
    ['of a sibling subdomain', { secFetchSite: 'same-site' }],
    ['typed by nobody', { secFetchSite: 'none' }],
    ['with a foreign Origin', { origin: 'https://evil.example' }],
    ['of a sandboxed frame', { origin: 'null' }],
    ['by fetch()', { secFetchMode: 'cors' }],
    ['by fetch() without CORS', { secFetchMode: 'no-cors' }],
    ['with half the metadata', { secFetchSite: undefined }],
    ['with the other half', { secFetchMode: undefined }],
  ])('LO2 a post %s is refused', (_, change) => {
    expect(formPostRefusal({ ...form, ...change } as typeof form, own)).toBeDefined()
  })

  test('LO2 without Fetch Metadata it needs both the Origin and a form type', () => {
    expect(formPostRefusal({ ...old, origin: undefined }, own)).toBeDefined()
    expect(formPostRefusal({ ...old, origin: 'null' }, own)).toBeDefined()
    for (const contentType of [undefined, '', 'application/json', 'text/plainx']) {
      expect(formPostRefusal({ ...old, contentType }, own)).toBeDefined()
    }
  })
})
