import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { eventMetrics } from '../../src/watch/event-metrics.ts'

async function scrape(world: World) {
  const response = await fetch(`${world.adminUrl}/metrics`, {
    headers: { authorization: `Bearer ${world.adminToken}` },
  })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  const values = new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  )
  return { text, of: (series: string) => values.get(`coatcheck_${series}`), values }
}

test('LG1 what happens shows in /metrics: requests, refusals, sessions, sign-ins, refreshes, revocations, providers', async () => {
  const dead = (upstream: string) => [
    { path: '/dead/*', upstream: 'http://127.0.0.1:1', access: 'public' },
    { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
    { path: '/*', static: './public', access: 'public' },
  ]
  await using world = await createWorld({
    provider: { ttl: { accessToken: 600 } },
    config: ({ upstream }) => ({ routes: dead(upstream) }),
  })
  const before = await scrape(world)
  expect(before.of('sign_ins_total{provider="corp",result="success"}')).toBe(0)
  expect(before.of('refusals_total{code="csrf_rejected"}')).toBe(0)
  const ada = await world.signedIn()
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  expect((await ada.fetch('/api/echo', { method: 'POST', csrf: false })).status).toBe(403)
  expect((await world.browser('nobody').fetch('/api/echo')).status).toBe(401)
  expect((await ada.fetch('/dead/x')).status).toBe(502)
  expect((await fetch(`${world.origin}/auth/backchannel-logout/corp`, { method: 'POST' })).status).toBe(400)
  expect((await ada.visit('/auth/callback/corp?state=forged&code=x')).status).toBeLessThan(500)
  expect((await world.browser('nobody').visit('/auth/callback/corp?state=forged&code=x')).status).toBe(400)
  world.clock.advance(11 * 60_000)
  expect((await ada.fetch('/api/echo')).status).toBe(200)
  await ada.fetch('/auth/logout', { method: 'POST' })
  await expect.poll(() => world.log.events('authn_token_revoked')).toHaveLength(1)
  const after = await scrape(world)
  const grew = (series: string) => (after.of(series) ?? 0) - (before.of(series) ?? 0)
  expect(grew('requests_total{outcome="forward"}')).toBe(3)
  expect(grew('upstream_responses_total{class="2xx"}')).toBe(2)
  expect(grew('upstream_failures_total{reason="unavailable"}')).toBe(1)
  for (const [code, count] of Object.entries({
    csrf_rejected: 1,
    login_required: 1,
    logout_token_invalid: 1,
    login_state_mismatch: 1,
    upstream_unavailable: 1,
  })) {
    expect(grew(`refusals_total{code="${code}"}`), code).toBe(count)
  }
  expect(grew('sessions_created_total')).toBe(1)
  expect(grew('sessions_ended_total{reason="logout"}')).toBe(1)
  expect(grew('sign_ins_total{provider="corp",result="success"}')).toBe(1)
  expect(grew('refreshes_total{provider="corp",result="success"}')).toBe(1)
  expect(grew('token_revocations_total{provider="corp",result="done"}')).toBe(1)
  expect(grew('provider_requests_total{provider="corp",result="ok"}')).toBeGreaterThan(2)
  expect(after.of('token_revocation_queue_length')).toBe(0)
  expect(after.of('upstream_requests_in_flight')).toBe(0)
  expect(after.values.get('process_resident_memory_bytes')).toBeGreaterThan(1e6)
})

test('LG1 an outage shows: the circuit, failed refreshes, and the queue of tokens to revoke', async () => {
  await using world = await createWorld({ provider: { ttl: { accessToken: 600 } } })
  const [ada, bob] = [await world.signedIn(), await world.signedIn({ browser: 'bob', as: 'bob' })]
  await ada.fetch('/api/echo')
  await world.provider.down()
  world.clock.advance(11 * 60_000)
  for (let i = 0; i < 4; i++) expect((await bob.fetch('/api/echo')).status).toBe(503)
  await ada.fetch('/auth/logout', { method: 'POST' })
  await expect.poll(() => world.store.outbox.count()).toBe(1)
  const { of } = await scrape(world)
  expect(of('provider_circuit_open{provider="corp"}')).toBe(1)
  expect(of('provider_requests_total{provider="corp",result="failed"}')).toBeGreaterThan(2)
  expect(of('refreshes_total{provider="corp",result="unavailable"}')).toBe(4)
  expect(of('token_revocations_total{provider="corp",result="queued"}')).toBe(1)
  expect(of('token_revocation_queue_length')).toBe(1)
  await world.provider.up()
  await expect
    .poll(
      async () => {
        await bob.fetch('/api/echo')
        return (await scrape(world)).of('provider_circuit_open{provider="corp"}')
      },
      { interval: 200 },
    )
    .toBe(0)
})

test('LG1 a request that is with an upstream is counted while it is', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const slow = ada.fetch('/api/slow?ms=1500')
  await expect.poll(() => world.upstream.requests.length).toBe(1)
  const during = await scrape(world)
  expect(during.of('upstream_requests_in_flight')).toBe(1)
  expect(during.of('requests_in_flight')).toBe(1)
  await slow
  expect((await scrape(world)).of('requests_in_flight')).toBe(0)
})

test('LG1 nothing that a client or a provider says becomes a label: a flood of odd requests adds no series', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  await ada.fetch('/api/echo')
  const series = async () => [...(await scrape(world)).values.keys()].length
  const odd = async (i: number) => {
    await fetch(`${world.origin}/auth/backchannel-logout/x${i}`, { method: 'POST' })
    await fetch(`${world.origin}/nowhere-${i}`, { method: `M${i}` }).catch(() => undefined)
    await world.browser(`b${i}`).visit(`/auth/callback/corp?state=s${i}&error=e${i}`)
    await world.browser(`b${i}`).visit(`/auth/login?provider=p${i}`)
  }
  await odd(0)
  const before = await series()
  for (let i = 1; i < 20; i++) await odd(i)
  expect(await series()).toBe(before)
  const { text } = await scrape(world)
  expect(text).not.toMatch(/canary|ada|M1|s1"|p1"/)
})

test('the scrape goes on when the store can not be read', async () => {
  await using world = await createWorld()
  world.store.outbox.count = () => Promise.reject(new Error('the store is broken'))
  const { of, text } = await scrape(world)
  expect(text).toContain('coatcheck_token_revocation_queue_length Nan')
  expect(of('sessions_created_total')).toBe(0)
})

test('each counted event is one that the operations page explains', () => {
  const page = readFileSync(new URL('../../../../docs/operations.md', import.meta.url), 'utf8')
  for (const event of Object.keys(eventMetrics)) expect(page, event).toContain(`\`${event}\``)
})
