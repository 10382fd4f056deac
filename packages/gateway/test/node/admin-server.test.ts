import { request } from 'node:http'
import { expect, test } from 'vitest'
import { adminRows, type Readiness } from '../../src/admin.ts'
import type { AdminRow } from '../../src/admin-endpoint.ts'
import { Refusal } from '../../src/errors.ts'
import { type AdminServerOptions, createAdminServer } from '../../src/node/admin-server.ts'
import { json } from '../../src/protocol/json-response.ts'

const row = (path: string, access: AdminRow['access'], methods = ['GET']): AdminRow => ({
  path,
  methods,
  access,
  handle: async ({ name, parameters }) => json(200, { name, parameters: [...parameters] }),
})

async function listening(options: Partial<AdminServerOptions> = {}) {
  const lines: Record<string, unknown>[] = []
  const note = (fields: object) => void lines.push(fields as Record<string, unknown>)
  const rows = [row('/open', 'open'), row('/api/things', 'token', ['GET', 'DELETE']), row('/api/things/*', 'token')]
  const server = createAdminServer({
    ...{ host: '127.0.0.1', port: 0, token: 'secret-token', rows },
    newRequestId: () => 'id',
    log: { debug: note, info: note, warn: note, error: note },
    ...options,
  })
  const port = await server.listen()
  return {
    port,
    lines,
    ask: (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${port}${path}`, init),
    /** With any Host, which fetch would not send. */
    as: (host: string, path = '/api/things') =>
      new Promise<number>((resolve, reject) => {
        const headers = { host, authorization: 'Bearer secret-token' }
        request({ port, path, headers }, (response) => resolve(response.resume().statusCode ?? 0))
          .on('error', reject)
          .end()
      }),
    [Symbol.asyncDispose]: server.close,
  }
}

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

test('RB3 the token, and nothing like it, opens what needs it; a problem document says what to do, and the log who tried', async () => {
  await using admin = await listening()
  expect((await admin.ask('/api/things', bearer('secret-token'))).status).toBe(200)
  expect((await admin.ask('/api/things', { headers: { authorization: 'bearer  secret-token' } })).status).toBe(200)
  const none = await admin.ask('/api/things')
  expect([none.status, none.headers.get('www-authenticate')]).toEqual([401, 'Bearer realm="coatcheck admin"'])
  expect(none.headers.get('content-type')).toBe('application/problem+json')
  expect(none.headers.get('cache-control')).toBe('no-store')
  expect(await none.json()).toMatchObject({ status: 401, code: 'admin_token_required' })
  for (const authorization of [
    ...['Bearer', 'Bearer ', 'Bearer secret-toke', 'Bearer secret-token2', 'Bearer secret-token x'],
    ...['Basic secret-token', 'secret-token', 'Bearer SECRET-TOKEN'],
  ]) {
    const answer = await admin.ask('/api/things', { headers: { authorization } })
    expect(answer.status, authorization).toBe(401)
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
  }
  expect((await admin.ask('/api/things?access_token=secret-token')).status).toBe(401)
  expect(admin.lines.every(({ event, address }) => event === 'authz_fail' && address === '127.0.0.1')).toBe(true)
  expect(JSON.stringify(admin.lines)).not.toContain('secret-token')
})

test('RB3 without a configured token it answers nobody, not even an empty one, and the log says what to set', async () => {
  await using admin = await listening({ token: undefined })
  for (const init of [{}, bearer(''), bearer('undefined'), bearer('x')]) {
    const answer = await admin.ask('/api/things', init)
    expect(answer.status).toBe(403)
    expect(await answer.json()).toMatchObject({ code: 'admin_off' })
  }
  expect(admin.lines[0]).toMatchObject({ reason: 'set admin.token in the configuration' })
  expect((await admin.ask('/open')).status).toBe(200)
})

test('RB3 DNS rebinding: a foreign Host is refused, token or not; addresses, loopback names and configured names are not foreign', async () => {
  await using admin = await listening({ names: ['coatcheck-admin.monitoring'] })
  for (const host of [
    'evil.test',
    `evil.test:${admin.port}`,
    'localhost.evil.test',
    '127.0.0.1.evil.test',
    'a b',
    '[::1',
  ]) {
    expect(await admin.as(host), host).toBe(421)
  }
  for (const host of [
    'localhost',
    'LOCALHOST:1',
    '127.0.0.1',
    '10.1.2.3:9090',
    '[::1]:80',
    'coatcheck-admin.monitoring:80',
  ]) {
    expect(await admin.as(host), host).toBe(200)
  }
  // A probe may call as it likes: what it hears is no secret.
  expect(await admin.as('evil.test', '/open')).toBe(200)
})

test('RB3 other pages and other methods get nothing: no CORS, 405 with Allow, 404 for what is not in the table', async () => {
  await using admin = await listening()
  const origin = { origin: 'http://evil.test', 'access-control-request-method': 'DELETE' }
  const preflight = await admin.ask('/api/things', { method: 'OPTIONS', headers: origin })
  expect([preflight.status, preflight.headers.get('allow')]).toEqual([405, 'GET, HEAD, DELETE'])
  const read = await admin.ask('/api/things', { headers: { ...bearer('secret-token').headers, ...origin } })
  for (const answer of [preflight, read]) {
    expect([...answer.headers.keys()].filter((name) => name.startsWith('access-control'))).toEqual([])
  }
  const head = await admin.ask('/open', { method: 'HEAD' })
  expect([head.status, await head.text()]).toEqual([200, ''])
  expect((await admin.ask('/open', { method: 'POST', body: 'x' })).status).toBe(405)
  for (const path of ['/', '/openx', '/api', '/api/things/', '/api/things/a/b', '/api/things/*/..', '//open']) {
    expect((await admin.ask(path, bearer('secret-token'))).status, path).toBe(404)
  }
  expect(await (await admin.ask('/api/things/one?a=b&a=c', bearer('secret-token'))).json()).toEqual({
    name: 'one',
    parameters: [
      ['a', 'b'],
      ['a', 'c'],
    ],
  })
})

test('a handler that fails is answered in general terms; the cause is in the log', async () => {
  const failing = (error: Error): AdminRow => ({ ...row('/fails', 'open'), handle: () => Promise.reject(error) })
  await using fault = await listening({ rows: [failing(new Error('private cause'))] })
  const answer = await fault.ask('/fails')
  expect([answer.status, (await answer.text()).includes('private')]).toEqual([500, false])
  expect(fault.lines[0]).toMatchObject({ code: 'internal_error', err: new Error('private cause') })
  await using outage = await listening({ rows: [failing(new Refusal('store_unavailable'))] })
  expect((await outage.ask('/fails')).status).toBe(503)
})

test('the probes say that the process lives, and whether it can serve; a check that fails itself is not ready', async () => {
  let ready = async (): Promise<Readiness> => ({ ok: true, checks: { store: 'ok' } })
  const errors: object[] = []
  const log = { debug() {}, info() {}, warn() {}, error: (fields: object) => void errors.push(fields) }
  const ring = { current: '', derive: () => Buffer.alloc(32) }
  const rows = adminRows({ log, ring, store: {}, config: { providers: {} } } as never, {
    metrics: {} as never,
    ready: () => ready(),
  })
  await using admin = await listening({ rows })
  const ask = async (path: string) => {
    const response = await admin.ask(path)
    return [response.status, await response.json()]
  }
  expect(await ask('/healthz')).toEqual([200, { status: 'ok' }])
  expect(await ask('/readyz?x')).toEqual([200, { status: 'ok', checks: { store: 'ok' } }])
  ready = async () => ({ ok: false, checks: { store: 'unreachable' } })
  expect(await ask('/readyz')).toEqual([503, { status: 'unavailable', checks: { store: 'unreachable' } }])
  ready = () => Promise.reject(new Error('broken'))
  expect(await ask('/readyz')).toEqual([503, { status: 'unavailable', checks: {} }])
  expect(errors).toHaveLength(1)
  expect(await ask('/healthz')).toEqual([200, { status: 'ok' }])
})
