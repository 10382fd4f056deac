import { expect, test } from 'vitest'
import { createSampleApi, describeBearer, serve } from '../../src/demo/api.ts'
import { sampleUsers } from '../../src/demo/config.ts'

async function api() {
  const server = await serve(createSampleApi({ users: sampleUsers, about: { before: 'http://localhost:1' }, pace: 5 }))
  const url = `http://127.0.0.1:${server.port}`
  return { get: (path: string, init?: RequestInit) => fetch(url + path, init), [Symbol.asyncDispose]: server.close }
}

test('/hello says whom the gateway says is calling, and of the token only a fingerprint', async () => {
  await using sample = await api()
  const token = 'canary-token-0123456789'
  const answer = await sample.get('/hello', {
    headers: {
      authorization: `Bearer ${token}`,
      'x-coatcheck-user': 'nora',
      'x-coatcheck-issuer': 'http://localhost:9',
      'x-coatcheck-roles': 'admin,staff',
    },
  })
  const text = await answer.text()
  expect(JSON.parse(text)).toEqual({
    greeting: 'Good evening, Nora Vance',
    caller: { user: 'nora', issuer: 'http://localhost:9', roles: ['admin', 'staff'] },
    authorization: { scheme: 'Bearer', length: token.length, fingerprint: expect.stringMatching(/^[0-9a-f]{12}$/) },
  })
  expect(text).not.toContain('canary')
})

test('/hello without a gateway in front: nobody, and no credential', async () => {
  await using sample = await api()
  expect(await (await sample.get('/hello')).json()).toMatchObject({
    caller: { user: null, roles: [] },
    authorization: null,
  })
})

test('only a bearer token is described', () => {
  expect(describeBearer('Basic dXNlcjpwYXNz')).toBeNull()
  expect(describeBearer(undefined)).toBeNull()
  expect(describeBearer('Bearer abc')?.fingerprint).toBe('ba7816bf8f01')
})

test('/admin/report, /demo and /slow answer; what is not there is 404', async () => {
  await using sample = await api()
  const report = (await (await sample.get('/admin/report')).json()) as { performances: unknown[] }
  expect(report.performances).toHaveLength(3)
  expect(await (await sample.get('/demo')).json()).toEqual({ before: 'http://localhost:1' })
  expect(await (await sample.get('/slow?ms=1')).json()).toEqual({ waited: '1 ms' })
  expect((await sample.get('/constructor')).status).toBe(404)
})

test('/events streams, and stops when the reader leaves', async () => {
  await using sample = await api()
  const stopped = new AbortController()
  const answer = await sample.get('/events', { signal: stopped.signal })
  expect(answer.headers.get('content-type')).toBe('text/event-stream')
  let text = ''
  for await (const chunk of answer.body ?? []) {
    text += new TextDecoder().decode(chunk)
    if (text.includes('id: 2')) break
  }
  stopped.abort()
  expect(text).toMatch(/^id: 0\ndata: \{"time":"[\d:]{8}","text":"Door A/)
})
