import { createHash, createHmac } from 'node:crypto'
import type { Call } from './service.ts'

export const sha256 = (data: string | Buffer) => createHash('sha256').update(data).digest('hex')
const hmac = (key: string | Buffer, data: string) => createHmac('sha256', key).update(data).digest()

export interface CanonicalInput {
  readonly service: string
  readonly signedHeaders: readonly string[]
  readonly payloadHash: string
  /** A parameter of the query that is not signed: the signature itself. */
  readonly without?: string
}

/** The request as its signer had to write it down, from what came over the wire. @see AWS Signature Version 4 */
export function canonicalRequest(call: Call, { service, signedHeaders, payloadHash, without }: CanonicalInput): string {
  const [rawPath = '', rawQuery = ''] = splitTarget(call.target)
  return [
    call.method,
    service === 's3' ? s3Path(rawPath) : otherPath(rawPath),
    canonicalQuery(rawQuery, without),
    ...signedHeaders.map((name) => `${name}:${headerValue(call.rawHeaders, name)}`),
    '',
    signedHeaders.join(';'),
    payloadHash,
  ].join('\n')
}

export interface Scope {
  readonly date: string
  readonly region: string
  readonly service: string
}

export function signatureOf(
  secret: string,
  scope: Scope,
  { amzDate, canonical }: { amzDate: string; canonical: string },
) {
  const { date, region, service } = scope
  const toSign = ['AWS4-HMAC-SHA256', amzDate, `${date}/${region}/${service}/aws4_request`, sha256(canonical)].join(
    '\n',
  )
  const key = [date, region, service, 'aws4_request'].reduce<string | Buffer>(hmac, `AWS4${secret}`)
  return hmac(key, toSign).toString('hex')
}

export function splitTarget(target: string): [path: string, query: string] {
  const mark = target.indexOf('?')
  return mark < 0 ? [target, ''] : [target.slice(0, mark), target.slice(mark + 1)]
}

/** Only RFC 3986's unreserved characters stay. */
function encode(bytes: Buffer): string {
  return [...bytes]
    .map((byte) => {
      const character = String.fromCharCode(byte)
      return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
    })
    .join('')
}

function decode(text: string): Buffer {
  const bytes = text.replace(/%([\da-f]{2})/gi, (_whole, hex) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}

/** S3: encoded once, keys as they are: no segment is dropped, `.` and `..` and empty ones neither. */
const s3Path = (path: string) =>
  path
    .split('/')
    .map((segment) => encode(decode(segment)))
    .join('/')

/** All other services: dot segments and empty ones are resolved, and what is on the wire is encoded once more. */
function otherPath(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(encode(Buffer.from(segment, 'latin1')))
  }
  const trailing = segments.length > 0 && path.endsWith('/') ? '/' : ''
  return `/${segments.join('/')}${trailing}`
}

/** By code point of the encoded name, then of the encoded value. A bare plus is a space, as services read it. */
function canonicalQuery(query: string, without: string | undefined): string {
  const once = (text: string) => encode(decode(text.replaceAll('+', ' ')))
  const pairs = query
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      const [name, value] = equals < 0 ? [pair, ''] : [pair.slice(0, equals), pair.slice(equals + 1)]
      return [once(name), once(value)] as const
    })
    .filter(([name]) => name !== without)
  const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
  return pairs
    .sort(([a, x], [b, y]) => order(a, b) || order(x, y))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

/** All values of a header, trimmed, runs of spaces as one, joined by commas. */
function headerValue(rawHeaders: readonly string[], name: string): string {
  return rawHeaders
    .filter((_value, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === name)
    .map((value) => value.trim().replace(/ +/g, ' '))
    .join(',')
}
