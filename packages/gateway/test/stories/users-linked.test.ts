import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import type { ProviderUser } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { askAdmin, isLive, userNamed, usersOf } from './users-world.ts'

const link = [{ providers: ['corp', 'partner'], by: 'verified-email' }]
const two = { providers: ['corp', 'partner'], config: { identity: { link } } }
const known = (world: World, provider: string, sub: string) =>
  world.providerNamed(provider).users.find((one) => one.sub === sub) as ProviderUser

/** A world whose second provider says whatever the test has it say of `mallory`. */
async function withHostilePartner(config: NonNullable<Parameters<typeof createWorld>[0]>['config'] = two.config) {
  const provider = await startHostileProvider(clientOf('partner'))
  const world = await createWorld({ config, issuers: { partner: provider.issuer } })
  return {
    world,
    provider,
    async signIn(claims: Record<string, unknown>, name = 'mallory') {
      provider.twist.claims = claims
      const browser = world.browser(name)
      const path = '/auth/login?provider=partner&return_to=/'
      const start = await browser.visit(path, { from: world.origin, follow: false })
      return await browser.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })
    },
    async [Symbol.asyncDispose]() {
      await world[Symbol.asyncDispose]()
      await provider.close()
    },
  }
}

test('without a rule the same address at two providers is two users: an address is nobody’s name', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  await world.signedIn({ browser: 'one' })
  await world.signedIn({ browser: 'two', provider: 'partner' })
  expect(await usersOf(world)).toHaveLength(2)
  expect(world.log.events('user_linked')).toEqual([])
})

test('with a rule, an address that both providers have verified makes one user of two identities, and disabling ends the sessions of both', async () => {
  await using world = await createWorld(two)
  await world.signedIn({ browser: 'one' })
  const before = await userNamed(world, 'ada')
  world.clock.advance(1000)
  known(world, 'partner', 'bob').email = 'ADA@example.com'
  await world.signedIn({ browser: 'two', as: 'bob', provider: 'partner' })
  const [user, ...more] = await usersOf(world)
  expect(more).toEqual([])
  expect(user).toMatchObject({
    id: before.id,
    firstLoginAt: before.firstLoginAt,
    provider: 'partner',
    groups: ['staff'],
    roles: ['member'],
    identities: [
      { sub: 'ada', provider: 'corp' },
      { sub: 'bob', provider: 'partner', linkedBy: 'verified-email' },
    ],
  })
  expect(world.log.events('user_linked')).toMatchObject([
    { user: before.id, provider: 'partner', by: 'verified-email' },
  ])
  // Roles are those of who signs in: the groups of one provider give nothing to a sign-in at the other.
  expect((await world.browser('two').fetch('/auth/session')).json<{ roles: string[] }>().roles).toEqual(['member'])
  expect(await userNamed(world, 'bob')).toEqual(user)

  expect((await askAdmin(world, `/api/users/${before.id}/disable`, 'POST')).json().ended).toBe(2)
  for (const name of ['one', 'two']) expect(await isLive(world, name)).toBe(false)
  expect((await world.browser('two').signIn({ as: 'bob', provider: 'partner' })).status).toBe(403)
  expect((await world.browser('one').signIn({ as: 'ada' })).status).toBe(403)
})

test('a rule that comes later joins who was there already, under the one who came first, whoever signs in first then', async () => {
  for (const [browser, provider] of [
    ['one', 'corp'],
    ['two', 'partner'],
  ] as const) {
    await using world = await createWorld({ providers: ['corp', 'partner'] })
    await world.signedIn({ browser: 'one' })
    const { id } = await userNamed(world, 'ada')
    world.clock.advance(1000)
    await world.signedIn({ browser: 'two', provider: 'partner' })
    expect(await usersOf(world)).toHaveLength(2)
    await world.reloadGateway({ identity: { link } })
    world.clock.advance(1000)
    await world.signedIn({ browser, provider })
    const [user, ...more] = await usersOf(world)
    expect(more).toEqual([])
    expect(user).toMatchObject({ id, provider, identities: [{ provider: 'corp' }, { provider: 'partner' }] })
    // And both ways in lead there from now on.
    await world.signedIn({ browser: 'one' })
    await world.signedIn({ browser: 'two', provider: 'partner' })
    expect(await usersOf(world)).toMatchObject([{ id }])
    expect(world.log.events('user_linked')).toHaveLength(1)
    expect((await askAdmin(world, `/api/users/${id}`, 'DELETE')).json()).toEqual({ ended: 2 })
    expect(await usersOf(world)).toEqual([])
    await world.signedIn({ browser: 'two', provider: 'partner' })
    expect(await usersOf(world)).toMatchObject([{ identities: [{ provider: 'partner' }] }])
  }
})

test('FX2 takeover: whoever claims the victim’s address without proof is somebody else, before the victim’s sign-in and after it', async () => {
  for (const claims of [
    { email: 'ada@example.com' },
    { email: 'ada@example.com', email_verified: false },
    { email: 'ada@example.com', email_verified: 'yes' },
    { email: 'ada@example.com, mallory@example.com', email_verified: true },
    { email: 'ada@example.com\u200b', email_verified: true },
  ]) {
    await using story = await withHostilePartner()
    const { world, provider } = story
    provider.twist.userinfo = { email: undefined }
    expect((await story.signIn(claims)).status).toBe(303)
    await world.signedIn({ browser: 'ada' })
    expect((await story.signIn(claims)).status).toBe(303)
    const users = await usersOf(world)
    expect(users.map(({ identities }) => identities.map(({ sub }) => sub)).sort()).toEqual([['ada'], ['mallory']])
    expect(world.log.events('user_linked')).toEqual([])
  }
})

test('a verification in one document says nothing of the address in another', async () => {
  await using story = await withHostilePartner()
  story.provider.twist.userinfo = { email: 'ada@example.com', email_verified: undefined }
  await story.world.signedIn({ browser: 'ada' })
  expect((await story.signIn({ email_verified: true })).status).toBe(303)
  expect(await usersOf(story.world)).toHaveLength(2)
})

test('a rule of one domain links no address of another', async () => {
  const rule = { ...link[0], domains: ['corp.example'] }
  await using story = await withHostilePartner({ identity: { link: [rule] } })
  const { world } = story
  await world.signedIn({ browser: 'ada' })
  await story.signIn({ email: 'ada@example.com', email_verified: true })
  expect(await usersOf(world)).toHaveLength(2)
  known(world, 'corp', 'ada').email = 'ada@corp.example'
  await world.signedIn({ browser: 'ada' })
  await story.signIn({ email: 'ada@corp.example', email_verified: true })
  expect(await usersOf(world)).toHaveLength(1)
})

test('an address that two users have links nobody, and one that was given to a new person does not lead to the old one', async () => {
  await using world = await createWorld(two)
  known(world, 'corp', 'bob').email = 'ada@example.com'
  await world.signedIn({ browser: 'ada' })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  await world.signedIn({ browser: 'partner', provider: 'partner' })
  expect(await usersOf(world)).toHaveLength(3)
  expect(world.log.events('user_link_refused')).toMatchObject([
    { provider: 'partner', reason: 'several users have this address' },
  ])

  await using other = await createWorld(two)
  await other.signedIn({ browser: 'corp' })
  await other.signedIn({ browser: 'partner', provider: 'partner' })
  expect(await usersOf(other)).toHaveLength(1)
  // The partner has a new employee of the same name.
  known(other, 'partner', 'ada').email = 'ada.old@example.com'
  known(other, 'partner', 'bob').email = 'ada@example.com'
  await other.signedIn({ browser: 'new', as: 'bob', provider: 'partner' })
  const users = await usersOf(other)
  expect(users.map(({ identities }) => identities.length).sort()).toEqual([1, 2])
  expect(other.log.events('user_link_refused')).toMatchObject([
    { reason: 'that user has another account at the same provider' },
  ])
})

test('a disabled user does not come in by another account that a rule would link, not even where several are meant', async () => {
  await using world = await createWorld(two)
  await world.signedIn({ browser: 'ada' })
  await askAdmin(world, `/api/users/${(await userNamed(world, 'ada')).id}/disable`, 'POST')
  expect((await world.browser('partner').signIn({ as: 'ada', provider: 'partner' })).status).toBe(403)
  known(world, 'corp', 'bob').email = 'ada@example.com'
  await world.signedIn({ browser: 'bob', as: 'bob' })
  expect((await world.browser('partner').signIn({ as: 'ada', provider: 'partner' })).status).toBe(403)
  expect(await usersOf(world)).toHaveLength(2)
})

test('two gateways at which one person signs in by two ways at once end with one user', async () => {
  await using world = await createWorld({ ...two, store: 'lmdb' })
  await using second = await world.anotherGateway()
  const callbacks = await Promise.all(
    ['corp', 'partner', 'corp', 'partner'].map(async (provider, at) => ({
      at,
      browser: world.browser(`b${at}`),
      url: new URL(await world.browser(`b${at}`).callbackFor({ as: 'ada', provider })),
    })),
  )
  await Promise.all(
    callbacks.map(({ at, browser, url }) => {
      const path = url.pathname + url.search
      return at < 2 ? browser.visit(path, { follow: false }) : second.fetch(browser, path)
    }),
  )
  // Both may have been new at the same moment: the next sign-in joins them.
  await world.signedIn({ browser: 'again' })
  const users = await usersOf(world)
  expect(users).toHaveLength(1)
  expect(users[0]?.identities.map(({ provider }) => provider).sort()).toEqual(['corp', 'partner'])
})
