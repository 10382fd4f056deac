import { describe, expect, test } from 'vitest'
import { complaints, configOf, corp, route, variant } from './folder.ts'

describe('durations and sizes', () => {
  test.each([
    ['1s', 1_000],
    ['90s', 90_000],
    ['15m', 900_000],
    ['12h', 43_200_000],
  ])('%s is %d ms', (text, expected) => {
    expect(configOf(variant({ session: { idle: text } })).session.idle).toBe(expected)
  })

  test.each([30, '30', '30 s', '1.5h', '-5m', '1h30m', '5S', '', null, '99999999999s'])('%j is no duration', (idle) => {
    expect(complaints({ session: { idle } })).toEqual([
      expect.stringContaining('write a duration with its unit, such as 30s, 15m, 12h or 30d'),
    ])
  })

  test('too short and too long', () => {
    expect(complaints({ session: { idle: '0s' } })).toEqual(['session.idle: is too little; write at least 1s'])
    expect(complaints({ routes: [route({ timeout: '2d' })] })).toEqual([
      'routes[0].timeout: is too much; write at most 24h',
    ])
  })

  test.each([
    ['0b', 0],
    ['64kb', 65_536],
    ['10mb', 10_485_760],
    ['1gb', 1_073_741_824],
  ])('%s is %d bytes', (text, expected) => {
    expect(configOf(variant({ routes: [route({ maxBody: text })] })).routes[0]?.maxBody).toBe(expected)
  })

  test.each([10, '10', '10MB', '10 mb', '10m'])('%j is no size', (maxBody) => {
    expect(complaints({ routes: [route({ maxBody })] })).toEqual([
      expect.stringContaining('write a size with its unit'),
    ])
  })
})

describe('addresses', () => {
  test.each([
    'https://app.example.com',
    'https://app.example.com:8443',
    'http://localhost:8080',
    'http://127.0.0.1:8080',
    'http://[::1]:8080',
  ])('origin %s', (origin) => {
    expect(configOf(variant({ origin })).origin).toBe(origin)
  })

  const only = 'write scheme, host and port only: https://app.example.com'
  const like = 'write it like https://app.example.com'
  test.each([
    ['https://app.example.com/', only],
    ['https://app.example.com/app?x#y', only],
    ['https://app.example.com:443', only],
    ['https://APP.example.com', only],
    ['https://user:hunter2@app.example.com', only],
    [
      'http://app.example.com',
      'plain http works for localhost, 127.0.0.1 and [::1] only; write https://app.example.com',
    ],
    ['http://localhost.example.com', expect.stringContaining('plain http works for localhost')],
    ['app.example.com', like],
    ['https://*.example.com', like],
    ['https://app.example.com, https://b.example.com', like],
    [' https://app.example.com', like],
    ['https:\\\\app.example.com', like],
    ['file:///etc/passwd', like],
    ['null', like],
  ])('origin %j is refused', (origin, message) => {
    const found = complaints({ origin })
    expect(found.map((line) => line.replace('origin: ', ''))).toEqual([message])
    expect(found.join()).not.toContain('hunter2')
  })

  test.each([
    'https://idp.example.com',
    'https://idp.example.com/',
    'https://idp.example.com/a/v2.0',
    'http://localhost:1/x',
  ])('AR3 the issuer %s is kept letter for letter', (issuer) => {
    expect(configOf(variant({ providers: { corp: { ...corp, issuer } } })).providers.corp?.issuer).toBe(issuer)
  })

  test.each([
    'http://idp.example.com',
    'https://idp.example.com?x',
    'https://idp.example.com#x',
    'https://user:hunter2@idp.example.com',
    'idp.example.com',
  ])('the issuer %s is refused', (issuer) => {
    const found = complaints({ providers: { corp: { ...corp, issuer } } })
    expect(found).toHaveLength(1)
    expect(found[0]).not.toContain('hunter2')
  })

  test.each([
    'http://127.0.0.1:3000/',
    'http://api/v1',
    'http://u:hunter2@api',
    'ftp://api',
    'api:3000',
    'http://api?x',
    'HTTP://api',
  ])('the upstream %s is refused', (upstream) => {
    const found = complaints({ routes: [route({ upstream })] })
    expect(found).toHaveLength(1)
    expect(found[0]).not.toContain('hunter2')
  })

  test('trusted proxies are networks; one address is a network of one', () => {
    const trustedProxies = ['10.0.0.0/8', '192.0.2.7', 'fd00::/8', '::1']
    expect(configOf(variant({ trustedProxies })).trustedProxies).toEqual([
      '10.0.0.0/8',
      '192.0.2.7/32',
      'fd00::/8',
      '::1/128',
    ])
    for (const bad of [
      '10.0.0.0/33',
      '10.0.0/8',
      'fd00::/129',
      'proxy.example.com',
      '10.0.0.0/',
      '::ffff:10.0.0.1/8/8',
      '',
    ]) {
      expect(complaints({ trustedProxies: [bad] })).toEqual([
        'trustedProxies[0]: write a network such as 10.0.0.0/8 or fd00::/8, or one address',
      ])
    }
  })

  test('hosts and ports', () => {
    for (const host of ['0.0.0.0', '::', 'localhost', 'gateway.internal']) {
      expect(configOf(variant({ listen: { host, port: 0 } })).listen.host).toBe(host)
    }
    for (const host of ['http://x', 'a b', '', '[::1]', 'x:1']) {
      expect(complaints({ listen: { host, port: 0 } })).toHaveLength(1)
    }
    for (const port of [-1, 65_536, 1.5, '8080', null]) expect(complaints({ listen: { port } })).toHaveLength(1)
  })
})

describe('small texts', () => {
  test.each(['/', '/*', '/a', '/a/', '/a/*', '/a/b.c/~d_-/*', '/.well-known/x', '/...'])(
    'PX1 route path %s',
    (path) => {
      expect(configOf(variant({ routes: [route({ path })] })).routes[0]?.path).toBe(path)
    },
  )

  test.each([
    '',
    'a',
    '*',
    '/a*',
    '/*/a',
    '/a/**',
    '//',
    '/a//b',
    '/a//*',
    '/a/../b',
    '/./a',
    '/a%2fb',
    '/a;b',
    '/a?b',
    '/a#b',
    '/ä',
    '/{id}',
    '/a@b',
    '/a\\b',
    '/a b',
    '/a\n',
  ])('PX1 route path %j is refused', (path) => {
    expect(complaints({ routes: [route({ path })] })).toEqual([expect.stringContaining('write a path such as /api/*')])
  })

  test.each(['', '/', 'auth', '/auth/', '/auth/*', '//auth', '/a/../b', '/a%20'])(
    'base path %j is refused',
    (basePath) => {
      expect(complaints({ basePath })).toEqual([expect.stringContaining('write a path such as /auth')])
    },
  )

  test.each(['TRACE', 'CONNECT', 'get', 'GET ', '', 'G\r\nX'])('PX6 method %j is refused', (method) => {
    expect(complaints({ routes: [route({ methods: [method] })] })).toHaveLength(1)
  })

  test('provider names are part of URLs', () => {
    for (const name of ['Corp', 'a b', 'a/b', 'ä', 'a_b']) {
      const found = complaints({ providers: { [name]: corp } })
      expect(found).toEqual([expect.stringContaining('name a provider in small letters, digits and hyphens')])
    }
    expect(complaints({ providers: {} })).toEqual(['providers: name at least one provider'])
  })

  test('the policy header is one line of ASCII', () => {
    expect(configOf(variant({ headers: { csp: "default-src 'self'" } })).headers.csp).toBe("default-src 'self'")
    for (const csp of ['', 'a\r\nSet-Cookie: x', 'ä', 'a\u0000'])
      expect(complaints({ headers: { csp } })).toHaveLength(1)
  })

  test('PX3 an upstream may not set the cookies of the gateway', () => {
    expect(complaints({ routes: [route({ allowSetCookie: ['lang'] })] })).toEqual([])
    for (const name of ['__Host-Http-session', '__host-session', '__Host-login-abc', '__Host-bound', 'a=b', '']) {
      expect(complaints({ routes: [route({ allowSetCookie: [name] })] })).toHaveLength(1)
    }
  })

  test('AR1 AR4 the request is the gateway’s: scope holds openid, and its own parameters stay its own', () => {
    const provider = (keys: object) => complaints({ providers: { corp: { ...corp, ...keys } } })
    for (const scope of ['profile', '', 'openid  email', ' openid', 'openid\nx', 'open"id'])
      expect(provider({ scope })).toHaveLength(1)
    expect(provider({ authorizationParams: { audience: 'api', response_mode: 'query' } })).toEqual([])
    for (const name of ['state', 'nonce', 'code_challenge', 'redirect_uri', 'client_id', 'response_type']) {
      expect(provider({ authorizationParams: { [name]: 'x' } })).toEqual([
        `providers.corp.authorizationParams.${name}: the gateway sets ${name} itself; remove it`,
      ])
    }
    for (const response_mode of ['form_post', 'jwt', 'query.jwt', 'form_post.jwt']) {
      expect(provider({ authorizationParams: { response_mode } })).toEqual([])
    }
    for (const response_mode of ['fragment', 'fragment.jwt', 'web_message', 'FORM_POST', '', 'jwt,query']) {
      expect(provider({ authorizationParams: { response_mode } })).toHaveLength(1)
    }
  })
})
