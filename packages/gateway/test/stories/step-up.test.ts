import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { createWorld } from '../../../testkit/src/world.ts'

const minute = 60_000

const sensitiveRoutes = ({ upstream }: { upstream: string }) => ({
  routes: [
    { path: '/api/pay/*', upstream, stripPrefix: '/api/pay', access: { maxAge: '5m' }, credential: 'access-token' },
    { path: '/vault/*', static: './public', access: { maxAge: '5m' } },
    { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
    { path: '/*', static: './public', access: 'public' },
  ],
})

test('SA1 TO5 a route that wants a fresh sign-in: 401 with a challenge, a re-authentication at the provider, and then it opens', async () => {
  await using world = await createWorld({ config: sensitiveRoutes })
  const browser = await world.signedIn()
  expect((await browser.fetch('/api/pay/echo')).status).toBe(200)
  world.clock.advance(6 * minute)
  const refused = await browser.fetch('/api/pay/echo')
  expect(refused.status).toBe(401)
  expect(refused.header('www-authenticate')).toContain('error="insufficient_user_authentication"')
  expect(refused.header('www-authenticate')).toContain('max_age="300"')
  const { code, stepUpUrl } = refused.json<{ code: string; stepUpUrl: string }>()
  expect(code).toBe('step_up_required')
  expect(stepUpUrl).toBe('/auth/step-up?return_to=%2F&max_age=300')
  expect((await browser.fetch('/api/echo')).status).toBe(200)

  const login = await browser.visit(stepUpUrl, { from: world.origin })
  expect(world.provider.authorizations.at(-1)?.get('max_age')).toBe('300')
  expect(login.forms.length, 'the provider asks again, although it knows the user').toBeGreaterThan(0)
  await browser.submit(login, { button: 'ada' })
  expect((await browser.fetch('/api/pay/echo')).status).toBe(200)
})

test('SA2 FX1 a step-up ends with a new session id; the one before is dead', async () => {
  await using world = await createWorld({ config: sensitiveRoutes })
  const browser = await world.signedIn()
  const before = browser.saved()
  const idOf = (one: typeof browser) => one.cookies()[0]?.value.split('.')[1]
  const login = await browser.visit('/auth/step-up?max_age=0&return_to=/done', { from: world.origin })
  const landing = await browser.submit(login, { button: 'ada' })
  expect(landing.url).toBe(`${world.origin}/done`)
  expect(idOf(browser)).not.toBe(idOf(before))
  expect((await before.fetch('/api/echo')).status).toBe(401)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('SA1 a navigation to a sensitive page goes through the step-up and on to that very page', async () => {
  await using world = await createWorld({ config: sensitiveRoutes })
  const browser = await world.signedIn()
  world.clock.advance(6 * minute)
  const login = await browser.visit('/vault/gold?x=1', { from: world.origin })
  expect(new URL(login.url).origin).toBe(world.provider.issuer)
  const page = await browser.submit(login, { button: 'ada' })
  expect(page.url).toBe(`${world.origin}/vault/gold?x=1`)
  expect(page.text).toContain('The app')
})

test('SA1 another user who comes back from the step-up is refused, and the first one’s session stays as it was', async () => {
  await using world = await createWorld({ config: sensitiveRoutes })
  const browser = await world.signedIn()
  const login = await browser.visit('/auth/step-up?max_age=0', { from: world.origin })
  const page = await browser.submit(login, { button: 'bob' })
  expect(page.status).toBe(400)
  expect(page.text).toContain('login_failed')
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, user: { sub: 'ada' } })
})

test('SA1 a step-up starts only from a session and by a navigation; odd demands are refused', async () => {
  await using world = await createWorld({ config: sensitiveRoutes })
  const browser = world.browser()
  const anonymous = await browser.visit('/auth/step-up?max_age=0&return_to=/x', { from: world.origin, follow: false })
  expect(anonymous.location).toBe(`${world.origin}/auth/login?return_to=%2Fx`)
  await browser.signIn({ as: 'ada' })
  expect((await browser.fetch('/auth/step-up')).status).toBe(403)
  for (const query of ['max_age=-1', 'max_age=1e9', 'acr=a%20b', 'acr=%22', 'acr=a&acr=b', 'max_age=1&max_age=2']) {
    expect((await browser.visit(`/auth/step-up?${query}`, { from: world.origin })).status, query).toBe(400)
  }
})

test('SA1 TO5 acr and auth_time are what the provider vouches for, not what was asked', async () => {
  await using provider = await startHostileProvider(clientOf('evil'))
  await using world = await createWorld({
    providers: [],
    issuers: { evil: provider.issuer },
    config: ({ upstream }) => ({
      routes: [
        { path: '/api/*', upstream, stripPrefix: '/api', access: { acr: ['mfa', 'hwk'] }, credential: 'access-token' },
      ],
    }),
  })
  const browser = world.browser()
  const through = async (address: string) => {
    const start = await browser.visit(address, { from: world.origin, follow: false })
    const asked = new URL(start.location ?? '').searchParams
    return { asked, page: await browser.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false }) }
  }
  await through('/auth/login')
  const refused = await browser.fetch('/api/echo')
  const { stepUpUrl } = refused.json<{ stepUpUrl: string }>()
  expect(stepUpUrl).toContain('acr=mfa')
  expect(refused.header('www-authenticate')).toContain('acr_values="mfa"')

  provider.twist.claims = { acr: 'pwd' }
  const { asked, page } = await through(stepUpUrl)
  expect(asked.get('acr_values')).toBe('mfa')
  expect(page.status).toBe(400)
  expect((await browser.fetch('/api/echo')).status).toBe(401)

  const now = Math.floor(world.clock.now() / 1000)
  for (const claims of [{ auth_time: now - 3600 }, { auth_time: undefined }]) {
    provider.twist.claims = claims
    expect((await through('/auth/step-up?max_age=60')).page.status, JSON.stringify(claims)).toBe(400)
  }
  provider.twist.claims = { acr: 'mfa', auth_time: now }
  expect((await through(stepUpUrl)).page.status).toBe(303)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})
