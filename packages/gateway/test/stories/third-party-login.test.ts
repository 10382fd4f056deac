import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { createHostileWorld } from './hostile-world.ts'

const portal = 'https://portal.example/apps'

const login = (parameters: Record<string, string>) => `/auth/login?${new URLSearchParams(parameters)}`

/** Where the window ends up after signing in as ada. */
async function landing(world: World, address: string, name: string): Promise<string> {
  const browser = world.browser(name)
  const page = await browser.visit(address, { from: portal })
  return (await browser.submit(page, { button: 'ada' })).url
}

test('FX3 third-party-initiated login: iss picks the provider, login_hint travels along, target_link_uri is where it ends', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  const partner = world.providerNamed('partner')
  const address = login({ iss: partner.issuer, login_hint: 'ada@example.com', target_link_uri: '/orders?x=1#top' })
  expect(await landing(world, address, 'user')).toBe(`${world.origin}/orders?x=1#top`)
  expect((await world.browser().fetch('/auth/session')).json()).toMatchObject({
    provider: 'partner',
    user: { sub: 'ada' },
  })
  expect(partner.authorizations).toHaveLength(1)
  expect(partner.authorizations[0]?.get('login_hint')).toBe('ada@example.com')
  expect(world.providerNamed('corp').authorizations).toEqual([])
})

test('OR1 target_link_uri leads nowhere but into this application: an absolute address of our own is a path, all else is the start page', async () => {
  await using world = await createWorld()
  const { origin } = world
  const iss = world.provider.issuer
  const targets: [target: string, lands: string][] = [
    [`${origin}/orders`, '/orders'],
    [`${origin}/`, '/'],
    [origin, '/'],
    [`${origin}//evil.example`, '/'],
    [`${origin}/\\evil.example`, '/'],
    [`${origin}.evil.example/x`, '/'],
    [`${origin}@evil.example/x`, '/'],
    [`${origin.replace('http:', 'https:')}/x`, '/'],
    [`${origin.toUpperCase()}/x`, '/'],
    [`${origin}/auth/logout`, '/'],
    ['https://evil.example/', '/'],
    ['//evil.example/', '/'],
    ['javascript:alert(1)', '/'],
    ['data:text/html,x', '/'],
    ['', '/'],
    [`/${'x'.repeat(2000)}`, '/'],
  ]
  for (const [target_link_uri, lands] of targets) {
    const address = login({ iss, target_link_uri })
    expect([target_link_uri, await landing(world, address, target_link_uri)]).toEqual([target_link_uri, origin + lands])
  }
})

test('FX3 third-party-initiated login: an iss that nobody configured, or two intentions at once, is 400; nobody is sent anywhere', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  const { issuer } = world.provider
  const bad = [
    { iss: 'https://evil.example' },
    { iss: `${issuer}/` },
    { iss: issuer.toUpperCase() },
    { iss: '' },
    { iss: 'constructor' },
    { iss: issuer, provider: 'corp' },
    { iss: issuer, return_to: '/x' },
    { iss: issuer, silent: '1' },
    { target_link_uri: '/x' },
  ]
  const addresses = [
    ...bad.map(login),
    ...['iss', 'target_link_uri', 'login_hint'].map(
      (name) => `${login({ iss: issuer, target_link_uri: '/', login_hint: 'x' })}&${name}=x`,
    ),
  ]
  for (const address of addresses) {
    const page = await browser.visit(address, { from: world.origin, follow: false })
    expect([address, page.status]).toEqual([address, 400])
    expect(page.text).toContain('bad_request')
    expect(page.location).toBeUndefined()
  }
  expect(browser.cookies()).toEqual([])
  expect(world.provider.authorizations).toEqual([])
  expect(world.log.lines.filter(({ code }) => code === 'bad_request').every(({ reason }) => Boolean(reason))).toBe(true)
})

test('FX3 third-party-initiated login is for a window: images, frames, scripts and prefetches start nothing, by GET or POST', async () => {
  await using world = await createWorld()
  const parameters = { iss: world.provider.issuer, target_link_uri: '/x' }
  const ways = {
    image: { mode: 'no-cors', dest: 'image', csrf: false },
    frame: { mode: 'navigate', dest: 'iframe', csrf: false },
    fetch: { mode: 'cors', dest: 'empty' },
    prefetch: { mode: 'navigate', dest: 'document', csrf: false, prefetch: true },
  } as const
  for (const [name, way] of Object.entries(ways)) {
    const browser = world.browser(name)
    const got = await browser.fetch(login(parameters), { ...way, from: portal })
    const posted = await browser.fetch('/auth/login', {
      ...way,
      from: portal,
      method: 'POST',
      body: new URLSearchParams(parameters),
    })
    expect([name, got.status, posted.status]).toEqual([name, 403, 403])
    expect(browser.allCookies()).toEqual([])
  }
  expect(world.provider.authorizations).toEqual([])
})

test('FX1 FX3 by a form of another site: the window is led to the same GET, and the session that Strict hid is replaced', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn()
  const before = browser.saved()
  const fields = {
    iss: world.provider.issuer,
    login_hint: 'ada',
    target_link_uri: `${world.origin}/orders`,
    other: 'x',
  }
  const begun = browser.seen.length
  const page = await browser.visit('/auth/login', { method: 'POST', from: portal, body: new URLSearchParams(fields) })
  expect(page.url).toBe(`${world.origin}/orders`)
  const trip = browser.seen.slice(begun).filter(({ url }) => url.startsWith(`${world.origin}/auth/login`))
  expect(trip.map(({ method, status }) => `${method} ${status}`)).toEqual(['POST 303', 'GET 200', 'GET 303'])
  expect(trip.every(({ url }) => !url.includes('other'))).toBe(true)
  expect((await before.fetch('/api/echo')).status).toBe(401)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('FX3 a form that is not exactly that is refused, and nothing begins', async () => {
  await using world = await createWorld()
  const iss = encodeURIComponent(world.provider.issuer)
  const form = 'application/x-www-form-urlencoded'
  const bad: [body: string, type: string, address?: string][] = [
    ['', form],
    ['login_hint=ada', form],
    [`iss=${iss}&iss=${iss}`, form],
    [`iss=${iss}`, 'text/plain'],
    [`{"iss":"${iss}"}`, 'application/json'],
    [`iss=${iss}`, form, '/auth/login?provider=corp'],
    ['iss=https://evil.example', form],
  ]
  for (const [body, type, address = '/auth/login'] of bad) {
    const options = { method: 'POST', from: portal, body, headers: { 'content-type': type } }
    const page = await world.browser().visit(address, options)
    expect([body, page.status]).toEqual([body, 400])
  }
  expect(world.provider.authorizations).toEqual([])
  expect(world.browser().cookies()).toEqual([])
})

test('one issuer configured for two clients: the default one is meant, or nobody can say which', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const twin = { issuer: provider.issuer, clientId: 'twin', clientSecret: { env: 'SECRET_OF_EVIL' } }
  await world.stopGateway()
  await world.startGateway({ providers: { twin } })
  const visit = () => world.browser().visit(login({ iss: provider.issuer }), { from: world.origin, follow: false })
  expect(new URL((await visit()).location ?? '').searchParams.get('client_id')).toBe('web-evil')
  await world.stopGateway()
  const other = { ...twin, issuer: 'https://idp.example' }
  await world.startGateway({ providers: { twin, other }, defaultProvider: 'other' })
  expect((await visit()).status).toBe(400)
})
