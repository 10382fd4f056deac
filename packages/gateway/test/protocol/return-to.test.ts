import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { safeReturnTo } from '../../src/protocol/return-to.ts'

const attacks = [
  ...[
    '//evil.example',
    '///evil.example',
    '/\\evil.example',
    '\\\\evil.example',
    '/\t/evil.example',
    '/\n/evil.example',
  ],
  ...[
    '/%09/evil.example',
    '/%0a/evil',
    '/%0d%0aLocation:%20//evil',
    '/%5cevil',
    '/%5Cevil',
    '/%2f/evil',
    '/%2Fevil',
    '/%2f%2fevil',
  ],
  ...[
    '/%252fevil',
    '/%255cevil',
    '/a//evil',
    '/./\\evil',
    '/.//evil',
    '/..//evil',
    '/%2e//evil',
    '/%c0%afevil',
    '/\uff0fevil',
    '/\u2215evil',
  ],
  ...[
    'javascript:alert(1)',
    'JaVaScRiPt:alert(1)',
    'data:text/html,x',
    'https://evil.example',
    'https://evil.example/',
    'http://app.example/',
    'https:evil',
    'evil.example',
    '@evil',
  ],
  ...[
    '',
    ' ',
    ' /a',
    '/ a',
    '/a ',
    '\t/a',
    '/a\r\nSet-Cookie: x=1',
    '/a\0',
    '/a\x7f',
    '/caf\u00e9',
    '/?\r\nX: 1',
    '/#\r\n',
    '/#a#b',
    '/#\u00e9',
  ],
  ...['?x', '#x', '*', `/${'a'.repeat(1024)}`, '/;//evil', '/%00//evil', '/%', '/%zz'],
]

describe('OR1 the return address is a local path', () => {
  test.each(attacks)('OR1 %j leads to /', (value) => expect(safeReturnTo(value)).toBe('/'))
  test('OR1 none at all leads to /', () => {
    expect([safeReturnTo(null), safeReturnTo(undefined)]).toEqual(['/', '/'])
  })

  test.each([
    '/',
    '/orders/17',
    '/orders?page=2&to=//x',
    '/a/?q=%2F%2Fx',
    '/app#/route?x=1',
    '/#',
    '/caf%C3%A9',
    '/a#//evil',
  ])('%s is kept as it is', (value) => expect(safeReturnTo(value)).toBe(value))

  test('the sign-in endpoints are no place to return to', () => {
    for (const loop of ['/auth', '/auth/', '/auth/login?return_to=/', '/auth/callback/corp?code=x', '/auth#x']) {
      expect(safeReturnTo(loop, '/auth')).toBe('/')
    }
    expect(safeReturnTo('/authors', '/auth')).toBe('/authors')
    expect(safeReturnTo('/auth/x')).toBe('/auth/x')
  })

  test('OR1 whatever is sent, and decoded once or twice on the way, the browser stays on the origin', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '/',
        '\\',
        '//',
        '%2f',
        '%5C',
        '%09',
        '%0a',
        '\t',
        '\n',
        '\r',
        '%252f',
        '@',
        ':',
        '?',
        '#',
        '.',
        '..',
        '%2e',
        ';',
      ),
      fc.constantFrom(
        'evil.example',
        'javascript:',
        'https:',
        'a',
        ' ',
        '%',
        '%25',
        '\u3002',
        '%E3%80%82',
        '\uff0f',
        '%EF%BC%8F',
        '%3a',
        '%40',
      ),
      fc.string({ maxLength: 3 }),
    )
    const value = fc
      .tuple(fc.constantFrom('', '/'), fc.array(piece, { maxLength: 7 }))
      .map(([start, rest]) => start + rest.join(''))
    fc.assert(
      fc.property(value, (attempt) => {
        let result = safeReturnTo(attempt)
        for (let decoded = 0; decoded <= 2; decoded++) {
          expect(new URL(result, 'https://app.example').origin).toBe('https://app.example')
          try {
            result = decodeURIComponent(result)
          } catch {
            return
          }
        }
      }),
      { numRuns: 5000 },
    )
  })
})
