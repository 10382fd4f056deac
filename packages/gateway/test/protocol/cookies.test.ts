import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AMBIGUOUS,
  cookieNames,
  expireCookie,
  isGatewayCookie,
  readCookie,
  setCookie,
  withoutCookies,
} from '../../src/protocol/cookies.ts'

const name = '__Host-session'

describe('reading', () => {
  test.each([
    ['__Host-session=a', 'a'],
    ['x=1; __Host-session=a; y=2', 'a'],
    ['x=1;__Host-session=a', 'a'],
    ['x=1; \t __Host-session= a \t; y', 'a'],
    ['__Host-session=', ''],
    ['__Host-session=a=b', 'a=b'],
    ['__Host-session="a"', '"a"'],
    ['__Host-session2=b; __Host-session=a', 'a'],
  ])('%j', (header, value) => expect(readCookie(header, name)).toBe(value))

  test.each([
    [undefined],
    [''],
    ['x=__Host-session=evil'],
    ['=__Host-session=evil'],
    ['; =__Host-session=evil'],
    ['x=1, __Host-session=evil'],
    ['x __Host-session=evil'],
    ['__Host-session'],
    ['__Host-session2=evil'],
    ['my__Host-session=evil'],
    ['__host-session=evil'],
    ['__Host-session =evil'],
    ['\u00a0__Host-session=evil'],
    ['x=1\u2028__Host-session=evil'],
  ])('FX1 %j does not plant ours: nameless, other case, look-alike', (header) => {
    expect(readCookie(header, name)).toBeUndefined()
  })

  test('FX1 the same cookie twice is cookie tossing, with equal values too', () => {
    expect(readCookie('__Host-session=a; __Host-session=b', name)).toBe(AMBIGUOUS)
    expect(readCookie('__Host-session=a; x=1;__Host-session=a', name)).toBe(AMBIGUOUS)
    expect(readCookie('__Host-session=a; __Host-session=', name)).toBe(AMBIGUOUS)
  })

  test('names by prefix', () => {
    expect(
      cookieNames('a=1; __Host-login-x=1; __Host-login-y=2; b=__Host-login-z=3; __Host-login-x=4', '__Host-login-'),
    ).toEqual(['__Host-login-x', '__Host-login-y', '__Host-login-x'])
    expect(cookieNames('=__Host-login-x=1; __Host-login-y', '__Host-login-')).toEqual([])
    expect(cookieNames(undefined, 'a')).toEqual([])
  })
})

describe('PX2 the cookies of the gateway stay at the gateway', () => {
  test.each([
    ['__Host-session=s', ''],
    ['a=1; __Host-session=s', 'a=1'],
    ['__Host-session=s; a=1', 'a=1'],
    ['a=1;  b="x y"  ; __Host-bound=s;c=%20', 'a=1;  b="x y"  ;c=%20'],
    ['a=1; __Host-session=s; __Host-login-7=t; b=2', 'a=1; b=2'],
    ['__Host-session=s;', ''],
    ['a=1; =__Host-session=s; b=2', 'a=1; b=2'],
    ['a=1; __Host-session; b=2', 'a=1; b=2'],
    ['a=1; __HOST-Session =s', 'a=1'],
    ['a=1;;b=2;', 'a=1;;b=2;'],
  ])('PX2 %j → %j', (header, rest) => expect(withoutCookies(header, isGatewayCookie)).toBe(rest))

  test('PX2 of any header, no pair of ours remains and every other pair keeps its bytes', () => {
    const pair = fc.oneof(
      fc.constantFrom(
        '__Host-session=s',
        '__Host-Http-session=s',
        ' __host-bound=x',
        '=__Host-session=y',
        '__Host-login-a=1',
        '',
      ),
      fc.string({ maxLength: 8 }).map((text) => text.replaceAll(';', '')),
      fc.constantFrom('a=1', ' b=2', '\tc="3"', 'x=__Host-session=s'),
    )
    fc.assert(
      fc.property(fc.array(pair), (pairs) => {
        const rest = withoutCookies(pairs.join(';'), isGatewayCookie)
        for (const cookie of ['__Host-session', '__Host-Http-session', '__Host-login-a']) {
          expect(readCookie(rest, cookie)).toBeUndefined()
        }
        const theirs = pairs.map((text) => text.trim()).filter((text) => text !== '' && !/^[=\s]*__host-/i.test(text))
        const left = rest.split(';').map((text) => text.trim())
        expect(left.filter((text) => text !== '' && !/^[=\s]*__host-/i.test(text))).toEqual(theirs)
      }),
    )
  })

  test('which names are ours', () => {
    for (const ours of [name, '__Host-Http-session', '__host-http-SESSION', '__Host-bound', '__Host-login-x']) {
      expect(isGatewayCookie(ours)).toBe(true)
    }
    for (const theirs of [
      'session',
      '__Host-',
      '__Host-app',
      '__Host-sessions',
      '__Secure-session',
      'x__Host-session',
    ]) {
      expect(isGatewayCookie(theirs)).toBe(false)
    }
  })
})

describe('writing', () => {
  test('CK1 every cookie is a __Host- cookie: Secure, HttpOnly, Path=/, no Domain', () => {
    expect(setCookie({ name, value: 'v1.a', sameSite: 'Strict' })).toBe(
      '__Host-session=v1.a; Path=/; Secure; HttpOnly; SameSite=Strict',
    )
    expect(setCookie({ name: '__Host-login-1', value: 'x', sameSite: 'Lax', maxAge: 600 })).toBe(
      '__Host-login-1=x; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=600',
    )
    expect(expireCookie(name, 'Strict')).toBe('__Host-session=; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=0')
  })

  test('CK3 a cookie over 4096 bytes is a fault here, not a silent loss in the browser', () => {
    expect(() => setCookie({ name, value: 'a'.repeat(4096), sameSite: 'Strict' })).toThrow(RangeError)
    expect(setCookie({ name, value: 'a'.repeat(4000), sameSite: 'Strict' }).length).toBeLessThanOrEqual(4096)
  })

  test.each(['a;b', 'a b', 'a,b', 'a"b', 'a\\b', 'a\r\nX: 1', 'a\0', '\u00e9'])('a value %j is refused', (value) => {
    expect(() => setCookie({ name, value, sameSite: 'Strict' })).toThrow(TypeError)
  })

  test('a name outside the type is refused at run time too', () => {
    expect(() => setCookie({ name: 'session' as '__Host-x', value: 'a', sameSite: 'Lax' })).toThrow(TypeError)
    expect(() => setCookie({ name: '__Host-a; Domain=x', value: 'a', sameSite: 'Lax' })).toThrow(TypeError)
    expect(() => setCookie({ name, value: 'a', sameSite: 'Lax', maxAge: 0.5 })).toThrow(TypeError)
  })
})
