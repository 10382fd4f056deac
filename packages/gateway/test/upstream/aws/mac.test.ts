import { createHmac } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createMac } from '../../../src/upstream/aws/mac.ts'

const hmac = (key: Uint8Array, text: string) => createHmac('sha256', key).update(text).digest('hex')

/** Visible ASCII and line feeds, as in what is signed. */
const texts = fc.string({
  unit: fc.constantFrom(...'\n !"#$%&()*+,-./09:;<=>?@AZ[]^_az{|}~'),
  maxLength: 1000,
})

test('the MAC is the HMAC-SHA256 of node:crypto, text after text under one key', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(texts, { minLength: 1, maxLength: 5 }), (key, given) => {
      const mac = createMac(key)
      expect(given.map(mac)).toEqual(given.map((text) => hmac(key, text)))
    }),
  )
})

test('a short text after a long one, and one that just fits, leave nothing of the other', () => {
  const key = Buffer.alloc(32, 7)
  const mac = createMac(key)
  for (const length of [0, 255, 256, 257, 4096, 3, 4097, 256, 0]) {
    expect(mac('x'.repeat(length))).toBe(hmac(key, 'x'.repeat(length)))
  }
})

test('a key that is longer than a block, or text that is not ASCII, is refused: its MAC would be another one', () => {
  expect(() => createMac(Buffer.alloc(65))).toThrow(RangeError)
  expect(() => createMac(Buffer.alloc(32))('\u0109')).toThrow(RangeError)
  expect(() => createMac(Buffer.alloc(32))('é')).toThrow(RangeError)
})
