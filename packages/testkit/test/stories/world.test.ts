import { expect, test } from 'vitest'
import { findLeaks } from '../../src/canaries.ts'
import { clientOf } from '../../src/config.ts'
import { startHostileProvider } from '../../src/hostile-provider.ts'
import { rawRequest, statusesOf } from '../../src/raw.ts'
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

test('a world of two providers, lmdb and changed routes; it stops and starts again', async () => {
  await using world = await createWorld({
    providers: ['corp', 'partner'],
    store: 'lmdb',
    config: ({ upstream }) => ({
      routes: [{ path: '/open/*', upstream, access: 'public', csrf: 'off' }],
      session: { idle: '10m' },
    }),
  })
  expect(Object.keys(world.config.providers)).toEqual(['corp', 'partner'])
  expect(world.config.session.idle).toBe(600_000)
  expect(world.store.kind).toBe('lmdb')

  const browser = await world.signedIn({ as: 'bob', provider: 'partner', returnTo: '/open/echo' })
  expect(browser.page?.url).toBe(`${world.origin}/open/echo`)
  expect(world.provider.codesRedeemed).toBe(0)
  expect(world.providerNamed('partner').codesRedeemed).toBe(1)

  await world.stopGateway()
  await world.startGateway()
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true, provider: 'partner' })
  world.clock.advance(601_000)
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
})

test('a world whose provider is down at the start', async () => {
  await using world = await createWorld({ beforeStart: ({ provider }) => provider.down() })
  expect((await world.browser().visit('/auth/login')).status).toBe(503)
  await world.provider.up()
  // The gateway leaves a failing provider alone for a second, by the real clock.
  await expect.poll(async () => (await world.browser().visit('/auth/login')).status).toBe(200)
  await world.signedIn()
})

test('a hostile provider in a world, by its issuer', async () => {
  const { clientId, clientSecret } = clientOf('evil')
  await using evil = await startHostileProvider({ clientId, clientSecret })
  await using world = await createWorld({ issuers: { evil: evil.issuer } })
  const done = await world.browser().startLogin({ provider: 'evil' })
  expect(done.status).toBe(200)
  expect((await world.browser().fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'mallory' } })
})

test('raw bytes reach the gateway as they are', async () => {
  await using world = await createWorld()
  const host = new URL(world.origin).host
  const answer = await rawRequest(
    world.port,
    `GET /auth/session HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`,
  )
  expect(statusesOf(answer)).toEqual([200])
})
