import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isGatewayCookie } from '../../src/protocol/cookies.ts'
import { siftRequest } from '../../src/protocol/sift-request.ts'

const sift = (...rawHeaders: string[]) => siftRequest(rawHeaders, isGatewayCookie)
const base = ['Host', 'app.example.com']

describe('a browser request', () => {
  const head = sift(
    ...['Host', 'app.example.com', 'Connection', 'keep-alive', 'sec-ch-ua-mobile', '?0', 'User-Agent', 'Mozilla/5.0'],
    ...['X-CSRF', '1', 'Accept', 'application/json', 'Content-Type', 'application/json', 'Content-Length', '2'],
    ...[
      'Origin',
      'https://app.example.com',
      'Sec-Fetch-Site',
      'same-origin',
      'Sec-Fetch-Mode',
      'cors',
      'Sec-Fetch-Dest',
      'empty',
    ],
    ...[
      'Accept-Language',
      'en',
      'Referer',
      'https://app.example.com/',
      'Cookie',
      'a=1; __Host-session=s; b="2"',
      'X-Api-Key',
      'k',
    ],
  )

  test('is read in one pass', () => {
    expect(head).toMatchObject({
      problem: undefined,
      host: 'app.example.com',
      cookie: 'a=1; __Host-session=s; b="2"',
      csrf: '1',
      origin: 'https://app.example.com',
      secFetchSite: 'same-origin',
      secFetchMode: 'cors',
      secFetchDest: 'empty',
      accept: 'application/json',
      contentType: 'application/json',
      contentLength: '2',
      userAgent: 'Mozilla/5.0',
      acceptLanguage: 'en',
      referer: 'https://app.example.com/',
    })
  })

  test('PX2 reaches the upstream without Host, X-CSRF, hop-by-hop headers and the cookies of the gateway', () => {
    expect(head.forward).toEqual([
      ...['sec-ch-ua-mobile', '?0', 'User-Agent', 'Mozilla/5.0', 'Accept', 'application/json'],
      ...['Content-Type', 'application/json', 'Content-Length', '2', 'Origin', 'https://app.example.com'],
      ...[
        'Sec-Fetch-Site',
        'same-origin',
        'Sec-Fetch-Mode',
        'cors',
        'Sec-Fetch-Dest',
        'empty',
        'Accept-Language',
        'en',
      ],
      ...['Referer', 'https://app.example.com/', 'X-Api-Key', 'k', 'cookie', 'a=1; b="2"'],
    ])
  })

  test('without cookies of others sends no Cookie at all', () => {
    expect(sift(...base, 'Cookie', '__Host-Http-session=s').forward).toEqual([])
  })
})

const withheld = [
  ...[
    'Authorization',
    'Proxy-Authorization',
    'Proxy-Connection',
    'Proxy',
    'Forwarded',
    'Via',
    'X-Real-IP',
    'X-Client-IP',
  ],
  ...[
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Uri',
    'X-Forwarded-User',
  ],
  ...[
    'X-Forwarded-Client-Cert',
    'X-Original-URL',
    'X-Original-Method',
    'X-Rewrite-URL',
    'X-HTTP-Method-Override',
    'X-HTTP-Method',
  ],
  ...[
    'X-Method-Override',
    'X-Coatcheck-User',
    'X-Coatcheck-Roles',
    'X-Coatcheck-Anything',
    'X-CSRF',
    'X-Request-Id',
    'Traceparent',
  ],
  ...[
    'Tracestate',
    'Client-Cert',
    'X-SSL-Client-Verify',
    'SSL-Client-Cert',
    'X-Client-Cert',
    'Remote-User',
    'X-Auth-Request-User',
  ],
  ...[
    'X-Amzn-Oidc-Data',
    'X-Goog-IAP-JWT-Assertion',
    'OIDC-Claim-Sub',
    'Keep-Alive',
    'TE',
    'Trailer',
    'Upgrade',
    'HTTP2-Settings',
    'Expect',
  ],
  // of Authelia, Kubernetes, Grafana, authentik, Pomerium, Cloudflare, Tailscale, Kong, Azure, WebLogic, Next.js
  ...['Remote-Groups', 'X-Remote-Group', 'X-Remote-Extra-Scope', 'X-Webauth-User', 'X-Authentik-Username'],
  ...['X-Pomerium-Claim-Email', 'Cf-Access-Jwt-Assertion', 'Tailscale-User-Login', 'X-Consumer-Username'],
  ...['X-Authenticated-Userid', 'X-Userinfo', 'X-MS-Token-AAD-Id-Token', 'X-Azure-ClientIP', 'WL-Proxy-Client-IP'],
  ...['X-Middleware-Subrequest', 'X-Invoke-Path', 'X-Forwarded', 'Forwarded-For', 'X-Host'],
]

describe('PX2 what an upstream might believe is withheld', () => {
  test.each(withheld)('PX2 %s, in any letter case', (name) => {
    for (const spelling of [name, name.toLowerCase(), name.toUpperCase()]) {
      expect(sift(...base, spelling, 'x')).toMatchObject({ problem: undefined, forward: [] })
    }
  })

  test.each(withheld.filter((name) => name.includes('-')))(
    'PX2 %s with _ for -, which CGI can not tell apart',
    (name) => {
      for (const sign of ['_', '.', '!', '~']) {
        const odd = name.replaceAll('-', sign)
        const mixed = name.replace('-', sign)
        expect(sift(...base, odd, 'x', mixed, 'y', odd.toLowerCase(), 'z')).toMatchObject({
          problem: undefined,
          forward: [],
        })
      }
    },
  )

  test('PX2 an underscore spelling is never read as the header itself', () => {
    const head = sift(
      ...base,
      'X_CSRF',
      '1',
      'Sec_Fetch_Site',
      'same-origin',
      'X_Forwarded_For',
      '1.2.3.4',
      'Content_Length',
      '9',
    )
    expect(head).toMatchObject({
      csrf: undefined,
      secFetchSite: undefined,
      forwardedFor: undefined,
      contentLength: undefined,
    })
    expect(head.forward).toEqual([])
  })

  test('an ordinary name with an underscore passes', () => {
    expect(sift(...base, 'api_key', 'k', 'client_id', 'c').forward).toEqual(['api_key', 'k', 'client_id', 'c'])
  })
})

describe('PX6 a head with two readings is refused', () => {
  const problems: Record<string, string[]> = {
    'both lengths': ['Content-Length', '5', 'Transfer-Encoding', 'chunked'],
    'two equal lengths': ['Content-Length', '5', 'content-length', '5'],
    'a list of lengths': ['Content-Length', '5, 5'],
    'a signed length': ['Content-Length', '+5'],
    'a hexadecimal length': ['Content-Length', '0x5'],
    'an empty length': ['Content-Length', ''],
    'a length beyond counting': ['Content-Length', '9'.repeat(20)],
    'an unknown coding': ['Transfer-Encoding', 'xchunked'],
    'two codings': ['Transfer-Encoding', 'gzip, chunked'],
    'a hidden coding': ['Transfer-Encoding', '\x0bchunked'],
    'chunked twice': ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked'],
    'two hosts': ['Host', 'evil.example'],
    'two origins': ['Origin', 'https://a', 'Origin', 'https://b'],
    'two Sec-Fetch-Site': ['Sec-Fetch-Site', 'cross-site', 'sec-fetch-site', 'same-origin'],
    'two cookies': ['Cookie', 'a=1', 'cookie', 'b=2'],
    'two credentials': ['Authorization', 'Bearer a', 'authorization', 'Bearer b'],
    'two content types': ['Content-Type', 'text/plain', 'content-type', 'application/json'],
    'two user agents': ['User-Agent', 'a', 'user-agent', 'b'],
    'two referers': ['Referer', 'a', 'referer', 'b'],
    'a line feed in a value': ['X-A', 'b\nX-Coatcheck-User: admin'],
    'a carriage return in a value': ['X-A', 'b\rc'],
    'NUL in a value': ['X-A', 'b\0'],
    'a blank in a name': ['X-A ', 'b'],
    'a colon in a name': ['X-A:', 'b'],
    'a line feed in a name': ['X-A\nX-B', 'c'],
    'no name': ['', 'b'],
    'a name beyond ASCII that lower-cases into it (K)': ['coo\u212aie', 'a=1'],
  }
  test.each(Object.entries(problems))('PX6 %s', (_, headers) => {
    expect(sift(...base, ...headers).problem).toMatch(/^[a-z0-9 -]+$/)
  })

  test('a chunked body alone, and obs-text, are fine; the carrier frames anew', () => {
    const head = sift(...base, 'Transfer-Encoding', 'chunked', 'X-Name', 'caf\u00e9')
    expect(head).toMatchObject({ problem: undefined, transferEncoding: 'chunked', forward: ['X-Name', 'caf\u00e9'] })
  })
})

describe('PX2 Connection', () => {
  test('PX2 nominated headers stay on this hop', () => {
    expect(
      sift(...base, 'X-Hop', '1', 'Connection', 'keep-alive, x-hop , close', 'x-hop', '2', 'X-End', '3').forward,
    ).toEqual(['X-End', '3'])
  })

  test.each([
    'Authorization',
    'cookie',
    'Host',
    'x-csrf',
    'Content-Length',
    'Transfer-Encoding',
    'Origin',
    'X-Forwarded-For',
    'x-coatcheck-user',
    'X_Real_IP',
    'close, Sec-Fetch-Site',
  ])('PX2 nominating %s is hop-by-hop abuse', (name) => {
    expect(sift(...base, 'Connection', name).problem).toBe('connection header nominates an end-to-end header')
  })

  test('over several lines too', () => {
    expect(sift(...base, 'Connection', 'close', 'Connection', 'cookie').problem).toBeDefined()
  })

  test.each(['keep-alive', 'close', 'Upgrade', 'keep-alive, Upgrade', 'Upgrade, HTTP2-Settings', 'TE, close', ''])(
    '%j is ordinary',
    (value) => {
      expect(sift(...base, 'Connection', value)).toMatchObject({ problem: undefined, forward: [] })
    },
  )
})

describe('collected values', () => {
  test('lists over several lines are one list; PX9 two X-Forwarded-Host equal nothing', () => {
    expect(
      sift(
        ...base,
        'X-Forwarded-For',
        'a',
        'X-Forwarded-For',
        'b',
        'X-Forwarded-Host',
        'h',
        'X-Forwarded-Host',
        'h',
        'Accept',
        'a/b',
        'Accept',
        'c/d',
      ),
    ).toMatchObject({ forwardedFor: 'a, b', forwardedHost: 'h, h', accept: 'a/b, c/d' })
  })

  test('any of the prefetch headers', () => {
    for (const name of ['Sec-Purpose', 'Purpose', 'X-Moz', 'X-Purpose'])
      expect(sift(name, 'prefetch').secPurpose).toBe('prefetch')
  })

  test('a trace is taken up when it is well-formed, else neither header is', () => {
    const id = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`
    expect(sift('traceparent', id, 'tracestate', 'x=1')).toMatchObject({ traceparent: id, tracestate: 'x=1' })
    for (const bad of ['', 'x', id.toUpperCase(), `00-${'0'.repeat(32)}-${'b'.repeat(16)}-01`, `${id}-x`]) {
      expect(sift('traceparent', bad, 'tracestate', 'x=1')).toMatchObject({
        traceparent: undefined,
        tracestate: undefined,
      })
    }
    expect(sift('traceparent', id, 'traceparent', id).traceparent).toBeUndefined()
  })

  test('PX2 no spelling of a withheld name gets through', () => {
    const spelling = fc
      .constantFrom(...withheld)
      .chain((name) =>
        fc.tuple(
          ...[...name].map((char) =>
            char === '-'
              ? fc.constantFrom('-', '_', '.', '~')
              : fc.constantFrom(char, char.toLowerCase(), char.toUpperCase()),
          ),
        ),
      )
      .map((chars) => chars.join(''))
    fc.assert(
      fc.property(spelling, fc.string({ unit: 'grapheme-ascii' }), (name, value) => {
        expect(sift(...base, name, value).forward).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })
})
