import { SignJWT } from 'jose'
import { expect, test } from 'vitest'
import { jwtStart, withoutRequestId } from '../src/chance.ts'

test('a JWT is known by its beginning, even one that is cut; an id with the same first letters is none', async () => {
  const token = await new SignJWT({ sub: 'ada' }).setProtectedHeader({ alg: 'HS256' }).sign(Buffer.alloc(32))
  for (const text of [token, token.slice(0, 12), 'eyJ0eXAiOiJKV1QifQ.e30.x']) expect(`"${text}"`).toMatch(jwtStart)
  for (const id of ['eyJ_4kPq0dTrV', 'AAeyJaaaaaaaaaaaaaaaaa']) expect(`"${id}"`).not.toMatch(jwtStart)
})

test('the id of a request is taken out of a header, a problem document and a page, and nothing else', () => {
  for (const [text, rest] of [
    ['HTTP/1.1 502\r\nX-Request-Id: aevil_1\r\nA: evil', 'HTTP/1.1 502\r\nX-Request-Id: \r\nA: evil'],
    ['x-request-id\naevil_1\na\nevil', 'x-request-id\n\na\nevil'],
    ['{"code":"x","requestId":"aevil_1","a":"evil"}', '{"code":"x","requestId":"","a":"evil"}'],
    ['<code>evil</code> · Request <code>aevil_1</code>', '<code>evil</code> · Request <code></code>'],
  ] as const)
    expect(withoutRequestId(text)).toBe(rest)
})
