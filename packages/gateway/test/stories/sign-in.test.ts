import { expect, test } from 'vitest'
import { createWorld } from '../../../testkit/src/world.ts'

test('a user signs in, calls the API with a token that only the gateway has, and signs out', async () => {
  await using world = await createWorld()
  const browser = world.browser()
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  const landing = await browser.signIn({ as: 'ada', returnTo: '/welcome?x=1' })
  expect(landing.url).toBe(`${world.origin}/welcome?x=1`)
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({
    authenticated: true,
    user: { sub: 'ada', name: 'Ada Lovelace', email: 'ada@example.com' },
    roles: ['admin', 'member'],
    provider: 'corp',
  })
  const echoed = await browser.fetch('/api/echo?q=1')
  expect(echoed.status).toBe(200)
  expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect((await browser.fetch('/api/echo')).status).toBe(401)
})
