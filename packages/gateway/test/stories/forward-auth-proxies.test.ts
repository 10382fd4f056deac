import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import { reservePort } from '../../../testkit/src/listen.ts'
import { ensureProxy, exampleFolder, type ProxyName, startProxy } from '../../../testkit/src/proxies.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import type { UpstreamRequest } from '../../../testkit/src/upstream.ts'
import { createWorld } from '../../../testkit/src/world.ts'

const minute = 60_000
const proxies: readonly ProxyName[] = ['nginx', 'caddy', 'haproxy']

/** The routes as the examples have them, and the proxy in front as its example has it. */
async function proxiedWorld(name: ProxyName) {
  const example = parse(readFileSync(join(exampleFolder, 'coatcheck.yaml'), 'utf8')) as Record<string, ConfigInput>
  const gateway = await reservePort()
  const { routes, roles, trustedProxies } = example
  const world = await createWorld({
    config: { listen: { host: '127.0.0.1', port: gateway }, routes, roles, trustedProxies },
  })
  const ports = { proxy: Number(new URL(world.origin).port), gateway, application: world.upstream.port }
  const proxy = await startProxy(name, ports)
  return {
    world,
    port: ports.proxy,
    async [Symbol.asyncDispose]() {
      await proxy[Symbol.asyncDispose]()
      await world[Symbol.asyncDispose]()
    },
  }
}

const valuesOf = ({ rawHeaders }: UpstreamRequest, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name && rawHeaders[at] !== '')

beforeAll(() => {
  for (const name of proxies) ensureProxy(name, console.log)
}, 300_000)

describe.each(proxies)('%s, by its example', (name) => {
  test('CK5 a link from another site leads through sign-in to the page, and to a page behind Strict cookies without one', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const ada = world.browser()
    const signIn = await ada.visit('/admin/report?year=1843', { from: 'https://elsewhere.test/' })
    const page = await ada.submit(signIn, { button: 'ada' })
    expect([page.status, page.url]).toEqual([200, `${world.origin}/admin/report?year=1843`])
    expect(page.json().url).toBe('/admin/report?year=1843')
    const asked = world.provider.authorizations.length
    const again = await ada.visit('/admin/again', { from: 'https://elsewhere.test/' })
    expect([again.status, again.url]).toEqual([200, `${world.origin}/admin/again`])
    expect(world.provider.authorizations).toHaveLength(asked)
    expect(findLeaks(ada.seen, world.provider.issuedTokens)).toEqual([])
  })

  test('PX2 the application hears of the user from the gateway alone, whatever the client says and in whatever spelling', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const ada = await world.signedIn()
    const own = ada.cookies()[0]?.cookieString() ?? ''
    const forged = {
      'x-coatcheck-user': 'root',
      'X-Coatcheck-Roles': 'root',
      'X-Coatcheck-CSRF-Token': 'root',
      X_Coatcheck_User: 'root',
      'X_Coatcheck-Roles': 'root',
      authorization: 'Bearer forged',
      'x-request-id': 'forged',
      'x-forwarded-for': '203.0.113.66',
      'x-forwarded-host': 'evil.test',
      'sec-coatcheck-forward': '1',
    }
    // Larger than a proxy's usual buffer for the head of an answer, as a token can be.
    const theme = `theme=${'d'.repeat(6000)}`
    const cookie = `${theme}; ${own}; cart=3`
    expect((await world.browser('by hand').fetch('/api/echo', { headers: { ...forged, cookie } })).status).toBe(200)
    const called = world.upstream.last()
    expect(valuesOf(called, 'x-coatcheck-user')).toEqual(['ada'])
    expect(valuesOf(called, 'x-coatcheck-issuer')).toEqual([world.provider.issuer])
    expect(valuesOf(called, 'x-coatcheck-roles')).toEqual(['admin'])
    expect(world.provider.issuedTokens).toContain(valuesOf(called, 'authorization')[0]?.slice(7))
    expect(valuesOf(called, 'cookie')).toEqual([`${theme}; cart=3`])
    expect(valuesOf(called, 'x-forwarded-for')).toEqual(['127.0.0.1'])

    const { rawHeaders } = await (async () => {
      expect((await world.browser('nobody').fetch('/public/echo', { headers: forged })).status).toBe(200)
      return world.upstream.last()
    })()
    const pairs = rawHeaders.flatMap((value, at) => (at % 2 === 1 ? [`${rawHeaders[at - 1]}: ${value}`] : []))
    expect(pairs.filter((line) => /root|forged|evil\.test|203\.0\.113/.test(line))).toEqual([])
  })

  test('PX1 the application is not told of another path or method than the one that was asked about', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const forged = {
      SCRIPT_NAME: '/public',
      Script_Name: '/public',
      PATH_INFO: '/api/x',
      'x-script-name': '/public',
      'x-original-url': '/api/x',
      'X-Original-URI': '/api/x',
      'x-rewrite-url': '/api/x',
      'X-HTTP-Method-Override': 'DELETE',
      'x-http-method': 'DELETE',
      'x-method-override': 'DELETE',
      'x-middleware-subrequest': 'middleware',
      'remote-user': 'root',
      'x-remote-user': 'root',
      'x-forwarded-user': 'root',
      'x-forwarded-prefix': '/root',
      'x-real-ip': '203.0.113.66',
      proxy: 'http://evil.test',
      'X-Coatcheck_User': 'root',
      'X.Coatcheck.Roles': 'root',
      'x.other.name': 'of CGI',
    }
    expect((await world.browser().fetch('/public/echo', { headers: forged })).status).toBe(200)
    const { rawHeaders, target } = world.upstream.last()
    expect(target).toBe('/public/echo')
    const lines = rawHeaders.flatMap((value, at) =>
      at % 2 === 1 && value !== '' ? [`${rawHeaders[at - 1]}: ${value}`] : [],
    )
    expect(
      lines.filter((line) => /script|path.info|original|rewrite|method|other|middleware|root|203\.0|evil/i.test(line)),
    ).toEqual([])
  })

  test('PX2 a client can not take away what the gateway says, nor have the application asked for an address', async () => {
    await using given = await proxiedWorld(name)
    const { world, port } = given
    const { host } = new URL(world.origin)
    const bob = await world.signedIn({ as: 'bob' })
    const cookie = bob.cookies()[0]?.cookieString() ?? ''
    const ask = (target: string, lines: string) =>
      rawRequest(port, `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines}\r\n`)
    const before = world.upstream.requests.length
    const mine = `Cookie: ${cookie}\r\nX-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\n`
    await ask('/api/echo', `${mine}Connection: close, X-Coatcheck-User, X-Coatcheck-Roles, Authorization\r\n`)
    for (const called of world.upstream.requests.slice(before)) {
      expect([valuesOf(called, 'x-coatcheck-user'), valuesOf(called, 'authorization').length]).toEqual([['bob'], 1])
    }
    await ask(`http://${host}/api/echo`, `${mine}Connection: close\r\n`)
    const open = await ask('/public/echo', 'Connection: close\r\nX-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\n')
    expect(statusesOf(open)).toEqual([200])
    const last = world.upstream.last()
    expect(last.target).toBe('/public/echo')
    expect([valuesOf(last, 'authorization'), valuesOf(last, 'cookie')]).toEqual([[], []])
    for (const { target } of world.upstream.requests.slice(before)) expect(target).toMatch(/^\//)
  })

  test('GHSA-7x63-xv5r-3p2x a client’s own X-Forwarded-Uri, -Method and their like open nothing; CSRF, roles and sign-out hold', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const nobody = world.browser('nobody')
    for (const headers of [
      { 'x-forwarded-uri': '/public/x', 'x-forwarded-method': 'GET' },
      { X_Forwarded_Uri: '/public/x', 'x-original-url': '/public/x', 'x-original-uri': '/public/x' },
      { 'x-rewrite-url': '/public/x', forwarded: 'for=127.0.0.1;host=localhost', 'user-agent': 'GoogleHC/1.0' },
    ]) {
      const answer = await nobody.fetch('/api/echo', { headers: headers as Record<string, string> })
      expect([headers, [401, 403]]).toEqual([headers, expect.arrayContaining([answer.status])])
    }
    const plain = await nobody.fetch('/api/echo')
    expect([plain.status, plain.json().code, plain.json().loginUrl]).toEqual([
      401,
      'login_required',
      '/auth/login?return_to=%2F',
    ])
    const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
    expect((await bob.fetch('/api/echo', { csrf: false })).json()).toMatchObject({ code: 'csrf_rejected', status: 403 })
    expect((await bob.visit('/admin/x', { from: world.origin })).status).toBe(403)
    const sent = await bob.fetch('/api/echo', {
      method: 'POST',
      body: '{"n":1}',
      headers: { 'content-type': 'text/x' },
    })
    expect([sent.status, sent.json().body]).toEqual([200, '{"n":1}'])
    expect((await bob.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
    expect((await bob.fetch('/api/echo')).status).toBe(401)
    // The landing after sign-in and the one call.
    expect(world.upstream.requests.map(({ target }) => target)).toEqual(['/', '/api/echo'])
  })

  test('PX1 PX3 no path trick gets past the decision, and no question of a browser is answered', async () => {
    await using given = await proxiedWorld(name)
    const { world, port } = given
    const { host } = new URL(world.origin)
    const before = world.upstream.requests.length
    const tricks = [
      ...['/public/../api/x', '/public/%2e%2e/api/x', '/public/..%2fapi/x', '/public//../api/x', '//api/x'],
      ...['/%61pi/x', '/public/;/../api/x', '/public/x%00', '/public/..%5capi/x', '/API/x', '/public/%252e%252e/api'],
      ...['/public/x#/../../api/x', '/api/x#/public/x', '/api/x?/../public/x'],
    ]
    for (const target of tricks) {
      const bytes = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nX-CSRF: 1\r\nConnection: close\r\n\r\n`
      const statuses = statusesOf(await rawRequest(port, bytes))
      expect([target, statuses.filter((status) => status < 300)]).toEqual([target, []])
    }
    expect(world.upstream.requests).toHaveLength(before)

    const ada = await world.signedIn()
    const question = { 'x-forwarded-uri': '/api/x', 'x-forwarded-method': 'GET', 'sec-coatcheck-forward': '1' }
    for (const path of [
      '/auth/forward',
      '/auth/forward/api/x',
      '/auth/forward?x',
      '/auth/%66orward',
      '/auth//forward',
      '/_coatcheck',
    ])
      for (const headers of [question, { ...question, 'x-forwarded-host': host, 'x-forwarded-proto': 'http' }]) {
        const answer = await ada.fetch(path, { headers })
        expect([path, answer.header('authorization'), answer.header('x-coatcheck-user')]).toEqual([
          path,
          undefined,
          undefined,
        ])
      }
    expect(findLeaks(ada.seen, world.provider.issuedTokens)).toEqual([])
  })

  test('MO2 who guesses session ids gets 429 with Retry-After through the proxy too, and a session beside it works on', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const ada = await world.signedIn()
    const guesser = world.browser('guesser')
    const guess = () => {
      const cookie = `__Host-Http-session=v1.${randomBytes(16).toString('base64url')}.1.${randomBytes(32).toString('base64url')}`
      return guesser.fetch('/api/echo', { headers: { cookie } })
    }
    let answer = await guess()
    for (let count = 1; count < 51 && answer.status === 401; count++) answer = await guess()
    expect([answer.status, answer.json().code]).toEqual([429, 'too_many_requests'])
    expect(answer.header('retry-after')).toBe('60')
    expect((await ada.fetch('/api/echo')).status).toBe(200)
  })

  test('TO4 OU1 the new value of the session cookie reaches the browser; without the gateway nothing is admitted', async () => {
    await using given = await proxiedWorld(name)
    const { world } = given
    const ada = await world.signedIn()
    const first = ada.cookies()[0]?.value
    world.clock.advance(16 * minute)
    const answer = await ada.fetch('/api/echo')
    expect([answer.status, answer.headers('set-cookie')]).toEqual([
      200,
      [expect.stringMatching(/^__Host-Http-session=v1/)],
    ])
    expect(ada.cookies()[0]?.value).not.toBe(first)
    world.clock.advance(minute)
    const next = await ada.fetch('/api/echo')
    expect([next.status, next.headers('set-cookie')]).toEqual([200, []])
    const reached = world.upstream.requests.length
    await world.stopGateway()
    const answers = await Promise.all(['/api/echo', '/public/x', '/'].map((path) => ada.fetch(path)))
    for (const { status } of answers) expect(status).toBeGreaterThanOrEqual(500)
    expect(world.upstream.requests).toHaveLength(reached)
    await world.startGateway()
    expect((await ada.fetch('/auth/session')).status).toBe(200)
  })
})
