import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'

interface Described {
  readonly id: string
  readonly user: string
  readonly iss: string
  readonly provider: string
  readonly [field: string]: unknown
}
interface Listing {
  readonly sessions: Described[]
  readonly cursor?: string
}

async function ask(world: World, path: string, method = 'GET') {
  const response = await fetch(world.adminUrl + path, {
    method,
    headers: { authorization: `Bearer ${world.adminToken}` },
  })
  const text = await response.text()
  return {
    status: response.status,
    text,
    json: () => JSON.parse(text) as Listing & { ended?: number; reason?: string },
  }
}

const isLive = async (world: World, browser: string) => (await world.browser(browser).fetch('/api/echo')).status === 200

test('LO6 an operator sees everyone’s sessions by handle, user, provider, times, device and address; never an id, a secret or a token', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn({ browser: 'ada' })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  const answer = await ask(world, '/api/sessions')
  expect(answer.status).toBe(200)
  const { sessions, cursor } = answer.json()
  expect(cursor).toBeUndefined()
  expect(sessions.map(({ user }) => user).sort()).toEqual(['ada', 'bob'])
  const adas = sessions.find(({ user }) => user === 'ada')
  expect(adas).toMatchObject({
    provider: 'corp',
    iss: world.provider.issuer,
    roles: ['admin', 'member'],
    address: '127.0.0.1',
    device: expect.stringContaining('Chrome'),
  })
  for (const time of ['createdAt', 'authTime', 'lastSeenAt', 'idleExpiresAt', 'expiresAt'] as const) {
    expect(new Date(String(adas?.[time])).toISOString()).toBe(adas?.[time])
  }
  const [, id = '', , secret = ''] = ada.cookies()[0]?.value.split('.') ?? []
  for (const hidden of [id, secret, ...world.provider.issuedTokens]) {
    expect(hidden.length).toBeGreaterThan(10)
    expect(answer.text).not.toContain(hidden)
  }
  // The same name as in the user's own list.
  const own = (await ada.fetch('/auth/sessions')).json<{ sessions: { id: string }[] }>().sessions
  expect(own.map((one) => one.id)).toEqual([adas?.id])
  expect(world.log.events('authz_admin')).toMatchObject([{ action: 'sessions.list', shown: 2, address: '127.0.0.1' }])
})

test('LO6 one session, all of a user’s, everyone’s: each ends at once, for good, and is logged', async () => {
  await using world = await createWorld({ providers: ['corp', 'partner'] })
  for (const browser of ['ada1', 'ada2', 'ada3']) await world.signedIn({ browser })
  await world.signedIn({ browser: 'bob1', as: 'bob' })
  await world.signedIn({ browser: 'bob2', as: 'bob', provider: 'partner' })
  const own = (await world.browser('ada1').fetch('/auth/sessions')).json<{
    sessions: { id: string; current: boolean }[]
  }>()
  const handle = own.sessions.find(({ current }) => current)?.id ?? ''
  expect((await ask(world, `/api/sessions/${handle}`, 'DELETE')).json()).toEqual({ ended: 1 })
  expect(await isLive(world, 'ada1')).toBe(false)
  expect(await isLive(world, 'ada2')).toBe(true)
  expect((await ask(world, `/api/sessions/${handle}`, 'DELETE')).status).toBe(404)

  expect((await ask(world, '/api/sessions?user=ada', 'DELETE')).json()).toEqual({ ended: 2 })
  expect(await isLive(world, 'ada2')).toBe(false)
  expect((await ask(world, '/api/sessions?user=ada')).json()).toEqual({ sessions: [] })

  const iss = encodeURIComponent(world.providerNamed('partner').issuer)
  expect((await ask(world, '/api/sessions?user=bob')).json().sessions).toHaveLength(2)
  expect((await ask(world, `/api/sessions?user=bob&iss=${iss}`)).json().sessions).toMatchObject([
    { provider: 'partner' },
  ])
  expect((await ask(world, `/api/sessions?user=bob&iss=${iss}`, 'DELETE')).json()).toEqual({ ended: 1 })
  expect(await isLive(world, 'bob1')).toBe(true)
  expect(await isLive(world, 'bob2')).toBe(false)

  await world.signedIn({ browser: 'ada1' })
  expect((await ask(world, '/api/sessions?all=1', 'DELETE')).json()).toEqual({ ended: 2 })
  for (const browser of ['ada1', 'bob1']) expect(await isLive(world, browser)).toBe(false)
  const done = world.log.events('authz_admin').filter(({ action }) => action === 'sessions.revoke')
  expect(done).toMatchObject([
    { session: handle, ended: 1 },
    { session: handle, ended: 0 },
    { user: 'ada', ended: 2 },
    { user: 'bob', ended: 1 },
    { all: true, ended: 2 },
  ])
  expect(world.log.events('session_ended').every(({ reason }) => reason === 'revoked')).toBe(true)
  await world.signedIn({ browser: 'ada1' })
  expect(await isLive(world, 'ada1')).toBe(true)
})

test('LO6 LO4 everyone is signed out while requests and sign-ins go on: nothing comes back, and the tokens are revoked', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  await using second = await world.anotherGateway()
  const names = Array.from({ length: 6 }, (_, i) => `user-${i}`)
  for (const browser of names) {
    await world.signedIn({ browser })
    await world.browser(browser).fetch('/api/echo')
  }
  world.clock.advance(5 * 60_000)
  const busy = names.map((name) => world.browser(name).fetch('/api/slow?ms=200'))
  const signingIn = world.signedIn({ browser: 'newcomer' })
  await expect.poll(() => world.upstream.requests.length).toBe(12)
  expect((await ask(world, '/api/sessions?all=1', 'DELETE')).json().ended).toBeGreaterThanOrEqual(6)
  await Promise.all([...busy, signingIn])
  for (const name of names) {
    expect(await isLive(world, name)).toBe(false)
    expect((await second.fetch(world.browser(name), '/api/echo')).status).toBe(401)
  }
  await expect
    .poll(() => new Set(world.provider.at('/token/revocation').map(({ params }) => params.get('token'))).size)
    .toBeGreaterThanOrEqual(6)
})

test('LO6 page by page: every session once, with a cursor that shows no id and opens nothing', async () => {
  await using world = await createWorld()
  for (let i = 0; i < 5; i++) await world.signedIn({ browser: `ada-${i}` })
  await world.signedIn({ browser: 'bob', as: 'bob' })
  for (const query of ['', '&user=ada']) {
    const seen: string[] = []
    let cursor: string | undefined
    do {
      const page = (await ask(world, `/api/sessions?limit=2${query}${cursor ? `&cursor=${cursor}` : ''}`)).json()
      expect(page.sessions.length).toBeLessThanOrEqual(2)
      seen.push(...page.sessions.map(({ id }) => id))
      cursor = page.cursor
      for (const { value } of Array.from(
        { length: 5 },
        (_, i) => world.browser(`ada-${i}`).cookies()[0] ?? { value: '' },
      )) {
        const id = value.split('.')[1] ?? 'none'
        expect(Buffer.from(cursor ?? '', 'base64url').includes(id)).toBe(false)
      }
    } while (cursor !== undefined)
    expect(seen).toHaveLength(query === '' ? 6 : 5)
    expect(new Set(seen).size).toBe(seen.length)
  }
})

test('RB3 a parameter that is unknown, doubled, empty or contradictory ends nothing', async () => {
  await using world = await createWorld()
  await world.signedIn({ browser: 'ada' })
  for (const path of [
    ...['', '?usr=ada', '?user=', '?user=ada&user=bob', '?all=true', '?all=0', '?all=1&user=ada', '?all=1&iss=x'],
    ...['?iss=x', '?user=ada&limit=1', '/handle?user=ada'],
  ]) {
    const answer = await ask(world, `/api/sessions${path}`, 'DELETE')
    expect(answer.status, path).toBe(400)
    expect(answer.json()).toMatchObject({ code: 'invalid_parameter', reason: expect.any(String) })
  }
  for (const query of ['limit=0', 'limit=1001', 'limit=x', 'cursor=abc', 'all=1', 'iss=x', 'limit=1&limit=2']) {
    expect((await ask(world, `/api/sessions?${query}`)).status, query).toBe(400)
  }
  expect((await ask(world, '/api/sessions/unknown', 'DELETE')).status).toBe(404)
  expect(await isLive(world, 'ada')).toBe(true)
})

test('RB3 the application’s own listener has none of it, for anybody', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const authorization = `Bearer ${world.adminToken}`
  for (const path of ['/metrics', '/healthz', '/readyz', '/api/sessions']) {
    const answer = await ada.fetch(path, { headers: { authorization } })
    expect(answer.text, path).not.toMatch(/coatcheck_|"store"|"sessions"/)
  }
  // And a session of the application, an administrator's too, is nothing to the admin listener.
  const cookie = ada
    .cookies()
    .map((one) => one.cookieString())
    .join('; ')
  expect((await fetch(`${world.adminUrl}/api/sessions`, { headers: { cookie } })).status).toBe(401)
})
