import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeBase64url, encodeBase64url } from '../../src/protocol/base64url.ts'
import { printable } from '../../src/protocol/printable.ts'
import { timingSafeEqual } from '../../src/protocol/timing-safe.ts'

describe('LG3 text of a request in a log', () => {
  test.each([
    ['Mozilla/5.0 (X11)', 'Mozilla/5.0 (X11)'],
    ['a\r\n{"level":50}', 'a\\x0d\\x0a{"level":50}'],
    ['\x1b[2Jgone', '\\x1b[2Jgone'],
    ['\\x0a', '\\\\x0a'],
    ['a\u2028b\u202eb\u200bc\ufeff', 'a\\u{2028}b\\u{202e}b\\u{200b}c\\u{feff}'],
    ['\x85\x9b\xa0', '\\x85\\x9b\\xa0'],
    ['\ud800', '\\u{d800}'],
    ['Zoë 東京 🎩', 'Zoë 東京 🎩'],
  ])('LG3 %j', (text, shown) => expect(printable(text)).toBe(shown))

  test('long text is cut', () => {
    expect(printable('a'.repeat(300))).toBe(`${'a'.repeat(200)}…`)
    expect(printable('abc', 2)).toBe('ab…')
  })

  test('LG3 one line, and two texts never look the same', () => {
    const text = fc.string({ unit: 'binary', maxLength: 40 })
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(printable(a)).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u)
        if (a !== b) expect(printable(a)).not.toBe(printable(b))
      }),
    )
  })
})

describe('base64url', () => {
  test('agrees with Node in both directions', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const text = Buffer.from(bytes).toString('base64url')
        expect(encodeBase64url(bytes)).toBe(text)
        expect(decodeBase64url(text)).toEqual(bytes)
      }),
    )
  })
  test('ID2 each sequence of bytes has one spelling', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[A-Za-z0-9_=+/ -]{0,12}$/), (text) => {
        const bytes = decodeBase64url(text)
        if (bytes !== undefined) expect(encodeBase64url(bytes)).toBe(text)
      }),
      { numRuns: 2000 },
    )
  })
  test.each(['A', 'AAAAA', 'AA==', 'AA=', 'AB', 'AAB', 'A A', 'AA\n', 'A+', 'A/', 'AAAé', '\u0100A'])(
    '%j is refused',
    (text) => {
      expect(decodeBase64url(text)).toBeUndefined()
    },
  )
})

test('timingSafeEqual is equality, of text and of bytes', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), (a, b) => timingSafeEqual(a, b) === (a === b) && timingSafeEqual(a, a)),
  )
  expect(timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 2]))).toBe(true)
  expect(timingSafeEqual(new Uint8Array([1, 2]), new Uint8Array([1, 3]))).toBe(false)
  expect(timingSafeEqual('a', 'aa')).toBe(false)
})
