import fc from 'fast-check'
import { expect, test } from 'vitest'
import { normaliseEmail, verifiedEmail } from '../../src/session/email.ts'

test.each([
  ['ada@example.com', 'ada@example.com'],
  ['Ada.Lovelace@EXAMPLE.com', 'ada.lovelace@example.com'],
  ['ada+tag@example.com', 'ada+tag@example.com'],
  ['ada@bücher.example', 'ada@xn--bcher-kva.example'],
  ['ada@XN--BCHER-KVA.example', 'ada@xn--bcher-kva.example'],
  ['o\u0308a@example.com', '\u00f6a@example.com'],
  // Folded by Unicode's rules it would be an i and a dot.
  ['\u0130da@example.com', '\u0130da@example.com'],
])('%s is compared as %s', (address, expected) => {
  expect(normaliseEmail(address)).toBe(expected)
})

test.each([
  '',
  '@',
  'ada',
  'ada@',
  '@example.com',
  'a@b@example.com',
  'a da@example.com',
  'ada@example.com ',
  ' ada@example.com',
  'ada@exa mple.com',
  'ada@example.com.',
  'ada@example.com,bob@example.com',
  '"a b"@example.com',
  'ada@example.com\u0000',
  'ada@[127.0.0.1]',
  'ada@example.com/x',
  `${'a'.repeat(321)}@example.com`,
])('%j is no address', (address) => {
  expect(normaliseEmail(address)).toBeUndefined()
})

test('a spelling is compared as itself: normalising twice changes nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.emailAddress(), fc.string({ unit: 'binary' })), (address) => {
      const once = normaliseEmail(address)
      expect(once === undefined ? undefined : normaliseEmail(once)).toBe(once)
    }),
  )
})

test('an address counts when it is verified, and only then', () => {
  const email = 'ada@example.com'
  for (const verified of [true, 'true']) expect(verifiedEmail({ email, email_verified: verified })).toBe(email)
  for (const verified of [false, 'false', 'TRUE', 1, null, {}]) {
    expect(verifiedEmail({ email, email_verified: verified })).toBeUndefined()
  }
  expect(verifiedEmail({ email })).toBeUndefined()
  expect(verifiedEmail({ email: [email], email_verified: true })).toBeUndefined()
})
