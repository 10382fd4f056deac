import type { RequestListener } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { serve } from '../../src/demo/api.ts'
import { asPublicClient, createBeforePage } from '../../src/demo/app.ts'
import { beforeClient } from '../../src/demo/config.ts'

const origin = 'http://localhost:8081'

async function page() {
  const api: RequestListener = (request, response) => response.end(`${request.url} ${request.headers.authorization}`)
  const options = { origin, demo: 'http://localhost:8080', issuer: 'http://localhost:8082', clientId: 'before', api }
  const server = await serve(createBeforePage(options))
  const url = `http://127.0.0.1:${server.port}`
  return {
    port: server.port,
    get: (path: string, init?: RequestInit) => fetch(url + path, init),
    [Symbol.asyncDispose]: server.close,
  }
}

test('the "before" page may be framed by the demo only, and knows its public settings only', async () => {
  await using before = await page()
  const answer = await before.get('/')
  expect(answer.headers.get('content-security-policy')).toContain(`frame-ancestors http://localhost:8080 ${origin}`)
  expect(await answer.text()).toContain('before Coatcheck')
  expect(await (await before.get('/config.json')).json()).toEqual({
    issuer: 'http://localhost:8082',
    clientId: 'before',
    redirectUri: `${origin}/callback`,
    demo: 'http://localhost:8080',
  })
})

test('it runs the very script of the sample app; its own main.js is another one', async () => {
  await using before = await page()
  expect(await (await before.get('/attacker/scan.js')).text()).toContain('export async function scan')
  expect(await (await before.get('/main.js')).text()).toContain('The "before" page')
  expect((await before.get('/callback?code=c&state=s')).status).toBe(200)
  for (const path of ['/session.js', '/attacker/..%2fmain.js', '/nothing']) {
    expect((await before.get(path)).status, path).toBe(404)
  }
})

test('no file outside of its folders', async () => {
  await using before = await page()
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(before.port, '127.0.0.1', () => {
      socket.end('GET /../../package.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
    })
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk
    })
    socket.on('close', () => resolve(text))
  })
  expect(answer).not.toContain('dependencies')
})

test('it calls the API with the token in its own hands', async () => {
  await using before = await page()
  const answer = await before.get('/api/hello', { headers: { authorization: 'Bearer t' } })
  expect(await answer.text()).toBe('/hello Bearer t')
})

test('a public client needs no secret, from its own origin and at the token endpoint only', async () => {
  const client = beforeClient(origin, 'shh')
  const inner: RequestListener = (request, response) => response.end(request.headers.authorization ?? 'none')
  await using server = await (async () => {
    const { port, close } = await serve(asPublicClient({ client, origin })(inner))
    return { url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: close }
  })()
  const post = (path: string, from: string) => fetch(server.url + path, { method: 'POST', headers: { origin: from } })

  const own = await post('/token', origin)
  expect(own.headers.get('access-control-allow-origin')).toBe(origin)
  expect(await own.text()).toBe(`Basic ${Buffer.from('foyer-before:shh').toString('base64')}`)
  const other = await post('/token', 'http://localhost:6666')
  expect(other.headers.get('access-control-allow-origin')).toBeNull()
  expect(await other.text()).toBe('none')
  expect(await (await post('/token/revocation', origin)).text()).toBe('none')
})
