import fc from 'fast-check'
import { expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

/** A request over a bare socket, byte for byte; `bob` is signed in and no admin. */
async function bobsSocket(world: World) {
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const { host } = new URL(world.origin)
  const cookie = bob
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')
  const own = `Host: ${host}\r\nCookie: ${cookie}\r\nX-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n`
  const send = (head: string) => rawRequest(world.port, `${head}\r\n\r\n`)
  return { host, own, send, get: (target: string) => send(`GET ${target} HTTP/1.1\r\n${own.trimEnd()}`) }
}

test('PX1 no spelling of a path reaches another rule or another upstream: refused, and the API sees nothing', async () => {
  await using world = await createWorld()
  const { get, host } = await bobsSocket(world)
  const targets = [
    '/api/admin/echo',
    '/api/x/..%2fadmin/echo',
    '/api/x/../admin/echo',
    '/api/x/%2e%2e/admin/echo',
    '/api/x/%2E./admin/echo',
    '/api/./admin/echo',
    '/api//admin/echo',
    '//api/admin/echo',
    '/api\\admin\\echo',
    '/api/%5cadmin/echo',
    '/api/%61dmin/echo',
    '/api/admin;x=1/echo',
    '/api;/admin/echo',
    '/api/admin%3b/echo',
    '/api/%00/admin/echo',
    '/api/%252e%252e/admin/echo',
    '/api/%c0%ae%c0%ae/admin/echo',
    '/api/admin/echo#fragment',
    '/api/%zz/echo',
    '/api/admin%2fecho',
    'api/admin/echo',
    '*',
    `http://evil.test/api/echo`,
    `http://user@${host}/api/echo`,
    `https://${host}/api/echo`,
    '@evil.test/api/echo',
    `/${'a'.repeat(9000)}`,
  ]
  for (const target of targets) {
    const [status = 0] = statusesOf(await get(target))
    expect([400, 403, 404, 405], `${target} → ${status}`).toContain(status)
  }
  expect(world.upstream.requests).toEqual([])
  expect(statusesOf(await get('/api/echo'))).toEqual([200])
  expect(statusesOf(await get(`http://${host}/api/echo`))).toEqual([200])
})

test('PX1 whatever target is sent, what the API receives is what an independent reading would allow bob', async () => {
  await using world = await createWorld()
  const { get } = await bobsSocket(world)
  const piece = fc.constantFrom(
    'api',
    'admin',
    'public',
    'echo',
    '.',
    '..',
    '',
    '%2e',
    '%2f',
    '%5C',
    ';',
    '\\',
    '%61',
    'x',
    '%25',
    '%2525',
    'é',
    '%C3%A9',
  )
  await fc.assert(
    fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 6 }), async (pieces) => {
      const before = world.upstream.requests.length
      await get(`/${pieces.join('/')}`)
      for (const { target } of world.upstream.requests.slice(before)) {
        const read = new URL(target, 'http://api.test').pathname
        expect(decodeURIComponent(read)).not.toMatch(/\/\.\.?(\/|$)|\\|\/\//)
        // Stripped of /api; the admin routes keep what follows /api/admin, which bob must never reach.
        expect(pieces[0]).toBe('api')
        expect(pieces[1]).not.toBe('admin')
      }
    }),
    { numRuns: 150, examples: [[['api', 'echo']], [['api', 'admin', 'echo']], [['api', 'x', '..', 'admin', 'echo']]] },
  )
  expect(world.upstream.requests.length).toBeGreaterThan(0)
})

test('PX1 PX6 Host: missing, doubled or foreign, and targets of another origin', async () => {
  await using world = await createWorld()
  const { own, send, host } = await bobsSocket(world)
  const rest = own.replace(/^Host: .*\r\n/, '').trimEnd()
  const cases: [string, number][] = [
    [`GET /api/echo HTTP/1.1\r\n${rest}`, 400],
    [`GET /api/echo HTTP/1.1\r\nHost: ${host}\r\nHost: evil.test\r\n${rest}`, 400],
    [`GET /api/echo HTTP/1.1\r\nHost: ${host}\r\nHost: ${host}\r\n${rest}`, 400],
    [`GET /api/echo HTTP/1.1\r\nHost: evil.test\r\n${rest}`, 421],
    [`GET /api/echo HTTP/1.1\r\nHost: ${host}.evil.test\r\n${rest}`, 421],
    [`GET /api/echo HTTP/1.1\r\nHost: ${host}, evil.test\r\n${rest}`, 421],
    [`GET http://evil.test/api/echo HTTP/1.1\r\nHost: ${host}\r\n${rest}`, 400],
    [`TRACE /api/echo HTTP/1.1\r\nHost: ${host}\r\n${rest}`, 405],
  ]
  for (const [head, status] of cases)
    expect(statusesOf(await send(head)), head.split('\r\n').slice(0, 3).join(' | ')).toEqual([status])
  expect(world.upstream.requests).toEqual([])
})

test('PX6 Content-Length with Transfer-Encoding, and its relatives: one refusal, a closed connection, nothing smuggled', async () => {
  await using world = await createWorld()
  const { own } = await bobsSocket(world)
  const head = own.replace('Connection: close\r\n', `Origin: ${world.origin}\r\n`)
  const smuggled = `GET /api/smuggled HTTP/1.1\r\n${head}\r\n`
  for (const framing of [
    'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n',
    'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n',
    'Content-Length: 0\r\nContent-Length: 60\r\n',
    'Content-Length: 5, 5\r\n',
    'Content-Length: +5\r\n',
    'Content-Length: 0x5\r\n',
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n',
    'Transfer-Encoding: xchunked\r\n',
    'Transfer-Encoding: chunked, identity\r\n',
    'Transfer-Encoding : chunked\r\n',
    'Transfer_Encoding: chunked\r\nContent-Length: x\r\n',
  ]) {
    const answer = await rawRequest(world.port, `POST /api/echo HTTP/1.1\r\n${head}${framing}\r\n0\r\n\r\n${smuggled}`)
    const statuses = statusesOf(answer)
    expect(statuses, framing).toEqual([400])
  }
  expect(world.upstream.requests.filter(({ target }) => target.includes('smuggled'))).toEqual([])
})

test('PX2 PX9 the API hears who is calling from the gateway alone: forged identity, forwarding and credential headers are gone', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn({ as: 'bob' })
  const forged = {
    authorization: 'Bearer forged',
    'x-coatcheck-user': 'forged',
    'X-Coatcheck-Roles': 'forged',
    X_Coatcheck_User: 'forged',
    'x-forwarded-for': '6.6.6.6, forged',
    x_forwarded_for: 'forged',
    'x-forwarded-host': 'forged',
    forwarded: 'for=forged',
    'x-real-ip': 'forged',
    'x-original-url': '/forged',
    'x-http-method-override': 'FORGED',
    'proxy-authorization': 'forged',
    'x-request-id': 'forged',
  }
  const cookies = `theme=dark; ${browser
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')}; a=b`
  const client = world.browser('a client of its own')
  const headers = { ...forged, cookie: cookies, 'x-app': 'kept' }
  expect((await client.fetch('/api/echo', { headers })).status).toBe(200)
  const { rawHeaders } = world.upstream.requests.at(-1) as { rawHeaders: readonly string[] }
  const text = rawHeaders.join('\n')
  expect(text.toLowerCase()).not.toContain('forged')
  const valuesOf = (name: string) =>
    rawHeaders.filter((_value, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)
  expect(valuesOf('x-coatcheck-user')).toEqual(['bob'])
  expect(valuesOf('x-coatcheck-issuer')).toEqual([world.provider.issuer])
  expect(valuesOf('x-coatcheck-roles')).toEqual(['member'])
  expect(valuesOf('x-forwarded-for')).toEqual(['127.0.0.1'])
  expect(valuesOf('x-forwarded-host')).toEqual([new URL(world.origin).host])
  expect(valuesOf('authorization')).toHaveLength(1)
  expect(world.provider.issuedTokens).toContain(valuesOf('authorization')[0]?.replace('Bearer ', ''))
  expect(valuesOf('cookie')).toEqual(['theme=dark; a=b'])
  expect(valuesOf('x-app')).toEqual(['kept'])
  expect(valuesOf('x-csrf')).toEqual([])
})

test('PX9 X-Forwarded-For is believed from trusted proxies only', async () => {
  await using world = await createWorld({ config: { trustedProxies: ['127.0.0.0/8'] } })
  const browser = await world.signedIn()
  await browser.fetch('/api/echo', { headers: { 'x-forwarded-for': '6.6.6.6, 203.0.113.7, 127.0.0.9' } })
  expect(world.upstream.requests.at(-1)?.rawHeaders.join(' ')).toContain('X-Forwarded-For 203.0.113.7 ')
})

test('PX3 PX4 PX5 what an API answers: its cookies, CORS and caching stay behind, its redirects are not followed', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const cookie = await browser.fetch('/api/set-cookie')
  expect(cookie.headers('set-cookie')).toEqual([])
  expect(cookie.header('cache-control')).toBe('no-store')
  const cors = await browser.fetch('/api/cors')
  expect(cors.exchange.rawHeaders.join(' ').toLowerCase()).not.toContain('access-control-')
  const before = world.upstream.requests.length
  const redirected = await browser.fetch('/api/redirect')
  expect(redirected.status).toBeGreaterThanOrEqual(301)
  expect(world.upstream.requests.length - before).toBe(1)
})

test('CS1 CS2 CS3 a call without X-CSRF: 1, or from another site, is 403 for everybody alike, and the API sees nothing', async () => {
  await using world = await createWorld({ host: 'localhost' })
  const signedIn = await world.signedIn()
  const anonymous = world.browser('anonymous')
  const sibling = `http://evil.${new URL(world.origin).host}/`
  for (const browser of [signedIn, anonymous]) {
    const answers = [
      ...(await Promise.all(
        ['GET', 'POST', 'PUT', 'DELETE', 'PATCH'].map((method) => browser.fetch('/api/echo', { method, csrf: false })),
      )),
      await browser.fetch('/api/echo', { headers: { 'x-csrf': 'true' } }),
      await browser.fetch('/api/echo', { headers: { 'x-csrf': '1, 1' } }),
      await browser.fetch('/api/echo', { from: 'https://evil.test/' }),
      await browser.fetch('/api/echo', { from: sibling }),
      await browser.fetch('/api/echo', { method: 'POST', headers: { origin: 'null' } }),
      await browser.fetch('/api/echo', { method: 'POST', headers: { origin: `${world.origin}.evil.test` } }),
      await browser.fetch('/api/echo', {
        method: 'POST',
        csrf: false,
        mode: 'no-cors',
        from: 'https://evil.test/',
        body: new URLSearchParams({ a: '1' }),
      }),
    ]
    for (const answer of answers) expect([answer.status, answer.json().code]).toEqual([403, 'csrf_rejected'])
    const preflight = await browser.fetch('/api/echo', {
      method: 'OPTIONS',
      csrf: false,
      from: sibling,
      headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-csrf' },
    })
    expect(preflight.exchange.rawHeaders.join(' ').toLowerCase()).not.toContain('access-control-allow')
    expect(preflight.status).toBe(403)
  }
  expect(world.upstream.requests).toEqual([])
})

test('RB1 deny by default: unknown address 404, foreign role 403, unlisted method 405; a script hears 401 and never a redirect', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/admin/*', upstream, stripPrefix: '/api/admin', access: { roles: ['admin'] } },
        { path: '/api/*', methods: ['GET'], upstream, stripPrefix: '/api', access: 'authenticated' },
        { path: '/', static: './public', access: 'public' },
      ],
    }),
  })
  const anonymous = world.browser('anonymous')
  const refused = await anonymous.fetch('/api/echo')
  expect(refused.status).toBe(401)
  expect(refused.header('content-type')).toBe('application/problem+json')
  expect(refused.json()).toMatchObject({
    status: 401,
    code: 'login_required',
    loginUrl: expect.stringMatching(/^\/auth\/login\?return_to=/),
  })
  expect((await anonymous.fetch('/nowhere')).status).toBe(404)
  const bob = await world.signedIn({ as: 'bob' })
  expect((await bob.fetch('/api/admin/echo')).json()).toMatchObject({ status: 403, code: 'access_denied' })
  const wrong = await bob.fetch('/api/echo', { method: 'POST' })
  expect([wrong.status, wrong.header('allow')]).toEqual([405, 'GET, HEAD'])
  expect((await bob.fetch('/auth/nowhere')).status).toBe(404)
  expect(world.upstream.requests).toEqual([])
  expect((await (await world.signedIn({ browser: 'ada' })).fetch('/api/admin/echo')).status).toBe(200)
})

test('each route gives its upstream exactly the credential that it names', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/', static: './public', access: 'public' },
        ...['none', 'access-token', 'id-token'].map((credential) => ({
          path: `/${credential}`,
          upstream,
          access: 'authenticated',
          credential,
        })),
      ],
    }),
  })
  const browser = await world.signedIn()
  const seen: string[] = []
  for (const credential of ['none', 'access-token', 'id-token']) {
    await browser.fetch(`/${credential}`)
    const { rawHeaders } = world.upstream.requests.at(-1) as { rawHeaders: readonly string[] }
    const at = rawHeaders.findIndex((name) => name.toLowerCase() === 'authorization')
    seen.push(at === -1 ? 'nothing' : String(rawHeaders[at + 1]))
  }
  expect(seen[0]).toBe('nothing')
  expect(seen[1]).not.toBe(seen[2])
  expect(seen[2]).toMatch(/^Bearer eyJ/)
})

test('PX3 CK4 LG2 canaries: no token, code or cookie secret in any byte that a browser sees, nor in any line of the log', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  for (const path of [
    '/api/echo',
    '/auth/session',
    '/auth/sessions',
    '/api/status?code=500',
    '/api/redirect',
    '/nowhere',
    '/api/admin/echo',
  ]) {
    await browser.fetch(path)
    await browser.visit(path, { from: world.origin, follow: false })
  }
  const [, id = '', , secret = ''] = String(browser.cookies()[0]?.value).split('.')
  await browser.fetch('/auth/logout', { method: 'POST' })
  await browser.fetch('/api/echo')
  expect(world.provider.issuedTokens.size).toBeGreaterThanOrEqual(3)
  expect(findLeaks(browser.seen, world.provider.issuedTokens)).toEqual([])
  for (const { url, body } of browser.seen)
    for (const part of [id, secret]) expect(`${url}\n${body}`).not.toContain(part)
  const log = world.log.text()
  expect(log.length).toBeGreaterThan(500)
  const verifierAndStates = world.provider.authorizations.flatMap((asked) => [asked.get('state'), asked.get('nonce')])
  for (const canary of [
    ...world.provider.issuedTokens,
    ...world.provider.issuedCodes,
    id,
    secret,
    ...verifierAndStates,
  ]) {
    expect(log).not.toContain(canary)
  }
})

test('LG3 what a request carries can not forge a line of the log', async () => {
  await using world = await createWorld()
  const evil = `{"level":"error","event":"forged"}`
  const browser = world.browser('evil', { headers: { 'user-agent': `x\u0085${evil}` } })
  await browser.fetch(`/api/${encodeURIComponent(`\n${evil}`)}`, { csrf: false })
  await browser.fetch('/api/echo', { headers: { origin: `x\t${evil}` } })
  await rawRequest(
    world.port,
    `GET /%0a${evil.replaceAll('"', '%22')} HTTP/1.1\r\nHost: ${new URL(world.origin).host}\r\n\r\n`,
  )
  expect(world.log.events('forged')).toEqual([])
  expect(world.log.text().trim().split('\n').length).toBe(world.log.lines.length)
})

test('SH1 what the gateway serves itself defends its page', async () => {
  await using world = await createWorld()
  const page = await world.browser().visit('/')
  const csp = String(page.header('content-security-policy'))
  for (const directive of ["object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"])
    expect(csp).toContain(directive)
  expect(page.header('x-content-type-options')).toBe('nosniff')
  expect(page.header('referrer-policy')).toBeDefined()
  expect(page.header('cross-origin-opener-policy')).toBe('same-origin')
  expect(page.header('cross-origin-resource-policy')).toBe('same-origin')
  for (const path of ['/.env', '/missing.js']) expect((await world.browser().visit(path)).status, path).toBe(404)
  expect((await world.browser().visit('/any/deep/link')).text).toContain('The app')
})

test('PX10 an event stream arrives piece by piece, and a client that leaves takes the upstream request with it', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const stream = await browser.stream('/api/sse')
  expect(stream.status).toBe(200)
  expect(String((await stream.chunks.next()).value)).toContain('data:')
  expect(world.upstream.open).toBe(1)
  stream.abort()
  await expect.poll(() => world.upstream.open).toBe(0)
})

test('PX4 a page for the signed-in only is kept by no cache; a public one may be checked for changes', async () => {
  await using world = await createWorld({
    config: {
      routes: [
        { path: '/private/*', static: './public', access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    },
  })
  const browser = await world.signedIn()
  const page = await browser.visit('/private/index.html', { from: world.origin })
  expect([page.status, page.header('cache-control')]).toEqual([200, 'no-store'])
  expect((await browser.visit('/', { from: world.origin })).header('cache-control')).not.toBe('no-store')
})
