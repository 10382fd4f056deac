import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Botocore, startBotocore } from '../../../../testkit/src/botocore.ts'
import { readTarget } from '../../../src/protocol/target.ts'
import { createSigner, hashOf, unsignedPayload } from '../../../src/upstream/aws/signature.ts'
import { signableTarget } from '../../../src/upstream/aws/target.ts'
import { strictlyEncoded } from '../../../src/upstream/aws/uri.ts'

const credentials = {
  accessKeyId: 'ASIAEXAMPLEEXAMPLE00',
  secretAccessKey: 'secret/of+the=example',
  sessionToken: 'token/of+the=example',
  expiresAt: Number.MAX_SAFE_INTEGER,
}

let botocore: Botocore
beforeAll(async () => {
  botocore = await startBotocore(fileURLToPath(new URL('independent-signer.py', import.meta.url)))
})
afterAll(() => botocore[Symbol.asyncDispose]())

interface Case {
  readonly service: string
  readonly method: string
  readonly path: string
  readonly query: string
  readonly body: string
  readonly signBody: boolean
  readonly contentType: string | undefined
  readonly at: number
}

const region = 'eu-west-1'
const host = 'abc123.example.amazonaws.com'

/** Signs it as we do, and as botocore does for what we send. Undefined: refused. */
async function signBoth(asked: Case) {
  const { service, method, body, contentType, at } = asked
  const unsigned = service === 's3' && !asked.signBody
  const target = signableTarget(asked.path, asked.query, service === 's3' ? 's3' : 'encoded-twice')
  if (target.kind === 'refused') return undefined
  const payloadHash = unsigned ? unsignedPayload : hashOf(Buffer.from(body, 'latin1'))
  const headers = contentType === undefined ? {} : { 'content-type': contentType }
  const ours = createSigner({ service, region }).sign(
    { method, target, host, contentType, payloadHash, at },
    credentials,
  )
  const theirs = await botocore.sign({
    ...{ service, region, method, body, at, signBody: !unsigned, url: `https://${host}${target.wire}` },
    headers: { ...headers, ...(service === 'aoss' && { 'x-amz-content-sha256': payloadHash }) },
  })
  const names = ours.filter((_, i) => i % 2 === 0)
  const lower = Object.fromEntries(names.map((name, i) => [name.toLowerCase(), ours[i * 2 + 1] as string]))
  return { wire: target.wire, ours: lower, theirs: Object.fromEntries(Object.keys(lower).map((n) => [n, theirs[n]])) }
}

const usual = {
  ...{ service: 'execute-api', method: 'GET', path: '/', query: '', body: '', signBody: true },
  ...{ contentType: undefined, at: Date.UTC(2026, 10, 26, 13, 45) },
}

describe('the signature is the one of botocore', () => {
  test.each([
    ['nothing to encode', {}],
    ['a query in another order', { query: '?b=2&a=1&B=3' }],
    ['a name twice', { query: '?a=2&a=1&a=10' }],
    ['a name without a value, and one without =', { query: '?acl&versions=&x=1' }],
    ['a plus, a space, and both escaped', { query: '?q=a+b%20c%2Bd' }],
    ['an equals sign in a value', { query: '?next=a==' }],
    ['escapes in small letters', { path: '/caf%c3%a9', query: '?n=%c3%a9' }],
    ['what encodeURIComponent leaves', { path: "/a!'()*b", query: "?a=!'()*" }],
    ['what URLs allow raw', { path: '/a:b@c,d=e&f$g+h[i]|j', query: '?a=:/?@[]|$,' }],
    ['a slash at the end', { path: '/items/' }],
    ['an emoji', { path: '/%F0%9F%98%80', query: '?%F0%9F%98%80=%F0%9F%98%80' }],
    ['a body and its type', { method: 'POST', body: '{"a":1}', contentType: 'application/json; charset=utf-8' }],
    ['blanks in a type', { method: 'POST', body: 'x', contentType: 'text/plain;   charset=utf-8' }],
    ['bytes', { method: 'PUT', body: '\x00\xff\x80' }],
    ['the first second of a year', { at: Date.UTC(2027, 0, 1) }],
  ])('%s', async (_, given) => {
    for (const service of ['execute-api', 'lambda', 's3', 'appsync', 'es', 'aoss']) {
      const both = await signBoth({ ...usual, ...given, service })
      expect(both?.ours, service).toEqual(both?.theirs)
    }
    const streamed = await signBoth({ ...usual, ...given, service: 's3', signBody: false })
    expect(streamed?.ours).toEqual(streamed?.theirs)
    expect(streamed?.ours['x-amz-content-sha256']).toBe(unsignedPayload)
  })

  test('whatever target the gateway accepts', async () => {
    const text = fc.string({ unit: 'grapheme', maxLength: 8 })
    const escaped = text.map(encodeURIComponent)
    const raw = fc.string({ unit: fc.constantFrom(..."abzAZ09-._~!$&'()*,:@[]|"), maxLength: 8 })
    const piece = fc.oneof(escaped, raw)
    const segment = piece.filter((one) => one !== '' && one !== '.' && one !== '..')
    const name = fc.oneof(
      escaped,
      fc.string({ unit: fc.constantFrom(...'abAB09-._~!$\'()*:@[]|/?"<>{}`^+'), maxLength: 8 }),
    )
    const pair = fc.oneof(
      name,
      fc.tuple(name, name).map((both) => both.join('=')),
    )
    const cases = fc.record({
      service: fc.constantFrom('execute-api', 'lambda', 's3', 'appsync', 'es', 'aoss'),
      method: fc.constantFrom('GET', 'PUT', 'POST', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS'),
      path: fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`),
      query: fc.array(pair, { maxLength: 4 }).map((pairs) => (pairs.length === 0 ? '' : `?${pairs.join('&')}`)),
      body: fc.string({
        unit: fc.integer({ min: 0, max: 255 }).map((byte) => String.fromCharCode(byte)),
        maxLength: 20,
      }),
      signBody: fc.boolean(),
      contentType: fc.constantFrom(undefined, 'application/json', 'multipart/form-data; boundary="a  b"'),
      at: fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) }),
    })
    let signed = 0
    await fc.assert(
      fc.asyncProperty(cases, async (asked) => {
        if (readTarget(asked.path + asked.query).kind !== 'target') return
        const both = await signBoth(asked)
        if (both === undefined) return
        signed++
        expect(both.ours).toEqual(both.theirs)
        // What is sent is read back as what was asked for.
        const before = new URL(`https://x${asked.path}${asked.query}`)
        const after = new URL(`https://x${both.wire}`)
        expect([...after.searchParams]).toEqual([...before.searchParams])
        expect(decodeURIComponent(after.pathname)).toBe(decodeURIComponent(before.pathname))
      }),
      { numRuns: 600 },
    )
    expect(signed).toBeGreaterThan(200)
  })
})

describe('what could be read in two ways is refused', () => {
  test.each([
    ['/a//b', '', /encoded slash/],
    ['/a%2Fb', '', /encoded slash/],
    ['/a%2fb', '', /encoded slash/],
    ['/a%5cb', '', /encoded slash/],
    ['/a', '?X-Amz-Signature=1', /X-Amz-/],
    ['/a', '?x-amz-security-token=1', /X-Amz-/],
    ['/a', '?x%2Damz-date=1', /X-Amz-/],
    ['/a', '?a=1&X-Amz-Expires', /X-Amz-/],
    ['/a', '?a=%zz', /UTF-8/],
    ['/a', '?a=%ff', /UTF-8/],
    ['/a', '?a=1&&b=2', /empty parameter/],
    ['/a', '?a=1&', /empty parameter/],
  ])('%s%s', (path, query, reason) => {
    for (const style of ['s3', 'encoded-twice'] as const) {
      expect(signableTarget(path, query, style)).toEqual({ kind: 'refused', reason: expect.stringMatching(reason) })
    }
  })
})

test('what goes out is what was sent, but for a bare plus and, at S3, another spelling of the same key', () => {
  const sent = (path: string, query: string, style: 's3' | 'encoded-twice') => {
    const target = signableTarget(path, query, style)
    return target.kind === 'target' ? target.wire : target.reason
  }
  expect(sent('/a(b)/%c3%a9', '?q=a+b&z=%2f&a', 'encoded-twice')).toBe('/a(b)/%c3%a9?q=a%20b&z=%2f&a')
  expect(sent('/a(b)+c/%c3%a9', '?z&a', 's3')).toBe('/a%28b%29%2Bc/%C3%A9?z&a')
  expect(sent('/a', '?', 's3')).toBe('/a')
})

test('a derived key is good for its day only', async () => {
  const signer = createSigner({ service: 'execute-api', region })
  const target = { canonicalPath: '/', canonicalQuery: '' }
  const signable = { method: 'GET', target, host, payloadHash: hashOf('') }
  for (const at of [Date.UTC(2026, 0, 1, 23, 59, 59), Date.UTC(2026, 0, 2), Date.UTC(2026, 0, 1, 23, 59, 59)]) {
    const [, , , , , authorization] = signer.sign({ ...signable, at }, credentials)
    const theirs = await botocore.sign({
      ...{
        service: 'execute-api',
        region,
        method: 'GET',
        url: `https://${host}/`,
        body: '',
        signBody: true,
        at,
        headers: {},
      },
    })
    expect(authorization).toBe(theirs.authorization)
  }
})

describe('an address for one upload is the one of botocore', () => {
  test.each(['uploads/eu-west-1:0a/0-plain.txt', "a b/c+d/é!'()*=&?#%/😀", '.../a'])('%s', async (key) => {
    const at = Date.UTC(2026, 10, 26, 13, 45)
    const headers = { 'content-type': 'image/png', 'content-length': '17' }
    const content = { contentType: 'image/png', contentLength: 17 }
    const canonicalPath = `/${key.split('/').map(strictlyEncoded).join('/')}`
    const target = { canonicalPath, canonicalQuery: '' }
    const signed = { method: 'PUT', target, host, ...content, payloadHash: unsignedPayload, at }
    const query = createSigner({ service: 's3', region }).presign(signed, credentials, 300)
    const { url } = await botocore.sign({
      ...{ service: 's3', region, method: 'PUT', at, headers, body: '', signBody: false, expires: 300 },
      url: `https://${host}${canonicalPath}`,
    })
    const theirs = new URL(url ?? '')
    expect(new URL(`https://${host}${canonicalPath}?${query}`).pathname).toBe(theirs.pathname)
    expect(Object.fromEntries(new URLSearchParams(query))).toEqual(Object.fromEntries(theirs.searchParams))
  })
})
