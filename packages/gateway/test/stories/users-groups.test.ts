import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { type OktaGroups, startOktaGroups } from '../../../testkit/src/okta-groups.ts'
import type { ProviderUser } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { askAdmin, userNamed } from './users-world.ts'

const minute = 60_000
const ada = (world: World) => world.provider.users.find((one) => one.sub === 'ada') as ProviderUser
const many = (count: number) => Array.from({ length: count }, (_, at) => `group-${at}`)
const rolesNow = async (world: World) =>
  (await world.browser().fetch('/auth/session')).json<{ roles: string[] }>().roles
const apiToken = '00-api-token-of-okta'

/** The development provider plays Okta's organization; beside it, its groups API. */
async function oktaWorld(options: { token?: false } = {}) {
  const world: { issued?: Set<string> } = {}
  const accepts = (shown: string) =>
    options.token === false
      ? shown.startsWith('Bearer ') && world.issued?.has(shown.slice(7)) === true
      : shown === `SSWS ${apiToken}`
  const okta = await startOktaGroups({ accepts })
  const groupsApi = { endpoint: okta.origin, ...(options.token !== false && { token: { file: 'okta-token' } }) }
  const made = await createWorld({
    provider: { ttl: { accessToken: 600 } },
    config: ({ folder }) => {
      writeFileSync(join(folder, 'okta-token'), apiToken, { mode: 0o600 })
      const scope = 'openid profile email offline_access okta.users.read'
      return { providers: { corp: { kind: 'okta', groupsApi, ...(options.token === false && { scope }) } } }
    },
  })
  world.issued = made.provider.issuedTokens
  return Object.assign(made, { okta: okta as OktaGroups })
}

test('a groups claim that came before and is gone is noticed: logged with what to check, counted, shown; roles go by what came', async () => {
  await using world = await createWorld()
  await world.signedIn()
  expect(await rolesNow(world)).toEqual(['admin', 'member'])
  ada(world).withheld = ['groups']
  await world.signedIn()
  expect(await rolesNow(world)).toEqual([])
  const user = await userNamed(world, 'ada')
  expect(user).toMatchObject({ groups: [], roles: [], identities: [{ missing: ['groups'] }] })
  expect(world.log.events('user_claims_missing')).toMatchObject([
    {
      level: 'warn',
      user: user.id,
      provider: 'corp',
      claims: ['groups'],
      msg: expect.stringContaining('check whether'),
    },
  ])
  expect((await askAdmin(world, '/metrics')).text).toContain('coatcheck_users_claims_missing_total{provider="corp"} 1')
  // Told once; and once it comes again, all is well.
  await world.signedIn()
  expect(world.log.events('user_claims_missing')).toHaveLength(1)
  ada(world).withheld = []
  await world.signedIn()
  expect((await userNamed(world, 'ada')).identities[0]).not.toHaveProperty('missing')
  expect(await rolesNow(world)).toEqual(['admin', 'member'])
})

test('a claim that is empty is no claim that is gone, and one that never came is not missed', async () => {
  await using world = await createWorld({
    config: { roles: [{ claim: 'department', equals: 'fin', grant: ['clerk'] }] },
  })
  await world.signedIn()
  ada(world).groups = []
  await world.signedIn()
  expect(world.log.events('user_claims_missing')).toEqual([])
  expect((await userNamed(world, 'ada')).identities[0]).not.toHaveProperty('missing')
})

test('a claim that disappears in the middle of a session is noticed at the refresh, and its roles go at once', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const browser = await world.signedIn()
  ada(world).withheld = ['groups']
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/admin/echo')).status).toBe(403)
  expect(world.log.events('user_claims_missing')).toMatchObject([{ claims: ['groups'] }])
  expect(await userNamed(world, 'ada')).toMatchObject({ roles: [], identities: [{ missing: ['groups'] }] })
})

test('groups that a token says are told elsewhere are reported, and are no "none": a rule notEqual grants nothing', async () => {
  for (const claims of [{ _claim_names: { groups: 'src1' }, _claim_sources: { src1: {} } }, { hasgroups: true }]) {
    await using provider = await startHostileProvider(clientOf('corp'))
    await using world = await createWorld({
      providers: [],
      issuers: { corp: provider.issuer },
      config: { roles: [{ claim: 'groups', notEqual: 'contractors', grant: ['member'] }] },
    })
    provider.twist.claims = claims
    const browser = world.browser()
    const start = await browser.visit('/auth/login', { from: world.origin, follow: false })
    expect((await browser.visit(provider.authorizeRedirect(start.location ?? ''), { follow: false })).status).toBe(303)
    expect(await rolesNow(world)).toEqual([])
    expect(world.log.events('user_groups_incomplete')).toMatchObject([{ provider: 'corp', reason: 'overage' }])
    const metrics = (await askAdmin(world, '/metrics')).text
    expect(metrics).toContain('coatcheck_users_groups_incomplete_total{provider="corp",reason="overage"} 1')
  }
})

test('Okta without its API: a hundred groups may be all or not, and that is reported', async () => {
  await using world = await createWorld({ config: { providers: { corp: { kind: 'okta' } } } })
  ada(world).groups = ['ops', ...many(99)]
  await world.signedIn()
  expect(world.log.events('user_groups_incomplete')).toMatchObject([{ reason: 'truncated' }])
  ada(world).groups = ['ops', ...many(98)]
  await world.signedIn()
  expect(world.log.events('user_groups_incomplete')).toHaveLength(1)
})

test('Okta’s API is asked where the claim is cut or absent, page by page, with the API token; else it is left alone', async () => {
  await using world = await oktaWorld()
  await using okta = world.okta
  await world.signedIn()
  expect(okta.requests).toEqual([])
  okta.groups.set('ada', [...many(450), 'ops'])
  ada(world).groups = many(100)
  await world.signedIn()
  expect(okta.requests.map(({ path }) => path)).toEqual([
    '/api/v1/users/ada/groups?limit=200',
    '/api/v1/users/ada/groups?limit=200&after=200',
    '/api/v1/users/ada/groups?limit=200&after=400',
  ])
  expect(await rolesNow(world)).toEqual(['admin'])
  expect((await userNamed(world, 'ada')).groups).toHaveLength(451)
  expect(world.log.events('user_groups_incomplete')).toEqual([])
  ada(world).withheld = ['groups']
  okta.groups.set('ada', ['staff'])
  await world.signedIn()
  expect(await rolesNow(world)).toEqual(['member'])
  expect(world.log.events('user_claims_missing')).toEqual([])
  expect(world.log.text()).not.toContain(apiToken)
})

test('at a refresh the API is asked again; while it fails the groups stay as they were', async () => {
  await using world = await oktaWorld()
  await using okta = world.okta
  ada(world).withheld = ['groups']
  okta.groups.set('ada', ['ops', 'staff'])
  const browser = await world.signedIn()
  okta.fault.status = 503
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/admin/echo')).status).toBe(200)
  expect(await rolesNow(world)).toEqual(['admin', 'member'])
  expect(world.log.events('provider_unavailable')).toMatchObject([{ during: 'groups' }])
  delete okta.fault.status
  okta.groups.set('ada', ['staff'])
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/admin/echo')).status).toBe(403)
  expect((await userNamed(world, 'ada')).groups).toEqual(['staff'])
})

test('an API that fails lets nobody in with some of the groups, or with old ones: 503, a reason in the log, and the tokens are revoked', async () => {
  const faults: [Partial<OktaGroups['fault']>, RegExp][] = [
    [{ status: 429 }, /answered 429: its rate limit is reached/],
    [{ status: 401 }, /answered 401: it does not take the token/],
    [{ status: 500 }, /answered 500/],
    [{ body: '{"groups":[]}' }, /no list/],
    [{ body: '[{"id":"00g1"}]' }, /without a name/],
    [{ body: 'nonsense' }, /no list/],
    [{ next: 'http://attacker.example/api/v1/users/ada/groups?after=1' }, /next page elsewhere/],
    [{ next: '/api/v1/users/eve/groups?after=1' }, /next page elsewhere/],
    [{ next: '?limit=200&after=0' }, /more than 25 pages/],
  ]
  for (const [fault, reason] of faults) {
    await using world = await oktaWorld()
    await using okta = world.okta
    okta.groups.set('ada', many(300))
    ada(world).groups = many(100)
    Object.assign(okta.fault, fault)
    const answer = await world.browser().signIn({ as: 'ada' })
    expect([answer.status, answer.text]).toEqual([503, expect.stringContaining('provider_unavailable')])
    expect(world.log.events('authn_login_fail')).toMatchObject([{ reason: expect.stringMatching(reason) }])
    expect(world.log.events('user_created')).toEqual([])
    await expect.poll(() => world.provider.at('/token/revocation').length).toBe(1)
  }
})

test('without an API token the user’s own access token is shown', async () => {
  await using world = await oktaWorld({ token: false })
  await using okta = world.okta
  okta.groups.set('ada', ['ops'])
  ada(world).withheld = ['groups']
  await world.signedIn()
  expect(await rolesNow(world)).toEqual(['admin'])
  expect(okta.requests).toHaveLength(1)
})
