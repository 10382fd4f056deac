import { describe, expect, test } from 'vitest'
import { complaints, configOf, corp, minimal, problemsOf, route, variant, warningsOf } from './folder.ts'

describe('routes', () => {
  test.each([
    ['neither upstream nor static', { upstream: undefined }, 'upstream: is missing; write either'],
    ['CS1 csrf: same-origin here', { csrf: 'same-origin' }, 'csrf: same-origin is only for forwardAuth: true'],
    ['both upstream and static', { static: 'public' }, 'static: a route has either upstream or static'],
    ['CS1 csrf: off with a session', { csrf: 'off' }, 'csrf: off is only for access: public'],
    ['CS4 csrf: token without a session', { csrf: 'token', access: 'public' }, 'csrf: a token belongs to a session'],
    [
      'CS4 csrf: token for files',
      { csrf: 'token', upstream: undefined, static: 'public', access: 'public' },
      'csrf: files change nothing when they are fetched, so no token is asked for; remove it',
    ],
    [
      'CS4 csrf: token for WebSockets',
      { csrf: 'token', upstream: 'ws://127.0.0.1:3000' },
      'csrf: a WebSocket handshake can carry no token, and its Origin is looked at instead (origins); remove it',
    ],
    ['CS1 csrf: off with roles', { csrf: 'off', access: { roles: ['a'] } }, 'csrf: off is only for access: public'],
    [
      'a credential without a user',
      { access: 'public', credential: 'access-token' },
      'credential: access: public has no user',
    ],
    [
      'a credential for files',
      { upstream: undefined, static: 'public', credential: 'id-token' },
      'credential: static files need no credential',
    ],
    [
      'files for POST',
      { upstream: undefined, static: 'public', methods: ['GET', 'POST'] },
      'methods: static files are served to GET and HEAD only',
    ],
    [
      'a prefix cut off files',
      { upstream: undefined, static: 'public', stripPrefix: '/api' },
      "stripPrefix: static files are found below the route's path",
    ],
    [
      'a WebSocket by POST',
      { upstream: 'ws://127.0.0.1:3000', methods: ['GET', 'POST'] },
      'methods: a WebSocket begins with GET',
    ],
    ['CS5 origins without WebSockets', { origins: ['https://a.example'] }, 'origins: is for WebSockets'],
    [
      'CS5 an origin that no browser sends',
      { upstream: 'wss://live.example', origins: ['https://a.example/'] },
      'origins[0]: write scheme, host and port only: https://a.example',
    ],
    ['CS5 a wildcard among origins', { upstream: 'wss://live.example', origins: ['*'] }, 'origins[0]: write'],
    ['CS5 no origins', { upstream: 'wss://live.example', origins: [] }, 'origins: name at least one origin'],
    [
      'a WebSocket upstream with a path',
      { upstream: 'ws://127.0.0.1:3000/live' },
      'upstream: write scheme, host and port only: ws://127.0.0.1:3000',
    ],
    ['a prefix that is none', { stripPrefix: '/ap' }, "stripPrefix: is not the beginning of this route's path"],
    ['a route within basePath', { path: '/auth/*' }, 'path: lies within basePath (/auth)'],
    ['basePath itself', { path: '/auth' }, 'path: lies within basePath (/auth)'],
    ['an endpoint', { path: '/auth/login' }, 'path: lies within basePath (/auth)'],
    ['RB1 no access', { access: undefined }, 'access: is missing; write public, authenticated or {'],
    ['an empty list of roles', { access: { roles: [] } }, 'access.roles: name at least one role'],
    ['a role with a comma', { access: { roles: ['a,b'] } }, 'access.roles[0]: write a role in letters'],
    ['an unknown access', { access: 'everyone' }, 'access: write public, authenticated or'],
  ])('%s', (_, keys, expected) => {
    const found = complaints({ routes: [route(keys)] })
    expect(found).toHaveLength(1)
    expect(found[0]?.startsWith(`routes[0].${expected}`), found[0]).toBe(true)
  })

  test('forwardAuth needs a proxy that may ask, and leaves the path to it', () => {
    const asked = (keys: object) => [route({ upstream: undefined, forwardAuth: true, ...keys })]
    const trustedProxies = ['127.0.0.1']
    expect(complaints({ routes: asked({ csrf: 'same-origin' }), trustedProxies })).toEqual([])
    expect(complaints({ routes: asked({ credential: 'access-token' }), trustedProxies })).toEqual([])
    expect(complaints({ routes: [route({ forwardAuth: true })], trustedProxies })).toEqual([
      'routes[0].forwardAuth: a route has either upstream or forwardAuth; remove one',
    ])
    expect(complaints({ routes: asked({}) })).toEqual([
      'routes[0].forwardAuth: nobody may ask: name the address of the proxy in front in trustedProxies',
    ])
    expect(complaints({ routes: asked({ stripPrefix: '/api' }), trustedProxies })).toEqual([
      'routes[0].stripPrefix: the proxy that asks chooses the path for its upstream; remove it',
    ])
    expect(complaints({ routes: asked({ forwardAuth: false }), trustedProxies })).toEqual([
      'routes[0].forwardAuth: write true, or remove the key',
    ])
  })

  test('what is allowed beside them', () => {
    expect(
      complaints({
        routes: [
          route({ path: '/*' }),
          route({ path: '/authors/*' }),
          route({ path: '/open/*', access: 'public', csrf: 'off' }),
          route({ path: '/api/*', stripPrefix: '/api' }),
          route({ path: '/api/admin/*', stripPrefix: '/api' }),
          route({ path: '/app/*', upstream: undefined, static: 'public', methods: ['GET', 'HEAD'] }),
          // Beside the requests of the same path, as socket.io does.
          route({ path: '/*', upstream: 'wss://live.example', origins: ['https://a.example', 'none'] }),
        ],
      }),
    ).toEqual([])
  })

  test('the same path with a common method is refused, with both lines', () => {
    const text = `${minimal}  - { path: /api/*, upstream: "http://127.0.0.1:4000", access: public, methods: [POST] }\n`
    expect(problemsOf(text)).toEqual(['c.yaml:11: routes[2].path: has the same path and method as routes[0] (line 9)'])
  })

  test('the same path with other methods is not; static means GET and HEAD', () => {
    const pair = (one: Record<string, unknown>, other: Record<string, unknown>) =>
      complaints({ routes: [route(one), route(other)] })
    expect(pair({ methods: ['GET'] }, { methods: ['POST', 'PUT'] })).toEqual([])
    expect(pair({ upstream: undefined, static: 'public' }, { methods: ['POST'] })).toEqual([])
    expect(pair({ upstream: undefined, static: 'public' }, { methods: ['HEAD'] })).toHaveLength(1)
    expect(pair({ methods: ['GET', 'POST'] }, { methods: ['POST'] })).toHaveLength(1)
    expect(pair({ path: '/api' }, { path: '/api/*' })).toEqual([])
  })

  test('rules apply beside a fault elsewhere in the same route', () => {
    expect(complaints({ routes: [route({ csrf: 'off', timeout: 5, stripPrefix: '/x' })] })).toHaveLength(3)
  })

  test('a static folder may hold neither the configuration, nor the keys, nor the store', () => {
    const site = (folder: string) => route({ upstream: undefined, static: folder })
    expect(problemsOf(variant({ routes: [site('.')] }), { 'index.html': '' })).toEqual([
      expect.stringContaining('this folder would publish the configuration'),
    ])
    const inside = [{ keys: { file: 'public/k' } }, { store: { kind: 'lmdb', path: 'public/data' } }]
    for (const keys of inside) {
      expect(complaints({ ...keys, routes: [site('public')] })).toEqual([
        expect.stringContaining('this folder would publish the key ring or the session store'),
      ])
    }
    expect(problemsOf(variant({ routes: [site('bare')] }), { 'bare/x': '' })).toEqual([
      expect.stringContaining('the folder bare has no index.html'),
    ])
  })
})

describe('the rest', () => {
  test('idle is not longer than absolute', () => {
    expect(complaints({ session: { idle: '2h', absolute: '1h' } })).toEqual([
      'session.idle: is longer than session.absolute, so it would never take effect; write less',
    ])
    expect(complaints({ session: { absolute: '10m' } })).toHaveLength(1)
    expect(complaints({ session: { idle: '1h', absolute: '1h' } })).toEqual([])
  })

  test('the default provider exists, and is named where there are several', () => {
    expect(complaints({ defaultProvider: 'other' })).toEqual(['defaultProvider: there is no such provider; write corp'])
    expect(complaints({ providers: { corp, other: corp } })).toEqual([
      'defaultProvider: is missing; there are several providers: write corp or other',
    ])
  })

  test('the admin listener needs a port of its own', () => {
    expect(complaints({ admin: { port: 8080 } })).toEqual([
      expect.stringMatching(/^admin\.port: is taken by listen; write another \(line \d+\)$/),
    ])
    expect(complaints({ admin: { port: 0 }, listen: { port: 0 } })).toEqual([])
  })

  test('a role rule compares in exactly one way', () => {
    const rule = (keys: object) => complaints({ roles: [{ claim: 'groups', grant: ['ops'], ...keys }] })
    expect(rule({})).toEqual(['roles[0]: write exactly one of equals, startsWith, contains, notEqual'])
    expect(rule({ equals: 'a', notEqual: 'b' })).toEqual([
      'roles[0]: write exactly one of equals, startsWith, contains, notEqual; here are equals and notEqual',
    ])
    for (const name of ['equals', 'startsWith', 'contains', 'notEqual']) expect(rule({ [name]: 'a' })).toEqual([])
    expect(rule({ equals: '' })).toHaveLength(1)
    expect(rule({ equals: 'a', grant: [] })).toEqual(['roles[0].grant: name at least one role'])
  })

  test('SH1 a policy has a nonce for each page or none, and one place where reports go', () => {
    const headers = (keys: object) => complaints({ headers: keys })
    expect(headers({ csp: "script-src 'nonce-abc'" })).toEqual([
      expect.stringMatching(
        /^headers\.csp: a nonce that stays the same protects from nothing; write 'nonce-\{nonce\}'/,
      ),
    ])
    expect(headers({ csp: 'script-src {nonce}' })).toEqual([
      expect.stringMatching(/^headers\.csp: a placeholder is 'nonce-\{nonce\}'/),
    ])
    expect(headers({ csp: "script-src 'self'; report-uri /x", cspReports: true })).toEqual([
      expect.stringMatching(/^headers\.cspReports: the policy says itself where reports go/),
    ])
    expect(headers({ csp: "script-src 'self'; report-uri /x" })).toEqual([])
    expect(headers({ csp: "script-src 'nonce-{nonce}'", cspReports: true })).toEqual([])
    expect(headers({ cspReports: 'yes' })).toHaveLength(1)
  })

  test('the session cookie keeps its prefix', () => {
    expect(configOf(variant({ session: { cookie: '__Host-session' } })).session.cookie).toBe('__Host-session')
    expect(complaints({ session: { cookie: 'session' } })).toEqual([
      'session.cookie: write __Host-Http-session or __Host-session',
    ])
  })
})

describe('warnings: it works, and deserves a look', () => {
  test('a role that no rule grants', () => {
    const text = variant({
      roles: [{ claim: 'groups', equals: 'x', grant: ['ops'] }],
      routes: [route({ access: { roles: ['ops', 'admin'] } })],
    })
    expect(warningsOf(text)).toEqual([expect.stringContaining('routes[0].access: no rule under roles grants admin')])
  })

  test('plain HTTP beyond this machine, and trust in everyone', () => {
    expect(warningsOf(variant({ listen: { host: '0.0.0.0', port: 1 } }))).toEqual([
      expect.stringContaining('listen: plain HTTP'),
    ])
    expect(warningsOf(variant({ listen: { host: '0.0.0.0', port: 1 }, trustedProxies: ['10.0.0.0/8'] }))).toEqual([])
    expect(warningsOf(variant({ listen: { host: '127.0.0.2', port: 1 } }))).toEqual([])
    expect(warningsOf(variant({ trustedProxies: ['0.0.0.0/0'] }))).toEqual([
      expect.stringContaining('trustedProxies[0]: trusts every address'),
    ])
  })
})

describe('rolesMatch', () => {
  const roles = [
    { claim: 'groups', equals: 'ops', grant: ['a'] },
    { claim: 'groups', equals: 'dev', grant: ['b'] },
    { equals: 'ops', claim: 'groups', grant: ['c'] },
  ]

  test('all unless said otherwise; nothing else is known', () => {
    expect(configOf(minimal).rolesMatch).toBe('all')
    expect(configOf(variant({ rolesMatch: 'first' })).rolesMatch).toBe('first')
    expect(complaints({ rolesMatch: 'any' })).toEqual(['rolesMatch: write all or first'])
  })

  test('first: a rule that asks what one above it asks never grants', () => {
    expect(warningsOf(variant({ roles, rolesMatch: 'first' })).map((line) => line.replace(/^[^ ]+ /, ''))).toEqual([
      'roles[2]: grants nothing: roles[0] asks the same, and only the first match grants',
    ])
    expect(warningsOf(variant({ roles }))).toEqual([])
  })
})
