import fc from 'fast-check'
import { expect, test } from 'vitest'
import { startUpstream } from '../../../testkit/src/upstream.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { wireUser } from './wire.ts'

/** Rules next to each other at one upstream, cut prefixes and uncut ones, and an upstream that only admins reach. */
async function guardedWorld() {
  const vault = await startUpstream()
  const world = await createWorld({
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/admin/*', upstream, access: { roles: ['admin'] } },
        { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated' },
        { path: '/files/*', upstream, access: 'authenticated' },
        { path: '/files/payroll', upstream, access: { roles: ['admin'] } },
        { path: '/files/log', methods: ['GET'], upstream, access: 'authenticated' },
        { path: '/vault/*', upstream: vault.url, access: { roles: ['admin'] } },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })
  return {
    world,
    /** What reached any upstream since the last look. */
    arrived: () => [...world.upstream.requests.splice(0), ...vault.requests.splice(0)].map(({ target }) => target),
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await vault.close()
    },
  }
}

type Row = readonly [target: string, status: number]

async function refusedAll(rows: readonly Row[]) {
  await using guarded = await guardedWorld()
  const bob = await wireUser(guarded.world, 'bob')
  for (const [target, status] of rows) {
    const { statuses } = await bob.call(target)
    const shown = target.length > 80 ? `${target.slice(0, 80)}…` : target
    expect([shown, statuses, guarded.arrived()]).toEqual([shown, [status], []])
  }
  // The same walls do let the right one through.
  const ada = await wireUser(guarded.world, 'ada')
  for (const target of ['/api/admin/echo', '/files/payroll', '/vault/echo'])
    expect((await ada.call(target)).statuses, target).toEqual([200])
  expect((await bob.call('/api/echo?a=/../b')).statuses).toEqual([200])
  expect(guarded.arrived()).toEqual(['/api/admin/echo', '/files/payroll', '/echo?a=/../b', '/vault/echo'])
}

test('PX1 the plain addresses of other rules are closed to bob', () =>
  refusedAll([
    ['/api/admin', 403],
    ['/api/admin/', 403],
    ['/api/admin/echo', 403],
    ['/api/admin/echo?x=1', 403],
    ['/files/payroll', 403],
    ['/vault/echo', 403],
    ['/elsewhere', 404],
  ]))

test('PX1 dot segments, raw or encoded, once or twice, are refused and never resolved', () =>
  refusedAll(
    [
      ...['/api/x/../admin/echo', '/api/./admin/echo', '/api/x/..', '/files/./payroll', '/../vault/echo', '/.', '/..'],
      ...['/api/%2e%2e/vault/echo', '/api/%2E%2E/vault/echo', '/api/.%2e/vault/echo', '/api/%2e/admin/echo'],
      ...['/api/x/..%2fadmin/echo', '/api/x/..%2Fadmin/echo', '/api/x%2f..%2fadmin/echo', '/api/..%5cvault/echo'],
      ...['/api/%252e%252e/vault/echo', '/api/x/..%252fadmin/echo', '/api/%25%32%65/admin', '/api/%c0%ae%c0%ae/vault'],
      ...['/api/%e0%80%ae%e0%80%ae/vault', '/api/%u002e%u002e/vault', '/api/..;/vault/echo', '/api/..%00/vault/echo'],
    ].map((target): Row => [target, 400]),
  ))

test('PX1 slashes that are doubled, encoded or backward are refused', () =>
  refusedAll(
    [
      ...['//api/admin/echo', '/api//admin/echo', '/api/admin//', '///vault/echo', '//vault/echo', '//evil.test/vault'],
      ...['/\\evil.test/vault', '\\vault\\echo', '/api\\admin\\echo', '/api/\\..\\admin', '/api%5cadmin/echo'],
      ...['/api%5Cadmin/echo', '/api%2fadmin/echo', '/api/admin%2fecho', '/%2fvault/echo', '/%5c%5cvault'],
      ...['/api%c0%afadmin/echo', '/api%e0%80%afadmin/echo', '/api%252fadmin', '/api%255cadmin'],
    ].map((target): Row => [target, 400]),
  ))

test('PX1 second spellings of letters, path parameters, NUL and control characters are refused', () =>
  refusedAll(
    [
      ...['/api/%61dmin/echo', '/%61pi/admin/echo', '/%76ault/echo', '/files/payrol%6c', '/files/payrol%6C'],
      ...['/api/admin;x=1/echo', '/api;/admin/echo', '/api/admin%3bx/echo', '/;/vault/echo', '/files/payroll;.css'],
      ...[
        '/api/admin%00/echo',
        '/api/%00',
        '/files/payroll%00.png',
        '/files/payroll%0a',
        '/files/payroll%0d%0a',
        '/%7f',
      ],
      ...[
        '/files/payroll%',
        '/files/payroll%2',
        '/files/payroll%zz',
        '/files/payroll%u0041',
        '/files/%ff',
        '/files/%ed%a0%80',
      ],
      ...[
        '/files/payroll#',
        '/files/x#/../payroll',
        '/files/payroll#?x',
        '/files/pay"roll',
        '/files/<x>',
        '/files/{x}',
      ],
      ...['/files/pay`roll', '/files/pay^roll', '/files/caf\xe9', '/files/x?a#b', '/files/x?caf\xe9'],
    ].map((target): Row => [target, 400]),
  ))

test('PX1 a target that is no path: userinfo, other schemes, asterisk, authority, nothing', () =>
  refusedAll(
    [
      ...[
        'api/admin/echo',
        '@evil.test/vault',
        ':80/vault',
        '.vault',
        '?x',
        '*',
        'vault',
        'evil.test:443',
        'javascript:0',
      ],
      ...[
        'file:///etc/passwd',
        'ftp://evil.test/',
        'http:/api/echo',
        'http:///api/echo',
        'http:\\\\evil.test\\',
        'https:',
      ],
    ].map((target): Row => [target, 400]),
  ))

test('PX1 letter case, trailing dots, blanks and slashes, and a cut prefix: no way round a stricter rule of the same upstream', () =>
  refusedAll([
    ...['/files/Payroll', '/files/PAYROLL', '/files/payroll/', '/files/payroll.', '/files/payroll./'].map(toRefused),
    ...['/files/payroll%20', '/files/payroll%20/', '/files/payroll.%20.', '/files/PayRoll..//'].map(toRefused),
    // What remains behind `stripPrefix` is the admins' address at the upstream.
    ...['/api/api/admin/echo', '/api/api/admin', '/api/files/payroll', '/api/Api/Admin/echo'].map(toRefused),
    // Other letters of a prefix are another address here; only files live there, and this is none.
    ...['/API/admin/echo', '/Files/payroll', '/VAULT/echo', '/Vault'].map((target): Row => [target, 404]),
  ]))

const toRefused = (target: string): Row => [target, 400]

test('PX1 PX6 nor is a second spelling a way round the methods of a route', async () => {
  await using guarded = await guardedWorld()
  const bob = await wireUser(guarded.world, 'bob')
  const post = (target: string) => bob.call(target, 'Content-Length: 0\r\n', 'POST')
  expect((await post('/files/log')).statuses).toEqual([405])
  for (const target of ['/files/log/', '/files/Log', '/files/log.', '/api/files/log'])
    expect((await post(target)).statuses, target).toEqual([400])
  expect(guarded.arrived()).toEqual([])
  expect((await bob.call('/files/log/')).statuses).toEqual([200])
  expect((await post('/files/other/')).statuses).toEqual([200])
  expect(guarded.arrived()).toEqual(['/files/log/', '/files/other/'])
})

test('PX1 absolute-form: the own origin is read as a path, every other one is refused', async () => {
  await using guarded = await guardedWorld()
  const { world } = guarded
  const bob = await wireUser(world, 'bob')
  const { host } = bob
  for (const own of [`http://${host}/api/echo`, `HTTP://${host.toUpperCase()}/api/echo`]) {
    expect((await bob.call(own)).statuses, own).toEqual([200])
    expect(guarded.arrived()).toEqual(['/echo'])
  }
  expect((await bob.call(`http://${host}/api/admin/echo`)).statuses).toEqual([403])
  const foreign = [
    ...[
      `http://evil.test/api/echo`,
      `https://${host}/api/echo`,
      `ws://${host}/api/echo`,
      `http://${host}.evil.test/api/echo`,
    ],
    ...[`http://evil.test:${world.port}/api/echo`, `http://${host}@evil.test/api/echo`, `http://bob@${host}/api/echo`],
    ...[`http://bob:x@${host}/api/echo`, `http://127.0.0.1/api/echo`, `http://localhost:${world.port}/api/echo`],
    ...[
      `http://${host}`,
      `http://${host}?x`,
      `http://${host}\\@evil.test/api/echo`,
      `http://${host}#@evil.test/api/echo`,
    ],
    ...[
      `http://[::1]:${world.port}/api/echo`,
      `http://${host}./api/echo`,
      `http:${host}/api/echo`,
      `http://%31${host.slice(1)}/api`,
    ],
    ...[`http://${host}/api/../vault/echo`, `http://${host}//vault/echo`, `http://${host}/api/%2e%2e/vault`],
  ]
  for (const target of foreign) expect([target, (await bob.call(target)).statuses]).toEqual([target, [400]])
  // RFC 9112 §3.2.2 lets an absolute target overrule Host; two different ones are two readings.
  const { statuses } = await bob.send(
    `GET http://${host}/api/echo HTTP/1.1\r\n${bob.own.replace(host, 'evil.test')}Connection: close\r\n\r\n`,
  )
  expect(statuses).toEqual([421])
  expect(guarded.arrived()).toEqual([])
})

test('PX1 Host: forged 421, missing, empty or doubled 400; only the origin’s own is served', async () => {
  await using guarded = await guardedWorld()
  const { world } = guarded
  const bob = await wireUser(world, 'bob')
  const { host } = bob
  const withHost = (lines: string) =>
    bob.send(`GET /api/echo HTTP/1.1\r\n${bob.own.replace(`Host: ${host}\r\n`, lines)}Connection: close\r\n\r\n`)
  const rows: [lines: string, status: number][] = [
    ['', 400],
    ['Host:\r\n', 400],
    ['Host: \r\n', 400],
    [`Host: ${host}\r\nHost: ${host}\r\n`, 400],
    [`Host: ${host}\r\nhOST: evil.test\r\n`, 400],
    [`Host: evil.test\r\nHost: ${host}\r\n`, 400],
    ...['evil.test', `${host}.`, `${host}.evil.test`, `evil.test, ${host}`, `${host}, evil.test`, `bob@${host}`].map(
      (value): [string, number] => [`Host: ${value}\r\n`, 421],
    ),
    ...['127.0.0.1', `localhost:${world.port}`, `[::ffff:127.0.0.1]:${world.port}`, `2130706433:${world.port}`].map(
      (value): [string, number] => [`Host: ${value}\r\n`, 421],
    ),
    ...[`${host}/`, `${host}#`, `${host}?`, `${host}\\`, `http://${host}`, `${host}0`, `127.0.0.1:0${world.port}`].map(
      (value): [string, number] => [`Host: ${value}\r\n`, 421],
    ),
    // What others put there instead convinces nobody.
    [`Host: evil.test\r\nX-Forwarded-Host: ${host}\r\nForwarded: host=${host}\r\n`, 421],
  ]
  for (const [lines, status] of rows) expect([lines, (await withHost(lines)).statuses]).toEqual([lines, [status]])
  expect(guarded.arrived()).toEqual([])
  expect((await withHost(`HOST:  ${host}  \r\n`)).statuses).toEqual([200])
})

test('PX1 an overlong target is refused before anyone copies it around', async () => {
  await using guarded = await guardedWorld()
  const bob = await wireUser(guarded.world, 'bob')
  const call = async (target: string) => (await bob.call(target)).statuses
  expect(await call(`/api/${'a'.repeat(8192 - 5)}`)).toEqual([200])
  expect(guarded.arrived()).toHaveLength(1)
  expect(await call(`/api/${'a'.repeat(8192 - 4)}`)).toEqual([400])
  expect(await call(`/api/echo?${'a'.repeat(9000)}`)).toEqual([400])
  expect(await call(`/api/${'a/'.repeat(20_000)}`)).toEqual([431])
  expect(guarded.arrived()).toEqual([])
})

test('PX1 whatever target is sent, what the API receives stands under the rule that let it through, as a URL parser reads it', async () => {
  await using guarded = await guardedWorld()
  const { world } = guarded
  const bob = await wireUser(world, 'bob')
  const word = fc.constantFrom('api', 'admin', 'Admin', 'files', 'payroll', 'vault', 'echo', 'x', '')
  const sign = fc.constantFrom(
    ...['.', '..', '%2e', '%2F', '%5C', '\\', ';', '%3b', '%61', '%25', '%20', '%00', '%C3%A9', '%c0%af', ':', '@'],
    ...['/', '//', '?', '#', '&', '+', '|', '[', '~', '!', '*', ',', '%EF%BC%8F', '%e2%80%ae'],
  )
  const segment = fc.oneof(
    { weight: 4, arbitrary: word },
    { weight: 2, arbitrary: fc.tuple(word, sign).map((pair) => pair.join('')) },
    sign,
  )
  const target = fc.oneof(
    { weight: 6, arbitrary: fc.array(segment, { minLength: 1, maxLength: 5 }).map((parts) => `/${parts.join('/')}`) },
    { weight: 1, arbitrary: fc.tuple(segment, segment).map(([a, b]) => `http://${bob.host}/api/${a}/${b}`) },
    { weight: 1, arbitrary: fc.stringMatching(/^\/(api|files)\/[!-~]{0,12}$/) },
  )
  let served = 0
  await fc.assert(
    fc.asyncProperty(target, async (sent) => {
      await bob.call(sent)
      for (const received of guarded.arrived()) {
        served++
        const asked = new URL(sent, world.origin)
        const read = new URL(received, 'http://upstream.test')
        expect([asked.host, read.host]).toEqual([bob.host, 'upstream.test'])
        // The one rule that bob has here, and the cut that belongs to it.
        const rule = asked.pathname.startsWith('/files/') || asked.pathname === '/files' ? '' : '/api'
        expect(`${rule}${read.pathname === '/' && asked.pathname === '/api' ? '' : read.pathname}`).toBe(asked.pathname)
        expect(read.search).toBe(asked.search)
        const plain = decodeURIComponent(read.pathname)
          .toLowerCase()
          .replace(/[./ ]+$/, '')
        expect(plain).not.toMatch(/^\/api\/admin(\/|$)|^\/files\/payroll$|\/\.\.?(\/|$)|\/\/|\\|;/)
      }
    }),
    { numRuns: 400, examples: [['/api/echo'], ['/files/x'], ['/api'], ['/files/Payroll'], ['/api/api/admin/echo']] },
  )
  expect(served).toBeGreaterThan(10)
})
