import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import type { ProviderUser } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { createResealing } from '../../src/identity/resealing.ts'
import { userIdOf } from '../../src/identity/user-record.ts'
import type { UserId } from '../../src/identity/user-store.ts'
import { openKeyFile } from '../../src/session/key-file.ts'
import { rotateKeyFile } from '../../src/session/key-rotation.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'
import { askAdmin, isLive, userNamed, usersOf } from './users-world.ts'

const minute = 60_000
const known = (world: World, sub: string) => world.provider.users.find((one) => one.sub === sub) as ProviderUser

test('an unknown user is written down at the first sign-in with what the provider tells; at each later one the record follows', async () => {
  await using world = await createWorld()
  const began = new Date(world.clock.now()).toISOString()
  await world.signedIn()
  expect(await usersOf(world)).toEqual([
    {
      id: userIdOf({ iss: world.provider.issuer, sub: 'ada' }),
      disabled: false,
      provider: 'corp',
      firstLoginAt: began,
      lastLoginAt: began,
      profile: { name: 'Ada Lovelace', email: 'ada@example.com' },
      groups: ['ops', 'staff'],
      roles: ['admin', 'member'],
      identities: [
        {
          iss: world.provider.issuer,
          sub: 'ada',
          provider: 'corp',
          email: 'ada@example.com',
          firstLoginAt: began,
          lastLoginAt: began,
        },
      ],
    },
  ])
  known(world, 'ada').groups = ['staff']
  known(world, 'ada').name = 'Ada King'
  known(world, 'ada').email = 'Ada.King@Example.com'
  world.clock.advance(10 * minute)
  await world.signedIn({ browser: 'another' })
  const later = new Date(world.clock.now()).toISOString()
  const user = await userNamed(world, 'ada')
  expect(user).toMatchObject({
    firstLoginAt: began,
    lastLoginAt: later,
    profile: { name: 'Ada King', email: 'Ada.King@Example.com' },
    groups: ['staff'],
    roles: ['member'],
    identities: [{ email: 'ada.king@example.com', firstLoginAt: began, lastLoginAt: later }],
  })
  expect(world.log.events('user_created')).toMatchObject([{ user: user.id, provider: 'corp' }])
  expect(world.log.events('user_changed')).toMatchObject([
    { user: user.id, changed: ['profile', 'groups', 'roles'], rolesLost: ['admin'], rolesGained: [] },
  ])
  // A sign-in that brings nothing new is no change.
  await world.signedIn({ browser: 'third' })
  expect(world.log.events('user_changed')).toHaveLength(1)
})

test('the record follows at a refresh too, and a step-up is a sign-in', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await world.signedIn()
  const before = await userNamed(world, 'ada')
  known(world, 'ada').groups = ['staff']
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const user = await userNamed(world, 'ada')
  expect(user).toMatchObject({ groups: ['staff'], roles: ['member'], lastLoginAt: before.lastLoginAt })
  expect(user.profile).toEqual(before.profile)
  world.clock.advance(minute)
  const asked = await browser.visit('/auth/step-up?return_to=/&max_age=0', { from: world.origin })
  await browser.submit(asked, { button: 'ada' })
  expect((await userNamed(world, 'ada')).lastLoginAt).toBe(new Date(world.clock.now()).toISOString())
})

test('what the directory keeps beyond what the page is shown is a setting, and UserInfo is asked for it', async () => {
  await using world = await createWorld({ config: { identity: { claims: ['preferred_username'] } } })
  const browser = await world.signedIn()
  expect((await userNamed(world, 'ada')).profile).toMatchObject({ preferred_username: 'ada' })
  expect((await browser.fetch('/auth/session')).text).not.toContain('preferred_username')
})

test('a disabled user: all sessions end, the next sign-in is refused by a page that says so, and its tokens are revoked; others go on', async () => {
  await using world = await createWorld()
  for (const browser of ['desk', 'phone']) await world.signedIn({ browser })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  const { id } = await userNamed(world, 'ada')
  const answer = await askAdmin(world, `/api/users/${id}/disable?reason=left%20the%20company`, 'POST')
  expect(answer.json()).toMatchObject({ ended: 2, user: { id, disabled: true, disabledReason: 'left the company' } })
  for (const browser of ['desk', 'phone']) expect(await isLive(world, browser)).toBe(false)
  expect(await isLive(world, 'bob')).toBe(true)

  const revoked = world.provider.at('/token/revocation').length
  const refused = await world.browser('desk').signIn({ as: 'ada' })
  expect(refused.status).toBe(403)
  expect(refused.text).toContain('access_denied')
  expect(refused.text).toContain('This account is disabled.')
  expect(world.log.events('authn_login_fail')).toMatchObject([{ code: 'access_denied' }])
  await expect.poll(() => world.provider.at('/token/revocation').length).toBeGreaterThan(revoked)
  expect(await isLive(world, 'desk')).toBe(false)
  // What was known of the last sign-in is not overwritten by one that was refused.
  expect(await userNamed(world, 'ada')).toMatchObject({ disabled: true, disabledReason: 'left the company' })

  expect((await askAdmin(world, `/api/users/${id}/enable`, 'POST')).json()).toMatchObject({ user: { disabled: false } })
  await world.signedIn({ browser: 'desk' })
  expect(await isLive(world, 'desk')).toBe(true)
  expect(world.log.events('user_disabled')).toMatchObject([{ user: id, ended: 2 }])
  expect(world.log.events('user_enabled')).toMatchObject([{ user: id }])
  expect(world.log.events('authz_admin').map(({ action }) => action)).toContain('users.disable')
  const metrics = (await askAdmin(world, '/metrics')).text
  expect(metrics).toContain('coatcheck_users_total{action="disabled"} 1')
  expect(metrics).toContain('coatcheck_users_total{action="created"} 2')
})

test('disabled between the look into the directory and the new session: the session does not stay', async () => {
  const clock = new FakeClock(Date.now())
  const store = createMemoryStore({ now: clock.now })
  let beforeSession: (() => Promise<unknown>) | undefined
  const racing = {
    ...store,
    put: async (...args: Parameters<typeof store.put>) => {
      const [next, expected] = args
      if (expected === undefined && next.indices.length > 0) await beforeSession?.()
      return await store.put(...args)
    },
  }
  await using world = await createWorld({ clock, store: racing })
  await world.signedIn()
  const { id } = await userNamed(world, 'ada')
  beforeSession = () => {
    beforeSession = undefined
    return askAdmin(world, `/api/users/${id}/disable`, 'POST')
  }
  const refused = await world.browser('late').signIn({ as: 'ada' })
  expect(refused.status).toBe(403)
  expect(await world.gateway.store.scan(10)).toEqual({ ids: [] })
})

test('a session that was missed when its user was disabled ends at the next refresh, and nothing is redeemed for it', async () => {
  const clock = new FakeClock(Date.now())
  const store = createMemoryStore({ now: clock.now })
  let blind = false
  const hiding = { ...store, find: async (index: string) => (blind ? [] : await store.find(index)) }
  await using world = await createWorld({ clock, store: hiding, provider: { ttl: { accessToken: 600 } } })
  const browser = await world.signedIn()
  const { id } = await userNamed(world, 'ada')
  blind = true
  expect((await askAdmin(world, `/api/users/${id}/disable`, 'POST')).json()).toMatchObject({ ended: 0 })
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  clock.advance(11 * minute)
  const asked = world.provider.tokenRequests
  const answer = await browser.fetch('/api/echo')
  expect([answer.status, answer.json<{ code: string }>().code]).toEqual([401, 'session_expired'])
  expect(world.provider.tokenRequests).toBe(asked)
})

test('two gateways that sign the same new user in at once write one record, and lose no sign-in', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await using second = await world.anotherGateway()
  const names = Array.from({ length: 8 }, (_, at) => `browser-${at}`)
  const callbacks = await Promise.all(names.map((name) => world.browser(name).callbackFor({ as: 'ada' })))
  const answers = await Promise.all(
    names.map((name, at) => {
      const url = new URL(callbacks[at] ?? '')
      const path = url.pathname + url.search
      const navigation = { follow: false } as const
      return at % 2 ? second.fetch(world.browser(name), path) : world.browser(name).visit(path, navigation)
    }),
  )
  expect(answers.map(({ status }) => status)).toEqual(names.map(() => 303))
  expect(world.log.events('user_created')).toHaveLength(1)
  expect(await usersOf(world)).toHaveLength(1)
})

test('users are listed page by page, found by name and by address, shown one by one; a wrong question changes nothing', async () => {
  await using world = await createWorld()
  for (const as of ['ada', 'bob', 'eve']) await world.signedIn({ browser: as, as })
  const seen: string[] = []
  let cursor: string | undefined
  do {
    const page = (await askAdmin(world, `/api/users?limit=2${cursor ? `&cursor=${cursor}` : ''}`)).json()
    seen.push(...page.users.map(({ identities }) => identities[0]?.sub ?? ''))
    cursor = page.cursor
  } while (cursor !== undefined)
  expect(seen.sort()).toEqual(['ada', 'bob', 'eve'])
  const ada = await userNamed(world, 'ada')
  expect(await usersOf(world, '?email=ADA@example.com')).toEqual([ada])
  expect(await usersOf(world, `?user=ada&iss=${encodeURIComponent(world.provider.issuer)}`)).toEqual([ada])
  expect(await usersOf(world, '?user=ada&iss=http://localhost:1')).toEqual([])
  expect(await usersOf(world, '?email=nobody')).toEqual([])
  expect(JSON.parse((await askAdmin(world, `/api/users/${ada.id}`)).text)).toEqual(ada)
  for (const query of ['?usr=a', '?user=', '?iss=x', '?user=a&email=b', '?limit=0', '?cursor=x', '?user=a&limit=2']) {
    expect((await askAdmin(world, `/api/users${query}`)).status, query).toBe(400)
  }
  const tries: [string, string, number][] = [
    ['POST', `/api/users/${ada.id}/disable?reson=x`, 400],
    ['POST', `/api/users/${ada.id}/disable?reason=${'x'.repeat(201)}`, 400],
    ['POST', `/api/users/${'x'.repeat(22)}/disable`, 404],
    ['POST', '/api/users/..%2f..%2fx/disable', 404],
    ['GET', '/api/users/unknown', 404],
    ['GET', `/api/users/${ada.id}/disable`, 405],
    ['POST', '/api/users', 405],
    ['POST', '/api/users//disable', 404],
  ]
  for (const [method, path, status] of tries) expect((await askAdmin(world, path, method)).status, path).toBe(status)
  expect(await userNamed(world, 'ada')).toEqual(ada)
  expect((await fetch(`${world.adminUrl}/api/users`)).status).toBe(401)
  expect((await fetch(`${world.adminUrl}/api/users/${ada.id}/disable`, { method: 'POST' })).status).toBe(401)
  expect(await isLive(world, 'ada')).toBe(true)
})

test('a user is forgotten with their sessions, unless disabled: who is forgotten could come back as somebody new', async () => {
  await using world = await createWorld()
  await world.signedIn()
  const { id } = await userNamed(world, 'ada')
  await askAdmin(world, `/api/users/${id}/disable`, 'POST')
  const kept = await askAdmin(world, `/api/users/${id}`, 'DELETE')
  expect([kept.status, kept.json().reason]).toEqual([400, expect.stringContaining('enable the user first')])
  await askAdmin(world, `/api/users/${id}/enable`, 'POST')
  await world.signedIn()
  world.clock.advance(minute)
  expect((await askAdmin(world, `/api/users/${id}`, 'DELETE')).json()).toEqual({ ended: 1 })
  expect(await usersOf(world)).toEqual([])
  expect(await isLive(world, 'user')).toBe(false)
  await world.signedIn()
  expect((await userNamed(world, 'ada')).firstLoginAt).toBe(new Date(world.clock.now()).toISOString())
})

test('ST3 a stolen copy of the store tells of nobody: no name, address, group or issuer stands in it', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await world.signedIn()
  await world.stopGateway()
  const bytes = readFileSync(join(world.folder, 'data', 'sessions', 'data.mdb'), 'latin1')
  for (const text of ['Lovelace', 'ada@example.com', 'staff', world.provider.issuer]) expect(bytes).not.toContain(text)
  await world.startGateway()
  expect((await userNamed(world, 'ada')).profile.name).toBe('Ada Lovelace')
})

test('ST1 a record that was changed, or put back from before somebody was disabled, lets nobody in', async () => {
  await using world = await createWorld()
  await world.signedIn()
  const id = (await userNamed(world, 'ada')).id as UserId
  const enabled = await world.store.users.get(id)
  await askAdmin(world, `/api/users/${id}/disable`, 'POST')
  const disabled = await world.store.users.get(id)
  if (!enabled || !disabled) throw new Error('both are there')
  const restored = { ...enabled, version: disabled.version + 1 }
  expect(await world.store.users.put(restored, disabled.version)).toBe(true)
  const answer = await world.browser('again').signIn({ as: 'ada' })
  expect([answer.status, answer.text]).toEqual([503, expect.stringContaining('store_unavailable')])
  expect(world.log.events('crypt_decrypt_fail')).toMatchObject([{ user: id, reason: 'tampered' }])
  // The list goes on without it, and an operator can be rid of it.
  expect((await askAdmin(world, '/api/users')).json().users).toEqual([])
  expect((await askAdmin(world, `/api/users/${id}`, 'DELETE')).json()).toEqual({ ended: 0 })
  await world.signedIn({ browser: 'again' })
})

test('ST2 a rotation of the key ring seals users anew, so that its old keys can be dropped', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await world.signedIn()
  const { id } = await userNamed(world, 'ada')
  await world.signedIn({ browser: 'bob', as: 'bob' })
  await askAdmin(world, `/api/users/${id}/disable`, 'POST')
  await world.stopGateway()
  const file = join(world.folder, 'coatcheck.keys')
  rotateKeyFile(file, { now: world.clock.now() })
  await world.startGateway()
  const ring = openKeyFile(file, world.clock.now)
  await createResealing({ store: world.store, ring, log: world.log.logger, now: world.clock.now })()
  expect(world.log.events('users_resealed')).toMatchObject([{ users: 2, key: ring.current }])
  await world.stopGateway()
  world.clock.advance(14 * 60 * minute)
  expect(rotateKeyFile(file, { now: world.clock.now(), retire: { absolute: 12 * 60 * minute } }).retired).toHaveLength(
    1,
  )
  await world.startGateway()
  expect(await usersOf(world)).toHaveLength(2)
  expect((await world.browser('back').signIn({ as: 'ada' })).status).toBe(403)
})
