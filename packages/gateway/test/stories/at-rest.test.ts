import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findLeaks, formsOf } from '../../../testkit/src/canaries.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { openKeyFile } from '../../src/session/key-file.ts'
import { splitSealed, unsealRecord, unsealTokens, unwrapDataKey } from '../../src/session/sealed-record.ts'
import type { SessionId, StoredSession } from '../../src/session/store.ts'
import { createLmdbStore } from '../../src/stores/lmdb.ts'

const filesIn = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))

test('ST3 a copied data folder holds no token, no name, no cookie, in any form; nor does any other file of the gateway', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const secret = browser.cookies()[0]?.value.split('.')[3] as string
  const needles = [
    ...world.provider.issuedTokens,
    ...world.provider.issuedCodes,
    secret,
    'Ada Lovelace',
    'ada@example.com',
  ]
  expect(world.provider.issuedTokens.size).toBeGreaterThanOrEqual(3)
  const files = filesIn(world.folder)
  expect(files.some((file) => file.endsWith('data.mdb'))).toBe(true)
  for (const file of files) {
    const text = readFileSync(file, 'latin1')
    for (const needle of needles) {
      for (const form of formsOf(needle))
        expect(text.includes(form), `${file} holds ${needle.slice(0, 12)}…`).toBe(false)
    }
  }
})

test('ST3 a thief with the data folder and the key ring learns who has sessions, and opens no token without the cookie', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const [, id, , secret] = String(browser.cookies()[0]?.value).split('.') as [string, SessionId, string, string]
  const loot = mkdtempSync(join(tmpdir(), 'coatcheck-loot-'))
  cpSync(world.folder, loot, { recursive: true })
  const store = createLmdbStore({ path: join(loot, 'data/sessions'), now: world.clock.now })
  try {
    const ring = openKeyFile(join(loot, 'coatcheck.keys'), world.clock.now)
    const stored = (await store.get(id)) as StoredSession
    const parts = splitSealed(stored.bytes)
    const record = parts && unsealRecord(ring, id, stored.version, parts)
    if (!parts || typeof record !== 'object') throw new Error('the record should open with the ring')
    expect(record.subject.sub).toBe('ada')
    const [generation] = record.lineage
    if (!generation) throw new Error('no lineage')
    // All that the thief has to try as the cookie's half of the key.
    const guesses = [generation.secretHash, generation.wrapped?.key ?? '', id, '', 'A'.repeat(43)]
    for (const guess of guesses) expect(unwrapDataKey(ring, id, generation, guess)).toBe('tampered')
    for (const purpose of ['session-record', 'login-transaction', 'log-hash'] as const) {
      expect(unsealTokens(id, parts.tokens, ring.derive(ring.current, purpose) as Buffer)).toBeUndefined()
    }
    // With the cookie it opens: the test looks at the right bytes.
    const dataKey = unwrapDataKey(ring, id, generation, secret)
    if (typeof dataKey === 'string') throw new Error(dataKey)
    expect(world.provider.issuedTokens).toContain(unsealTokens(id, parts.tokens, dataKey)?.accessToken)
  } finally {
    await store.close()
    rmSync(loot, { recursive: true })
  }
})

test('ST3 LG2 PX3 the DPoP key and its proofs: in no file, log line or byte for the browser; only the cookie opens the key', async () => {
  await using world = await createWorld({
    store: 'lmdb',
    provider: { dpop: 'nonce', par: 'offered', ttl: { accessToken: 600 } },
    config: { providers: { corp: { dpop: 'always', authorizationParams: { prompt: 'consent' } } } },
  })
  const browser = await world.signedIn()
  await browser.fetch('/api/echo')
  world.clock.advance(11 * 60_000)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  // Bad luck writes more into a log than good luck.
  const undo = world.provider.failAs(400, { error: 'invalid_dpop_proof' }, '/token')
  world.clock.advance(11 * 60_000)
  await browser.fetch('/api/echo')
  const unlucky = world.browser('unlucky')
  expect((await unlucky.signIn({ as: 'bob' })).status).toBe(400)
  undo()
  await browser.fetch('/api/dies')

  const [, id, number, secret] = String(browser.cookies()[0]?.value).split('.') as [string, SessionId, string, string]
  const ring = openKeyFile(join(world.folder, 'coatcheck.keys'), world.clock.now)
  const stored = (await world.store.get(id)) as StoredSession
  const parts = splitSealed(stored.bytes)
  const record = parts && unsealRecord(ring, id, stored.version, parts)
  if (!parts || typeof record !== 'object') throw new Error('the record should open with the ring')
  expect(record).not.toHaveProperty('dpopKey')
  const generation = record.lineage.find((one) => String(one.number) === number)
  const dataKey = generation && unwrapDataKey(ring, id, generation, secret)
  if (!Buffer.isBuffer(dataKey)) throw new Error('the cookie should open the tokens')
  const key = unsealTokens(id, parts.tokens, dataKey)?.dpopKey ?? ''
  expect(key).toMatch(/^[\w-]{43}$/)

  const proofs = [
    ...world.provider.requests.map(({ headers }) => headers.dpop),
    ...world.upstream.requests.map((one) => one.header('dpop')),
  ]
  const canaries = [key, ...proofs.filter((one) => one !== undefined).map(String)]
  expect(canaries.length).toBeGreaterThan(6)
  expect(findLeaks([...browser.seen, ...unlucky.seen], canaries)).toEqual([])
  const places = [
    ...filesIn(world.folder).map((file) => [file, readFileSync(file, 'latin1')]),
    ['the log', world.log.text()],
  ]
  for (const [place = '', text = ''] of places) {
    for (const canary of canaries) {
      for (const form of formsOf(canary))
        expect(text.includes(form), `${place} holds ${canary.slice(0, 12)}…`).toBe(false)
    }
  }
})

test('ST3 sign-out shreds: afterwards neither cookie nor ring nor any process finds the sealed tokens in the store', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  const id = browser.cookies()[0]?.value.split('.')[1] as SessionId
  expect(await world.store.get(id)).toHaveProperty('bytes')
  await browser.fetch('/auth/logout', { method: 'POST' })
  expect(await world.store.get(id)).not.toHaveProperty('bytes')
})

test('ST1 a flipped byte in the store: that session is dead and reported, another lives', async () => {
  await using world = await createWorld()
  const ada = await world.signedIn()
  const bob = await world.signedIn({ browser: 'bob', as: 'bob' })
  const id = ada.cookies()[0]?.value.split('.')[1] as SessionId
  const stored = (await world.store.get(id)) as StoredSession
  const bytes = Buffer.from(stored.bytes)
  bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
  await world.store.put({ ...stored, bytes, version: stored.version + 1 }, stored.version)
  expect((await ada.fetch('/api/echo')).status).toBe(401)
  expect((await bob.fetch('/api/echo')).status).toBe(200)
  expect(world.log.events('crypt_decrypt_fail')).toHaveLength(1)
})

test('sessions, and the key ring that opens them, survive a restart; the ring is readable by its owner only', async () => {
  await using world = await createWorld({ store: 'lmdb' })
  const browser = await world.signedIn()
  await world.stopGateway()
  await world.startGateway()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  for (const file of filesIn(world.folder).filter((file) => /\.keys$|\.mdb$/.test(file))) {
    expect(statSync(file).mode & 0o077, file).toBe(0)
  }
})
