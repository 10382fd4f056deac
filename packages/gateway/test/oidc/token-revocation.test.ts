import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { RevocableToken, Revoked } from '../../src/oidc/revocation.ts'
import type { Revocable, RevocationQueue, WaitingRevocation } from '../../src/oidc/revocation-queue.ts'
import { createTokenRevocation } from '../../src/oidc/token-revocation.ts'

const tokens = (name: string) => ({ accessToken: `access-${name}`, refreshToken: name, idToken: 'i', obtainedAt: 0 })

function world(
  answer: (token: RevocableToken) => Promise<Revoked>,
  options: { broken?: boolean; due?: WaitingRevocation[] } = {},
) {
  const events: { event?: string }[] = []
  const queued: Revocable[] = []
  const note = (fields: object) => void events.push(fields)
  const queue: RevocationQueue = {
    async add(revocable) {
      if (options.broken) throw new Error('disk full')
      queued.push(revocable)
    },
    take: async () => options.due?.splice(0) ?? [],
  }
  const revocation = createTokenRevocation({
    providers: new Map([['corp', { revoke: answer }]]),
    queue,
    log: { debug: note, info: note, warn: note, error: note },
    handleOf: (id) => `handle of ${id}`,
  })
  const end = (name: string) => revocation.revoke({ provider: 'corp', tokens: tokens(name) })
  return { revocation, end, queued, events, named: (name: string) => events.filter(({ event }) => event === name) }
}

test('LO4 a thousand ends at once are no stampede: eight requests at a time, some wait, the rest is queued', async () => {
  let now = 0
  let most = 0
  let done = 0
  const { end, queued } = world(async () => {
    most = Math.max(most, ++now)
    await sleep(1)
    now--
    done++
    return { kind: 'done' }
  })
  for (let i = 0; i < 1_000; i++) end(`token-${i}`)
  expect(queued).toHaveLength(1_000 - 8 - 256)
  await expect.poll(() => done).toBe(8 + 256)
  expect(most).toBe(8)
})

test('LO4 at the stop of the gateway whatever was not answered is queued, once', async () => {
  const { revocation, end, queued } = world(() => new Promise(() => {}))
  for (let i = 0; i < 20; i++) end(`token-${i}`)
  await revocation.close(0)
  expect(queued.map(({ token }) => token).sort()).toEqual(Array.from({ length: 20 }, (_, i) => `token-${i}`).sort())
})

test('LO4 at the stop of the gateway what is answered in time is not queued', async () => {
  let done = 0
  const { revocation, end, queued } = world(async () => {
    await sleep(5)
    done++
    return { kind: 'done' }
  })
  for (let i = 0; i < 20; i++) end(`token-${i}`)
  await revocation.close(10_000)
  expect(done).toBe(20)
  expect(queued).toEqual([])
})

test('LO4 a queue that can not be written is an error in the log, and no fault of the sign-out', async () => {
  const { end, named } = world(async () => ({ kind: 'unavailable', reason: 'down' }), { broken: true })
  end('token')
  await expect.poll(() => named('authn_token_revocation_abandoned')).toHaveLength(1)
  expect(JSON.stringify(named('authn_token_revocation_abandoned'))).not.toContain('access-token')
})

test('LO4 an entry that this gateway has no key for is left to one that has, and given up after a day only', async () => {
  const calls: string[] = []
  const entry = (hopeless: boolean): WaitingRevocation => ({
    ...{ revocable: undefined, attempts: 1, hopeless },
    done: async () => calls.push('done') > 0,
    retry: async () => calls.push('retry') > 0,
  })
  const { revocation, named } = world(async () => ({ kind: 'done' }), { due: [entry(false), entry(true)] })
  revocation.start()
  await expect.poll(() => calls.toSorted()).toEqual(['done', 'retry'])
  expect(named('authn_token_revocation_abandoned')).toHaveLength(1)
  await revocation.close(0)
})
