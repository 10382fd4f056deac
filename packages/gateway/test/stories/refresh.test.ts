import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const minute = 60_000
const shortTokens = { provider: { ttl: { accessToken: 600 } } }

const bearersSeen = (world: World) =>
  new Set(
    world.upstream.requests.map(
      ({ rawHeaders }) =>
        rawHeaders[rawHeaders.findIndex((name) => name === 'authorization' || name === 'Authorization') + 1],
    ),
  )

test('RT1 peers 1: 50 parallel calls with an expired token, on two gateways that share the store: exactly one token request', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  await using second = await world.anotherGateway()
  world.clock.advance(11 * minute)
  const before = world.provider.tokenRequests
  const undo = world.provider.delay(300, '/token')
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, at) =>
      at % 2 === 0 ? browser.saved().fetch('/api/echo') : second.fetch(browser, '/api/echo'),
    ),
  )
  undo()
  expect(answers.map((answer) => answer.status)).toEqual(new Array(50).fill(200))
  expect(world.provider.tokenRequests - before).toBe(1)
  expect(bearersSeen(world).size).toBe(1)
  // The rotated refresh token was kept: the next refresh is made with it.
  world.clock.advance(11 * minute)
  expect((await second.fetch(browser, '/api/echo')).status).toBe(200)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(world.provider.tokenRequests - before).toBe(2)
})

test('RT1 a token near its end is renewed ahead of time, and nobody waits for it', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  world.clock.advance(9 * minute + 20_000)
  const before = world.provider.tokenRequests
  const undo = world.provider.delay(2_000, '/token')
  const began = performance.now()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(performance.now() - began).toBeLessThan(1_900)
  await expect.poll(() => world.provider.tokenRequests - before).toBe(1)
  undo()
  await expect
    .poll(async () => {
      await browser.fetch('/api/echo')
      return bearersSeen(world).size
    })
    .toBe(2)
  expect(world.provider.tokenRequests - before).toBe(1)
})

test('TO3 peers 12: a refresh token that the provider took back ends the session; it does not slide on', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  world.clock.advance(11 * minute)
  const undo = world.provider.failAs(400, { error: 'invalid_grant' }, '/token')
  expect((await browser.fetch('/api/echo')).json()).toMatchObject({ status: 401, code: 'session_expired' })
  undo()
  expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  expect(world.log.events('session_ended')).toMatchObject([{ reason: 'refresh-rejected' }])
})

test('RT2 the answer to a refresh is lost: one more try, and where the provider calls that reuse, the session ends', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  world.clock.advance(11 * minute)
  const before = world.provider.tokenRequests
  world.provider.loseAnswers(1, '/token')
  expect((await browser.fetch('/api/echo')).status).toBe(401)
  expect(world.provider.tokenRequests - before).toBe(2)
  expect(world.log.events('authn_token_reuse')).toHaveLength(1)
  expect(world.log.events('session_ended')).toMatchObject([{ reason: 'refresh-rejected' }])
})

test('RT3 peers 15: a refresh without an ID token is fine; one about somebody else is not', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  const without = world.provider.tamper('/token', (body) =>
    JSON.stringify({ ...JSON.parse(body), id_token: undefined }),
  )
  for (let turn = 0; turn < 3; turn++) {
    world.clock.advance(11 * minute)
    expect((await browser.fetch('/api/echo')).status, `turn ${turn}`).toBe(200)
  }
  without()
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
})

test('RT1 a provider that does not say when a token ends, or does not rotate: the session works on', async () => {
  await using world = await createWorld(shortTokens)
  const keep = world.provider.tamper('/token', (body) => {
    const { expires_in: _, ...answer } = JSON.parse(body)
    return JSON.stringify(answer)
  })
  const browser = await world.signedIn()
  world.clock.advance(20 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  keep()
})

test('OU3 provider down and token expired: reads go on for the time that the operator allows, writes are 503', async () => {
  await using world = await createWorld({ ...shortTokens, config: { session: { offline: { reads: '10m' } } } })
  const browser = await world.signedIn()
  await world.provider.down()
  world.clock.advance(11 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const write = await browser.fetch('/api/echo', { method: 'POST', body: 'x' })
  expect(write.status).toBe(503)
  expect(Number(write.header('retry-after'))).toBeGreaterThan(0)
  world.clock.advance(10 * minute)
  expect((await browser.fetch('/api/echo')).status).toBe(503)
  await world.provider.up()
  await expect
    .poll(async () => (await browser.fetch('/api/echo', { method: 'POST', body: 'x' })).status, { interval: 200 })
    .toBe(200)
})

test('OU1 a provider that fails is left alone: 40 calls become a handful of token requests, and one probe brings it back', async () => {
  await using world = await createWorld(shortTokens)
  const browser = await world.signedIn()
  world.clock.advance(11 * minute)
  const before = world.provider.tokenRequests
  const undo = world.provider.failWith(500, '/token')
  for (let at = 0; at < 40; at++) expect((await browser.fetch('/api/echo')).status).toBe(503)
  expect(world.provider.tokenRequests - before).toBeLessThanOrEqual(4)
  undo()
  await expect.poll(async () => (await browser.fetch('/api/echo')).status, { interval: 100 }).toBe(200)
})
