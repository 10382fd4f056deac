import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { quotesSigning } from '../../../src/upstream/aws/quoted-signing.ts'

const words =
  '{"message":"The request signature we calculated does not match… The Canonical String for this request should have been\\n\'GET\\n/prod\\n\\nhost:a\\nx-amz-security-token:IQoJ\\n"}'

test.each<[string, (text: string) => Buffer, string | undefined]>([
  ['as it is', Buffer.from, undefined],
  ['gzip', gzipSync, 'gzip'],
  ['deflate', deflateSync, 'deflate'],
  ['br', brotliCompressSync, 'br'],
])('PX3 what AWS says of a bad signature is found: %s', (_, coded, coding) => {
  expect(quotesSigning(coded(words), coding)).toBe(true)
  // The end is still on its way.
  const long = coded(words + 'x'.repeat(5000))
  expect(quotesSigning(long.subarray(0, long.length - 3), coding)).toBe(true)
  expect(quotesSigning(coded('{"message":"name is missing"}'), coding)).toBe(false)
})

test.each([
  ['Credential=ASIAEXAMPLEEXAMPLE00/20261126/', true],
  ['AWS4-HMAC-SHA256 Credential=…', true],
  ['the ASIAN market', false],
  ['', false],
])('%j: %s', (text, quotes) => {
  expect(quotesSigning(Buffer.from(text), undefined)).toBe(quotes)
})

test('PX3 what can not be read is not passed on', () => {
  expect(quotesSigning(Buffer.from('words'), 'zstd')).toBe(true)
  expect(quotesSigning(Buffer.from('words'), 'gzip')).toBe(true)
})
