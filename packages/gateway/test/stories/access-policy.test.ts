import { request } from 'node:http'
import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { explainRequest } from '../../src/access/explanation.ts'

const api = (path: string, access: object | string, more: object = {}) => ({
  path,
  upstream: 'set below',
  access,
  credential: access === 'public' ? 'none' : 'access-token',
  ...more,
})

/** A world with these routes before the usual ones; `ada` is in the groups ops and staff, `bob` in staff, `eve` in none. */
const worldWith = (routes: object[]) =>
  createWorld({
    config: ({ upstream }) => ({
      roles: [
        { claim: 'groups', equals: 'ops', grant: ['admin'] },
        { claim: 'groups', equals: 'staff', grant: ['member'] },
      ],
      routes: [
        ...routes.map((route) => ({ ...route, ...('upstream' in route && { upstream }) })),
        { path: '/*', static: './public', access: 'public' },
      ] as never,
    }),
  })

const status = async (browser: Browser, path: string) => (await browser.fetch(path)).status

test('RB1 demands of one route hold together: roles, groups, scopes and claims, each with its own rule', async () => {
  await using world = await worldWith([
    api('/a/group/*', { groups: ['ops', 'auditors'] }),
    api('/a/scopes/*', { scopes: ['openid', 'email'] }),
    api('/a/no-scope/*', { scopes: ['openid', 'payments'] }),
    api('/a/claim/*', { claims: { email: ['ada@example.com', 'x@example.com'], email_verified: 'true' } }),
    api('/a/both/*', { roles: ['member'], groups: ['ops'] }),
  ])
  const ada = await world.signedIn({ browser: 'ada', as: 'ada' })
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const all = ['group', 'scopes', 'no-scope', 'claim', 'both'].map((name) => `/a/${name}/echo`)
  expect(await Promise.all(all.map((path) => status(ada, path)))).toEqual([200, 200, 403, 200, 200])
  expect(await Promise.all(all.map((path) => status(bob, path)))).toEqual([403, 200, 403, 403, 403])
  const refused = (await bob.fetch('/a/group/echo')).json()
  expect(refused).toMatchObject({ code: 'access_denied' })
  // What would open the door is for the log, not for the one who stands before it.
  expect(withoutRequestId(JSON.stringify(refused))).not.toMatch(/ops|auditors/)
  expect(world.log.events('authz_fail').at(-1)).toMatchObject({ reason: 'none of the groups ops,auditors' })
})

test('RB1 anyOf wants one alternative as a whole, allOf every demand', async () => {
  await using world = await worldWith([
    api('/a/any/*', {
      anyOf: [{ roles: ['admin'], scopes: ['payments'] }, { groups: ['ops'] }, { roles: ['nobody'] }],
    }),
    api('/a/all/*', { roles: ['member'], allOf: [{ groups: ['ops'] }, { roles: ['admin', 'member'] }] }),
  ])
  const ada = await world.signedIn({ browser: 'ada', as: 'ada' })
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  expect(await status(ada, '/a/any/echo')).toBe(200)
  expect(await status(bob, '/a/any/echo')).toBe(403)
  expect(await status(ada, '/a/all/echo')).toBe(200)
  expect(await status(bob, '/a/all/echo')).toBe(403)
})

test('SA1 who lacks a role is refused at once, and not sent to a stronger sign-in that would not help', async () => {
  await using world = await worldWith([
    api('/a/*', { roles: ['admin'], maxAge: '1m' }),
    api('/b/*', { anyOf: [{ roles: ['admin'] }, { roles: ['member'], maxAge: '1m' }] }),
  ])
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  world.clock.advance(120_000)
  expect((await bob.fetch('/a/echo')).json()).toMatchObject({ status: 403, code: 'access_denied' })
  expect((await bob.fetch('/b/echo')).json()).toMatchObject({ status: 401, code: 'step_up_required' })
})

test('mode: report tries demands out: what they would refuse is logged, and let through; what is enforced beside them still is', async () => {
  await using world = await worldWith([
    api('/a/dry/*', { roles: ['admin'], mode: 'report' }),
    api('/a/part/*', { roles: ['member'], allOf: [{ groups: ['ops'], mode: 'report' }] }),
  ])
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const eve = await world.signedIn({ browser: 'eve', as: 'eve' })
  expect(await status(bob, '/a/dry/echo')).toBe(200)
  expect(await status(bob, '/a/part/echo')).toBe(200)
  expect(await status(eve, '/a/part/echo')).toBe(403)
  expect(await status(world.browser('nobody'), '/a/dry/echo')).toBe(401)
  expect(world.log.events('authz_would_fail')).toMatchObject([
    { route: '/a/dry/*', path: '/a/dry/echo', reason: 'none of the roles admin', level: 'warn' },
    { route: '/a/part/*', reason: 'none of the groups ops' },
  ])
})

test('RB1 explain says of every request what the guard then does', async () => {
  await using world = await worldWith([
    api('/a/*', 'authenticated', { stripPrefix: '/a' }),
    api('/a/admin/*', { roles: ['admin'] }),
    api('/a/report', { roles: ['nobody'] }),
    api('/a/read/*', 'authenticated', { methods: ['GET'] }),
    api('/open/*', 'public', { stripPrefix: '/open', csrf: 'off' }),
  ])
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const asked = [
    ['GET', '/a/echo?x=1'],
    ['POST', '/a/echo'],
    ['GET', '/a/admin'],
    ['GET', '/a/admin/x'],
    ['GET', '/a/Admin/x'],
    ['GET', '/a/report'],
    ['GET', '/a/report/'],
    ['DELETE', '/a/read/x'],
    ['GET', '/a/%2e%2e/x'],
    ['GET', '/a//x'],
    ['GET', '/open/echo'],
    ['GET', '/app.js'],
    ['POST', '/nothing'],
  ] as const
  for (const [method, url] of asked) {
    const { refused } = explainRequest(world.config, { method, url, roles: ['member'] })
    expect({ url, method, code: await codeOf(bob, method, url) }).toEqual({ url, method, code: refused })
  }
})

/** The code with which the gateway refuses, undefined when it doesn't. Paths go out as they are written. */
async function codeOf(browser: Browser, method: string, path: string): Promise<string | undefined> {
  const { host, hostname, port } = new URL(browser.base)
  const cookie = browser
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')
  const headers = { host, cookie, 'x-csrf': '1', origin: browser.base, 'sec-fetch-site': 'same-origin', accept: '*/*' }
  const body = await new Promise<{ status: number; text: string }>((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path, headers, agent: false }, async (response) => {
      let text = ''
      for await (const chunk of response) text += String(chunk)
      resolve({ status: response.statusCode ?? 0, text })
    })
    outgoing.once('error', reject).end()
  })
  return body.status < 400 ? undefined : (JSON.parse(body.text) as { code: string }).code
}
