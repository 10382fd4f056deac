import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { type Answered, type WireUser, wireUser } from './wire.ts'

/** An honest user's own header lines, without those that say where the call comes from. */
const cookieLines = ({ own }: WireUser) => own.replace(/^(X-CSRF|Origin): .*\r\n/gm, '')

const call = (user: WireUser, method: string, path: string, lines: string) =>
  user.send(`${method} ${path} HTTP/1.1\r\n${cookieLines(user)}${lines}Connection: close\r\n\r\n`)

/** An answer without what differs from request to request. */
const comparable = ({ text }: Answered) =>
  text
    .replace(/^(Date|X-Request-Id): .*\r\n/gim, '')
    .replace(/"requestId":"[^"]*"/, '"requestId":""')
    .replace(/^Content-Length: .*\r\n/im, '')

test('CS1 without X-CSRF: 1, and exactly that, every method is 403 and nothing reaches the API', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const here = `Origin: ${world.origin}\r\nSec-Fetch-Site: same-origin\r\n`
  const wrong = [
    ...['', 'X-CSRF:\r\n', 'X-CSRF: 0\r\n', 'X-CSRF: true\r\n', 'X-CSRF: 11\r\n', 'X-CSRF: 1,\r\n', 'X-CSRF: 1;\r\n'],
    ...[
      'X-CSRF: 01\r\n',
      'X-CSRF: +1\r\n',
      'X-CSRF: 1.0\r\n',
      'X-CSRF: "1"\r\n',
      'X-CSRF: 1, 1\r\n',
      'X-CSRF: \xb9\r\n',
    ],
    ...[
      'X-CSRF: 1\r\nX-CSRF: 1\r\n',
      'X-CSRF: 1\r\nx-csrf: 0\r\n',
      'X_CSRF: 1\r\n',
      'X-CSRF-Token: 1\r\n',
      'XCSRF: 1\r\n',
    ],
  ]
  for (const method of ['GET', 'HEAD', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']) {
    for (const lines of wrong) {
      const { statuses } = await call(bob, method, '/api/echo', `${here}${lines}`)
      expect([method, lines, statuses]).toEqual([method, lines, [403]])
    }
    expect(world.upstream.requests).toEqual([])
    expect((await call(bob, method, '/api/echo', `${here}x-csrf: 1\r\n`)).statuses).toEqual([200])
    world.upstream.requests.length = 0
  }
  expect(world.log.events('malicious_csrf').length).toBeGreaterThan(100)
})

test('CS1 a call from elsewhere learns nothing: the answer is the same for the signed-in, the anonymous, and a dead or foreign cookie', async () => {
  await using world = await createWorld()
  const bob = await wireUser(world, 'bob')
  const nobody = await wireUser(world)
  const guest = await wireUser(world, 'eve')
  const cookies: [who: string, user: WireUser, line: string][] = [
    ['bob', bob, ''],
    ['eve, who may not', guest, ''],
    ['nobody', nobody, ''],
    ['a cookie of nobody', nobody, `Cookie: __Host-Http-session=v1.${'A'.repeat(22)}.1.${'A'.repeat(43)}\r\n`],
    ['garbage', nobody, 'Cookie: __Host-Http-session=garbage\r\n'],
  ]
  for (const path of ['/api/echo', '/api/admin/echo', '/auth/sessions']) {
    for (const lines of [
      '',
      'X-CSRF: 1\r\nOrigin: https://evil.test\r\n',
      'X-CSRF: 1\r\nSec-Fetch-Site: same-site\r\n',
    ]) {
      const answers = new Map<string, string>()
      for (const [who, user, cookie] of cookies)
        answers.set(who, comparable(await call(user, 'GET', path, `${cookie}${lines}`)))
      expect([...new Set(answers.values())], `${path} ${lines}`).toHaveLength(1)
      expect(answers.get('bob')).toMatch(/^HTTP\/1\.1 403 [\s\S]*csrf_rejected/)
      expect(answers.get('bob')).not.toMatch(/set-cookie|access-control/i)
    }
  }
  expect(world.upstream.requests).toEqual([])
})

describe('CS2 where a call comes from', () => {
  const sites = ['same-origin', 'same-site', 'cross-site', 'none', 'bogus', 'Same-Origin', 'same-origin ,x', '']
  const origins = (own: string) => [
    ...[
      own,
      'null',
      'https://evil.test',
      own.replace('http:', 'https:'),
      `${own}/`,
      own.toUpperCase(),
      `${own}.evil.test`,
    ],
    ...[
      own.replace(/:\d+$/, ''),
      own.replace(/\d$/, ''),
      `${own}, ${own}`,
      `http://evil.${new URL(own).host}`,
      '',
      'undefined',
    ],
  ]

  test('CS2 same-origin alone passes; Sec-Fetch-Site and Origin must both agree, and without either nothing unsafe passes', async () => {
    await using world = await createWorld({ host: 'localhost' })
    const bob = await wireUser(world, 'bob')
    const own = world.origin
    let passed = 0
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE']) {
      const safe = method === 'GET' || method === 'HEAD'
      for (const site of [undefined, ...sites]) {
        for (const origin of [undefined, ...origins(own)]) {
          const siteLine = site === undefined ? '' : `Sec-Fetch-Site: ${site}\r\n`
          const originLine = origin === undefined ? '' : `Origin: ${origin}\r\n`
          const { statuses } = await call(bob, method, '/api/echo', `X-CSRF: 1\r\n${siteLine}${originLine}`)
          const originFine = origin === undefined || origin === own
          const siteFine =
            site === 'same-origin' || (site === 'none' && safe) || (site === undefined && (origin === own || safe))
          const expected = originFine && siteFine ? 200 : 403
          expect([method, site, origin, statuses]).toEqual([method, site, origin, [expected]])
          if (expected === 200) passed++
        }
      }
    }
    // GET and HEAD: 3 signs × 2 origins; POST and DELETE: same-origin × 2, and Origin alone.
    expect(passed).toBe(2 * 6 + 2 * 3)
    expect(world.upstream.requests).toHaveLength(passed)
  })

  test('CS2 a sign that comes twice is two readings, and refused as such', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    for (const lines of [
      `Origin: ${world.origin}\r\nOrigin: ${world.origin}\r\n`,
      `Origin: ${world.origin}\r\norigin: https://evil.test\r\n`,
      'Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: cross-site\r\n',
    ])
      expect([lines, (await call(bob, 'POST', '/api/echo', `X-CSRF: 1\r\n${lines}`)).statuses]).toEqual([lines, [400]])
    expect(world.upstream.requests).toEqual([])
  })
})

describe('CS3 what another page can make a browser send', () => {
  const elsewhere = (world: World) => [
    `http://evil.${new URL(world.origin).host}/`,
    'https://evil.test/',
    'http://localhost:1/',
  ]

  test('CS3 a preflight from a sibling or a stranger gets no permission of any kind', async () => {
    await using world = await createWorld({ host: 'localhost' })
    const bob = await world.signedIn({ as: 'bob' })
    for (const from of elsewhere(world)) {
      for (const path of [
        '/api/echo',
        '/api/admin/echo',
        '/auth/session',
        '/auth/logout',
        '/auth/sessions',
        '/app.js',
      ]) {
        for (const asked of ['x-csrf', 'x-csrf,content-type', 'authorization']) {
          const page = await bob.fetch(path, {
            method: 'OPTIONS',
            csrf: false,
            from,
            headers: { 'access-control-request-method': 'POST', 'access-control-request-headers': asked },
          })
          expect([path, page.status]).toEqual([path, path.startsWith('/api/') ? 403 : 405])
          expect(page.exchange.rawHeaders.join('\n')).not.toMatch(/access-control-/i)
        }
      }
    }
    expect(world.upstream.requests).toEqual([])
  })

  test('CS3 simple requests of every simple content type, and forms, reach nothing, even with the cookie', async () => {
    await using world = await createWorld({ host: 'localhost' })
    const bob = await world.signedIn({ as: 'bob' })
    const cookie = bob
      .cookies()
      .map((one) => one.cookieString())
      .join('; ')
    for (const from of elsewhere(world)) {
      for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x', '']) {
        for (const method of ['POST', 'GET']) {
          const options = { method, csrf: false, from, body: '{"amount":1}', mode: 'no-cors' as const }
          // Strict hides the cookie from strangers; with an old browser it might come along.
          const page = await bob.fetch('/api/echo', { ...options, headers: { 'content-type': type, cookie } })
          expect([from, type, method, page.status]).toEqual([from, type, method, 403])
        }
      }
      const form = { method: 'POST', from, body: new URLSearchParams({ amount: '1' }), headers: { cookie } }
      expect((await bob.visit('/api/echo', form)).status).toBe(403)
    }
    expect(world.upstream.requests).toEqual([])
  })

  test('CS3 LO2 a form that a sibling posts, cookie and all, is refused; the page of the application posts by script', async () => {
    await using world = await createWorld({ host: 'localhost' })
    const bob = await world.signedIn({ as: 'bob' })
    const sibling = `http://evil.${new URL(world.origin).host}/`
    for (const path of ['/api/echo', '/auth/logout', '/auth/session']) {
      const page = await bob.visit(path, { method: 'POST', from: sibling, body: new URLSearchParams({ a: '1' }) })
      expect([path, page.status]).toEqual([path, 403])
    }
    expect((await bob.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    expect(world.upstream.requests).toEqual([])
  })
})

test('CS1 CS2 the gateway’s own endpoints that change something: refused from elsewhere, and nothing has changed', async () => {
  await using world = await createWorld({ host: 'localhost', config: { session: { idle: '30m' } } })
  const bob = await world.signedIn({ as: 'bob' })
  const other = await world.signedIn({ as: 'bob', browser: 'the other one' })
  const { sessions } = (await bob.fetch('/auth/sessions')).json<{ sessions: { id: string; current: boolean }[] }>()
  const { id } = sessions.find(({ current }) => !current) as { id: string }
  const calls: [method: string, path: string][] = [
    ['POST', '/auth/session'],
    ['GET', '/auth/sessions'],
    ['DELETE', '/auth/sessions?others=1'],
    ['DELETE', `/auth/sessions/${id}`],
    ['POST', '/auth/logout'],
    ['POST', '/auth/logout?everywhere=1'],
  ]
  const idleEnd = async (browser: Browser) => (await browser.fetch('/auth/session?passive=1')).json().idleExpiresAt
  const before = await idleEnd(bob)
  world.clock.advance(10 * 60_000)
  for (const [method, path] of calls) {
    for (const options of [
      { csrf: false },
      { headers: { 'x-csrf': 'true' } },
      { from: `http://evil.${new URL(world.origin).host}/` },
      { from: 'https://evil.test/' },
      { headers: { origin: 'null' } },
      { headers: { 'sec-fetch-site': 'none', origin: `${world.origin}.evil.test` } },
    ]) {
      const page = await bob.fetch(path, { method, ...options })
      expect([method, path, page.status, page.json().code]).toEqual([method, path, 403, 'csrf_rejected'])
      expect(page.headers('set-cookie')).toEqual([])
    }
  }
  expect(await idleEnd(bob)).toBe(before)
  expect((await other.fetch('/api/echo')).status).toBe(200)
  // Honest calls do what they say.
  expect((await bob.fetch(`/auth/sessions/${id}`, { method: 'DELETE' })).status).toBe(204)
  expect((await other.fetch('/api/echo')).status).toBe(401)
  expect((await bob.fetch('/auth/session', { method: 'POST' })).status).toBe(200)
  expect(await idleEnd(bob)).not.toBe(before)
})

test('CS1 a webhook on a public route with csrf: off needs no header; its neighbour still does, and neither hears of a user', async () => {
  await using world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/hooks/*', methods: ['POST'], upstream, access: 'public', csrf: 'off' },
        { path: '/feedback', upstream, access: 'public' },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  const ada = await wireUser(world, 'ada')
  const hook = 'Origin: https://hooks.test\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 2\r\n\r\n{}'
  const send = (path: string) => ada.send(`POST ${path} HTTP/1.1\r\n${cookieLines(ada)}Connection: close\r\n${hook}`)
  expect((await send('/hooks/payment')).statuses).toEqual([200])
  const { rawHeaders, body } = world.upstream.last()
  expect(String(body)).toBe('{}')
  expect(rawHeaders.join('\n')).not.toMatch(/coatcheck|authorization|session/i)
  expect((await send('/feedback')).statuses).toEqual([403])
  expect((await call(ada, 'GET', '/hooks/payment', '')).statuses).toEqual([405])
  expect(world.upstream.requests).toHaveLength(1)
})
