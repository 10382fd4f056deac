import { expect, test } from 'vitest'
import { createWorld } from '../../../testkit/src/world.ts'

test('CC1 at one session too many the one unused for longest ends; signing in again in the same browser takes no place', async () => {
  await using world = await createWorld({ config: { session: { perUser: { max: 2, action: 'evict-oldest' } } } })
  const [one, two, three] = ['one', 'two', 'three'] as const
  const first = await world.signedIn({ browser: one })
  world.clock.advance(60_000)
  const second = await world.signedIn({ browser: two })
  world.clock.advance(120_000)
  expect((await first.fetch('/api/echo')).status).toBe(200)
  await second.signIn({ as: 'ada' })
  expect((await first.fetch('/api/echo')).status).toBe(200)
  await world.signedIn({ browser: 'bob', as: 'bob' })
  world.clock.advance(120_000)
  expect((await second.fetch('/api/echo')).status).toBe(200)
  const third = await world.signedIn({ browser: three })
  expect((await first.fetch('/api/echo')).status).toBe(401)
  for (const browser of [second, third, world.browser('bob')])
    expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.log.events('session_ended').filter((line) => line.reason === 'limit')).toHaveLength(1)
})

test('CC1 action: refuse turns the new sign-in away with session_limit, and every session stays', async () => {
  await using world = await createWorld({ config: { session: { perUser: { max: 1, action: 'refuse' } } } })
  const first = await world.signedIn()
  const page = await world.browser('second').signIn({ as: 'ada' })
  expect(page.status).toBe(403)
  expect(page.text).toContain('session_limit')
  expect(world.browser('second').cookies()).toEqual([])
  expect((await first.fetch('/api/echo')).status).toBe(200)
  expect((await first.signIn({ as: 'ada' })).status).toBe(200)
  await first.fetch('/auth/logout', { method: 'POST' })
  expect((await world.browser('second').signIn({ as: 'ada' })).status).toBe(200)
})
