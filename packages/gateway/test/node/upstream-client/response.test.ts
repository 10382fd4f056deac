import { describe, expect, test } from 'vitest'
import { readOurs } from './reading.ts'

const head = (...lines: string[]) => `${['HTTP/1.1 200 OK', ...lines].join('\r\n')}\r\n\r\n`
const chunked = (rest: string) => head('Transfer-Encoding: chunked') + rest
const refused = (why: RegExp) => ({ refused: expect.stringMatching(why) })

describe('where an answer ends', () => {
  test.each([
    ['by its length', `${head('Content-Length: 3')}abc`, { body: 'abc', reusable: true }],
    ['at once', head('Content-Length: 0'), { body: '', reusable: true }],
    ['with the connection', `${head()}abc`, { body: 'abc', reusable: false }],
    ['in chunks', chunked('3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n'), { body: 'abc0123456789', reusable: true }],
    [
      'in chunks that have extensions',
      chunked('3;a;b=c;d="e;\\"f"\r\nabc\r\n0;z\r\n\r\n'),
      { body: 'abc', reusable: true },
    ],
    [
      'in chunks with trailers',
      chunked('1\r\na\r\n0\r\nX: y\r\n\r\n'),
      { body: 'a', trailers: ['X', 'y'], reusable: true },
    ],
    ['in chunks, sizes with zeros before', chunked('0003\r\nabc\r\n00\r\n\r\n'), { body: 'abc', reusable: true }],
    ['without a body: 204', 'HTTP/1.1 204 No Content\r\n\r\n', { body: '', reusable: true }],
    ['without a body: 304', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', { body: '', reusable: false }],
    [
      'after informational answers',
      `HTTP/1.1 103 Early\r\nLink: a\r\n\r\n${head('Content-Length: 1')}x`,
      { body: 'x', status: 200 },
    ],
    ['by its length, with bytes behind it', `${head('Content-Length: 3')}abcd`, { body: 'abc', reusable: false }],
    ['in chunks, with bytes behind them', chunked('0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'), { body: '', reusable: false }],
    ['by its length, closing', `${head('Content-Length: 1', 'Connection: x, Close')}a`, { body: 'a', reusable: false }],
    ['in HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na', { body: 'a', reusable: false }],
    [
      'in HTTP/1.0, and goes on',
      'HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na',
      { body: 'a', reusable: true },
    ],
    [
      'with an upstream that is about to close',
      `${head('Content-Length: 1', 'Keep-Alive: timeout=2')}a`,
      { body: 'a', reusable: false },
    ],
  ])('%s', (_, text, expected) => {
    for (const cuts of everyCut(text)) expect(readOurs({ text, cuts })).toMatchObject(expected)
  })

  test('HEAD has none, whatever its headers say', () => {
    const text = head('Content-Length: 1000')
    expect(readOurs({ text, method: 'HEAD' })).toMatchObject({ body: '', headers: ['Content-Length', '1000'] })
    expect(readOurs({ text: head('Transfer-Encoding: chunked'), method: 'HEAD' })).toMatchObject({ body: '' })
  })

  test.each([
    ['before its head', ''],
    ['in its head', 'HTTP/1.1 200 OK\r\nA: b\r\n'],
    ['in its body', `${head('Content-Length: 3')}ab`],
    ['in a chunk', chunked('3\r\nab')],
    ['before its last chunk', chunked('3\r\nabc\r\n')],
    ['in its trailers', chunked('0\r\nX: y\r\n')],
  ])('never %s', (_, text) => {
    for (const cuts of everyCut(text)) expect(readOurs({ text, cuts })).toEqual({ refused: 'cut' })
  })
})

describe('refused, since two readers could find another end', () => {
  const ambiguous: [string, string, RegExp][] = [
    ['both lengths', head('Content-Length: 3', 'Transfer-Encoding: chunked'), /both/],
    ['both lengths, the other way round', head('Transfer-Encoding: chunked', 'Content-Length: 3'), /both/],
    ['two lengths', head('Content-Length: 3', 'Content-Length: 4'), /more than one content-length/],
    ['two equal lengths', head('Content-Length: 3', 'content-length: 3'), /more than one content-length/],
    ...['+5', '-1', '5,5', '5, 5', '0x5', '1e1', '5 5', '', '\xb2', '9'.repeat(16)].map(
      (length): [string, string, RegExp] => [`the length ${length}`, head(`Content-Length: ${length}`), /not a number/],
    ),
    ...['gzip, chunked', 'chunked, gzip', 'identity', 'chunked, chunked', 'xchunked', 'chunked;a=b', ''].map(
      (coding): [string, string, RegExp] => [
        `the coding ${coding}`,
        head(`Transfer-Encoding: ${coding}`),
        /other than chunked/,
      ],
    ),
    ['two codings', head('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), /more than one transfer/],
    ['chunks in HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', /HTTP\/1\.0/],
    ['204 with a body', 'HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nhi', /announced/],
    ['103 with a body', 'HTTP/1.1 103 Early Hints\r\nContent-Length: 2\r\n\r\nhi', /announced/],
    ['an informational answer that closes', 'HTTP/1.1 103 Early Hints\r\nConnection: close\r\n\r\n', /informational/],
    ['100, which nobody waits for', `HTTP/1.1 100 Continue\r\n\r\n${head()}`, /100/],
    ['101, which nobody asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', /switched/],
    ['informational answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(17), /too many/],
  ]
  test.each(ambiguous)('%s', (_, text, why) => {
    for (const cuts of everyCut(text)) expect(readOurs({ text, cuts })).toEqual(refused(why))
  })

  test.each([
    ...[
      'HTTP/2.0 200 OK',
      'HTTP/0.9 200 OK',
      'HTTP/1.2 200 OK',
      'http/1.1 200 OK',
      'HTTP/1.1\t200 OK',
      'HTTP/1.1  200 OK',
    ],
    ...['HTTP/1.1 20 OK', 'HTTP/1.1 2000 OK', 'HTTP/1.1 +20 OK', 'HTTP/1.1 099 OK', 'HTTP/1.1 200\tOK', 'ICY 200 OK'],
    ...[
      'HTTP/1.1 200 O\0K',
      'HTTP/1.1 200 O\x7fK',
      'HTTP/1.1 200 O\rK',
      ' HTTP/1.1 200 OK',
      '\r\nHTTP/1.1 200 OK',
      'SSH-2.0-x',
    ],
  ])('the status line %j', (line) => {
    expect(readOurs({ text: `${line}\r\nContent-Length: 0\r\n\r\n` })).toEqual(refused(/no HTTP|status/))
  })

  test('what can not become an answer is not waited for', () => {
    expect(readOurs({ text: 'SSH-2.0-OpenSSH' })).toEqual(refused(/no HTTP/))
    expect(readOurs({ text: 'HTTP/3', cuts: [2] })).toEqual(refused(/no HTTP/))
  })

  test.each([
    ...[
      ' A: b',
      'A : b',
      'A\t: b',
      ': b',
      'A',
      'A\0: b',
      'A\xe9: b',
      'A b: c',
      'A(: b',
      'A: b\0',
      'A: b\x1b',
      'A: b\x7f',
    ],
    ...['A: b\nC: d', 'A: b\rC: d', 'A: b\n', 'A: b\r\r', 'A: b\r\n c', 'A: b\r\n\tc', 'A:\r\n b', '\nA: b', '\rA: b'],
  ])('the header line %j', (line) => {
    const text = head('Content-Length: 0', line)
    for (const cuts of everyCut(text)) expect(readOurs({ text, cuts })).toEqual(refused(/header|CR|bare LF/))
  })

  test('every byte that a value may not have, and no other', () => {
    for (let byte = 0; byte < 256; byte++) {
      const outcome = readOurs({ text: head('Content-Length: 0', `A: b${String.fromCharCode(byte)}c`) })
      const allowed = byte === 9 || (byte >= 0x20 && byte !== 0x7f)
      expect('refused' in outcome, `byte ${byte}`).toBe(!allowed)
    }
  })

  test.each([
    ...[
      '',
      ' ',
      ';a',
      'g',
      '-1',
      '+1',
      '0x1',
      '1 ',
      '1\t',
      ' 1',
      '1\n',
      '1\r',
      '1\r\r\n',
      '1;',
      '1;a=',
      '1; a',
      '1;a="b',
      '1;=b',
    ],
    ...['1;a\0', '1;a\n', `1;${'a'.repeat(300)}`, '1234567890123', 'f'.repeat(20), '0'.repeat(20)],
  ])('the chunk size %j', (size) => {
    const text = chunked(`${size}\r\na\r\n0\r\n\r\n`)
    for (const cuts of everyCut(text)) expect(readOurs({ text, cuts })).toEqual(refused(/chunk|CR/))
  })

  test.each(['ab\r\n', 'a\n', 'a\r\r\n', 'a0\r\n\r\n', 'a\r\n\r\n'])('the chunk %j of one byte', (data) => {
    expect(readOurs({ text: chunked(`1\r\n${data}0\r\n\r\n`) })).toEqual(refused(/chunk/))
  })

  test.each(['Content-Length: 3', 'Transfer-Encoding: chunked', ' X: y', 'X : y', 'X: y\nZ: a'])(
    'the trailer %j',
    (line) => {
      expect(readOurs({ text: chunked(`0\r\n${line}\r\n\r\n`) })).toEqual(refused(/trailer|header|bare LF/))
    },
  )
})

describe('limits', () => {
  const long = 'x'.repeat(65 * 1024)
  test.each([
    ['a head of more than 64 KB', head(`A: ${long}`)],
    ['a head of more than 64 KB that does not end', `HTTP/1.1 200 OK\r\nA: ${long}${long}`],
    ['more than 200 header lines', head('Content-Length: 0', ...Array<string>(200).fill('a: b'))],
    ['trailers of more than 64 KB', chunked(`0\r\nA: ${long}\r\n\r\n`)],
    ['trailers of more than 64 KB that do not end', chunked(`0\r\nA: ${long}${long}`)],
    ['more than 200 trailers', chunked(`0\r\n${'a: b\r\n'.repeat(201)}\r\n`)],
  ])('%s', (_, text) => {
    expect(readOurs({ text })).toEqual(refused(/too/))
    expect(readOurs({ text, cuts: [100, 1000, 30_000] })).toEqual(refused(/too/))
  })

  test('a head of nearly 64 KB that comes byte by byte takes no more time than its bytes', () => {
    const text = `${head('Content-Length: 0', `A: ${'x'.repeat(60_000)}`)}`
    const cuts = Array.from({ length: text.length }, (_, i) => i)
    expect(readOurs({ text, cuts })).toMatchObject({ status: 200, reusable: true })
  })
})

/** Not cut; cut before each byte; and cut into single bytes. */
function everyCut(text: string): number[][] {
  const all = Array.from({ length: Math.min(text.length, 200) }, (_, i) => i)
  return [[], ...all.map((cut) => [cut]), all]
}
