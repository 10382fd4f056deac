import { expect, test } from 'vitest'
import type { ProviderUser } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const minute = 60_000
const shortTokens = { provider: { ttl: { accessToken: 600 } } }

const user = (world: World, sub: string) => world.provider.users.find((one) => one.sub === sub) as ProviderUser
const adminStatus = async (browser: Awaited<ReturnType<World['signedIn']>>) =>
  (await browser.fetch('/api/admin/echo')).status
const rolesOf = async (browser: Awaited<ReturnType<World['signedIn']>>) =>
  (await browser.fetch('/auth/session')).json<{ roles: string[] }>().roles

test('RB2 FX1 demoted at the provider in the middle of a session: from the next refresh on the door is closed, and the cookie is a new one', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  await using second = await world.anotherGateway()
  expect(await adminStatus(browser)).toBe(200)
  user(world, 'ada').groups = ['staff']
  world.clock.advance(11 * minute)
  const before = browser.cookies()[0]?.value
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(await adminStatus(browser)).toBe(403)
  expect((await second.fetch(browser, '/api/admin/echo')).status).toBe(403)
  expect(await rolesOf(browser)).toEqual(['member'])
  // The id was renewed at the first request after the change, although no rotation was due by time.
  expect(browser.cookies()[0]?.value).not.toBe(before)
  expect(world.log.events('privilege_permissions_changed')).toHaveLength(1)
  expect(world.upstream.last().header('x-coatcheck-roles')).toBe('member')
})

test('RB2 the request that finds the token expired is judged by what the refresh brought, not by what was known before', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  user(world, 'ada').groups = ['staff']
  world.clock.advance(11 * minute)
  const reached = world.upstream.requests.length
  expect(await adminStatus(browser)).toBe(403)
  expect(world.upstream.requests.length).toBe(reached)
})

test('RB2 promoted likewise; a group that vanished altogether takes its roles along', async () => {
  await using world = await createWorld(shortTokens)
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  expect(await adminStatus(bob)).toBe(403)
  user(world, 'bob').groups = ['ops', 'staff']
  world.clock.advance(11 * minute)
  await bob.fetch('/api/echo')
  expect(await adminStatus(bob)).toBe(200)
  user(world, 'bob').groups = []
  world.clock.advance(11 * minute)
  await bob.fetch('/api/echo')
  expect(await adminStatus(bob)).toBe(403)
  expect(await rolesOf(bob)).toEqual([])
})

test('RB2 a refresh without an ID token asks UserInfo; a UserInfo that is down changes nothing, one about somebody else ends the session', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  world.provider.tamper('/token', (body) => JSON.stringify({ ...JSON.parse(body), id_token: undefined }))
  user(world, 'ada').groups = ['staff']
  const broken = world.provider.failWith(500, '/me')
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(await adminStatus(browser)).toBe(200)
  broken()
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(await adminStatus(browser)).toBe(403)
  world.provider.userinfoSub('mallory')
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).json()).toMatchObject({ code: 'session_expired' })
})

test('RB2 a changed rule of the operator counts for the sessions that are there', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  expect(await adminStatus(browser)).toBe(200)
  await world.stopGateway()
  await world.startGateway({ roles: [{ claim: 'groups', equals: 'staff', grant: ['member'] }] })
  expect(await adminStatus(browser)).toBe(403)
  expect(await rolesOf(browser)).toEqual(['member'])
})
