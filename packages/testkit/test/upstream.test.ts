import { request } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { Browser } from '../src/browser.ts'
import { rawRequest } from '../src/raw.ts'
import { startUpstream } from '../src/upstream.ts'

test('it writes down what it received, byte for byte, and echoes all but the credential', async () => {
  await using api = await startUpstream()
  const head =
    'POST /echo%2f?x=%00 HTTP/1.1\r\nhOsT: api\r\nAuthorization: Bearer t0ken\r\nX_A: 1\r\nContent-Length: 2\r\n'
  const answer = await rawRequest(api.port, `${head}Connection: close\r\n\r\nhi`)
  const { method, target, rawHeaders, body } = api.last()
  expect({ method, target, body: body.toString() }).toEqual({ method: 'POST', target: '/echo%2f?x=%00', body: 'hi' })
  expect(rawHeaders.slice(0, 6)).toEqual(['hOsT', 'api', 'Authorization', 'Bearer t0ken', 'X_A', '1'])
  expect(api.last().header('authorization')).toBe('Bearer t0ken')
  expect(answer).toContain('(credential)')
  expect(answer).not.toContain('t0ken')
})

test('events come one by one, and it notices when the reader leaves', async () => {
  await using api = await startUpstream()
  const stream = await new Browser({ base: api.url }).stream('/sse?ms=20')
  expect(String((await stream.chunks.next()).value)).toContain('data: event 1')
  expect(String((await stream.chunks.next()).value)).toContain('data: event 2')
  expect(api.open).toBe(1)
  stream.abort()
  expect(await api.last().finished).toBe(false)
  expect(api.open).toBe(0)
})

test('an upload is taken no faster than it is read', async () => {
  await using api = await startUpstream()
  const upload = request(`${api.url}/upload?pause=20`, { method: 'POST' })
  upload.on('error', () => {})
  let accepted = true
  for (let piece = 0; piece < 200 && accepted; piece++) {
    accepted = upload.write(Buffer.alloc(65_536))
    await sleep(1)
  }
  expect(accepted).toBe(false)
  upload.destroy()
})

test('a download has the size that was asked for', async () => {
  await using api = await startUpstream()
  const answer = await new Browser({ base: api.url }).fetch('/download?bytes=1000001')
  expect(answer.exchange.body.length).toBe(1_000_001)
})

test('a test can answer a path in its own way', async () => {
  await using api = await startUpstream()
  api.on('/teapot', ({ response }) => void response.writeHead(418).end())
  expect((await new Browser({ base: api.url }).fetch('/teapot')).status).toBe(418)
})
