import { request } from 'node:http'
import { Sha256 } from '@aws-crypto/sha256-js'
import { SignatureV4 } from '@smithy/signature-v4'
import { expect, test } from 'vitest'
import { type AwsApiOptions, startAwsApi } from '../../../gateway/src/demo/cognito/aws-api.ts'
import { createAwsCredentials } from '../../../gateway/src/demo/cognito/aws-credentials.ts'
import { FakeClock } from '../../src/clock.ts'
import { roleArn } from '../../src/cognito.ts'

interface Draft {
  readonly method?: string
  readonly path?: string
  readonly query?: Record<string, string | string[]>
  readonly headers?: Record<string, string>
  readonly body?: string
}

async function start(options: Partial<AwsApiOptions> & { signer?: { region?: string; service?: string } } = {}) {
  const { service = 'execute-api', signer: scope = {} } = options
  const clock = new FakeClock(Date.UTC(2026, 5, 1, 12))
  const credentials = createAwsCredentials({ now: clock.now })
  const api = await startAwsApi({ service, credentials, now: clock.now, ...options })
  const mint = () =>
    credentials.mint({ roleArn: roleArn('users'), identityId: 'us-east-1:id', tags: {}, seconds: 3600 })
  const minted = mint()
  const signer = (held = minted) =>
    new SignatureV4({
      service,
      region: 'us-east-1',
      ...scope,
      credentials: held,
      sha256: Sha256,
      uriEscapePath: service !== 's3',
    })
  const { host, hostname, port } = new URL(api.url)
  const draft = ({ method = 'GET', path = '/', query = {}, headers = {}, body = '' }: Draft) => ({
    method,
    protocol: 'http:',
    hostname,
    port: Number(port),
    path,
    query,
    headers: { host, ...headers },
    body,
  })
  const sign = (input: Draft, held = minted) => signer(held).sign(draft(input), { signingDate: new Date(clock.now()) })
  const presign = (input: Draft, expiresIn: number) =>
    signer().presign(draft(input), { signingDate: new Date(clock.now()), expiresIn })
  const call = async (input: Draft) => send(port, await sign(input))
  return Object.assign(api, {
    clock,
    credentials,
    minted,
    sign,
    presign,
    call,
    send: (signed: Signed) => send(port, signed),
  })
}

type Signed = Awaited<ReturnType<SignatureV4['sign']>>

/** Exactly the target that was signed: fetch would tidy it. */
function send(port: string, { method, path, query, headers, body }: Signed) {
  return new Promise<{ status: number; body: string; date: string }>((resolve, reject) => {
    const encode = (text: string) =>
      encodeURIComponent(text).replace(/[!'()*]/g, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase()}`)
    const pairs = Object.entries(query ?? {}).flatMap(([name, value]) =>
      [value ?? ''].flat().map((one) => `${encode(name)}=${encode(one)}`),
    )
    const target = pairs.length === 0 ? path : `${path}?${pairs.join('&')}`
    const outgoing = request({ host: '127.0.0.1', port, method, path: target, headers }, async (response) => {
      let text = ''
      for await (const chunk of response.setEncoding('utf8')) text += chunk
      resolve({ status: response.statusCode ?? 0, body: text, date: response.headers.date ?? '' })
    })
    outgoing.once('error', reject)
    outgoing.end(body || undefined)
  })
}

const paths = ['/', '/items', '/a%20b/c', '/a/', '/%E2%82%AC', '/x-._~', '/a%2Bb', '/it%27s%2A']
const rawPunctuation = "/x!$&()/it's*"

test.each(['execute-api', 'lambda', 's3'])('%s: what an independent signer signs is accepted', async (service) => {
  await using api = await start({ service })
  const hashed = service === 's3' ? { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } : {}
  for (const path of paths) {
    const answer = await api.call({ path, headers: hashed })
    expect([path, answer.status, answer.body]).toEqual([path, 200, expect.stringContaining(roleArn('users'))])
  }
  const query = { b: ['2', '1'], B: 'x y', 'a+b': '€&=', 'k*': '', 'k-': "('!')" }
  const answer = await api.call({ method: 'POST', path: '/q', query, body: '{"a":1}' })
  expect([answer.status, answer.body]).toEqual([200, expect.stringContaining('us-east-1:id')])
})

test('s3 encodes punctuation itself before it compares, so it has to be encoded when it is signed; others take it raw', async () => {
  await using s3 = await start({ service: 's3' })
  expect((await s3.call({ path: rawPunctuation })).body).toContain('SignatureDoesNotMatch')
  await using other = await start()
  expect((await other.call({ path: rawPunctuation })).status).toBe(200)
})

test('s3 keeps empty and dotted segments, which others resolve', async () => {
  await using s3 = await start({ service: 's3' })
  await using other = await start()
  for (const path of ['/a//b', '/a/./b', '/a/../b']) {
    expect((await s3.call({ path })).status).toBe(200)
    expect((await other.call({ path })).status).toBe(200)
  }
})

test('any change on the way breaks the signature', async () => {
  await using api = await start()
  const signed = await api.sign({ method: 'POST', path: '/a', query: { q: '1' }, body: 'body' })
  const changes: Array<Partial<Signed>> = [{ method: 'PUT' }, { path: '/b' }, { query: { q: '2' } }]
  for (const change of changes) {
    const answer = await api.send({ ...signed, ...change } as Signed)
    expect([answer.status, JSON.parse(answer.body).__type]).toEqual([403, 'SignatureDoesNotMatch'])
  }
  expect((await api.send({ ...signed, body: 'BODY' } as Signed)).body).toContain('XAmzContentSHA256Mismatch')
  const { 'x-amz-content-sha256': _hash, ...headers } = signed.headers
  expect((await api.send({ ...signed, headers, body: 'BODY' } as Signed)).status).toBe(403)
  expect(api.accepted).toHaveLength(0)
})

test('a header x-amz-* that nobody signed is refused, and so is no signature at all', async () => {
  await using api = await start()
  const signed = await api.sign({})
  const smuggled = { ...signed, headers: { ...signed.headers, 'x-amz-meta-owner': 'mallory' } } as Signed
  expect((await api.send(smuggled)).body).toContain('not signed: x-amz-meta-owner')
  const bare = await api.send({ ...signed, headers: {} } as Signed)
  expect(JSON.parse(bare.body)).toMatchObject({ message: 'Missing Authentication Token' })
})

test('UNSIGNED-PAYLOAD is for s3 only', async () => {
  const input = { method: 'PUT', path: '/key', body: 'data', headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } }
  await using s3 = await start({ service: 's3' })
  expect((await s3.call(input)).status).toBe(200)
  expect(s3.objects.get('/key')?.toString()).toBe('data')
  await using lambda = await start({ service: 'lambda' })
  expect((await lambda.call(input)).body).toContain('XAmzContentSHA256Mismatch')
})

test('another region or service than the credential is scoped to', async () => {
  await using region = await start({ signer: { region: 'eu-west-1' } })
  expect((await region.call({})).body).toContain("valid region, not 'eu-west-1'")
  await using service = await start({ signer: { service: 'lambda' } })
  expect((await service.call({})).body).toContain("correct service: 'execute-api'")
})

test('five minutes of skew are taken, no more, and the Date header tells the time', async () => {
  await using api = await start()
  api.faults.skew = 299_000
  expect((await api.call({})).status).toBe(200)
  for (const skew of [301_000, -301_000]) {
    api.faults.skew = skew
    const answer = await api.call({})
    expect(JSON.parse(answer.body).__type).toBe('RequestTimeTooSkewed')
    expect(Date.parse(answer.date)).toBe(api.clock.now() + skew)
  }
})

test('expired, revoked and mixed-up credentials', async () => {
  await using api = await start()
  const other = api.credentials.mint({ roleArn: roleArn('admin'), identityId: 'x', tags: {}, seconds: 900 })
  const mixed = await api.sign({}, { ...api.minted, sessionToken: other.sessionToken })
  expect((await api.send(mixed)).body).toContain('UnrecognizedClientException')
  api.credentials.expireAll()
  expect((await api.call({})).body).toContain('ExpiredTokenException')
  api.credentials.revokeAll()
  expect((await api.call({})).body).toContain('UnrecognizedClientException')

  const fresh = api.credentials.mint({ roleArn: roleArn('users'), identityId: 'y', tags: {}, seconds: 900 })
  expect((await api.send(await api.sign({}, fresh))).status).toBe(200)
  api.clock.advance(900_000)
  expect((await api.send(await api.sign({}, fresh))).body).toContain('ExpiredTokenException')
})

test('a presigned PUT works for as long as it says, for that key only, in the words of s3', async () => {
  await using s3 = await start({ service: 's3', corsOrigins: ['https://app.example'] })
  const signed = await s3.presign(
    { method: 'PUT', path: '/uploads/a%20b', headers: { 'x-amz-content-sha256': 'UNSIGNED-PAYLOAD' } },
    60,
  )
  expect((await s3.send({ ...signed, body: 'the file' } as Signed)).status).toBe(200)
  expect(s3.objects.get('/uploads/a%20b')?.toString()).toBe('the file')
  const elsewhere = await s3.send({ ...signed, path: '/uploads/other', body: 'x' } as Signed)
  expect([elsewhere.status, elsewhere.body]).toEqual([
    403,
    expect.stringContaining('<Code>SignatureDoesNotMatch</Code>'),
  ])
  const preflight = await fetch(s3.url, { method: 'OPTIONS', headers: { origin: 'https://app.example' } })
  expect(preflight.headers.get('access-control-allow-origin')).toBe('https://app.example')
  s3.clock.advance(61_000)
  expect((await s3.send({ ...signed, body: 'late' } as Signed)).body).toContain('Request has expired')
})
