import { expect, test } from 'vitest'
import { findLeaks, formsOf } from '../src/canaries.ts'

const seen = (body: string) => [
  {
    method: 'GET',
    url: 'http://a.example/',
    requestHeaders: {},
    status: 200,
    rawHeaders: ['set-cookie', 'login=xxLi4xx'],
    body: Buffer.from(body),
  },
]

test('a text so short that chance writes it is refused instead of looked for: `..` is `Li4` in base64', () => {
  expect(() => findLeaks(seen(''), ['..'])).toThrow(RangeError)
  expect(() => formsOf('..')).toThrow('too short')
})

test('a part of a token is looked for where it is long enough', () => {
  const claims = Buffer.from('{"sub":"ada"}').toString('base64url')
  expect(formsOf(`eyJhbGciOiJub25lIn0.${claims}.sig`)).toContain(claims)
  expect(formsOf('eyJhbGciOiJub25lIn0.__4.abc')).not.toContain('__4')
  expect(findLeaks(seen(`x${claims}x`), [`eyJhbGciOiJub25lIn0.${claims}.sig`])).toHaveLength(1)
})
