import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Nodes } from './nodes.ts'
import type { Rotation } from './provider.ts'
import { Users } from './users.ts'

const second = 1000
const minute = 60 * second

/** What can happen. `at` picks a session, `on` one of the two gateways; `steps` is how much of what waits goes on then. */
const happening = fc.record({
  what: fc.oneof(
    { weight: 2, arbitrary: fc.constant('sign in' as const) },
    { weight: 10, arbitrary: fc.constant('request' as const) },
    {
      weight: 6,
      arbitrary: fc.constantFrom('a little later' as const, 'rotation due' as const, 'token expired' as const),
    },
    {
      weight: 6,
      arbitrary: fc.constantFrom(
        'answer lost' as const,
        'logout' as const,
        'revoke' as const,
        'step up' as const,
        'copy or use a copy' as const,
        'crash' as const,
        'idle' as const,
        'absolute' as const,
        'all sleep' as const,
        'provider down or up' as const,
        'provider loses an answer' as const,
      ),
    },
  ),
  at: fc.nat(3),
  on: fc.nat(1),
  steps: fc.nat(12),
})

type Happening = typeof happening extends fc.Arbitrary<infer Value> ? Value : never

const waits = { 'rotation due': 15 * minute, 'token expired': 5 * minute, idle: 31 * minute, absolute: 241 * minute }

async function live(scheduler: fc.Scheduler, rotation: Rotation, life: readonly Happening[]): Promise<void> {
  const nodes = new Nodes(scheduler, rotation)
  const users = new Users(nodes)
  const underWay: { over: Promise<unknown>; crashed: () => boolean }[] = []
  const failures: unknown[] = []

  for (const { what, at, on, steps } of [{ what: 'sign in' as const, at: 0, on: 0, steps: 12 }, ...life]) {
    const node = nodes.node(on)
    const known = users.pick(at)
    const begin = (over: Promise<unknown>) =>
      void underWay.push({ over: over.catch((failure) => failures.push(failure)), crashed: () => node.crashed })
    if (what === 'sign in') begin(users.signIn(node, `user ${at}`))
    else if (what === 'crash') {
      nodes.crash(on)
      for (const one of users.known) one.forgotten = true
    } else if (what === 'a little later') nodes.clock.advance(2 * second)
    else if (what === 'all sleep') {
      // Processes that stand still for longer than a lease: whoever had one redeems beside the next holder.
      nodes.clock.advance(40 * second)
      for (const one of users.known) one.forgotten = true
      for (const grant of nodes.provider.grants) grant.unlucky = true
    } else if (what in waits) {
      // Long times pass between requests, not within one.
      await scheduler.waitIdle()
      nodes.clock.advance(waits[what as keyof typeof waits])
    } else if (what === 'provider down or up') nodes.provider.down = !nodes.provider.down
    else if (what === 'provider loses an answer') nodes.provider.losing++
    else if (known === undefined) continue
    else if (what === 'request') begin(users.request(node, known))
    else if (what === 'answer lost') begin(users.request(node, known, true))
    else if (what === 'logout') begin(users.end(node, known, 'logout'))
    else if (what === 'revoke') begin(users.end(node, known, 'revoked'))
    else if (what === 'step up') begin(users.signIn(node, `user ${at}`, known))
    else begin(users.steal(node, known))
    for (let step = 0; step < steps && scheduler.count() > 0; step++) await scheduler.waitOne()
    if (failures.length > 0) throw failures[0]
  }
  await scheduler.waitIdle()
  await Promise.all(underWay.filter(({ crashed }) => !crashed()).map(({ over }) => over))
  if (failures.length > 0) throw failures[0]
  await users.check()
}

for (const rotation of ['rotates', 'rotates with grace', 'keeps'] as const) {
  test(`LO8 RT1 two gateways, any order of requests, ends, crashes and outages, with a provider that ${rotation}: logout is final, each refresh token is redeemed once, nothing of an ended session stays, no valid session is lost, no timeout exceeded`, async () => {
    let lived = 0
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(happening, { minLength: 5, maxLength: 40 }),
        async (scheduler, life) => {
          await live(scheduler, rotation, life)
          lived++
        },
      ),
      { numRuns: Number(process.env.MODEL_RUNS ?? 300) },
    )
    expect(lived).toBeGreaterThan(0)
  }, 60_000)
}
