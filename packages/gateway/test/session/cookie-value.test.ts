import fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatCookieValue, newCookieValue, parseCookieValue } from '../../src/session/cookie-value.ts'

test('ID1 ten thousand cookie values: no id and no secret twice, 128 and 256 bits, no UUID, every bit position random', () => {
  const values = Array.from({ length: 10_000 }, newCookieValue)
  expect(new Set(values.map((value) => value.id)).size).toBe(10_000)
  expect(new Set(values.map((value) => value.secret)).size).toBe(10_000)
  const ones = new Array<number>(384).fill(0)
  for (const { id, secret } of values) {
    const bytes = Buffer.concat([Buffer.from(id, 'base64url'), Buffer.from(secret, 'base64url')])
    expect(bytes.length).toBe(48)
    for (let bit = 0; bit < 384; bit++)
      if ((bytes[bit >> 3] as number) & (1 << (bit & 7))) ones[bit] = (ones[bit] as number) + 1
  }
  // 5000 ± 10 standard deviations (σ = 50): a fixed bit, as the version of a UUID, would be 0 or 10,000.
  for (const count of ones) expect(Math.abs(count - 5000)).toBeLessThan(500)
})

test('a cookie value has one spelling', () => {
  const value = newCookieValue()
  const text = formatCookieValue(value)
  expect(parseCookieValue(text)).toEqual(value)
  for (const other of [
    text.replace('.1.', '.01.'),
    text.replace('.1.', '..'),
    text.replace('.1.', '.-1.'),
    text.replace('.1.', '.1e3.'),
    text.replace('v1.', 'v2.'),
    `${text}=`,
    ` ${text}`,
    text.slice(0, -1),
    text.replace(/.$/, '+'),
    `"${text}"`,
    'v1.1.1',
    '',
  ]) {
    expect(parseCookieValue(other), other).toBeUndefined()
  }
})

test('whatever arrives as a cookie, the parser gives a value that formats back to it, or nothing', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^v1\.[\w-]{20,24}\.\d{0,12}\.[\w-]{40,45}$/)), (text) => {
      const value = parseCookieValue(text)
      if (value !== undefined) expect(formatCookieValue(value)).toBe(text)
    }),
  )
})
