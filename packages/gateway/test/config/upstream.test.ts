import selfsigned from 'selfsigned'
import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { poolSettingsOf } from '../../src/upstream/pool-settings.ts'
import { complaints, configFolder, configOf, env, problemsOf, route, variant } from './folder.ts'

const secure = 'https://api.internal:8443'
const routeWith = (keys: object, files = {}) => {
  using folder = configFolder({ 'c.yaml': variant({ routes: [route({ ...keys })] }), ...files })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  if (!loaded.config) throw new Error(loaded.problems.map(({ message }) => message).join('\n'))
  const [first] = loaded.config.routes
  return { settings: poolSettingsOf(first as NonNullable<typeof first>), route: first, folder: folder.path }
}

test('one address and nothing said of it needs no settings; several, or any of the keys, do', () => {
  const plain = routeWith({})
  expect([plain.settings, plain.route?.upstream, plain.route?.addresses]).toEqual([
    undefined,
    'http://127.0.0.1:3000',
    ['http://127.0.0.1:3000'],
  ])
  const addresses = ['http://a.internal:1', 'http://b.internal:2']
  const several = routeWith({ upstream: addresses })
  expect([several.settings, several.route?.upstream]).toEqual([{ addresses }, addresses[0]])
  const said = {
    upstream: addresses,
    connections: 10,
    maxWaiting: 100,
    timeouts: { connect: '3s' },
    health: { path: '/healthz?x=1', interval: '5s' },
  }
  expect(routeWith(said).settings).toEqual({
    addresses,
    connections: 10,
    maxWaiting: 100,
    connectTimeout: 3000,
    health: { path: '/healthz?x=1', interval: 5000, timeout: 2000 },
  })
})

test('defaults are filled in for upstreams, after static routes were asked whether they say any', () => {
  const { routes } = configOf(
    variant({ routes: [route({}), route({ path: '/*', upstream: undefined, static: 'public' })] }),
  )
  for (const one of routes) expect(one).toMatchObject({ timeout: 30_000, maxBody: 10 * 1024 ** 2, allowSetCookie: [] })
})

test.each([
  ['timeout', '5s'],
  ['maxBody', '1mb'],
  ['allowSetCookie', ['theme']],
  ['connections', 5],
  ['maxWaiting', 5],
  ['timeouts', {}],
  ['health', { path: '/' }],
  ['tls', {}],
])('a static route says nothing of %s', (key, value) => {
  const files = route({ path: '/*', upstream: undefined, static: 'public', [key]: value })
  expect(complaints({ routes: [files] })).toEqual([
    expect.stringMatching(new RegExp(`^routes\\[0\\]\\.${key}: is for routes with upstream \\(.+\\); remove it$`)),
  ])
})

test.each([
  ['no address', { upstream: [] }, 'upstream: name at least one address'],
  ['an address twice', { upstream: [secure, secure] }, 'upstream: names an address twice; remove one'],
  ['a path in one', { upstream: [secure, `${secure}/x`] }, 'upstream[1]: write scheme, host and port only'],
  ['no connections', { connections: 0 }, 'connections: write a whole number from 1 to 10000'],
  ['nobody who waits', { maxWaiting: 0 }, 'maxWaiting: write a whole number from 1 to 100000'],
  ['connections for WebSockets', { upstream: 'ws://a:1', connections: 5 }, 'connections: is for http upstreams'],
  ['a queue for WebSockets', { upstream: 'ws://a:1', maxWaiting: 5 }, 'maxWaiting: is for http upstreams'],
  ['a health check without a path', { health: {} }, 'health.path: is missing; write a path such as /healthz'],
  ['one that overlaps itself', { health: { path: '/', interval: '1s' } }, 'health: timeout is longer than interval'],
  ['a path with a line break', { health: { path: '/a\r\nX: y' } }, 'health.path: write a path such as /healthz'],
  ['TLS without https', { tls: { servername: 'a' } }, 'tls: is for https upstreams; write https:// in upstream'],
  ['TLS to one of two', { upstream: [secure, 'http://a:1'], tls: {} }, 'tls: is for https upstreams'],
  ['an address as a name', { upstream: secure, tls: { servername: '10.0.0.1' } }, 'tls.servername: write a host name'],
  ['verification off', { upstream: secure, tls: { rejectUnauthorized: false } }, 'tls.rejectUnauthorized: unknown key'],
])('%s is refused', (_, keys, expected) => {
  const found = complaints({ routes: [route(keys)] })
  expect(found).toHaveLength(1)
  expect(found[0]?.startsWith(`routes[0].${expected}`), found[0]).toBe(true)
})

test('TLS files: read, understood, and belonging to each other', async () => {
  const pair = () => selfsigned.generate([{ name: 'commonName', value: 'x' }], { keyType: 'ec' })
  const [one, other] = [await pair(), await pair()]
  const files = {
    'ca.pem': one.cert + other.cert,
    'c.pem': one.cert,
    'k.pem': one.private,
    'k2.pem': other.private,
    'no.pem': 'x',
  }
  const told = (tls: object) =>
    problemsOf(variant({ routes: [route({ upstream: secure, tls })] }), files).map((line) =>
      line.replace(/^c\.yaml:\d+: routes\[0\]\.tls\.?/, ''),
    )
  expect(told({ ca: 'nope.pem' })).toEqual(['ca: the file nope.pem cannot be read: no such file'])
  expect(told({ ca: 'no.pem' })).toEqual(['ca: the file no.pem is not one certificate or more in PEM form'])
  expect(told({ ca: 'k.pem' })).toHaveLength(1)
  expect(told({ cert: 'c.pem' })).toEqual(['key: is missing; a certificate and its key belong together'])
  expect(told({ key: 'k.pem' })).toEqual(['cert: is missing; a certificate and its key belong together'])
  expect(told({ cert: 'c.pem', key: 'k2.pem' })).toEqual(['key: this key does not belong to the certificate in cert'])
  const { settings } = routeWith(
    { upstream: secure, tls: { ca: 'ca.pem', cert: 'c.pem', key: 'k.pem', servername: 'api' } },
    files,
  )
  expect(settings?.tls).toEqual({ ca: files['ca.pem'], cert: one.cert, key: one.private, servername: 'api' })
})
