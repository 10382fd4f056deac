import { expect, test } from 'vitest'
import { FakeClock } from '../../../testkit/src/clock.ts'
import type { ProviderClient, Refresh } from '../../src/oidc/provider-client.ts'
import { createTokenRefresh } from '../../src/oidc/token-refresh.ts'
import { newRingKey } from '../../src/session/key-file.ts'
import { createKeyRing } from '../../src/session/key-ring.ts'
import { leaseLifetime } from '../../src/session/machine.ts'
import type { LiveSession } from '../../src/session/record.ts'
import { createSessions, type Sessions } from '../../src/session/sessions.ts'
import { createMemoryStore } from '../../src/stores/memory.ts'

const tokens = { accessToken: 'first', refreshToken: 'r1', idToken: 'id', obtainedAt: 0 }
const ada = {
  subject: { iss: 'https://idp.test', sub: 'ada' },
  provider: 'corp',
  authenticatedAt: 0,
  roles: [],
  claims: {},
  userAgent: '',
  address: '',
}

/** Two processes on one store. */
async function twoProcesses() {
  const clock = new FakeClock()
  const store = createMemoryStore({ now: clock.now })
  const ring = createKeyRing([newRingKey(0)])
  const timeouts = { idle: 3_600_000, absolute: 36_000_000, rotate: 900_000, grace: 30_000 }
  const process = () =>
    createSessions({
      store,
      ring,
      timeouts,
      now: clock.now,
      rolesOf: () => [],
      onEvent: () => {},
      onFault: (fault) => expect.fail(String(fault)),
    })
  const [one, other] = [process(), process()]
  const cookie = await one.create(ada, tokens)
  return { clock, one, other, cookie, opened: async (sessions: Sessions) => live(await sessions.open(cookie)) }
}

function live(opened: Awaited<ReturnType<Sessions['open']>>): LiveSession {
  if (opened.kind !== 'live') throw new Error(opened.kind)
  return opened.session
}

async function leaseOf(sessions: Sessions, session: LiveSession) {
  const lease = await sessions.refreshLeases.take(session)
  if (lease.kind !== 'granted') throw new Error(lease.kind)
  return lease
}

/** A provider whose answer to a refresh the test gives when it likes. */
function slowProvider() {
  let answer = (_: Refresh) => {}
  const answered = new Promise<Refresh>((resolve) => {
    answer = resolve
  })
  return {
    answer,
    client: {
      name: 'corp',
      config: { issuer: 'https://idp.test' },
      refresh: () => answered,
    } as unknown as ProviderClient,
  }
}

const quiet = { debug() {}, info() {}, warn() {}, error() {} }

test('RT1 one lease at a time, in whichever process; given back or run out, the next one may', async () => {
  const { clock, one, other, opened } = await twoProcesses()
  const first = await leaseOf(one, await opened(one))
  expect((await other.refreshLeases.take(await opened(other))).kind).toBe('taken')
  await first.release()
  await leaseOf(other, await opened(other))
  expect((await one.refreshLeases.take(await opened(one))).kind).toBe('taken')
  clock.advance(leaseLifetime)
  await leaseOf(one, await opened(one))
})

test('RT1 a holder that slept past its lease puts nothing over the tokens of the next one', async () => {
  const { clock, one, other, opened } = await twoProcesses()
  const slept = await leaseOf(one, await opened(one))
  clock.advance(leaseLifetime)
  const next = await leaseOf(other, await opened(other))
  await next.renew({ ...tokens, accessToken: 'second', refreshToken: 'r2' })
  expect(await slept.renew({ ...tokens, accessToken: 'late', refreshToken: 'late' })).toBeUndefined()
  expect((await opened(one)).tokens).toMatchObject({ accessToken: 'second', refreshToken: 'r2' })
  expect(
    (
      await one.refreshLeases.take({
        ...(await opened(one)),
        record: { ...(await opened(one)).record, tokensVersion: 1 },
      })
    ).kind,
  ).toBe('superseded')
})

test('RT1 peers 1: a refresh that was refused because another had redeemed the token meanwhile ends nothing; its caller gets the successor', async () => {
  const { clock, one, other, cookie, opened } = await twoProcesses()
  const provider = slowProvider()
  const refresh = createTokenRefresh({
    ...{ log: quiet, now: clock.now, sessions: one, revocation: { revoke() {} } as never },
    providers: new Map([['corp', provider.client]]),
  })
  const refreshing = refresh(await opened(one), cookie)
  await expect.poll(async () => (await other.refreshLeases.take(await opened(other))).kind).toBe('taken')
  clock.advance(leaseLifetime)
  const next = await leaseOf(other, await opened(other))
  await next.renew({ ...tokens, accessToken: 'second', refreshToken: 'r2' })
  provider.answer({ kind: 'login-required', cause: 'invalid_grant' })
  expect(await refreshing).toMatchObject({ kind: 'refreshed', session: { tokens: { accessToken: 'second' } } })
  expect(await other.open(cookie)).toMatchObject({ kind: 'live' })
})

test('RT1 new tokens are sealed even when the cookie they were asked for with is superseded, and past its grace, by then', async () => {
  const { clock, one, cookie, opened } = await twoProcesses()
  const lease = await leaseOf(one, await opened(one))
  let newest = cookie
  for (let turn = 0; turn < 2; turn++) {
    clock.advance(900_000)
    const rotated = await one.rotate(live(await one.open(newest)), newest)
    rotated?.delivered()
    newest = String(rotated?.cookie)
    await new Promise(setImmediate)
  }
  expect(await lease.renew({ ...tokens, accessToken: 'second' })).toMatchObject({ tokens: { accessToken: 'second' } })
  expect(await one.open(newest)).toMatchObject({ kind: 'live', session: { tokens: { accessToken: 'second' } } })
})

test('RT1 who waited for the refresh of another process until its cookie was past its grace gets the successor all the same', async () => {
  const { clock, one, other, cookie, opened } = await twoProcesses()
  clock.advance(900_000)
  const rotated = await one.rotate(await opened(one), cookie)
  rotated?.delivered()
  await new Promise(setImmediate)
  clock.advance(10_000)
  const holder = await leaseOf(other, await opened(other))
  const sleep = async () => {
    clock.advance(25_000)
    await holder.renew({ ...tokens, accessToken: 'second' })
  }
  const services = { log: quiet, now: clock.now, sessions: one, revocation: { revoke() {} } as never }
  const providers = new Map([['corp', slowProvider().client]])
  const refresh = createTokenRefresh({ ...services, providers }, { sleep })
  expect(await refresh(await opened(one), cookie)).toMatchObject({
    kind: 'refreshed',
    session: { tokens: { accessToken: 'second' } },
  })
})
