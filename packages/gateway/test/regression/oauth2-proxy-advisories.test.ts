import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { createHostileWorld } from '../stories/hostile-world.ts'
import { wireUser } from '../stories/wire.ts'

/** A gateway behind a TLS-terminating proxy (which the test is), with one public and one protected route. */
const behindProxy = () => createWorld({ config: { trustedProxies: ['127.0.0.1'] } })

const reached = (world: World) => world.upstream.requests.map(({ target }) => target)

/**
 * oauth2-proxy GHSA-7x63-xv5r-3p2x: in reverse-proxy mode it judged the path in X-Forwarded-Uri, which a client could send
 * itself, and forwarded the real one: `X-Forwarded-Uri: /public` opened every path.
 */
test('GHSA-7x63-xv5r-3p2x the path that is judged is the path that is forwarded: X-Forwarded-Uri and its like say nothing, from a trusted proxy neither', async () => {
  await using world = await behindProxy()
  const nobody = await wireUser(world)
  const names = [
    ...['X-Forwarded-Uri', 'X-Forwarded-Path', 'X-Forwarded-Prefix', 'X-Original-URL', 'X-Original-URI'],
    ...['X-Rewrite-URL', 'X-Envoy-Original-Path', 'X_Forwarded_Uri', 'x-forwarded-URI'],
  ]
  for (const name of names)
    for (const value of ['/api/public/echo', `${world.origin}/api/public/echo`]) {
      const { statuses } = await nobody.call('/api/echo', `${name}: ${value}\r\nX-Forwarded-Method: OPTIONS\r\n`)
      expect([name, value, statuses]).toEqual([name, value, [401]])
    }
  expect(reached(world)).toEqual([])
  const open = await nobody.call('/api/public/echo', 'X-Forwarded-Uri: /api/echo\r\n')
  expect(open.statuses).toEqual([200])
  expect(reached(world)).toEqual(['/echo'])
  expect(world.upstream.last().header('x-forwarded-uri')).toBeUndefined()
})

/** The same advisory, at the forward-auth endpoint: what a client can reach must not be what a proxy asks. */
test('GHSA-7x63-xv5r-3p2x a question to /auth/forward counts from a trusted address only, and only with one of each header', async () => {
  await using world = await createWorld({ config: { trustedProxies: ['10.0.0.0/8'] } })
  const ada = await wireUser(world, 'ada')
  const question = ['Method: GET', 'Uri: /api/public/x', `Host: ${ada.host}`, 'Proto: http']
  const lines = question.map((one) => `X-Forwarded-${one}\r\n`).join('')
  // Whatever X-Forwarded-For claims: the address is that of the connection.
  for (const forged of ['', 'X-Forwarded-For: 10.1.1.1\r\n', 'Forwarded: for=10.1.1.1\r\nX-Real-IP: 10.1.1.1\r\n'])
    expect((await ada.call('/auth/forward', lines + forged)).statuses).toEqual([403])
  await world.stopGateway()
  await world.startGateway({ trustedProxies: ['127.0.0.1'] })
  const again = await wireUser(world, 'bob')
  expect((await again.call('/auth/forward', lines)).statuses).toEqual([200])
  expect((await again.call('/auth/forward', `${lines}X-Forwarded-Uri: /api/x\r\n`)).statuses).toEqual([403])
})

/**
 * oauth2-proxy GHSA-5hvv-m4w4-gf6v: with a health-check User-Agent configured, any request that carried it was answered as
 * a health check, and in forward-auth that 200 meant "admitted".
 */
test('GHSA-5hvv-m4w4-gf6v a health checker’s User-Agent opens nothing, on a route or in forward-auth', async () => {
  await using world = await behindProxy()
  const nobody = await wireUser(world)
  const question = `X-Forwarded-Method: GET\r\nX-Forwarded-Host: ${nobody.host}\r\nX-Forwarded-Proto: http\r\n`
  for (const agent of [
    'GoogleHC/1.0',
    'kube-probe/1.31',
    'ELB-HealthChecker/2.0',
    'Amazon-Route53-Health-Check-Service',
  ])
    for (const path of ['/api/echo', '/api/healthz', '/api/ping', '/api/ready']) {
      const header = `User-Agent: ${agent}\r\n`
      expect([agent, (await nobody.call(path, header)).statuses]).toEqual([agent, [401]])
      const asked = await nobody.call('/auth/forward', `${header}${question}X-Forwarded-Uri: ${path}\r\n`)
      expect([agent, asked.statuses]).toEqual([agent, [401]])
    }
  // Health is told on the listener of the operators, and names no user.
  for (const path of ['/healthz', '/readyz', '/ping', '/ready'])
    expect((await nobody.call(path, 'User-Agent: GoogleHC/1.0\r\n')).statuses).toEqual([404])
  expect(await (await fetch(`${world.adminUrl}/healthz`)).json()).toEqual({ status: 'ok' })
  expect(reached(world)).toEqual([])
})

/**
 * oauth2-proxy GHSA-pxq7-h93f-9jrg: allowed routes were regular expressions over the raw target, fragment included:
 * `/admin#/public` matched the public rule and reached /admin upstream.
 */
test('GHSA-pxq7-h93f-9jrg a fragment in a request is refused, wherever it stands; an encoded # is a letter of the path', async () => {
  await using world = await behindProxy()
  const nobody = await wireUser(world)
  const targets = [
    ...['/api/echo#/api/public/echo', '/api/public/echo#/../../echo', '/api/echo?#/api/public/', '/#/api/public'],
    ...['/api/public/#', `${world.origin}/api/echo#/api/public/x`],
  ]
  for (const target of targets) expect([target, (await nobody.call(target)).statuses]).toEqual([target, [400]])
  expect(reached(world)).toEqual([])
  expect((await nobody.call('/api/echo%23/api/public/echo')).statuses).toEqual([401])
  expect((await nobody.call('/api/public/a%23b')).statuses).toEqual([200])
  expect(reached(world)).toEqual(['/a%23b'])
})

/**
 * oauth2-proxy GHSA-f24x-5g9q-753f: deployments signed out by showing the sign-in page, which no longer cleared the session
 * cookie: on a shared workstation the next user went on in the session of the one before.
 */
test('GHSA-f24x-5g9q-753f a shared workstation: who signs out leaves no session behind, and neither does who does not before the next signs in', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const desk = world.browser('desk')
  const signIn = async (sub: string) => {
    Object.assign(provider.twist, { claims: { sub }, userinfo: { sub } })
    await desk.visit('/auth/login?provider=evil', { from: world.origin })
    expect((await desk.fetch('/auth/session')).json()).toMatchObject({ user: { sub } })
    return desk.saved()
  }
  const ada = await signIn('ada')
  expect((await desk.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect(desk.cookies()).toEqual([])
  expect((await ada.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })

  const bob = await signIn('bob')
  const eve = await signIn('eve')
  expect((await bob.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
  expect((await eve.fetch('/api/echo')).status).toBe(200)
})

/** The same, as an attack: a session that somebody planted in the browser must not become the victim's. */
test('GHSA-f24x-5g9q-753f session fixation: no planted cookie, invented or of the attacker’s own session, becomes the victim’s', async () => {
  await using world = await createWorld()
  const attacker = await world.signedIn({ browser: 'attacker', as: 'eve' })
  const own = attacker.cookies()[0]?.value ?? ''
  const invented = `v1.${'A'.repeat(22)}.1.${'B'.repeat(43)}`
  for (const planted of [invented, own]) {
    const name = `victim of ${planted.slice(0, 6)}${planted.length}${planted === own}`
    const victim = world.browser(name)
    const start = await victim.visit('/auth/login', {
      from: world.origin,
      headers: { cookie: `__Host-Http-session=${planted}` },
    })
    const page = await victim.submit(start, { button: 'ada' })
    expect(page.status).toBe(200)
    const [issued] = victim.cookies()
    expect(issued?.value.split('.')[1]).not.toBe(planted.split('.')[1])
    expect((await victim.fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'ada' } })
    const withPlanted = await world.browser('thief').fetch('/api/echo', {
      headers: { cookie: `__Host-Http-session=${planted}` },
    })
    expect(withPlanted.status).toBe(401)
  }
  // The attacker's session, under which the sign-in began, is over rather than shared.
  expect((await attacker.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

/**
 * oauth2-proxy GHSA-vjrc-mh2v-45x6: X-Forwarded-User was stripped and X_Forwarded_User was not; CGI, WSGI and PHP
 * applications read both as HTTP_X_FORWARDED_USER.
 */
test('GHSA-vjrc-mh2v-45x6 no spelling of an identity or forwarding header reaches an upstream: - or _ or . in any place', async () => {
  await using world = await createWorld()
  const ada = await wireUser(world, 'ada')
  const spellings = ['-', '_', '.'].flatMap((one) =>
    ['-', '_', '.'].flatMap((two) => [
      ...['User', 'Roles', 'Issuer', 'CSRF-Token'].map((what) => `X${one}Coatcheck${two}${what}`),
      ...['User', 'Email', 'Groups', 'Uri', 'For', 'Access-Token'].map((what) => `x${one}forwarded${two}${what}`),
      `X${one}Auth${two}Request-User`,
      `Remote${one}User`,
      `X${one}Remote${two}User`,
    ]),
  )
  for (let at = 0; at < spellings.length; at += 25) {
    const lines = [...new Set(spellings.slice(at, at + 25))].map((name) => `${name}: root-by-forgery\r\n`).join('')
    for (const path of ['/api/echo', '/api/public/echo']) {
      expect((await ada.call(path, lines)).statuses).toEqual([200])
      expect(JSON.stringify(world.upstream.last().rawHeaders)).not.toContain('root-by-forgery')
    }
  }
  expect(world.upstream.last().rawHeaders.map((text) => text.toLowerCase())).not.toContain('x_coatcheck_user')
})
