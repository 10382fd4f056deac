import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Answer, type Outcome, readOurs, readUndici } from './reading.ts'

/**
 * undici's parser is llhttp, the one of Node itself. Where it refuses an answer, ours must too; where both accept one, they
 * must have read the same; and a connection that undici would not use again, ours may not either. What only ours refuses is
 * its right, and listed below (`stricter`).
 */
const runs = Number(process.env.FUZZ_RUNS ?? 4000)

const name = fc.constantFrom(
  ...['Content-Type', 'x-a', 'ETag', 'Set-Cookie', 'Connection', 'connection', 'Keep-Alive', 'Trailer', 'Upgrade'],
  ...['Content-Length', 'content-length', 'CONTENT-LENGTH', 'Transfer-Encoding', 'transfer-encoding', 'Content_Length'],
)
const value = fc.oneof(
  fc.constantFrom('a', '', 'a b', 'close', 'keep-alive', 'Close', 'keep-alive, close', 'timeout=5', 'timeout=1, max=3'),
  fc.constantFrom('chunked', 'Chunked', 'gzip, chunked', 'identity', 'chunked, chunked', 'websocket', 'upgrade'),
  fc.constantFrom('0', '5', '+5', '-1', '5,5', '5, 5', '05', '0x5', '5 5', ' 5', '99999999999999999999', '1e1', '\xe9'),
)
const blank = fc.constantFrom('', ' ', '\t', '  ')
const line = fc
  .tuple(name, blank, value, blank)
  .map(([field, before, text, after]) => `${field}:${before}${text}${after}\r\n`)
const quiet = fc.constantFrom('X-A: b\r\n', 'Content-Type: text/html; charset="utf-8"\r\n', 'Date: now\r\n', 'E:\r\n')
const body = fc.string({ unit: fc.constantFrom('a', 'b', '\r', '\n', '0', '\0', '\xff', ' '), maxLength: 40 })
const extension = fc.constantFrom('', '', '', ';a', ';a=b', ';a="b;\\"c"', ';', ';a=', '; a', ' ;a', ' ', ';a="', ';=b')
const chunk = fc
  .tuple(body, extension, fc.constantFrom('', '0', '00'), fc.boolean())
  .map(([data, ext, zeros, upper]) => {
    const size = data.length.toString(16)
    return data === '' ? '' : `${zeros}${upper ? size.toUpperCase() : size}${ext}\r\n${data}\r\n`
  })
const trailers = fc.array(fc.oneof({ weight: 4, arbitrary: quiet }, { weight: 1, arbitrary: line }), { maxLength: 2 })

/** Framing headers and the bytes that belong to them. */
const framed = fc.oneof(
  body.map((text) => ({ header: `Content-Length: ${text.length}\r\n`, bytes: text })),
  fc
    .tuple(fc.array(chunk, { maxLength: 4 }), trailers, fc.constantFrom('0', '000', '0;a=b'))
    .map(([chunks, lines, last]) => ({
      header: 'Transfer-Encoding: chunked\r\n',
      bytes: `${chunks.join('')}${last}\r\n${lines.join('')}\r\n`,
    })),
  body.map((text) => ({ header: '', bytes: text })),
)
const informational = fc.constantFrom(
  ...['', '', '', 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'],
  ...[
    'HTTP/1.1 102 Processing\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n',
  ],
)
const statusLine = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('HTTP/1.1 200 OK', 'HTTP/1.1 404 Not Found', 'HTTP/1.1 204 No Content') },
  {
    weight: 2,
    arbitrary: fc.constantFrom('HTTP/1.1 304 Not Modified', 'HTTP/1.0 200 OK', 'HTTP/1.1 200 ', 'HTTP/1.1 500'),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      ...['HTTP/2.0 200 OK', 'HTTP/0.9 200 OK', 'HTTP/1.2 200 OK', 'http/1.1 200 OK', 'HTTP/1.1  200 OK'],
      ...[
        'HTTP/1.1 20 OK',
        'HTTP/1.1 2000 OK',
        'HTTP/1.1 099 Odd',
        'HTTP/1.1 999 Odd',
        'ICY 200 OK',
        'HTTP/1.1 200\tOK',
      ],
      ...['HTTP/1.1 200 \xe9', ' HTTP/1.1 200 OK', '\r\nHTTP/1.1 200 OK', 'HTTP/1.1 200 O\0K', 'HTTP/11 200 OK'],
    ),
  },
)
const wellFormed = fc
  .record({
    before: informational,
    status: statusLine,
    lines: fc.array(fc.oneof({ weight: 3, arbitrary: quiet }, { weight: 1, arbitrary: line }), { maxLength: 4 }),
    framed,
    at: fc.nat(4),
    surplus: fc.constantFrom('', '', '', '', '\r\n', 'x', 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil'),
  })
  .map(({ before, status, lines, framed: { header, bytes }, at, surplus }) => {
    const all = lines.toSpliced(at, 0, header)
    return `${before}${status}\r\n${all.join('')}\r\n${bytes}${surplus}`
  })

/** One small edit: what a careless or malicious upstream might get wrong. */
const edit = fc.record({
  at: fc.nat(400),
  cut: fc.nat(2),
  put: fc.constantFrom(
    ...['', '\r', '\n', '\r\n', '\0', ' ', '\t', ':', ';', ',', '0', 'f', '+', '-', '\x7f', '\xa0', '"', '\\', '='],
    ...['\r\n ', ' \r\n', '\n\n', '\r\r', 'Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', '0\r\n\r\n'],
  ),
})
const sent = fc.record({
  text: fc.tuple(wellFormed, fc.array(edit, { maxLength: 2 })).map(([text, edits]) =>
    edits.reduce((edited, { at, cut, put }) => {
      const start = at % (edited.length + 1)
      return edited.slice(0, start) + put + edited.slice(start + cut)
    }, text),
  ),
  cuts: fc.array(fc.nat(400), { maxLength: 5 }),
  method: fc.constantFrom('GET', 'GET', 'GET', 'HEAD', 'POST'),
})

/** Blanks around a value belong to nobody (RFC 9110 §5.5); llhttp leaves those behind it where they are. */
function plain(fields: string[]): string[] {
  return fields.map((text) => text.replace(/^[\t ]+|[\t ]+$/g, ''))
}

function same({ status, headers, body, trailers }: Answer) {
  return { status, headers: plain(headers), body, trailers: plain(trailers) }
}

/** What only we accept, with the reason. Nothing else may be. */
function whyAccepted(mine: Answer, refused: string): string | undefined {
  if (mine.status === 304 && refused === 'Response body length does not match content-length header')
    return 'RFC 9110 §8.6: 304 may have the Content-Length of a 200, and never a body; undici waits for one'
  return undefined
}

const isAnswer = (outcome: Outcome): outcome is Answer => !('refused' in outcome)

test('what undici refuses is refused, what both accept is read alike, and no connection lives longer', async () => {
  let both = 0
  let reused = 0
  let ours = 0
  await fc.assert(
    fc.asyncProperty(sent, async (one) => {
      const mine = readOurs(one)
      const theirs = await readUndici(one)
      if (!isAnswer(mine)) {
        if (isAnswer(theirs)) ours++
        return
      }
      if (!isAnswer(theirs)) {
        expect({ one, theirs, why: whyAccepted(mine, theirs.refused) }).not.toHaveProperty('why', undefined)
        return
      }
      both++
      expect(same(mine)).toEqual(same(theirs))
      if (mine.reusable) {
        reused++
        expect(theirs.reusable).toBe(true)
      }
    }),
    { numRuns: runs },
  )
  // Else nothing was compared.
  expect(both).toBeGreaterThan(runs / 10)
  expect(reused).toBeGreaterThan(runs / 100)
  expect(ours).toBeGreaterThan(0)
}, 600_000)
