import { describe, expect, test } from 'vitest'
import type { UpstreamRequest } from '../../../testkit/src/upstream.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { createHostileWorld } from './hostile-world.ts'
import { wireUser } from './wire.ts'

const valuesOf = ({ rawHeaders }: UpstreamRequest, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name.toLowerCase())

/** What an application could take for the user, the way here, or an order: nothing of it may come from the client. */
const forgeable = [
  ...['X-Coatcheck-User', 'X-Coatcheck-Issuer', 'X-Coatcheck-Roles', 'X-Coatcheck-CSRF-Token', 'X-Coatcheck-Future'],
  ...['Authorization', 'Proxy-Authorization', 'Proxy-Connection', 'Proxy', 'X-Request-Id', 'Via'],
  ...['Forwarded', 'X-Forwarded', 'Forwarded-For', 'X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host'],
  ...['X-Forwarded-Port', 'X-Forwarded-Prefix', 'X-Forwarded-Uri', 'X-Forwarded-Method', 'X-Forwarded-Server'],
  ...['X-Forwarded-User', 'X-Forwarded-Email', 'X-Forwarded-Groups', 'X-Forwarded-Access-Token'],
  ...['X-Forwarded-Client-Cert', 'X-Forwarded-Tls-Client-Cert', 'X-Forwarded-Scheme', 'X-Forwarded-Anything'],
  ...[
    'X-Real-IP',
    'X-Client-IP',
    'Client-IP',
    'True-Client-IP',
    'CF-Connecting-IP',
    'Fastly-Client-IP',
    'Fly-Client-IP',
  ],
  ...['X-Cluster-Client-IP', 'X-Original-Forwarded-For', 'X-Envoy-External-Address', 'Remote-Addr', 'X-Remote-Addr'],
  ...['X-Azure-ClientIP', 'X-Appengine-User-IP', 'X-Vercel-Forwarded-For', 'WL-Proxy-Client-IP', 'X-Host'],
  ...['X-Original-URL', 'X-Original-Host', 'X-Original-Method', 'X-Rewrite-URL', 'X-HTTP-Method-Override'],
  ...['X-HTTP-Method', 'X-Method-Override', 'X-Envoy-Original-Path', 'X-Waws-Unencoded-Url', 'X-Matched-Path'],
  ...['SCRIPT_NAME', 'X-Script-Name', 'PATH_INFO', 'X-Scheme', 'X-Url-Scheme', 'Front-End-Https', 'X-Proxied-Https'],
  ...['X-True-Client-IP', 'Ali-Cdn-Real-IP', 'Cdn-Src-IP', 'X-Server-Name', 'X-HTTP-Path-Override', 'X-Override-URL'],
  ...['X-Replaced-Path', 'X-Nextjs-Matched-Path', 'Dapr-App-Id', 'X-Sendfile-Type', 'X-Accel-Mapping', 'Eppn'],
  ...['IV-User', 'IV-Groups', 'IV-Creds', 'SM-User', 'Shib-Session-ID', 'OAM-Remote-User', 'X-Vouch-User', 'Auth-Type'],
  ...['X-Auth-User', 'X-Auth-Email', 'X-Auth-Roles', 'X-Httpd-Username', 'X-Jwt-Payload', 'X-Serverless-Authorization'],
  ...['Impersonate-User', 'Impersonate-Group', 'Es-Security-Runas-User', 'X-Scope-OrgID', 'X-Apigateway-Event'],
  ...['X-Originating-IP', '$WSRU', '$WSSN', '$WSSC'],
  ...['X-Middleware-Subrequest', 'X-Middleware-Rewrite', 'X-Invoke-Path'],
  ...[
    'Remote-User',
    'Remote-Groups',
    'Remote-Email',
    'Remote-Name',
    'X-Remote-User',
    'X-Remote-Group',
    'X-Webauth-User',
  ],
  ...['X-Authenticated-User', 'X-Authenticated-Userid', 'X-Auth-Request-User', 'X-Auth-Request-Groups', 'X-Userinfo'],
  ...['X-Authentik-Username', 'X-Pomerium-Jwt-Assertion', 'X-Pomerium-Claim-Email', 'Cf-Access-Jwt-Assertion'],
  ...['Cf-Access-Authenticated-User-Email', 'Tailscale-User-Login', 'X-Consumer-Username', 'X-Credential-Identifier'],
  ...['X-Amzn-Oidc-Identity', 'X-Amzn-Oidc-Data', 'X-Amzn-Oidc-Accesstoken', 'X-Goog-Iap-Jwt-Assertion'],
  ...[
    'X-Goog-Authenticated-User-Email',
    'X-Ms-Client-Principal',
    'X-Ms-Client-Principal-Name',
    'X-Ms-Token-Aad-Id-Token',
  ],
  ...[
    'OIDC-Claim-Sub',
    'OIDC-Access-Token',
    'X-Endpoint-Api-Userinfo',
    'Client-Cert',
    'X-Client-Cert',
    'X-Client-Verify',
  ],
  ...[
    'SSL-Client-S-Dn',
    'X-SSL-Client-Cert',
    'X-Arr-Clientcert',
    'X-Amzn-Mtls-Clientcert-Subject',
    'X-Tls-Client-Cert',
  ],
]
const odd = ['-', '_', '.', '~', '!']
const spellings = forgeable.flatMap((name) => [
  name.toLowerCase(),
  name.toUpperCase(),
  ...odd.map((sign) => name.replaceAll('-', sign)),
  ...odd.slice(1).map((sign) => name.toLowerCase().replace('-', sign)),
  name.replace(/.$/, (last) => (last === last.toLowerCase() ? last.toUpperCase() : last.toLowerCase())),
])

describe('to the upstream', () => {
  test('PX2 whatever a client says of user, way and order, in whatever spelling, stays outside; on public routes too', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const names = [...new Set(spellings)]
    expect(names.length).toBeGreaterThan(800)
    for (const path of ['/api/echo', '/api/public/echo']) {
      for (let at = 0; at < names.length; at += 60) {
        // One of a name that may come only once, or the whole request would be refused.
        const batch = new Map(names.slice(at, at + 60).map((name) => [name.toLowerCase(), name]))
        const lines = [...batch.values()].map((name) => `${name}: forged-${name}\r\n`).join('')
        const { statuses } = await bob.call(path, lines)
        expect([at, statuses]).toEqual([at, [200]])
        expect(world.upstream.last().rawHeaders.filter((text) => /forged/i.test(text))).toEqual([])
      }
    }
  })

  test('PX2 what the gateway vouches for comes once each, fresh, whatever the client sent; the application’s own headers pass', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const lines = [
      'X-Coatcheck-User: ada\r\nX-Coatcheck-Roles: admin\r\nAuthorization: Bearer stolen\r\nX-Forwarded-For: 6.6.6.6\r\n',
      'X-Request-Id: mine\r\ntraceparent: 00-zz\r\ntracestate: a=b\r\nx-FORWARDED-host: evil.test\r\nX-Forwarded-Proto: https\r\n',
      'X-Api-Version: 7\r\nx-custom_name: a\r\nX-Latin: caf\xe9\r\nX-Empty:\r\nAccept: text/plain\r\nAccept: a/b\r\n',
    ].join('')
    const ids = new Set<string>()
    for (const n of [1, 2]) {
      expect((await bob.call('/api/echo', lines)).statuses).toEqual([200])
      const seen = world.upstream.last()
      expect({
        user: valuesOf(seen, 'X-Coatcheck-User'),
        issuer: valuesOf(seen, 'X-Coatcheck-Issuer'),
        roles: valuesOf(seen, 'X-Coatcheck-Roles'),
        client: valuesOf(seen, 'X-Forwarded-For'),
        proto: valuesOf(seen, 'X-Forwarded-Proto'),
        host: valuesOf(seen, 'X-Forwarded-Host'),
        own: valuesOf(seen, 'Host'),
      }).toEqual({
        user: ['bob'],
        issuer: [world.provider.issuer],
        roles: ['member'],
        client: ['127.0.0.1'],
        proto: ['http'],
        host: [bob.host],
        own: [new URL(world.upstream.url).host],
      })
      const [id, ...moreIds] = valuesOf(seen, 'X-Request-Id')
      expect([moreIds, ids.has(id ?? ''), id === 'mine']).toEqual([[], false, false])
      ids.add(String(id))
      expect(valuesOf(seen, 'traceparent')).toEqual([expect.stringMatching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)])
      expect(valuesOf(seen, 'tracestate')).toEqual([])
      expect(valuesOf(seen, 'Authorization')).toEqual([expect.stringMatching(/^Bearer /)])
      expect(valuesOf(seen, 'X-CSRF')).toEqual([])
      expect(
        ['X-Api-Version', 'x-custom_name', 'X-Latin', 'X-Empty', 'Accept'].map((name) => valuesOf(seen, name)),
      ).toEqual([['7'], ['a'], ['caf\xe9'], [''], ['text/plain', 'a/b']])
      expect(n).toBe(ids.size)
    }
    const trace = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    await bob.call('/api/echo', `traceparent: ${trace}\r\ntracestate: a=b\r\n`)
    expect(valuesOf(world.upstream.last(), 'traceparent')).toEqual([trace])
  })

  test('PX2 nobody signed in: a public route tells of no user, and takes no word for one', async () => {
    await using world = await createWorld()
    for (const user of [await wireUser(world), await wireUser(world, 'ada')]) {
      const { statuses } = await user.call('/api/public/echo', 'X-Coatcheck-User: ada\r\nAuthorization: Basic YTpi\r\n')
      expect(statuses).toEqual([200])
      const names = world.upstream
        .last()
        .rawHeaders.filter((_, at) => at % 2 === 0)
        .map((name) => name.toLowerCase())
      expect(names.filter((name) => /coatcheck|authorization|cookie/.test(name))).toEqual([])
    }
  })

  test('PX2 CK4 the gateway’s cookies never reach the upstream, in any disguise; the application’s own do, byte for byte', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const session = /^Cookie: (.*)\r$/m.exec(bob.own)?.[1] as string
    const rest = bob.own.replace(/^Cookie: .*\r\n/m, '')
    const secret = session.split('.').at(-1) as string
    const rows: [sent: string, arrives: string | undefined][] = [
      [session, undefined],
      [`theme=dark; ${session}; a=b`, 'theme=dark; a=b'],
      [`${session};a=b`, 'a=b'],
      [`a=b;${session}`, 'a=b'],
      [`a="x y"; b=%20;  c=d=e==; ${session}; \xe9=\xff; d; =f; e=`, 'a="x y"; b=%20;  c=d=e==; \xe9=\xff; d; =f; e='],
      [`a=__Host-Http-session; ${session}`, 'a=__Host-Http-session'],
      [`x__Host-Http-session=1; ${session}; __Host-Http-sessionx=2`, 'x__Host-Http-session=1; __Host-Http-sessionx=2'],
      // Ours in other clothes, or what a lax reader takes for ours.
      [`${session}; __Host-session=s; __Host-bound=s; __Host-login-abc=s; a=1`, 'a=1'],
      [`${session}; __HOST-HTTP-SESSION=s; __host-Session=s; __host-login-x=s; a=1`, 'a=1'],
      [`${session}; =__Host-Http-session=s; ==__Host-bound=s; = __Host-session=s; __Host-bound; a=1`, 'a=1'],
      [`${session}; \t__Host-session\t=s;__Host-bound =s; a=1`, 'a=1'],
      [`a="; ${session}; "`, 'a="; "'],
      [`$Version=1; ${session}; $Path=/`, '$Version=1; $Path=/'],
    ]
    for (const [sent, arrives] of rows) {
      const request = `GET /api/echo HTTP/1.1\r\n${rest}Cookie: ${sent}\r\nConnection: close\r\n\r\n`
      expect([sent, (await bob.send(request)).statuses]).toEqual([sent, [200]])
      const seen = world.upstream.last()
      expect([sent, valuesOf(seen, 'Cookie')]).toEqual([sent, arrives === undefined ? [] : [arrives]])
      expect(seen.rawHeaders.join('\n')).not.toContain(secret)
    }
    // Two lines, or the session twice: whichever were believed, an attacker may have set it.
    for (const lines of [`Cookie: ${session}\r\nCookie: a=b\r\n`, `Cookie: ${session}; ${session}\r\n`]) {
      const before = world.upstream.requests.length
      const request = `GET /api/echo HTTP/1.1\r\n${rest}${lines}Connection: close\r\n\r\n`
      expect([(await bob.send(request)).statuses, world.upstream.requests.length]).toEqual([[400], before])
    }
  })

  test('PX2 hop-by-hop: headers that Connection names stay on this hop, and it can not take away what the gateway sets or checks', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const send = (connection: string, lines = '') =>
      bob.send(`GET /api/echo HTTP/1.1\r\n${bob.own}Connection: ${connection}\r\n${lines}\r\n`)
    const hop =
      'Keep-Alive: timeout=5\r\nTE: trailers, deflate\r\nTrailer: X-T\r\nProxy-Connection: close\r\nX-Hop: 1\r\nX-End: 2\r\n'
    for (const connection of ['close, X-Hop', 'x-hop,close', 'close\r\nConnection: X-HOP', ' , x-hop ,, close']) {
      expect([connection, (await send(connection, hop)).statuses]).toEqual([connection, [200]])
      const seen = world.upstream.last()
      const names = seen.rawHeaders.filter((_, at) => at % 2 === 0).map((name) => name.toLowerCase())
      expect(
        names.filter((name) => ['keep-alive', 'te', 'trailer', 'proxy-connection', 'x-hop'].includes(name)),
      ).toEqual([])
      expect([valuesOf(seen, 'X-End'), valuesOf(seen, 'Connection')]).toEqual([['2'], ['keep-alive']])
    }
    const before = world.upstream.requests.length
    const stolen = ['X-Coatcheck-User', 'x-coatcheck-roles', 'Authorization', 'Cookie', 'Host', 'X-CSRF', 'Origin']
    const more = [
      'X-Forwarded-For',
      'X-Request-Id',
      'Content-Length',
      'Sec-Fetch-Site',
      'X_Forwarded_For',
      'traceparent',
      'a b',
    ]
    for (const name of [...stolen, ...more])
      expect([name, (await send(`close, ${name}`)).statuses]).toEqual([name, [400]])
    expect(world.upstream.requests.length).toBe(before)
  })

  test('PX2 trailers of a request carry nothing to the upstream', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const body = '5\r\nhello\r\n0\r\nX-Coatcheck-User: ada\r\nAuthorization: Bearer forged\r\nCookie: forged=1\r\n\r\n'
    const { statuses } = await bob.send(
      `POST /api/echo HTTP/1.1\r\n${bob.own}Trailer: X-Coatcheck-User\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n${body}`,
    )
    expect(statuses).toEqual([200])
    const seen = world.upstream.last()
    expect([String(seen.body), valuesOf(seen, 'X-Coatcheck-User'), valuesOf(seen, 'trailer')]).toEqual([
      'hello',
      ['bob'],
      [],
    ])
    expect(seen.rawHeaders.join('\n')).not.toContain('forged')
  })

  test('PX9 the client’s address: from its peer, and through trusted hops only', async () => {
    const addressIn = async (world: World, lines: string) => {
      const { statuses } = await (await wireUser(world)).call('/api/public/echo', lines)
      expect(statuses).toEqual([200])
      return valuesOf(world.upstream.last(), 'X-Forwarded-For').join(' | ')
    }
    const rows: [lines: string, trusting: string][] = [
      ['', '127.0.0.1'],
      ['X-Forwarded-For: 203.0.113.7\r\n', '203.0.113.7'],
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.7\r\n', '203.0.113.7'],
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.7, 10.0.0.5, 127.0.0.2\r\n', '203.0.113.7'],
      ['X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 203.0.113.7\r\n', '203.0.113.7'],
      ['X-Forwarded-For: 6.6.6.6,2001:db8::7\r\n', '2001:db8::7'],
      // What is no address ends the chain: the hop before it is the last that anyone vouches for.
      ['X-Forwarded-For: 6.6.6.6, unknown, 10.0.0.5\r\n', '10.0.0.5'],
      ['X-Forwarded-For: 6.6.6.6, "x\r\n', '127.0.0.1'],
      ['X-Forwarded-For: 6.6.6.6, 203.0.113.7:4711\r\n', '127.0.0.1'],
      ['X-Forwarded-For:\r\n', '127.0.0.1'],
      // Only the header that our own hops write.
      [
        'Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nTrue-Client-IP: 6.6.6.6\r\nX_Forwarded_For: 6.6.6.6\r\n',
        '127.0.0.1',
      ],
    ]
    await using plain = await createWorld()
    for (const [lines] of rows) expect([lines, await addressIn(plain, lines)]).toEqual([lines, '127.0.0.1'])
    await using trusting = await createWorld({ config: { trustedProxies: ['127.0.0.0/8', '10.0.0.0/8'] } })
    for (const [lines, address] of rows) expect([lines, await addressIn(trusting, lines)]).toEqual([lines, address])
  })

  test('PX2 a user whose name at the provider is an attack stays one user in one header', async () => {
    await using hostile = await createHostileWorld()
    const { world } = hostile
    const subs = [
      ...[
        'mallory\r\nX-Coatcheck-Roles: admin',
        'a\nb',
        'a\rb',
        '\u0000',
        'a\tb',
        ' ada ',
        'ada ',
        'ada,admin',
        'a;b',
        'a"b',
      ],
      ...[
        'ad\u0430',
        'ada\u200b',
        '\u{1f600}',
        '\u0085',
        '\u2028',
        '%61da',
        'ada%0d%0aX: y',
        '\ud800',
        '\u0100\u010a\u010d',
        'ada',
      ],
    ]
    const seen = new Map<string, string>()
    for (const sub of subs) {
      hostile.twist({ claims: { sub }, userinfo: { sub } })
      const browser = world.browser(`as ${JSON.stringify(sub)}`)
      const page = await browser.visit('/auth/login?provider=evil', { from: world.origin })
      if (page.status >= 400) {
        expect(page.status, sub).toBe(400)
        continue
      }
      expect((await browser.fetch('/api/echo')).status, sub).toBe(200)
      const request = world.upstream.last()
      const values = valuesOf(request, 'X-Coatcheck-User')
      expect(values, sub).toEqual([expect.stringMatching(/^[\x21-\x7e]+$/)])
      expect(valuesOf(request, 'X-Coatcheck-Roles'), sub).toEqual([''])
      expect(request.rawHeaders.filter((name) => name === 'X-Coatcheck-User' || name === 'X')).toHaveLength(1)
      const [value = ''] = values
      // One value for one user, and the user can be read from it.
      expect(decodeURIComponent(value)).toBe(sub.toWellFormed())
      expect([sub, seen.get(value) ?? sub]).toEqual([sub, sub])
      seen.set(value, sub)
    }
    expect(seen.get('ada')).toBe('ada')
    expect(seen.size).toBeGreaterThan(10)
  })
})

describe('to the browser', () => {
  /** Routes that differ only in what their answers may carry. */
  const worldOf = () =>
    createWorld({
      config: ({ upstream }) => ({
        routes: [
          { path: '/public/*', upstream, stripPrefix: '/public', access: 'public', csrf: 'off', cache: 'upstream' },
          { path: '/open/*', upstream, stripPrefix: '/open', access: 'public', csrf: 'off', allowSetCookie: ['theme'] },
          { path: '/cached/*', upstream, stripPrefix: '/cached', access: 'authenticated', cache: 'upstream' },
          {
            path: '/shop/*',
            upstream,
            stripPrefix: '/shop',
            access: 'authenticated',
            allowSetCookie: ['theme', 'a.b'],
          },
          { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated' },
          { path: '/*', static: './public', access: 'public' },
        ],
      }),
    })

  test('PX3 Set-Cookie of an upstream: none, but those that the route names exactly, and never one of the gateway’s', async () => {
    await using world = await worldOf()
    const allowed = ['theme=dark; Path=/; SameSite=None; Secure', 'theme=; Max-Age=0', 'a.b="x y"']
    const lines = [
      ...allowed,
      ...[
        'tracker=1; Path=/',
        'Theme=1',
        'themes=1',
        'theme2=1',
        'xtheme=1',
        'a-b=1',
        'axb=1',
        'theme',
        '=theme=1',
        ' =theme',
      ],
      ...[
        '__Host-Http-session=evil; Path=/; Secure',
        '__Host-session=evil',
        '__Host-bound=evil',
        '__Host-login-x=evil',
      ],
      ...[
        '__host-http-session=evil',
        '__HOST-SESSION=evil',
        '=__Host-session=evil',
        'x=1, theme=evil',
        'x; theme=evil',
      ],
    ]
    world.upstream.on('/cookies', ({ response }) => {
      response.setHeader('Set-Cookie', lines)
      response.setHeader('Set-Cookie2', 'theme=evil')
      response.end('ok')
    })
    const browser = await world.signedIn()
    const before = browser.cookies().map(String)
    expect((await browser.fetch('/api/cookies')).headers('set-cookie')).toEqual([])
    expect((await browser.fetch('/cached/cookies')).headers('set-cookie')).toEqual([])
    expect((await browser.fetch('/public/cookies')).headers('set-cookie')).toEqual([])
    expect(browser.cookies().map(String)).toEqual(before)
    expect((await browser.fetch('/open/cookies')).headers('set-cookie')).toEqual(allowed.slice(0, 2))
    const shop = await browser.fetch('/shop/cookies')
    expect([shop.headers('set-cookie'), shop.headers('set-cookie2')]).toEqual([allowed, []])
    // The session's own next value stands beside them.
    world.clock.advance(16 * 60_000)
    const rotated = (await browser.fetch('/shop/cookies')).headers('set-cookie')
    expect(rotated.filter((line) => !allowed.includes(line))).toEqual([
      expect.stringMatching(/^__Host-Http-session=v1\./),
    ])
    expect(rotated).toHaveLength(4)
    expect((await browser.fetch('/api/echo')).status).toBe(200)
  })

  test('PX4 no-store on every answer of a session, whatever the upstream says, errors included; the upstream’s word only by the route', async () => {
    await using world = await worldOf()
    const caching = {
      'Cache-Control': 'public, max-age=31536000, immutable',
      Expires: 'Thu, 01 Jan 2099 00:00:00 GMT',
      Pragma: 'cache',
      Age: '7',
      'Surrogate-Control': 'max-age=60',
      'CDN-Cache-Control': 'max-age=60',
      'Cloudflare-CDN-Cache-Control': 'max-age=60',
      'X-Accel-Expires': '60',
    }
    for (const status of [200, 201, 204, 301, 304, 404, 500]) {
      world.upstream.on(`/cache/${status}`, ({ response }) => {
        response.writeHead(status, { ...caching, ETag: '"v1"' }).end()
      })
    }
    const browser = await world.signedIn()
    for (const status of [200, 201, 204, 301, 304, 404, 500]) {
      const page = await browser.fetch(`/api/cache/${status}`)
      expect([status, page.status, page.headers('cache-control')]).toEqual([status, status, ['no-store']])
      for (const name of Object.keys(caching).slice(1)) expect([name, page.headers(name)]).toEqual([name, []])
      expect(page.headers('etag')).toEqual(['"v1"'])
    }
    for (const path of ['/cached/cache/200', '/public/cache/200']) {
      const page = await browser.fetch(path)
      for (const [name, value] of Object.entries(caching)) expect([name, page.headers(name)]).toEqual([name, [value]])
    }
    expect((await browser.fetch('/api/echo')).headers('cache-control')).toEqual(['no-store'])
    for (const path of ['/auth/session', '/auth/sessions', '/auth/nowhere', '/api/echo?refused'])
      expect([
        path,
        (await browser.fetch(path, { csrf: path !== '/api/echo?refused' })).headers('cache-control'),
      ]).toEqual([path, ['no-store']])
  })

  test('CS3 what lets other origins read is dropped with a session; on public routes it passes, never with credentials', async () => {
    await using world = await worldOf()
    const cors = {
      'Access-Control-Allow-Origin': 'https://evil.test',
      'access-control-allow-CREDENTIALS': 'true',
      'Access-Control-Expose-Headers': '*',
      'Access-Control-Allow-Methods': 'GET',
      'Access-Control-Allow-Private-Network': 'true',
      'Access-Control-Future': 'x',
    }
    world.upstream.on('/cors', ({ response }) => void response.writeHead(200, cors).end('ok'))
    const browser = await world.signedIn()
    const corsOf = (rawHeaders: readonly string[]) =>
      rawHeaders.filter((name, at) => at % 2 === 0 && /^access-control-/i.test(name)).map((name) => name.toLowerCase())
    for (const path of ['/api/cors', '/cached/cors', '/shop/cors'])
      expect([path, corsOf((await browser.fetch(path)).exchange.rawHeaders)]).toEqual([path, []])
    const page = await browser.fetch('/public/cors')
    expect(page.header('access-control-allow-origin')).toBe('https://evil.test')
    expect(corsOf(page.exchange.rawHeaders)).not.toContain('access-control-allow-credentials')
  })

  test('PX2 what speaks for the whole origin, for this hop, or to a proxy in front, stays behind; everything else passes as it is', async () => {
    await using world = await worldOf()
    const dropped = {
      'Clear-Site-Data': '"*"',
      'Alt-Svc': 'h3=":443"',
      NEL: '{"report_to":"x","max_age":86400}',
      'Report-To': '{"group":"x"}',
      'Service-Worker-Allowed': '/',
      'Login-Status': 'logged-in',
      'X-Sendfile2': '/etc/passwd',
      'X-Reproxy-URL': 'http://169.254.169.254/',
      'Keep-Alive': 'timeout=999',
      'Proxy-Authenticate': 'Basic',
      'Proxy-Connection': 'close',
      Upgrade: 'h2c',
      TE: 'trailers',
      'X-Accel-Redirect': '/etc/passwd',
      'X-Sendfile': '/etc/passwd',
      'X-Coatcheck-User': 'ada',
      'Sec-Session-Registration': '(ES256);path="/evil"',
      'Secure-Session-Registration': '(ES256);path="/evil"',
      'X-Hop': '1',
      Connection: 'close, X-Hop',
    }
    const kept = {
      'Content-Type': 'application/vnd.api+json; charset=utf-8',
      Server: 'app/1',
      ETag: 'W/"x"',
      Vary: 'Accept, Origin',
      Link: '</next>; rel=next',
      'WWW-Authenticate': 'Bearer realm="x"',
      'Content-Disposition': 'attachment; filename="caf\xe9.txt"',
      'X-Custom_Name': 'a',
      'Retry-After': '7',
      'X-RateLimit-Remaining': '3',
    }
    world.upstream.on('/headers', ({ response }) => void response.writeHead(200, { ...dropped, ...kept }).end('ok'))
    const browser = await world.signedIn()
    for (const path of ['/api/headers', '/public/headers']) {
      const page = await browser.fetch(path)
      for (const name of Object.keys(dropped)) {
        const value = name === 'Connection' ? ['close'] : []
        expect([path, name, page.headers(name).filter((one) => one !== 'timeout=65')]).toEqual([path, name, value])
      }
      for (const [name, value] of Object.entries(kept))
        expect([path, name, page.headers(name)]).toEqual([path, name, [value]])
      // Silence about sniffing and embedding is filled in.
      expect([page.header('x-content-type-options'), page.header('cross-origin-resource-policy')]).toEqual([
        'nosniff',
        'same-origin',
      ])
    }
  })
})
