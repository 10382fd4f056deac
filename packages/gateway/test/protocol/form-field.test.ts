import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { findField, formTypeOf } from '../../src/protocol/form-field.ts'

const find = (type: string, text: string, whole = true) => {
  const form = formTypeOf(type)
  if (form === undefined) throw new Error(`${type} is no form`)
  return findField(form, 'csrf_token', { text, whole })
}
const found = (value: string) => ({ kind: 'found', value })
const absent = { kind: 'absent' }
const refused = { kind: 'refused', reason: expect.any(String) }

describe('CS4 what kind of form a Content-Type announces', () => {
  test.each([
    'application/x-www-form-urlencoded',
    'Application/X-WWW-Form-Urlencoded; charset=UTF-8',
    'application/x-www-form-urlencoded;',
    ' application/x-www-form-urlencoded ; charset="utf-8" ',
  ])('CS4 %j', (type) => expect(formTypeOf(type)).toEqual({ kind: 'urlencoded' }))

  test.each([
    ['multipart/form-data; boundary=x', 'x'],
    ['Multipart/Form-Data;BOUNDARY="a b:c"', 'a b:c'],
    ['multipart/form-data; charset=utf-8; boundary=----WebKitFormBoundary7MA4YWxk', '----WebKitFormBoundary7MA4YWxk'],
  ])('CS4 %j', (type, boundary) => expect(formTypeOf(type)).toEqual({ kind: 'multipart', boundary }))

  test.each([
    'multipart/form-data',
    'multipart/form-data; boundary=',
    'multipart/form-data; boundary="x "',
    `multipart/form-data; boundary=${'x'.repeat(71)}`,
    'multipart/form-data; boundary=x; boundary=y',
    'multipart/form-data; boundary="x\\"y"',
    'multipart/form-data, application/x-www-form-urlencoded',
    'application/x-www-form-urlencoded, text/plain',
    'application/x-www-form-urlencoded; charset',
    'text/plain; a="application/x-www-form-urlencoded"',
    `application/x-www-form-urlencoded${' '.repeat(16_000)}x`,
  ])('CS4 %j can be taken in two ways', (type) => expect(formTypeOf(type)).toEqual({ kind: 'ambiguous' }))

  test.each([undefined, '', 'text/plain', 'application/json', 'multipart/mixed; boundary=x'])(
    'CS4 %j is no form',
    (type) => expect(formTypeOf(type)).toBeUndefined(),
  )
})

describe('CS4 a field among pairs', () => {
  const pairs = 'application/x-www-form-urlencoded'

  test.each([
    ['csrf_token=a.b-c_d', found('a.b-c_d')],
    ['a=1&csrf_token=x&b=2', found('x')],
    ['csrf%5Ftoken=a%2Eb', found('a.b')],
    ['csrf_token=', found('')],
    ['csrf_token', found('')],
    ['', absent],
    ['a=csrf_token&b=%26csrf_token%3Dx', absent],
    ['csrf_tokens=x&xcsrf_token=x&CSRF_TOKEN=x&csrf_token[]=x', absent],
    ['?csrf_token=x', absent],
    ['csrf_token=x&csrf_token=x', refused],
    ['csrf_token=x&a=1&csrf%5ftoken=y', refused],
  ])('CS4 %j', (text, expected) => expect(find(pairs, text)).toEqual(expected))

  test('CS4 what may go on is not believed yet', () => {
    expect(find(pairs, 'a=1&csrf_token=x', false)).toEqual(absent)
    expect(find(pairs, 'csrf_token=x', false)).toEqual(absent)
    expect(find(pairs, 'csrf_token=x&', false)).toEqual(found('x'))
    expect(find(pairs, 'csrf_token=x&b=', false)).toEqual(found('x'))
  })
})

describe('CS4 a field among parts', () => {
  const type = 'multipart/form-data; boundary=XX'
  const part = (name: string, value: string, more = '') =>
    `--XX\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n${value}\r\n`
  const file =
    '--XX\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\nContent-Type: a/b\r\n\r\n\0\xff\r\n--X\r\n'

  test.each([
    ['the only one', `${part('csrf_token', 'x')}--XX--\r\n`, found('x')],
    ['behind a file, no line end at the end', `${file}${part('csrf_token', 'x')}--XX--`, found('x')],
    ['empty', `${part('csrf_token', '')}--XX--\r\n`, found('')],
    ['with lines in it', `${part('csrf_token', 'x\r\ny')}--XX--\r\n`, found('x\r\ny')],
    ['unquoted', '--XX\r\ncontent-disposition:form-data;NAME=csrf_token\r\n\r\nx\r\n--XX--', found('x')],
    ['another name', `${part('csrf_tokens', 'x')}--XX--\r\n`, absent],
    ['in the text of another', `${part('a', 'name="csrf_token"\r\n\r\nx')}--XX--\r\n`, absent],
    ['no parts', '--XX--\r\n', absent],
  ])('CS4 %s', (_, text, expected) => expect(find(type, text)).toEqual(expected))

  test.each([
    ['twice', `${part('csrf_token', 'x')}${part('csrf_token', 'x')}--XX--\r\n`],
    ['as a file', `${part('csrf_token', 'x', '; filename="a"')}--XX--\r\n`],
    ['behind a quotation mark that may be escaped', `${part('csrf_token', 'x', '; a="\\"; filename="b"')}--XX--\r\n`],
    ['as a file of another spelling', `${part('csrf_token', 'x', "; filename*=utf-8''a")}--XX--\r\n`],
    ['two names', `${part('a', 'x', '; name="csrf_token"')}--XX--\r\n`],
    ['a name of another spelling', `${part('a', 'x', "; name*=utf-8''csrf_token")}--XX--\r\n`],
    [
      'two dispositions',
      '--XX\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\nx\r\n--XX--',
    ],
    ['no disposition', '--XX\r\nContent-Type: text/plain\r\n\r\nx\r\n--XX--'],
    ['no head', '--XX\r\n\r\nx\r\n--XX--'],
    ['another disposition', '--XX\r\nContent-Disposition: attachment; name=csrf_token\r\n\r\nx\r\n--XX--'],
    ['a folded head', '--XX\r\nContent-Disposition: form-data;\r\n name=csrf_token\r\n\r\nx\r\n--XX--'],
    ['bare line feeds', '--XX\nContent-Disposition: form-data; name=csrf_token\n\nx\n--XX--'],
    ['no end', part('csrf_token', 'x')],
    ['cut in a head', '--XX\r\nContent-Disp'],
    ['an empty body', ''],
    ['something in front', `hello\r\n${part('csrf_token', 'x')}--XX--`],
    ['something behind', `${part('csrf_token', 'x')}--XX--\r\n${part('csrf_token', 'y')}`],
    ['a delimiter that goes on', `${part('csrf_token', 'x')}--XXY\r\n--XX--`],
    ['padding behind a delimiter', '--XX  \r\nContent-Disposition: form-data; name=csrf_token\r\n\r\nx\r\n--XX--'],
    [
      'a delimiter in a head',
      '--XX\r\nA: b\r\n--XX\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\nx\r\n--XX--',
    ],
    [
      'a delimiter right behind a head',
      '--XX\r\nContent-Disposition: form-data; name=a\r\n\r\n--XX\r\nContent-Disposition: form-data; name=csrf_token\r\n\r\nx\r\n--XX--',
    ],
    ['another boundary', part('csrf_token', 'x').replaceAll('XX', 'YY')],
  ])('CS4 refused: %s', (_, text) => expect(find(type, text)).toEqual(refused))

  test('CS4 wherever a form is cut: not there yet, then there; never broken, never half a value', () => {
    const text = `${file}${part('csrf_token', 'the token')}${part('b', '2')}--XX--\r\n`
    const complete = text.indexOf('the token') + 'the token\r\n--XX'.length
    for (let length = 0; length <= text.length; length++) {
      const expected = length < complete ? absent : found('the token')
      expect([length, find(type, text.slice(0, length), false)]).toEqual([length, expected])
    }
  })
})

test('CS4 no text makes it throw, and a form as browsers write it is read for what it is', async () => {
  const types = ['application/x-www-form-urlencoded', 'multipart/form-data; boundary=b']
  const noise = fc.string({
    unit: fc.constantFrom(
      '--b',
      '\r\n',
      '\n',
      ':',
      '=',
      '&',
      'csrf_token',
      '"',
      ';',
      'name',
      '%',
      'Content-Disposition: form-data',
      '\0',
      '\xff',
    ),
  })
  fc.assert(
    fc.property(fc.constantFrom(...types), noise, fc.boolean(), (type, text, whole) => {
      expect(['found', 'absent', 'refused']).toContain(find(type, text, whole).kind)
    }),
  )
  const fileName = fc.string().filter((name) => !name.endsWith('\\'))
  await fc.assert(
    fc.asyncProperty(fileName, fc.string({ unit: 'binary' }), fc.uint8Array(), async (name, text, bytes) => {
      const form = new FormData()
      form.append('a', text)
      form.append('f', new Blob([bytes as Uint8Array<ArrayBuffer>]), name)
      form.append('csrf_token', 'the token')
      const request = new Request('http://a.test', { method: 'POST', body: form })
      const body = Buffer.from(await request.arrayBuffer()).toString('latin1')
      expect(find(request.headers.get('content-type') ?? '', body)).toEqual(found('the token'))
    }),
  )
})
