import { randomBytes } from 'node:crypto'
import { expect, test } from 'vitest'
import { createFormTokens } from '../../src/session/form-token.ts'
import { createKeyRing } from '../../src/session/key-ring.ts'
import type { SessionId } from '../../src/session/store.ts'

const key = (id: string) => ({ id, key: randomBytes(32), createdAt: '' })
const session = () => randomBytes(16).toString('base64url') as SessionId

test('CS4 a token is good for its session alone, in one spelling, and no two are alike', () => {
  const [mine, yours] = [session(), session()]
  const tokens = createFormTokens(createKeyRing([key('one')]))
  const issued = Array.from({ length: 100 }, () => tokens.issue(mine))
  expect(new Set(issued.map((token) => token.slice(4, 12))).size).toBe(100)
  expect(new Set(issued.map((token) => token.slice(-8))).size).toBe(100)
  for (const token of issued) {
    // Nothing in it needs an escape, in a header, a form or HTML; and nothing tells the session.
    expect(token).toMatch(/^one\.[\w-]{64}$/)
    expect(token).not.toContain(mine)
    expect([tokens.verify(token, mine), tokens.verify(token, yours)]).toEqual([true, false])
  }
  const [token = ''] = issued
  const wrong = [
    '',
    '.',
    'one.',
    token.slice(4),
    `${token}A`,
    token.slice(0, -1),
    ` ${token}`,
    `${token}\n`,
    `${token}=`,
  ]
  for (const text of [...wrong, `${token}, ${token}`, token.replace('one', 'two'), token.replace('one', '__proto__')])
    expect([text, tokens.verify(text, mine)]).toEqual([text, false])
  for (let at = 4; at < token.length; at++) {
    const other = token[at] === 'A' ? 'B' : 'A'
    expect(tokens.verify(token.slice(0, at) + other + token.slice(at + 1), mine)).toBe(false)
  }
})

test('CS4 a token of an older key is good as long as the ring has it; one of another ring never was', () => {
  const id = session()
  const [old, young] = [key('old'), key('young')]
  const token = createFormTokens(createKeyRing([old])).issue(id)
  const rotated = createFormTokens(createKeyRing([old, young]))
  expect(rotated.verify(token, id)).toBe(true)
  expect(rotated.issue(id)).toMatch(/^young\./)
  expect(createFormTokens(createKeyRing([young])).verify(token, id)).toBe(false)
  expect(createFormTokens(createKeyRing([key('old')])).verify(token, id)).toBe(false)
})
