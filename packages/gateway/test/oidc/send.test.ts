import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { createBoundedFetch } from '../../src/oidc/bounded-fetch.ts'
import { ProviderFault } from '../../src/oidc/provider-fault.ts'
import { createSend } from '../../src/oidc/send.ts'

const limits = { timeout: 2_000, maxBytes: 1_000 }
const bounded = createBoundedFetch(limits, createSend())

/** A provider that does what it likes, and what was asked of it. */
async function provider(listener: RequestListener) {
  const asked: { method?: string | undefined; url?: string | undefined; headers: NodeJS.Dict<string | string[]> }[] = []
  const server = createServer((request, response) => {
    asked.push({ method: request.method, url: request.url, headers: request.headers })
    listener(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    asked,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

test('a form goes out as one, and status, header fields and body of the answer come back', async () => {
  const bodies: string[] = []
  await using given = await provider((request, response) => {
    request.on('data', (chunk) => bodies.push(String(chunk)))
    request.on('end', () => {
      response.writeHead(400, { 'Content-Type': 'application/json', 'DPoP-Nonce': 'n1', 'X-Name': 'Zoë' })
      response.end('{"error":"use_dpop_nonce"}')
    })
  })
  const answer = await bounded(`${given.url}/token?a=1`, {
    method: 'POST',
    headers: new Headers({ 'Content-Type': 'application/x-www-form-urlencoded', Authorization: 'Basic eDp5' }),
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'a b&c' }),
  })
  expect(answer.status).toBe(400)
  expect(answer.headers.get('dpop-nonce')).toBe('n1')
  expect(await answer.json()).toEqual({ error: 'use_dpop_nonce' })
  expect(bodies.join('')).toBe('grant_type=refresh_token&refresh_token=a+b%26c')
  expect(given.asked).toMatchObject([
    { method: 'POST', url: '/token?a=1', headers: { authorization: 'Basic eDp5', 'accept-encoding': 'identity' } },
  ])
})

test.each([
  ['gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
] as const)(
  'an answer that is compressed unasked, by %s, is read all the same, and no further than its limit',
  async (coding, compress) => {
    const texts = ['{"keys":[]}', `"${'x'.repeat(1_000_000)}"`]
    await using given = await provider((_, response) => {
      response.setHeader('Content-Encoding', coding)
      response.end(compress(texts.shift() as string))
    })
    expect(await (await bounded(given.url, {})).json()).toEqual({ keys: [] })
    await expect(bounded(given.url, {})).rejects.toThrow('an answer of more than 1000 bytes')
  },
)

test('an answer in an unknown coding, or one that only says it is compressed, is a fault of the provider', async () => {
  const codings = ['zstd', 'gzip, gzip', 'gzip']
  await using given = await provider((_, response) => {
    response.setHeader('Content-Encoding', codings.shift() as string)
    response.end('plain')
  })
  for (let i = 0; i < 3; i++) await expect(bounded(given.url, {})).rejects.toBeInstanceOf(ProviderFault)
})

test('a body beyond the limit cuts the connection, whether its length was told or not', async () => {
  let open = 0
  await using given = await provider((request, response) => {
    open++
    response.on('close', () => open--)
    if (request.url === '/told') response.setHeader('Content-Length', 5_000_000)
    const pump = () => {
      while (!response.destroyed && response.write(Buffer.alloc(4096)));
      response.once('drain', pump)
    }
    pump()
  })
  for (const path of ['/told', '/endless']) {
    await expect(bounded(given.url + path, {})).rejects.toThrow('an answer of more than 1000 bytes')
  }
  await expect.poll(() => open).toBe(0)
})

test('no answer in time, before or within its body, is a fault, and the connection is cut', async () => {
  const impatient = createBoundedFetch({ timeout: 100, maxBytes: 1_000 }, createSend())
  let open = 0
  await using given = await provider((request, response) => {
    open++
    response.on('close', () => open--)
    if (request.url === '/begun') response.write('{')
  })
  for (const path of ['/silent', '/begun']) {
    const fault = await impatient(given.url + path, {}).catch((error: unknown) => error)
    expect(fault).toBeInstanceOf(ProviderFault)
    expect((fault as ProviderFault).cause).toMatchObject({ name: 'TimeoutError' })
  }
  await expect.poll(() => open).toBe(0)
})

test('a caller who gives up, before or during the exchange, ends it', async () => {
  await using given = await provider(() => {})
  const before = bounded(given.url, { signal: AbortSignal.abort(new Error('over')) })
  await expect(before).rejects.toMatchObject({ cause: { message: 'over' } })
  expect(given.asked).toEqual([])
  const giver = new AbortController()
  const during = bounded(given.url, { signal: giver.signal })
  await expect.poll(() => given.asked.length).toBe(1)
  giver.abort(new Error('over'))
  await expect(during).rejects.toMatchObject({ cause: { message: 'over' } })
})

test('a redirect is an answer, and nobody follows it: it would carry the client’s secret elsewhere', async () => {
  await using elsewhere = await provider((_, response) => response.end('{}'))
  await using given = await provider((_, response) => response.writeHead(307, { Location: elsewhere.url }).end())
  expect((await bounded(given.url, { method: 'POST', body: 'client_secret=s' })).status).toBe(307)
  expect(elsewhere.asked).toEqual([])
})

test('an answer without a body has none', async () => {
  await using given = await provider((_, response) => response.writeHead(204).end())
  const answer = await bounded(given.url, {})
  expect([answer.status, answer.body, await answer.text()]).toEqual([204, null, ''])
})

test('a body is read once, as text, JSON or bytes; a clone has its own', async () => {
  await using given = await provider((_, response) => response.end('\ufeff{"a":1}'))
  const answer = await bounded(given.url, {})
  const [other, bytes] = [answer.clone(), answer.clone()]
  expect([answer instanceof Response, answer.bodyUsed]).toEqual([true, false])
  expect(await answer.json()).toEqual({ a: 1 })
  expect(answer.bodyUsed).toBe(true)
  await expect(answer.text()).rejects.toThrow('read already')
  expect(() => answer.clone()).toThrow('read already')
  expect(await other.text()).toBe('{"a":1}')
  expect((await bytes.arrayBuffer()).byteLength).toBe(10)
  await expect((await bounded(given.url, {})).blob()).rejects.toThrow('text, JSON or bytes')
})
