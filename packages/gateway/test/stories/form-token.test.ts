import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import type { UpstreamRequest } from '../../../testkit/src/upstream.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { rotateKeyFile } from '../../src/session/key-rotation.ts'
import { openWire, statusLines } from '../node/carrier.ts'
import { wireUser } from './wire.ts'

const minute = 60_000
const pairs = 'application/x-www-form-urlencoded'

/** A world with an application of the older kind: pages from the server, and forms. */
const formWorld = (config: ConfigInput = {}, options: WorldOptions = {}) =>
  createWorld({
    ...options,
    config: ({ upstream }) => ({
      routes: [
        { path: '/app/admin/*', upstream, stripPrefix: '/app', access: { roles: ['admin'] }, csrf: 'token' },
        { path: '/app/*', upstream, stripPrefix: '/app', access: 'authenticated', csrf: 'token', maxBody: '8mb' },
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
      ...config,
    }),
  })

const tokenOf = async (browser: Browser) => {
  const { csrfToken } = (await browser.fetch('/auth/session?passive=1')).json<{ csrfToken?: string }>()
  return String(csrfToken)
}

const valuesOf = ({ rawHeaders }: UpstreamRequest, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)

/** A person sends a form of the application's page. */
const post = (world: World, browser: Browser, fields: Record<string, string>, path = '/app/save') =>
  browser.visit(path, { method: 'POST', from: `${world.origin}/app/form`, body: new URLSearchParams(fields) })

/** The application's script sends a body. */
const call = (browser: Browser, headers: Record<string, string>, body: string | Uint8Array = '', method = 'POST') =>
  browser.fetch('/app/save', { method, csrf: false, headers, body })

const multipart = async (fields: Record<string, string | Blob>) => {
  const form = new FormData()
  for (const [name, value] of Object.entries(fields)) form.append(name, value)
  const request = new Request('http://a.test', { method: 'POST', body: form })
  return { type: String(request.headers.get('content-type')), body: new Uint8Array(await request.arrayBuffer()) }
}

const problemOf = (page: { status: number; text: string }) => [page.status, JSON.parse(page.text).code]

describe('CS4 a form with its token', () => {
  test('CS4 the page gets a token from /auth/session, the upstream one with each request; either is good, in a field or a header', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const shown = await bob.visit('/app/form', { from: `${world.origin}/` })
    expect(shown.status).toBe(200)
    const [embedded = '', ...more] = valuesOf(world.upstream.last(), 'x-coatcheck-csrf-token')
    expect([embedded, more]).toEqual([expect.stringMatching(/^[\w-]+\.[\w-]{64}$/), []])
    const fetched = await tokenOf(bob)
    expect(fetched).not.toBe(embedded)
    for (const token of [embedded, fetched]) {
      expect((await post(world, bob, { a: '1 & 2', csrf_token: token, b: 'é' })).status).toBe(200)
      const form = world.upstream.last()
      expect(String(form.body)).toBe(`a=1+%26+2&csrf_token=${token}&b=%C3%A9`)
      expect(valuesOf(form, 'x-coatcheck-csrf-token')[0]).not.toBe(token)
      for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'QUERY']) {
        const answer = await call(bob, { 'x-csrf-token': token, 'content-type': 'application/json' }, '{}', method)
        expect([method, answer.status]).toEqual([method, 200])
        expect([valuesOf(world.upstream.last(), 'x-csrf-token'), String(world.upstream.last().body)]).toEqual([
          [],
          '{}',
        ])
      }
      expect((await call(bob, { 'x-csrf-token': token }, '', 'DELETE')).status).toBe(200)
    }
    // Who is nobody gets none; and a route of another kind hands none out, and leaves the application's own alone.
    expect((await world.browser('nobody').fetch('/auth/session')).json()).toEqual({ authenticated: false })
    expect((await bob.fetch('/api/echo', { headers: { 'x-csrf-token': 'its own' } })).status).toBe(200)
    const api = world.upstream.last()
    expect([valuesOf(api, 'x-coatcheck-csrf-token'), valuesOf(api, 'x-csrf-token')]).toEqual([[], ['its own']])
  })

  test('CS4 GET, HEAD and OPTIONS need none; a page of another site may still open a page, and nothing else', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    for (const method of ['GET', 'HEAD', 'OPTIONS'])
      expect([method, (await bob.fetch('/app/x', { method, csrf: false })).status]).toEqual([method, 200])
    const { length } = world.upstream.requests
    for (const dest of ['image', 'script'] as const) {
      const page = await bob.fetch('/app/x', { csrf: false, from: 'https://evil.test/', dest, mode: 'no-cors' })
      expect([dest, page.status]).toEqual([dest, 403])
    }
    expect(world.upstream.requests).toHaveLength(length)
    expect((await bob.visit('/app/x', { from: 'https://evil.test/' })).status).toBe(200)
  })

  test('CS4 a file of several megabytes beside the token: every byte arrives, as it was framed', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const file = new Uint8Array(5_000_000).map((_, at) => (at * 7919) % 251)
    const { type, body } = await multipart({ csrf_token: await tokenOf(bob), note: 'ü', file: new Blob([file]) })
    const page = await bob.visit('/app/save', {
      ...{ method: 'POST', from: `${world.origin}/app/form`, body },
      headers: { 'content-type': type },
    })
    expect(page.status).toBe(200)
    const arrived = world.upstream.last()
    expect(arrived.body.equals(body)).toBe(true)
    expect([arrived.header('content-type'), arrived.header('content-length')]).toEqual([type, String(body.length)])
  })

  test('CS4 the field has to be within the first 64 KB; the header has no such bound', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const token = await tokenOf(bob)
    const behind = (length: number) => `a=${'x'.repeat(length - 3)}&csrf_token=${token}`
    const room = 65_536 - `csrf_token=${token}`.length
    expect((await call(bob, { 'content-type': pairs }, behind(room))).status).toBe(200)
    expect(world.upstream.last().body.length).toBe(65_536)
    expect((await call(bob, { 'content-type': pairs }, `${behind(room - 1)}&`)).status).toBe(200)
    expect((await call(bob, { 'content-type': pairs }, `${behind(room - 1)}&more=1`)).status).toBe(200)
    world.upstream.requests.length = 0
    expect(problemOf(await call(bob, { 'content-type': pairs }, behind(room + 1)))).toEqual([403, 'csrf_rejected'])
    expect(problemOf(await call(bob, { 'content-type': pairs }, `${behind(room)}&more=1`))).toEqual([
      403,
      'csrf_rejected',
    ])
    const late = await multipart({ file: new Blob([new Uint8Array(100_000)]), csrf_token: token })
    expect(problemOf(await call(bob, { 'content-type': late.type }, late.body))).toEqual([403, 'csrf_rejected'])
    expect(world.upstream.requests).toEqual([])
    const besides = { 'content-type': late.type, 'x-csrf-token': token }
    expect((await call(bob, besides, late.body)).status).toBe(200)
    expect(world.upstream.last().body.equals(late.body)).toBe(true)
    // maxBody is what it was: nothing of what is too large is even asked for.
    const size = 'Content-Length: 8388609\r\nExpect: 100-continue\r\n'
    const user = await wireUser(world, 'bob')
    const { statuses } = await user.call('/app/save', `Content-Type: ${pairs}\r\n${size}`, 'POST')
    expect(statuses).toEqual([413])
  })
})

test('CS4 where no route asks for a token, nobody is given one', async () => {
  await using world = await createWorld()
  const bob = await world.signedIn({ as: 'bob' })
  expect((await bob.fetch('/auth/session')).json()).not.toHaveProperty('csrfToken')
  expect((await bob.fetch('/api/echo')).status).toBe(200)
  expect(valuesOf(world.upstream.last(), 'x-coatcheck-csrf-token')).toEqual([])
})

describe('CS4 whose token it is', () => {
  test('CS4 none, somebody else’s, one of before the sign-in, an invented one: 403, and nothing reaches the upstream', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const eve = await world.signedIn({ as: 'eve', browser: 'eve' })
    const other = await world.signedIn({ as: 'bob', browser: 'bob on another device' })
    const before = await tokenOf(bob)
    await bob.fetch('/auth/logout', { method: 'POST' })
    await world.signedIn({ as: 'bob', browser: 'bob' })
    const good = await tokenOf(bob)
    const wrong = [
      before,
      await tokenOf(eve),
      await tokenOf(other),
      '',
      'x',
      '1',
      `${good.slice(0, -1)}${good.endsWith('_') ? 'A' : '_'}`,
    ]
    for (const csrf_token of wrong) {
      const page = await post(world, bob, { a: '1', csrf_token })
      expect([csrf_token, page.status, page.text.includes('csrf_rejected')]).toEqual([csrf_token, 403, true])
      const script = await call(bob, { 'x-csrf-token': csrf_token, 'content-type': 'application/json' }, '{}')
      expect([csrf_token, ...problemOf(script)]).toEqual([csrf_token, 403, 'csrf_rejected'])
    }
    expect((await post(world, bob, { a: '1' })).status).toBe(403)
    for (const type of ['application/json', 'text/plain', ''])
      expect(problemOf(await call(bob, { 'content-type': type }, `csrf_token=${await tokenOf(bob)}`))[0]).toBe(403)
    expect(problemOf(await call(bob, {}, '', 'DELETE'))).toEqual([403, 'csrf_rejected'])
    expect(problemOf(await call(bob, { 'x-csrf': '1', 'content-type': 'application/json' }, '{}'))[0]).toBe(403)
    expect(world.upstream.requests).toEqual([])
    expect((await post(world, bob, { csrf_token: await tokenOf(bob) })).status).toBe(200)
  })

  test('CS4 ambiguity is no token: twice, two that differ, a field that is a file, a boundary that is none, two content types', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const [one, two] = [await tokenOf(bob), await tokenOf(bob)]
    const field = (value: string, more = '') =>
      `--B\r\nContent-Disposition: form-data; name="csrf_token"${more}\r\n\r\n${value}\r\n`
    const parts = 'multipart/form-data; boundary=B'
    const refused: [type: string, body: string, header?: string][] = [
      [pairs, `csrf_token=${one}&csrf_token=${one}`],
      [pairs, `csrf_token=${one}&csrf_token=${one}`, one],
      [pairs, `csrf_token=${one}`, two],
      [pairs, 'csrf_token=', one],
      [pairs, `csrf_token=${one}`, ''],
      [parts, `${field(one)}${field(one)}--B--\r\n`],
      [parts, `${field(one, '; filename="a"')}--B--\r\n`],
      [parts, field(one)],
      [parts, `${field(one)}--B--\r\n`.replaceAll('--B', '--C')],
      [parts, field(one), one],
      ['multipart/form-data', `${field(one)}--B--\r\n`],
      [`${parts}; boundary=C`, `${field(one)}--B--\r\n`],
      [`${pairs}, ${parts}`, `csrf_token=${one}`, one],
      [pairs, `${field(one)}--B--\r\n`],
      [parts, `csrf_token=${one}`],
    ]
    for (const [type, body, header] of refused) {
      const headers = { 'content-type': type, ...(header !== undefined && { 'x-csrf-token': header }) }
      expect([type, body, ...problemOf(await call(bob, headers, body))]).toEqual([type, body, 403, 'csrf_rejected'])
    }
    const user = await wireUser(world, 'bob')
    const token = await tokenOf(world.browser('bob'))
    const length = 'Content-Length: 0\r\n'
    const twice = await user.call('/app/save', `X-CSRF-Token: ${token}\r\nX-CSRF-Token: ${token}\r\n${length}`, 'POST')
    expect(twice.statuses).toEqual([403])
    const hop = `X-CSRF-Token: ${token}\r\nConnection: X-CSRF-Token\r\n${length}`
    expect((await user.send(`POST /app/save HTTP/1.1\r\n${user.own}${hop}\r\n`)).statuses).toEqual([400])
    const types = `Content-Type: ${pairs}\r\nContent-Type: ${parts}\r\nX-CSRF-Token: ${token}\r\n${length}`
    expect((await user.call('/app/save', types, 'POST')).statuses).toEqual([400])
    expect(world.upstream.requests).toEqual([])
    // A page needs none; what is sent along all the same, and however often, stays here.
    const page = `X-CSRF-Token: ${token}\r\nx-csrf-token: ${token}\r\n`
    expect((await user.call('/app/save', page)).statuses).toEqual([200])
    expect(valuesOf(world.upstream.last(), 'x-csrf-token')).toEqual([])
    // Both, and the same.
    expect((await call(bob, { 'content-type': pairs, 'x-csrf-token': one }, `csrf_token=${one}`)).status).toBe(200)
    expect((await call(bob, { 'content-type': parts, 'x-csrf-token': one }, `${field(one)}--B--\r\n`)).status).toBe(200)
  })

  test('CS4 TO4 it outlives rotations of the cookie and of the key ring, and a restart; not its session', async () => {
    await using world = await formWorld({}, { store: 'lmdb' })
    const bob = await world.signedIn({ as: 'bob' })
    const token = await tokenOf(bob)
    const cookie = String(bob.cookies()[0]?.value)
    for (let turn = 0; turn < 3; turn++) {
      world.clock.advance(16 * minute)
      expect((await post(world, bob, { csrf_token: token })).status).toBe(200)
    }
    expect(String(bob.cookies()[0]?.value)).not.toBe(cookie)
    const ring = join(world.folder, 'coatcheck.keys')
    const before = readFileSync(ring, 'utf8')
    rotateKeyFile(ring, { now: world.clock.now() })
    expect(readFileSync(ring, 'utf8')).not.toBe(before)
    const fresh = await tokenOf(bob)
    expect(fresh.split('.')[0]).not.toBe(token.split('.')[0])
    for (const one of [token, fresh]) expect((await post(world, bob, { csrf_token: one })).status).toBe(200)
    await world.stopGateway()
    await world.startGateway()
    for (const one of [token, fresh]) expect((await post(world, bob, { csrf_token: one })).status).toBe(200)
    await bob.fetch('/auth/logout', { method: 'POST' })
    // Nobody is signed in: a form goes to sign-in, a script is refused as from anywhere.
    const lost = await bob.visit('/app/save', {
      ...{ method: 'POST', from: `${world.origin}/app/form`, body: new URLSearchParams({ csrf_token: token }) },
      follow: false,
    })
    expect([lost.status, lost.location]).toEqual([303, expect.stringContaining('/auth/login?return_to=%2Fapp%2Fsave')])
    expect(problemOf(await call(bob, { 'x-csrf-token': token }))).toEqual([403, 'csrf_rejected'])
  })

  test('CS4 a cookie that was replaced while the form was on its way is no theft; a session that ended meanwhile is over', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob' })
    const token = await tokenOf(bob)
    /** Sends the beginning of a form, and waits until the gateway has asked for the rest. */
    const begin = async () => {
      const lines = [
        'POST /app/save HTTP/1.1',
        ...[`Host: ${new URL(world.origin).host}`, `Origin: ${world.origin}`, 'Connection: close'],
        `Cookie: ${bob.cookies()[0]?.cookieString()}`,
        ...[`Content-Type: ${pairs}`, `Content-Length: ${`csrf_token=${token}`.length}`, 'Expect: 100-continue'],
      ]
      const wire = await openWire(world.port, `${lines.join('\r\n')}\r\n\r\n`)
      await wire.until(/100 Continue/)
      wire.socket.write('csrf_')
      return wire
    }
    const replaced = await begin()
    world.clock.advance(16 * minute)
    // The answer to the first brings the new value, the second shows that it arrived.
    for (let n = 0; n < 2; n++) expect((await bob.fetch('/auth/session')).status).toBe(200)
    world.clock.advance(minute)
    replaced.socket.write(`token=${token}`)
    expect(statusLines(await replaced.closed)).toEqual(['HTTP/1.1 100', 'HTTP/1.1 200'])
    expect((await bob.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
    expect(world.log.events('session_cookie_reused')).toEqual([])
    const over = await begin()
    await bob.fetch('/auth/logout', { method: 'POST' })
    over.socket.write(`token=${token}`)
    expect(await over.closed).toMatch(/HTTP\/1\.1 401 [\s\S]*session_expired/)
    expect(world.upstream.requests).toHaveLength(1)
  })
})

describe('CS4 what another page can do', () => {
  const elsewhere = ({ origin }: World) => [`http://evil.${new URL(origin).host}/`, 'https://evil.test/', 'null']

  test('CS4 CS2 a request from elsewhere is refused with the very token of the user; who is signed in is not told', async () => {
    await using world = await formWorld({}, { host: 'localhost' })
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const nobody = world.browser('nobody')
    const token = await tokenOf(bob)
    const cookie = bob
      .cookies()
      .map((one) => one.cookieString())
      .join('; ')
    const same = (page: { status: number; text: string }) => `${page.status} ${withoutRequestId(page.text)}`
    for (const from of elsewhere(world)) {
      const sender = from === 'null' ? { headers: { origin: 'null' } } : { from }
      const body = new URLSearchParams({ csrf_token: token })
      const answers = await Promise.all([
        bob.visit('/app/save', { method: 'POST', body, ...sender, headers: { ...sender.headers, cookie } }),
        nobody.visit('/app/save', { method: 'POST', body, ...sender }),
      ])
      expect(answers.map(({ status }) => status)).toEqual([403, 403])
      expect(new Set(answers.map(same)).size).toBe(1)
      const scripts = await Promise.all(
        [{ cookie }, {}].map((more) =>
          nobody.fetch('/app/save', {
            ...{ method: 'POST', csrf: false, body, ...sender },
            headers: { ...sender.headers, 'x-csrf-token': token, ...more },
          }),
        ),
      )
      expect(scripts.map(problemOf)).toEqual([
        [403, 'csrf_rejected'],
        [403, 'csrf_rejected'],
      ])
    }
    expect(world.upstream.requests).toEqual([])
    expect((await bob.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  })

  test('CS4 CS3 the preflight of a sibling gets no permission, and the token no reader', async () => {
    await using world = await formWorld({}, { host: 'localhost' })
    const bob = await world.signedIn({ as: 'bob' })
    for (const from of elsewhere(world).slice(0, 2)) {
      const asking = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'x-csrf-token' }
      const preflight = await bob.fetch('/app/save', { method: 'OPTIONS', csrf: false, from, headers: asking })
      expect(preflight.status).toBe(403)
      expect(preflight.exchange.rawHeaders.join('\n')).not.toMatch(/access-control-/i)
      const read = await bob.fetch('/auth/session', { csrf: false, from, headers: { origin: new URL(from).origin } })
      expect(read.exchange.rawHeaders.join('\n')).not.toMatch(/access-control-/i)
    }
    expect(world.upstream.requests).toEqual([])
  })

  test('CS4 a planted cookie makes no token good: there is no double submit', async () => {
    await using world = await formWorld()
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    const eve = await world.signedIn({ as: 'eve', browser: 'eve' })
    const stolen = await tokenOf(eve)
    const cookie = `${bob.cookies()[0]?.cookieString()}; csrf_token=${stolen}; X-CSRF-Token=${stolen}`
    const answer = await call(bob, { cookie, 'content-type': pairs }, `csrf_token=${stolen}`)
    expect(problemOf(answer)).toEqual([403, 'csrf_rejected'])
    expect(world.upstream.requests).toEqual([])
  })
})

test('CS4 RB1 the session and the roles are looked at as ever, behind the token', async () => {
  await using world = await formWorld()
  const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
  const token = await tokenOf(bob)
  const fields = new URLSearchParams({ csrf_token: token })
  const send = (body: URLSearchParams) => bob.fetch('/app/admin/x', { method: 'POST', csrf: false, body })
  expect(problemOf(await send(fields))).toEqual([403, 'access_denied'])
  expect(problemOf(await send(new URLSearchParams()))).toEqual([403, 'csrf_rejected'])
  const copy = bob.saved()
  await bob.fetch('/auth/logout', { method: 'POST' })
  // The token is right, and its session is over.
  expect(problemOf(await copy.fetch('/app/save', { method: 'POST', csrf: false, body: fields }))).toEqual([
    401,
    'session_expired',
  ])
  expect(world.upstream.requests).toEqual([])
})

test('CS4 LG2 no token is in the log, and why one was refused is', async () => {
  await using world = await formWorld({ log: { level: 'debug' } })
  const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
  const eve = await world.signedIn({ as: 'eve', browser: 'eve' })
  const [mine, hers] = [await tokenOf(bob), await tokenOf(eve)]
  await post(world, bob, { csrf_token: mine })
  await post(world, bob, { csrf_token: hers })
  await call(bob, { 'x-csrf-token': hers })
  await call(bob, { 'x-csrf-token': mine, 'content-type': pairs }, `csrf_token=${await tokenOf(bob)}`)
  const reasons = world.log.events('malicious_csrf').map(({ reason }) => reason)
  expect(reasons).toEqual([
    'csrf_token is of no such session',
    'X-CSRF-Token is of no such session',
    'csrf_token and X-CSRF-Token differ',
  ])
  expect(JSON.stringify(world.log.lines)).not.toMatch(/[\w-]{8}\.[\w-]{64}/)
  for (const token of [mine, hers]) expect(JSON.stringify(world.log.lines)).not.toContain(token.slice(-20))
})

test('CS4 forward-auth sees no body: the token is in the header, or the question is refused; the yes brings one for the page', async () => {
  await using world = await formWorld({
    trustedProxies: ['127.0.0.1'],
    routes: [
      { path: '/', static: './public', access: 'public' },
      { path: '/*', forwardAuth: true, access: 'authenticated', csrf: 'token' },
    ],
  })
  const bob = await world.signedIn({ as: 'bob' })
  const token = await tokenOf(bob)
  const ask = (method: string, headers: Record<string, string> = {}) =>
    bob.fetch('/auth/forward', {
      csrf: false,
      headers: {
        'x-forwarded-method': method,
        'x-forwarded-uri': '/save',
        'x-forwarded-host': new URL(world.origin).host,
        'x-forwarded-proto': 'http',
        origin: world.origin,
        ...headers,
      },
    })
  const page = await ask('GET')
  expect([page.status, page.header('x-coatcheck-csrf-token')]).toEqual([
    200,
    expect.stringMatching(/^[\w-]+\.[\w-]{64}$/),
  ])
  expect((await ask('POST', { 'x-csrf-token': String(page.header('x-coatcheck-csrf-token')) })).status).toBe(200)
  expect((await ask('POST', { 'x-csrf-token': token, 'content-type': pairs })).status).toBe(200)
  for (const headers of [{}, { 'content-type': pairs }, { 'x-csrf-token': `${token}x` }, { 'x-csrf': '1' }]) {
    const refused = await ask('POST', headers)
    expect(problemOf(refused)).toEqual([403, 'csrf_rejected'])
    expect(refused.headers('x-coatcheck-user')).toEqual([])
  }
  expect((await ask('POST', { 'x-csrf-token': token, 'sec-fetch-site': 'cross-site' })).status).toBe(403)
})
