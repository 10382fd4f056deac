import { describe, expect, test } from 'vitest'
import type { ResponseRules } from '../../src/decision.ts'
import { siftResponse } from '../../src/protocol/sift-response.ts'

const open: ResponseRules = {
  allowSetCookie: [],
  dropCors: false,
  noStore: false,
  defaults: [],
  pageDefaults: [],
  add: [],
}

test('PX3 a DPoP nonce is for whoever makes the proofs: the gateway hears it where it makes them, the browser never does', () => {
  const heard: string[] = []
  for (const name of ['DPoP-Nonce', 'dpop-nonce', 'Dpop-Nonce']) {
    expect(siftResponse([name, 'n1'], { ...open, heardNonce: (nonce) => heard.push(nonce) })).toEqual([])
    expect(siftResponse([name, 'n2'], open)).toEqual([])
  }
  expect(heard).toEqual(['n1', 'n1', 'n1'])
})

describe('PX3 cookies of an upstream', () => {
  const rules = { ...open, allowSetCookie: ['theme', '__Host-session', '__host-session', ''] }
  test('PX3 pass by their exact name', () => {
    expect(siftResponse(['Set-Cookie', 'theme=dark; Path=/', 'set-cookie', ' theme =x'], rules)).toEqual([
      ...['Set-Cookie', 'theme=dark; Path=/', 'set-cookie', ' theme =x'],
    ])
    expect(siftResponse(['Set-Cookie', 'theme=dark'], open)).toEqual([])
  })
  test.each([
    ...[
      'other=1',
      'Theme=1',
      'theme',
      'themes',
      '__Host-session=x',
      '__host-session=x',
      '=__Host-session=x',
      ' =theme=x',
      '=x',
      'x',
    ],
    ...[
      'x; theme=1',
      '\ttheme2=1',
      '__Host-session =x; Domain=example.com',
      'theme=1\r\nSet-Cookie: __Host-session=x',
      'theme=\0',
    ],
  ])('PX3 %j does not', (line) => {
    expect(siftResponse(['Set-Cookie', line], rules)).toEqual([])
  })
  test('an allowed cookie stands beside one of the gateway', () => {
    expect(siftResponse(['Set-Cookie', 'theme=1'], { ...rules, add: ['Set-Cookie', '__Host-session=x'] })).toEqual([
      ...['Set-Cookie', 'theme=1', 'Set-Cookie', '__Host-session=x'],
    ])
  })
  test('Set-Cookie2 does not', () => expect(siftResponse(['Set-Cookie2', 'theme=1'], rules)).toEqual([]))
})

describe('headers of an upstream', () => {
  test('PX2 hop-by-hop ones stay behind, and those that Connection names', () => {
    expect(
      siftResponse(
        [
          ...[
            'Connection',
            'close, X-Hop',
            'x-hop',
            '1',
            'Keep-Alive',
            'timeout=5',
            'Transfer-Encoding',
            'chunked',
            'Trailer',
            'x',
          ],
          ...['Proxy-Authenticate', 'Basic', 'Upgrade', 'h2c', 'Content-Type', 'text/plain', 'Content-Length', '2'],
        ],
        open,
      ),
    ).toEqual(['Content-Type', 'text/plain', 'Content-Length', '2'])
  })

  test('PX2 what speaks for the whole origin, or as the gateway, stays behind', () => {
    expect(
      siftResponse(
        [
          ...[
            'Clear-Site-Data',
            '"cookies"',
            'Alt-Svc',
            'h3=":443"',
            'X-Coatcheck-User',
            'x',
            'X-Accel-Redirect',
            '/etc',
          ],
          ...[
            'Sec-Session-Registration',
            '(ES256)',
            'Secure-Session-Challenge',
            'x',
            'Access-Control-Allow-Credentials',
            'true',
          ],
        ],
        open,
      ),
    ).toEqual([])
  })

  test('CS3 on a route with a session no other origin may read', () => {
    const cors = ['Access-Control-Allow-Origin', '*', 'access-control-expose-headers', 'x']
    expect(siftResponse(cors, open)).toEqual(cors)
    expect(siftResponse(cors, { ...open, dropCors: true })).toEqual([])
  })

  test('PX4 no-store replaces caching headers, those of CDNs too; validators stay', () => {
    const raw = [
      ...[
        'Cache-Control',
        'public, max-age=60',
        'Expires',
        'x',
        'Pragma',
        'x',
        'Age',
        '3',
        'Surrogate-Control',
        'x',
        'CDN-Cache-Control',
        'x',
      ],
      ...['Cloudflare-CDN-Cache-Control', 'x', 'X-Accel-Expires', '60', 'ETag', '"a"', 'Last-Modified', 'd'],
    ]
    expect(siftResponse(raw, { ...open, noStore: true, defaults: ['cache-control', 'no-cache'] })).toEqual([
      ...['ETag', '"a"', 'Last-Modified', 'd', 'cache-control', 'no-store'],
    ])
    expect(siftResponse(raw, open)).toEqual(raw)
  })

  test('SH1 defaults only where the upstream is silent; additions always, and alone', () => {
    const rules = {
      ...open,
      defaults: ['referrer-policy', 'same-origin', 'x-content-type-options', 'nosniff'],
      add: ['X-Request-Id', 'ours', 'Set-Cookie', 'a=1'],
    }
    expect(siftResponse(['Referrer-Policy', 'origin', 'x-request-id', 'theirs'], rules)).toEqual([
      ...[
        'Referrer-Policy',
        'origin',
        'x-content-type-options',
        'nosniff',
        'X-Request-Id',
        'ours',
        'Set-Cookie',
        'a=1',
      ],
    ])
  })

  test('SH1 a header that Connection took away counts as silence', () => {
    expect(
      siftResponse(['Referrer-Policy', 'origin', 'Connection', 'referrer-policy'], {
        ...open,
        defaults: ['referrer-policy', 'x'],
      }),
    ).toEqual(['referrer-policy', 'x'])
  })

  test('once-only headers once; what no upstream should send is dropped and flagged without its value', () => {
    const flags: string[] = []
    const raw = [
      'Content-Length',
      '2',
      'content-length',
      '3',
      'Date',
      'a',
      'Date',
      'b',
      'X-A',
      'b\r\nX-Evil: 1',
      'X B',
      'c',
      'WWW-Authenticate',
      'Bearer',
    ]
    expect(siftResponse(raw, open, (reason) => flags.push(reason))).toEqual([
      'Content-Length',
      '2',
      'Date',
      'a',
      'WWW-Authenticate',
      'Bearer',
    ])
    expect(flags).toEqual([
      'more than one content-length',
      'more than one date',
      'forbidden character in x-a',
      'invalid response header name',
    ])
  })
})

test('SH1 defaults for pages are added to pages only, and never over what the upstream set', () => {
  const pageDefaults = ['content-security-policy', "frame-ancestors 'self'"]
  const sift = (...headers: string[]) => siftResponse(headers, { ...open, pageDefaults }).join(' ')
  for (const type of ['text/html', 'Text/HTML; charset=utf-8', 'application/xhtml+xml', 'image/svg+xml', ' text/xml']) {
    expect(sift('Content-Type', type), type).toContain('frame-ancestors')
  }
  expect(sift('content-type', 'application/json')).not.toContain('frame-ancestors')
  expect(sift('Content-Type', 'text/html', 'Content-Security-Policy', "default-src 'none'")).not.toContain(
    'frame-ancestors',
  )
})
