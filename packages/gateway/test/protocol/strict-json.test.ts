import fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStrictJson } from '../../src/protocol/strict-json.ts'

test('what JSON writes is read as it was, whatever is in it', () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
      const text = JSON.stringify(value, undefined, indent)
      expect(parseStrictJson(text)).toEqual(JSON.parse(text))
    }),
  )
})

test.each([
  '{"a":1,"a":1}',
  '{"a":1, "b":2,\n"a" :3}',
  '{"a":1,"\\u0061":2}',
  '[{"x":{"a":[],"b":{},"a":[]}}]',
  '{"a":{"a":1},"a":2}',
  '{"":1,"":2}',
  '{"a\\"":1,"a\\"":2}',
  '{"__proto__":1,"__proto__":2}',
])('%s says something twice', (text) => {
  expect(() => JSON.parse(text)).not.toThrow()
  expect(() => parseStrictJson(text)).toThrow('twice')
})

test.each(['{"a":"a","b":["a","a"],"c":{"a":"a:","b":"\\"a\\":"}}', '[{"a":1},{"a":1}]', '{"a":{"a":{"a":1}}}', '"a"'])(
  '%s says nothing twice',
  (text) => {
    expect(parseStrictJson(text)).toEqual(JSON.parse(text))
  },
)

test('deep and long texts are read in good time', () => {
  const deep = `${'['.repeat(30_000)}${']'.repeat(30_000)}`
  expect(() => parseStrictJson(deep)).not.toThrow()
  const long = JSON.stringify({ a: 'x'.repeat(60_000), b: '\\'.repeat(30_000) })
  expect(parseStrictJson(long)).toEqual(JSON.parse(long))
})
