import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readTarget } from '../../src/protocol/target.ts'

const refused: Record<string, readonly string[]> = {
  'another form than a path': [
    '',
    '*',
    'api',
    'api/x',
    'example.com:443',
    '?q',
    '@evil.example',
    'ftp://h/',
    'javascript:1',
  ],
  'a second host or an empty segment': ['//evil.example', '//evil.example/api', '/api//admin', '/api//', '///'],
  'dot segments': ['/..', '/.', '/api/../admin', '/api/./admin', '/api/..', '/api/.', '/../', '/api/..?x', '/./?x'],
  'encoded dots': ['/%2e%2e/admin', '/api/%2E%2E/admin', '/api/.%2e/admin', '/api/%2e./admin', '/api/%2e/admin'],
  'slashes and backslashes': [
    '/api/..%2fadmin',
    '/api%2Fadmin',
    '/api%5cadmin',
    '/api%5C..',
    '/api\\admin',
    '/\\evil',
    '/..\\',
  ],
  'path parameters': ['/admin;x', '/api/..;/admin', '/admin%3bx', '/admin%3Bx', '/api;jsessionid=1/x'],
  fragments: ['/api#x', '/#', '/api?x#y', '/api/admin#/public'],
  'encoded NUL and control characters': ['/a%00', '/a%0d%0aX:1', '/a%0A', '/%09/evil', '/a%1f', '/a%7F'],
  'raw control characters, spaces, non-ASCII': [
    '/a\0',
    '/a\r\nX: 1',
    '/a\tb',
    '/a b',
    '/a\x7f',
    '/caf\u00e9',
    '/a\u2028',
    '/\uff0fevil',
  ],
  'malformed escapes': ['/%', '/a%2', '/a%zz', '/a%2g', '/a%u002f', '/%%', '/a%\u0661\u0661'],
  'escapes of letters, digits, - . _ ~': [
    '/%61dmin',
    '/%41dmin',
    '/a%2Db',
    '/a%5fb',
    '/a%7Eb',
    '/a%7eb',
    '/%30',
    '/a%2eb',
  ],
  'double encoding': [
    '/%252e%252e/admin',
    '/a%252fb',
    '/a%255Cb',
    '/a%2500',
    '/a%253b',
    '/a%252525',
    '/a%25ff',
    '/a%25Ab',
  ],
  'escapes that are not UTF-8': [
    ...[
      '/%c0%ae%c0%ae/admin',
      '/%c0%af',
      '/%e0%80%af',
      '/%f0%80%80%af',
      '/%80',
      '/%C3',
      '/%c3x',
      '/%c3%28',
      '/%ed%a0%80',
    ],
    ...['/%f4%90%80%80', '/%ff', '/%c3%', '/%e2%82', '/%c1%bf'],
  ],
  'characters that belong encoded in a path': ['/a"b', '/<a>', '/a^b', '/a`b', '/{id}'],
  'the same in a query': ['/?a b', '/?\0', '/?\r\nX: 1', '/?\x7f', '/?\u00e9', '/?a\u2028'],
  'absolute-form with tricks': [
    ...[
      'http://app@evil.example/',
      'http://a:b@evil/',
      'http://',
      'http:///x',
      'http://host',
      'http://host?x',
      'http:/x',
    ],
    ...[
      'http://ho st/',
      'http://host\\@evil/',
      'http://host//x',
      'http://host/../x',
      'http://host/%2e',
      'http://h#x/',
      'https:\\\\host/',
    ],
  ],
  'more than 8 KB': [`/${'a'.repeat(8192)}`, `/?${'a'.repeat(8192)}`],
}

describe('PX1 a target that two servers could read differently is refused', () => {
  for (const [what, targets] of Object.entries(refused)) {
    test.each(targets.map((target) => [target.slice(0, 60)] as const))(`PX1 ${what}: %j`, (shown) => {
      const target = targets.find((candidate) => candidate.slice(0, 60) === shown) ?? ''
      expect(readTarget(target)).toEqual({ kind: 'refused', reason: expect.any(String) })
    })
  }

  test('the reason repeats nothing of the target: it goes into a log', () => {
    for (const target of Object.values(refused).flat()) {
      const answer = readTarget(target)
      expect(answer.kind === 'refused' && answer.reason).toMatch(/^[A-Za-z0-9 ,/().-]+$/)
    }
  })
})

describe('ordinary targets pass untouched', () => {
  test.each([
    ['/', '/', ''],
    ['/?', '/', '?'],
    ['/api/orders/17?page=2&sort=-created', '/api/orders/17', '?page=2&sort=-created'],
    ['/api/', '/api/', ''],
    ['/users/ann%40example.com', '/users/ann%40example.com', ''],
    ['/caf%C3%A9/%e2%82%ac/%F0%9F%8E%A9', '/caf%C3%A9/%e2%82%ac/%F0%9F%8E%A9', ''],
    ['/a%20b%26c%3Fd%23e', '/a%20b%26c%3Fd%23e', ''],
    ['/100%25', '/100%25', ''],
    ['/.well-known/x', '/.well-known/x', ''],
    ['/...', '/...', ''],
    ['/..a/a../.a', '/..a/a../.a', ''],
    ['/chunks/[slug]-1.js', '/chunks/[slug]-1.js', ''],
    ["/!$&'()*+,=:@", "/!$&'()*+,=:@", ''],
    ['/?u=//x/../y;z\\%2f%zz', '/', '?u=//x/../y;z\\%2f%zz'],
    ['/?{"a":[1]}?', '/', '?{"a":[1]}?'],
  ])('%s', (target, path, query) => {
    expect(readTarget(target)).toEqual({ kind: 'target', path, query })
  })

  test('absolute-form yields the origin for the guard to compare, in lower case', () => {
    expect(readTarget('HTTP://App.Example.COM:8443/Api?x')).toEqual({
      kind: 'absolute',
      scheme: 'http',
      authority: 'app.example.com:8443',
      path: '/Api',
      query: '?x',
    })
    expect(readTarget('https://[::1]:8443/')).toMatchObject({ kind: 'absolute', authority: '[::1]:8443' })
  })
})

/** Pieces that attacks are made of, so that random targets come near the border. */
const piece = fc.oneof(
  fc.constantFrom(
    '/',
    '.',
    '..',
    '%2e',
    '%2F',
    '%5c',
    '%25',
    '%252e',
    ';',
    '%3b',
    '//',
    '\\',
    '@',
    ':',
    '?',
    '#',
    '%00',
    '%C3%A9',
  ),
  fc.constantFrom(
    '%c0%ae',
    '%',
    '[',
    '|',
    "'",
    '+',
    '~',
    'api',
    'admin',
    '\t',
    ' ',
    '%3F',
    '%23',
    '%E2%82%AC',
    '%25%',
    '%2',
  ),
  fc.string({ minLength: 1, maxLength: 3 }),
  fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`),
)
const anyTarget = fc.array(piece, { maxLength: 8 }).map((pieces) => `/${pieces.join('')}`)

function accepted(target: string): { path: string; query: string } {
  const read = readTarget(target)
  fc.pre(read.kind === 'target')
  return read
}

describe('PX1 what is accepted has one reading', () => {
  const runs = { numRuns: 3000, maxSkipsPerRun: 1000 }

  test('PX1 a URL parser reads the same path, on the same host', () => {
    fc.assert(
      fc.property(anyTarget, (target) => {
        const { path, query } = accepted(target)
        const url = new URL(target, 'http://x')
        expect([url.host, url.pathname, path + query]).toEqual(['x', path, target])
      }),
      runs,
    )
  })

  test('PX1 decoding once or twice changes neither the segments nor what they resolve to', () => {
    fc.assert(
      fc.property(anyTarget, (target) => {
        const { path } = accepted(target)
        const segments = path.split('/')
        let decoded = path
        for (let times = 0; times < 2; times++) {
          decoded = decodeLeniently(decoded)
          const now = decoded.split('/')
          expect(now).toHaveLength(segments.length)
          expect(now.some((segment) => segment === '.' || segment === '..' || segment.includes('\\'))).toBe(false)
          expect(now.slice(1, -1)).not.toContain('')
        }
      }),
      runs,
    )
  })

  test('PX1 a path of unreserved characters has no second spelling', () => {
    const word = fc.stringMatching(/^[a-z0-9_~-]{1,8}$/)
    fc.assert(
      fc.property(word, fc.nat(), fc.boolean(), (segment, seed, upper) => {
        const at = seed % segment.length
        const hex = segment.charCodeAt(at).toString(16)
        const encoded = `%${upper ? hex.toUpperCase() : hex}`
        expect(readTarget(`/${segment}`).kind).toBe('target')
        expect(readTarget(`/${segment.slice(0, at)}${encoded}${segment.slice(at + 1)}`).kind).toBe('refused')
      }),
    )
  })

  test('never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (target) => void readTarget(target)))
  })
})

/** As the laxest server: what can't be decoded stays. */
function decodeLeniently(text: string): string {
  return text.replace(/(?:%[0-9a-f]{2})+/gi, (escapes) => {
    try {
      return decodeURIComponent(escapes)
    } catch {
      return unescape(escapes)
    }
  })
}
