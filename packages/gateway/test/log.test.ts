import { expect, test } from 'vitest'
import { createLog } from '../src/log.ts'

function lineOf(fields: object): Record<string, unknown> {
  const lines: string[] = []
  createLog({ level: 'info', destination: { write: (line) => void lines.push(line) } }).info(fields, 'x')
  return JSON.parse(lines.join(''))
}

test('the code of a fault is told: a full disk, a refused connection; one that has none has none', () => {
  const fault = (code?: string) =>
    lineOf({ err: Object.assign(new Error('x'), code === undefined ? {} : { code }) }).err
  for (const code of [
    'ENOSPC',
    'ECONNREFUSED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'UND_ERR_SOCKET',
    'ERR_HTTP2_STREAM_ERROR',
  ])
    expect(fault(code)).toMatchObject({ code })
  expect(fault()).not.toHaveProperty('code')
})

test('LG2 an OAuth code or a token on what is logged is redacted, on a fault too', () => {
  const secret = 'SplxlOBeZQQYbYS6WxSbIA'
  expect(JSON.stringify(lineOf({ err: Object.assign(new Error('x'), { code: secret, token: secret }) }))).not.toContain(
    secret,
  )
  expect(JSON.stringify(lineOf({ query: { code: 'EABCDEF', token: secret } }))).not.toMatch(/EABCDEF|Splx/)
})
