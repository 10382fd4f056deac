import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { formsOf } from '../../../testkit/src/canaries.ts'
import { createAwsWorld } from './aws-world.ts'
import type { CognitoWorld } from './cognito-world.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { startSecondProcess } from './second-gateway.ts'
import { beginPost } from './slow-post.ts'

const count = ({ cognito: { identityPool } }: CognitoWorld) =>
  ['GetId', 'GetCredentialsForIdentity'].map((name) => identityPool.faults.count(name))

test('PX7 two processes on one store: a thousand calls cost one GetId and one GetCredentialsForIdentity', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  await using process = await startSecondProcess(given.world)
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  const there = browser.through(process.url)
  const calls = Array.from({ length: 1000 }, (_, i) => (i % 2 ? browser : there).fetch('/prod/me'))
  const answers = await Promise.all(calls)
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(count(given)).toEqual([1, 1])
  expect(given.cognito.credentials.minted.length).toBe(1)
})

test('PX7 two workers: the same', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  await using gateway = await startGatewayProcess(given.world, { workers: 2 })
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  const answers = await Promise.all(Array.from({ length: 200 }, () => browser.fetch('/prod/me')))
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
  expect(count(given)).toEqual([1, 1])
  expect(gateway.events('aws_credentials_obtained').length).toBe(1)
})

test('PX7 a restart asks the pool for nothing, and neither does a new session of a known user for the identity', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  expect((await browser.fetch('/prod/me')).status).toBe(200)
  await given.world.stopGateway()
  await using process = await startSecondProcess(given.world)
  expect((await browser.through(process.url).fetch('/prod/me')).status).toBe(200)
  expect(count(given)).toEqual([1, 1])
  await process.stop()
  await using _gateway = await startGatewayProcess(given.world)
  const again = await given.signIn({ browser: 'again', query: '&idp=Okta' })
  expect((await again.browser.fetch('/prod/me')).status).toBe(200)
  expect(count(given)).toEqual([1, 2])
})

test('PX7 a sign-out at one process: at the other nothing is signed from then on', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  await using process = await startSecondProcess(given.world)
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  const there = browser.saved().through(process.url)
  expect((await there.fetch('/prod/me')).status).toBe(200)
  const api = given.cognito.aws('execute-api')
  const signed = api.received.length
  expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect((await there.fetch('/prod/me')).status).toBe(401)
  expect(api.received.length).toBe(signed)
})

test('PX7 a sign-out at one process while the body comes at the other: it is not signed any more', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  await using process = await startSecondProcess(given.world)
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  expect((await browser.fetch('/prod/me')).status).toBe(200)
  const api = given.cognito.aws('execute-api')
  const signed = api.received.length
  const post = await beginPost(browser, '/prod/me', { at: process.url })
  expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect((await post.finish()).status).toBe(401)
  expect(api.received.length).toBe(signed)
})

test('PX7 a sign-out at one process while AWS refuses what the other signed: it is not signed once more', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  await using process = await startSecondProcess(given.world)
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  const there = browser.saved().through(process.url)
  expect((await there.fetch('/prod/me')).status).toBe(200)
  const { faults, received } = given.cognito.aws('execute-api')
  // The clock is off, for which it would be signed again; and the answer takes long enough to sign out before it.
  faults.skew = 600_000
  faults.add({ kind: 'delay', ms: 300 }, { times: 1 })
  const asking = there.fetch('/prod/me').catch(() => undefined)
  await expect.poll(() => faults.calls.length).toBe(2)
  expect((await browser.fetch('/auth/logout', { method: 'POST' })).status).toBe(200)
  expect((await asking)?.status).not.toBe(200)
  expect(received.length).toBe(2)
})

test('PX3 ST3 the store holds no AWS credential and no identity that can be read', async () => {
  await using given = await createAwsWorld({ store: 'lmdb' })
  const { browser } = await given.signIn({ query: '&idp=Okta' })
  const answer = await browser.fetch('/prod/me')
  const { identityId } = answer.json<{ identityId: string }>()
  const { minted } = given.cognito.credentials
  expect(minted.length).toBe(1)
  const needles = minted.flatMap((one) => [one.accessKeyId, one.secretAccessKey, one.sessionToken, identityId])
  const files = readdirSync(given.world.folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile())
  expect(files.some(({ name }) => name === 'data.mdb')).toBe(true)
  for (const { parentPath, name } of files) {
    const text = readFileSync(join(parentPath, name), 'latin1')
    for (const form of needles.flatMap(formsOf))
      expect(text.includes(form), `${name}: ${form.slice(0, 8)}…`).toBe(false)
  }
})
