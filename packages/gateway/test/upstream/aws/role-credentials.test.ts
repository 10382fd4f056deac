import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import { createKeyRing } from '../../../src/session/key-ring.ts'
import type { LiveSession } from '../../../src/session/record.ts'
import { createSessions, type Sessions } from '../../../src/session/sessions.ts'
import type { SessionStore } from '../../../src/session/store.ts'
import { createMemoryStore } from '../../../src/stores/memory.ts'
import { createIdentities } from '../../../src/upstream/aws/identities.ts'
import type { IdentityCalls } from '../../../src/upstream/aws/identity-sdk.ts'
import { createRoleCredentials, standingOf, type Wanted } from '../../../src/upstream/aws/role-credentials.ts'

const hour = 3_600_000
const idToken = (claims: object) => new UnsecuredJWT({ ...claims }).encode()
const pool = { id: 'eu-west-1:x', flow: 'enhanced', roleFrom: 'token' } as const
const wanted: Wanted = { pool, loginsKey: 'idp', roleArn: undefined }
const timeouts = { absolute: 100 * hour, idle: 50 * hour, rotate: 40 * hour, grace: 10_000 }

/** Processes on one store: each has its own sessions and its own memory. */
function world(calls: Partial<IdentityCalls> = {}) {
  const clock = { at: 1_000_000 }
  const now = () => clock.at
  const ring = createKeyRing([{ id: 'k1', key: Buffer.alloc(32, 7), createdAt: '2026-01-01T00:00:00Z' }])
  const store: SessionStore = createMemoryStore({ now })
  const asked: string[] = []
  const lines: object[] = []
  const note = (fields: unknown) => void lines.push(fields as object)
  const usual: IdentityCalls = {
    async getId() {
      asked.push('GetId')
      return `identity-${asked.length}`
    },
    async getCredentials(identityId) {
      asked.push('GetCredentials')
      const key = `ASIA${asked.length}`
      return { accessKeyId: key, secretAccessKey: 'secret', sessionToken: identityId, expiresAt: clock.at + hour }
    },
    assumeRole: () => Promise.reject(new Error('not asked for')),
  }

  function startProcess() {
    const sessions: Sessions = createSessions({
      ...{ store, ring, timeouts, now },
      rolesOf: () => [],
      onEvent: () => {},
      onFault: (fault) => expect.fail(String(fault)),
      onEnded: ({ id }) => held.forget(id),
    })
    const held = createRoleCredentials({
      log: { info: note, warn: note, error: note, debug: note } as never,
      now,
      identities: createIdentities({ store, ring, now }),
      sessions: () => sessions,
      callsOf: () => ({ ...usual, ...calls }),
      timeouts: { call: 200, all: 400 },
    })
    async function open(cookie: string) {
      const opened = await sessions.open(cookie)
      if (opened.kind !== 'live') throw new Error(`it is ${opened.kind}`)
      return opened.session
    }
    return { sessions, held, open }
  }

  async function signIn(
    { sessions }: { sessions: Sessions },
    sub: string,
    { iss = 'https://idp.test', ...claims } = {},
  ) {
    const record = { subject: { iss, sub }, provider: 'aws', authenticatedAt: now(), roles: [], claims: {} }
    const tokens = { idToken: idToken({ sub, ...claims }), accessToken: 'access', obtainedAt: now() }
    return await sessions.create({ ...record, userAgent: '', address: '' }, tokens)
  }
  return { clock, store, ring, asked, lines, startProcess, signIn }
}

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

describe('credentials of roles', () => {
  test('PX7 one flight for all who ask, in both processes; two sessions of a user share the identity, and no credentials', async () => {
    const given = world()
    const [one, other] = [given.startProcess(), given.startProcess()]
    const cookie = await given.signIn(one, 'ada')
    const [here, there] = [await one.open(cookie), await other.open(cookie)]
    const all = Array.from({ length: 1000 }, (_, i) =>
      i % 2 ? one.held.fetch(here, wanted) : other.held.fetch(there, wanted),
    )
    const keys = new Set((await Promise.all(all)).map((it) => it.kind === 'usable' && it.credentials.accessKeyId))
    expect(keys).toEqual(new Set(['ASIA2']))
    expect(given.asked).toEqual(['GetId', 'GetCredentials'])
    await other.held.fetch(await other.open(await given.signIn(one, 'ada')), wanted)
    expect(given.asked).toEqual(['GetId', 'GetCredentials', 'GetCredentials'])
    expect(one.held.at(await one.open(await given.signIn(one, 'bob')), wanted)).toBeUndefined()
  })

  test('PX7 two new sessions of a user at two processes at once: one GetId', async () => {
    const given = world()
    const processes = [given.startProcess(), given.startProcess()]
    await Promise.all(
      processes.map(async (one) => one.held.fetch(await one.open(await given.signIn(one, 'ada')), wanted)),
    )
    expect(given.asked.filter((call) => call === 'GetId').length).toBe(1)
  })

  test('PX7 after a restart nothing is asked, and nothing is awaited', async () => {
    const given = world()
    const before = given.startProcess()
    const cookie = await given.signIn(before, 'ada')
    await before.held.fetch(await before.open(cookie), wanted)
    const after = given.startProcess()
    expect(after.held.at(await after.open(cookie), wanted)).toMatchObject({ accessKeyId: 'ASIA2' })
    expect(given.asked.length).toBe(2)
  })

  test('PX7 renewed ahead of their end by one process, and used by the other without a question', async () => {
    const given = world()
    const [one, other] = [given.startProcess(), given.startProcess()]
    const cookie = await given.signIn(one, 'ada')
    await one.held.fetch(await one.open(cookie), wanted)
    given.clock.at += hour - 200_000
    expect(one.held.at(await one.open(cookie), wanted)).toMatchObject({ accessKeyId: 'ASIA2' })
    await expect.poll(async () => other.held.at(await other.open(cookie), wanted)?.accessKeyId).toBe('ASIA3')
    expect(given.asked).toEqual(['GetId', 'GetCredentials', 'GetCredentials'])
  })

  test('a process that dies with the lease holds nobody up for longer than it', async () => {
    const given = world()
    const one = given.startProcess()
    const asker = await one.open(await given.signIn(one, 'ada'))
    const name = 'of a route'
    const dead = await one.sessions.kept.take(asker, name, {
      lifetime: 1000,
      good: () => false,
    })
    expect(dead.kind).toBe('granted')
    const again = () => one.sessions.kept.take(asker, name, { lifetime: 1000, good: () => false })
    expect((await again()).kind).toBe('taken')
    given.clock.at += 1000
    const next = await again()
    expect(next.kind).toBe('granted')
    // It slept past its lease: what it brings is not written over what another obtains.
    expect(dead.kind === 'granted' && (await dead.keep('late', given.clock.at + hour))).toBe(false)
  })

  test('PX7 what is kept opens with the cookie of its session only, and under its own name', async () => {
    const given = world()
    const one = given.startProcess()
    const cookie = await given.signIn(one, 'ada')
    await one.held.fetch(await one.open(cookie), wanted)
    const session = await one.open(cookie)
    const [name = ''] = Object.keys(session.record.kept ?? {})
    expect(one.sessions.kept.open(session, name)).toContain('ASIA2')
    expect(JSON.stringify(session.record)).not.toContain('ASIA2')
    const stranger = await one.open(await given.signIn(one, 'eve'))
    expect(one.sessions.kept.open({ ...stranger, record: session.record }, name)).toBeUndefined()
    expect(one.sessions.kept.open({ ...session, dataKey: stranger.dataKey }, name)).toBeUndefined()
    const swapped = { ...session.record, kept: { other: session.record.kept?.[name] ?? {} } }
    expect(one.sessions.kept.open({ ...session, record: swapped }, 'other')).toBeUndefined()
  })

  test('a user of the same name at another issuer has another identity; one note does not open as another', async () => {
    const given = world()
    const one = given.startProcess()
    await one.held.fetch(await one.open(await given.signIn(one, 'ada')), wanted)
    await one.held.fetch(await one.open(await given.signIn(one, 'ada', { iss: 'https://b.test' })), wanted)
    expect(given.asked.filter((call) => call === 'GetId').length).toBe(2)
    const { store, ring } = given
    const notes = new Map<string, { bytes: Uint8Array; expiresAt: number }>()
    const recorded = {
      ...store,
      notes: { ...store.notes, set: async (key: string, note: never) => void notes.set(key, note) },
    }
    const make = () => createIdentities({ store: recorded, ring, now: () => given.clock.at })
    await make().idOf('user 1', async () => 'identity 1')
    const [[, stolen] = []] = [...notes]
    const moved = { ...recorded, notes: { ...recorded.notes, get: async () => stolen } }
    const identities = createIdentities({ store: moved, ring, now: () => given.clock.at })
    expect(await identities.idOf('user 2', async () => 'identity 2')).toBe('identity 2')
    expect(await identities.idOf('user 1', async () => 'asked again')).toBe('identity 1')
  })

  test('an identity that the pool deleted is asked for anew', async () => {
    let there = false
    const gone = Object.assign(new Error('not there'), {
      name: 'ResourceNotFoundException',
      $metadata: { httpStatusCode: 400 },
    })
    const found: string[] = []
    const given = world({
      async getId() {
        found.push('GetId')
        return `identity-${found.length}`
      },
      async getCredentials(identityId) {
        if (!there) throw gone
        return { accessKeyId: 'ASIA', secretAccessKey: 's', sessionToken: identityId, expiresAt: given.clock.at + hour }
      },
    })
    const one = given.startProcess()
    const asker = await one.open(await given.signIn(one, 'ada'))
    expect(await one.held.fetch(asker, wanted)).toMatchObject({ kind: 'refused' })
    there = true
    given.clock.at += 10_000
    expect(await one.held.fetch(asker, wanted)).toMatchObject({ credentials: { sessionToken: 'identity-2' } })
  })

  test('other claims after a refresh: what was given for the old ones is used no more; the same claims keep it', async () => {
    const given = world()
    const one = given.startProcess()
    const session = await one.open(await given.signIn(one, 'ada', { 'cognito:roles': ['a'], iat: 1 } as never))
    await one.held.fetch(session, wanted)
    const refreshed = (claims: object): LiveSession => ({
      ...session,
      tokens: { ...session.tokens, idToken: idToken({ sub: 'ada', ...claims }) },
    })
    expect(one.held.at(refreshed({ 'cognito:roles': ['a'], iat: 2 }), wanted)).toBeDefined()
    const fewer = refreshed({ 'cognito:roles': [], iat: 2 })
    expect(one.held.at(fewer, wanted)).toBeUndefined()
    expect(await one.held.fetch(fewer, wanted)).toMatchObject({ credentials: { accessKeyId: 'ASIA3' } })
    expect(standingOf(idToken({ a: 1, exp: 1, iat: 1 }))).toBe(standingOf(idToken({ exp: 2, a: 1 })))
  })

  test('PX7 credentials that come after a sign-out, be it at another process, are not used', async () => {
    const gate = new EventTarget()
    const given = world({
      getId: () => new Promise((resolve) => gate.addEventListener('open', () => resolve('identity'))),
    })
    const [one, other] = [given.startProcess(), given.startProcess()]
    const asker = await one.open(await given.signIn(one, 'ada'))
    const flight = one.held.fetch(asker, wanted)
    await other.sessions.end(asker.id, 'logout')
    // The claim and the lease take a few turns before the pool is asked.
    const opening = setInterval(() => gate.dispatchEvent(new Event('open')), 1)
    try {
      expect(await flight).toEqual({ kind: 'ended' })
    } finally {
      clearInterval(opening)
    }
    expect(one.sessions.isOver(asker.id)).toBe(true)
  })

  test('a pool that does not answer is given up in time, and asked again', async () => {
    const given = world({ getId: (_logins, signal) => never(signal) })
    const one = given.startProcess()
    const asker = await one.open(await given.signIn(one, 'ada'))
    expect(await one.held.fetch(asker, wanted)).toMatchObject({ kind: 'unavailable' })
    expect(await one.held.fetch(asker, wanted)).toMatchObject({ kind: 'unavailable' })
  })

  test('LG2 a refusal that repeats the token: it is in no line of the log', async () => {
    let token = ''
    const given = world({
      getId: () => Promise.reject(Object.assign(new Error(`bad ${token}`), { name: 'NotAuthorizedException' })),
    })
    const one = given.startProcess()
    const asker = await one.open(await given.signIn(one, 'ada'))
    token = asker.tokens.idToken
    expect(await one.held.fetch(asker, wanted)).toMatchObject({ kind: 'denied' })
    expect(given.lines.length).toBe(1)
    expect(JSON.stringify(given.lines)).not.toContain(token)
  })
})
