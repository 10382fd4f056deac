import { UnsecuredJWT } from 'jose'
import { describe, expect, test } from 'vitest'
import type { LiveSession } from '../../../src/session/record.ts'
import type { SessionId } from '../../../src/session/store.ts'
import type { AwsCredentials } from '../../../src/upstream/aws/credentials.ts'
import type { IdentityCalls } from '../../../src/upstream/aws/identity-sdk.ts'
import { createRoleCredentials, standingOf, type Wanted } from '../../../src/upstream/aws/role-credentials.ts'

const idToken = (claims: object) => new UnsecuredJWT({ ...claims }).encode()
const pool = { id: 'eu-west-1:x', flow: 'enhanced', roleFrom: 'token' } as const
const wanted: Wanted = { pool, loginsKey: 'idp', roleArn: undefined }

function sessionOf(sub: string, id = `session-${sub}`, claims: object = {}): LiveSession {
  const tokens = { idToken: idToken({ sub, ...claims }), accessToken: 'access', obtainedAt: 0 }
  const record = { subject: { iss: 'https://idp.test', sub }, provider: 'aws' }
  return { id: id as SessionId, record, tokens } as unknown as LiveSession
}

function parts(calls: Partial<IdentityCalls> = {}) {
  const asked: string[] = []
  const lines: object[] = []
  const time = 0
  const note = (fields: unknown) => void lines.push(fields as object)
  const usual: IdentityCalls = {
    async getId() {
      asked.push('GetId')
      return `identity-${asked.length}`
    },
    async getCredentials(identityId) {
      asked.push('GetCredentials')
      const credentials: AwsCredentials = {
        ...{ accessKeyId: 'ASIA', secretAccessKey: 'secret', sessionToken: identityId, expiresAt: time + 3_600_000 },
      }
      return credentials
    },
    assumeRole: () => Promise.reject(new Error('not asked for')),
  }
  const held = createRoleCredentials({
    log: { info: note, warn: note, error: note, debug: note } as never,
    now: () => time,
    handleOf: () => 'handle',
    callsOf: () => ({ ...usual, ...calls }),
    timeouts: { call: 30, all: 50 },
  })
  return { held, asked, lines }
}

const never = (signal: AbortSignal) =>
  new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))

describe('credentials of roles', () => {
  test('one flight for all who ask; two sessions of a user share the identity, and no credentials', async () => {
    const { held, asked } = parts()
    const one = sessionOf('ada')
    await Promise.all(Array.from({ length: 1000 }, () => held.fetch(one, wanted)))
    expect(asked).toEqual(['GetId', 'GetCredentials'])
    await held.fetch(sessionOf('ada', 'second'), wanted)
    expect(asked).toEqual(['GetId', 'GetCredentials', 'GetCredentials'])
    expect(held.at(sessionOf('bob'), wanted)).toBeUndefined()
  })

  test('a user of the same name at another issuer has another identity', async () => {
    const { held, asked } = parts()
    const here = sessionOf('ada')
    const there = {
      ...sessionOf('ada', 'there'),
      record: { ...here.record, subject: { iss: 'https://b.test', sub: 'ada' } },
    }
    await held.fetch(here, wanted)
    await held.fetch(there as LiveSession, wanted)
    expect(asked.filter((call) => call === 'GetId').length).toBe(2)
  })

  test('other claims after a refresh: what was given for the old ones is used no more; the same claims keep it', async () => {
    const { held } = parts()
    await held.fetch(sessionOf('ada', 's', { 'cognito:roles': ['a'], iat: 1 }), wanted)
    expect(held.at(sessionOf('ada', 's', { 'cognito:roles': ['a'], iat: 2 }), wanted)).toBeDefined()
    expect(held.at(sessionOf('ada', 's', { 'cognito:roles': [], iat: 2 }), wanted)).toBeUndefined()
    expect(standingOf(idToken({ a: 1, exp: 1, iat: 1 }))).toBe(standingOf(idToken({ exp: 2, a: 1 })))
  })

  test('credentials that come after sign-out are not used', async () => {
    const gate = new EventTarget()
    const { held } = parts({
      getId: () => new Promise((resolve) => gate.addEventListener('open', () => resolve('identity'))),
    })
    const session = sessionOf('ada')
    const flight = held.fetch(session, wanted)
    held.forget(session.id)
    gate.dispatchEvent(new Event('open'))
    expect(await flight).toEqual({ kind: 'ended' })
    expect(held.at(session, wanted)).toBeUndefined()
  })

  test('a pool that does not answer is given up in time, and asked again', async () => {
    const { held } = parts({ getId: (_logins, signal) => never(signal) })
    expect(await held.fetch(sessionOf('ada'), wanted)).toMatchObject({ kind: 'unavailable' })
    expect(await held.fetch(sessionOf('ada'), wanted)).toMatchObject({ kind: 'unavailable' })
  })

  test('LG2 a refusal that repeats the token: it is in no line of the log', async () => {
    const session = sessionOf('ada')
    const error = Object.assign(new Error(`bad ${session.tokens.idToken}`), { name: 'NotAuthorizedException' })
    const { held, lines } = parts({ getId: () => Promise.reject(error) })
    expect(await held.fetch(session, wanted)).toMatchObject({ kind: 'denied' })
    expect(lines.length).toBe(1)
    expect(JSON.stringify(lines)).not.toContain(session.tokens.idToken)
  })
})
