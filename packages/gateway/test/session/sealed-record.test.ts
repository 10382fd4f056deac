import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { newCookieValue } from '../../src/session/cookie-value.ts'
import { newRingKey } from '../../src/session/key-file.ts'
import { createKeyRing } from '../../src/session/key-ring.ts'
import type { SessionRecord } from '../../src/session/record.ts'
import {
  sealRecord,
  sealTokens,
  splitSealed,
  unsealRecord,
  unsealTokens,
  unwrapDataKey,
  wrapDataKey,
} from '../../src/session/sealed-record.ts'

const ring = createKeyRing([newRingKey(0)])
const tokens = { accessToken: 'canary-access', refreshToken: 'canary-refresh', idToken: 'canary-id', obtainedAt: 0 }
const record = { subject: { iss: 'https://idp.test', sub: 'ada' }, roles: ['admin'] } as unknown as SessionRecord

function sealedSession() {
  const cookie = newCookieValue()
  const { sealed, dataKey } = sealTokens(cookie.id, tokens)
  return { cookie, dataKey, bytes: sealRecord(ring, cookie.id, 1, record, sealed) }
}

test('ST1 any one byte flipped in a stored session: nothing of the part it lies in opens, and nothing throws', () => {
  const { cookie, dataKey, bytes } = sealedSession()
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at] = (changed[at] as number) ^ (1 << (at % 8))
    const parts = splitSealed(changed)
    const opened = parts && unsealRecord(ring, cookie.id, 1, parts)
    const openedTokens = parts && unsealTokens(cookie.id, parts.tokens, dataKey)
    expect(typeof opened === 'object' && openedTokens !== undefined, `byte ${at}`).toBe(false)
  }
})

test('ST1 a record moved to another session, put back from an older version, or cut short does not open', () => {
  const one = sealedSession()
  const other = sealedSession()
  const parts = splitSealed(one.bytes)
  if (!parts) throw new Error('unreadable')
  expect(unsealRecord(ring, one.cookie.id, 1, parts)).toEqual(record)
  expect(unsealRecord(ring, other.cookie.id, 1, parts)).toBe('tampered')
  expect(unsealRecord(ring, one.cookie.id, 2, parts)).toBe('tampered')
  expect(unsealTokens(other.cookie.id, parts.tokens, one.dataKey)).toBeUndefined()
  for (let length = 0; length < one.bytes.length; length++) {
    const cut = splitSealed(one.bytes.subarray(0, length))
    if (cut && unsealRecord(ring, one.cookie.id, 1, cut) !== 'tampered') {
      expect(unsealTokens(one.cookie.id, cut.tokens, one.dataKey)).toBeUndefined()
    }
  }
})

test('ST3 the data key opens with the cookie and the ring together, with neither alone, and under no other session', () => {
  const { cookie, dataKey } = sealedSession()
  const generation = {
    number: 1,
    secretHash: '',
    issuedAt: 0,
    wrapped: wrapDataKey(ring, cookie.id, { number: 1, secret: cookie.secret }, dataKey),
  }
  expect(unwrapDataKey(ring, cookie.id, generation, cookie.secret)).toEqual(dataKey)
  expect(unwrapDataKey(ring, cookie.id, generation, newCookieValue().secret)).toBe('tampered')
  expect(unwrapDataKey(ring, newCookieValue().id, generation, cookie.secret)).toBe('tampered')
  expect(unwrapDataKey(ring, cookie.id, { ...generation, number: 2 }, cookie.secret)).toBe('tampered')
  const foreignRing = createKeyRing([{ id: ring.current, key: randomBytes(32), createdAt: '' }])
  expect(unwrapDataKey(foreignRing, cookie.id, generation, cookie.secret)).toBe('tampered')
  expect(unwrapDataKey(createKeyRing([newRingKey(0)]), cookie.id, generation, cookie.secret)).toBe('unknown-key')
})

test('ST1 nonces are never used twice', () => {
  const seen = new Set<string>()
  for (let at = 0; at < 5000; at++)
    seen.add(sealTokens(newCookieValue().id, tokens).sealed.subarray(0, 12).toString('hex'))
  expect(seen.size).toBe(5000)
})
