import { expect, test } from 'vitest'
import { findLeaks } from '../../src/canaries.ts'
import { createWorld } from '../../src/world.ts'

test('a world runs a whole sign-in, an API call and a sign-out', async () => {
  await using world = await createWorld()
  const browser = await world.signedIn({ as: 'ada', returnTo: '/' })
  const session = await browser.fetch('/auth/session')
  expect(session.json()).toMatchObject({ authenticated: true, roles: ['admin', 'member'], user: { sub: 'ada' } })

  const call = await browser.fetch('/api/echo?x=1', { method: 'POST', body: '{}' })
  expect(call.status).toBe(200)
  const [token] = world.upstream.last().header('authorization')?.split(' ').slice(1) ?? []
  expect(world.provider.issuedTokens).toContain(token)

  const out = await browser.fetch('/auth/logout', { method: 'POST' })
  expect(out.status).toBe(200)
  expect(findLeaks(browser.seen, world.provider.issuedTokens)).toEqual([])
  expect(world.log.text()).not.toContain(token)
})
