import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Carrier, openWire, startCarrier } from './carrier.ts'

const folder = mkdtempSync(join(tmpdir(), 'coatcheck-static-'))
const root = join(folder, 'site')
const script = 'console.log("hello")\n'.repeat(50)
let carrier: Carrier

beforeAll(async () => {
  mkdirSync(join(root, 'assets'), { recursive: true })
  mkdirSync(join(root, '.git'))
  mkdirSync(join(root, '.well-known'))
  mkdirSync(join(root, 'docs'))
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  writeFileSync(join(root, 'index.html'), '<h1>app</h1>')
  writeFileSync(join(root, 'docs/index.html'), '<h1>docs</h1>')
  writeFileSync(join(root, 'assets/app-B8fKq2Lx.js'), script)
  writeFileSync(join(root, 'assets/app-B8fKq2Lx.js.br'), brotliCompressSync(script))
  writeFileSync(join(root, 'assets/app-B8fKq2Lx.js.gz'), gzipSync(script))
  writeFileSync(join(root, 'some-component.js'), 'x')
  writeFileSync(join(root, 'grüße 100%?.txt'), 'hello')
  writeFileSync(join(root, 'data.txt'), '0123456789')
  writeFileSync(join(root, '.env'), 'secret')
  writeFileSync(join(root, '.git/config'), 'secret')
  writeFileSync(join(root, '.well-known/security.txt'), 'mailto:')
  symlinkSync(join(folder, 'secret.txt'), join(root, 'link.txt'))
  symlinkSync(folder, join(root, 'up'))
  symlinkSync(join(root, 'data.txt'), join(root, 'inside.txt'))
  writeFileSync(join(root, 'sibling.js'), 'x')
  symlinkSync(join(folder, 'secret.txt'), join(root, 'sibling.js.br'))
  carrier = await startCarrier(({ target }) => ({
    kind: 'static',
    root,
    path: target,
    headers: ['X-Content-Type-Options', 'nosniff', 'Content-Security-Policy', "default-src 'self'"],
  }))
})
afterAll(async () => {
  await carrier[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true })
})

const navigation = { 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html' }

/** By a bare connection: fetch would resolve dots, and set headers of its own. */
async function get(path: string, headers: Record<string, string> = {}, method = 'GET') {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const wire = await openWire(
    carrier.port,
    `${method} ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${lines.join('')}\r\n`,
  )
  const received = await wire.closed
  const split = received.indexOf('\r\n\r\n')
  const fields = received
    .slice(0, split)
    .split('\r\n')
    .slice(1)
    .map((line) => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 2)])
  return { status: Number(received.slice(9, 12)), headers: Object.fromEntries(fields), body: received.slice(split + 4) }
}

describe('what is served', () => {
  test('a fingerprinted file is kept for ever, compressed as the browser likes', async () => {
    const plain = await get('/assets/app-B8fKq2Lx.js')
    expect(plain).toMatchObject({ status: 200, body: script })
    expect(plain.headers).toMatchObject({
      'cache-control': 'public, max-age=31536000, immutable',
      'content-type': 'text/javascript',
      vary: 'Accept-Encoding',
    })
    expect((await get('/assets/app-B8fKq2Lx.js', { 'Accept-Encoding': 'gzip, br' })).headers['content-encoding']).toBe(
      'br',
    )
    expect((await get('/assets/app-B8fKq2Lx.js', { 'Accept-Encoding': 'gzip' })).headers['content-encoding']).toBe(
      'gzip',
    )
  })

  test('everything else is asked for again each time', async () => {
    for (const path of ['/', '/some-component.js', '/data.txt']) {
      expect((await get(path)).headers['cache-control']).toBe('no-cache')
    }
  })

  test('PX4 an answer with a cookie is kept by no cache, and what was decided about caching stands', async () => {
    const ask = async (headers: string[]) => {
      await using one = await startCarrier(({ target }) => ({ kind: 'static', root, path: target, headers }))
      return (await fetch(`${one.url}/assets/app-B8fKq2Lx.js`)).headers
    }
    const rotated = await ask(['Set-Cookie', '__Host-session=new'])
    expect([rotated.get('Cache-Control'), rotated.getSetCookie()]).toEqual(['no-store', ['__Host-session=new']])
    expect((await ask(['Cache-Control', 'private, no-cache'])).get('Cache-Control')).toBe('private, no-cache')
  })

  test('SH1 the security headers are on 200, 304 and 404 alike', async () => {
    const fresh = await get('/data.txt')
    const tag = fresh.headers.etag as string
    const unchanged = await get('/data.txt', { 'If-None-Match': tag })
    const missing = await get('/missing.js')
    expect([fresh.status, unchanged.status, missing.status]).toEqual([200, 304, 404])
    expect(unchanged.headers).toMatchObject({ etag: tag, 'cache-control': 'no-cache', vary: 'Accept-Encoding' })
    for (const { headers } of [fresh, unchanged, missing]) {
      expect(headers).toMatchObject({
        'x-content-type-options': 'nosniff',
        'content-security-policy': "default-src 'self'",
      })
    }
  })

  test('navigations fall back to the start page; scripts, images and API typos do not', async () => {
    expect(await get('/users/7', navigation)).toMatchObject({ status: 200, body: '<h1>app</h1>' })
    expect(await get('/users/7', { Accept: 'text/html,*/*' })).toMatchObject({ status: 200 })
    expect(await get('/users/7', { Accept: '*/*' })).toMatchObject({ status: 404 })
    expect(await get('/users/7', { ...navigation, 'Sec-Fetch-Mode': 'cors' })).toMatchObject({ status: 404 })
    expect(await get('/assets/gone-B8fKq2Lx.js', navigation)).toMatchObject({ status: 404 })
  })

  test('a folder shows its own start page', async () => {
    expect((await get('/docs')).body).toBe('<h1>docs</h1>')
    expect((await get('/docs/')).body).toBe('<h1>docs</h1>')
    expect((await get('/assets/')).status).toBe(404)
  })

  test('names are decoded once', async () => {
    expect((await get('/gr%C3%BC%C3%9Fe%20100%25%3F.txt')).status).toBe(404) // a `?` in a name is beyond sirv
    expect((await get('/data%2Etxt')).body).toBe('0123456789')
    expect((await get('/data%252Etxt')).status).toBe(404)
    expect((await get('/%')).status).toBe(404)
  })

  test('HEAD has the length and no body; other methods are not found', async () => {
    expect(await get('/data.txt', {}, 'HEAD')).toMatchObject({
      status: 200,
      body: '',
      headers: { 'content-length': '10' },
    })
    expect((await get('/data.txt', {}, 'POST')).status).toBe(404)
  })

  test('plain ranges are served, others answered in full', async () => {
    expect(await get('/data.txt', { Range: 'bytes=2-4' })).toMatchObject({ status: 206, body: '234' })
    expect(await get('/data.txt', { Range: 'bytes=8-' })).toMatchObject({ status: 206, body: '89' })
    for (const range of ['bytes=-3', 'bytes=5-2', 'bytes=0-1,3-4', 'lines=1-2']) {
      expect(await get('/data.txt', { Range: range })).toMatchObject({ status: 200, body: '0123456789' })
    }
    expect((await get('/data.txt', { Range: 'bytes=2-4', 'If-Range': '"old"' })).status).toBe(200)
  })

  test('a deployment is seen without a restart', async () => {
    writeFileSync(join(root, 'new.tmp'), 'a longer text than before')
    writeFileSync(join(root, 'changing.txt'), 'short')
    expect((await get('/changing.txt')).body).toBe('short')
    renameSync(join(root, 'new.tmp'), join(root, 'changing.txt'))
    expect((await get('/changing.txt')).body).toBe('a longer text than before')
    rmSync(join(root, 'changing.txt'))
    expect((await get('/changing.txt')).status).toBe(404)
  })
})

describe('what is not', () => {
  test.each([
    '/.env',
    '/.git/config',
    '/.git/',
    '/%2eenv',
    '/assets/.env',
    '/.well-known/.env',
    '/../secret.txt',
    '/assets/../../secret.txt',
    '/%2e%2e/secret.txt',
    '/..%2fsecret.txt',
    '/..%5csecret.txt',
    '/assets/..%2f..%2fsecret.txt',
    '//secret.txt',
    '/data.txt%00.js',
    '/link.txt',
    '/up/secret.txt',
    '/up/site/data.txt/../../secret.txt',
  ])('PX1 %s shows nothing', async (path) => {
    for (const headers of [{}, { 'Accept-Encoding': 'br, gzip' }]) {
      const answer = await get(path, headers)
      expect(answer.status).toBe(404)
      expect(answer.body).not.toContain('secret')
    }
  })

  test('a precompressed sibling that leads out of the folder hides the file', async () => {
    expect((await get('/sibling.js', { 'Accept-Encoding': 'br' })).status).toBe(404)
  })

  test('links within the folder, and what is made to be well known, are fine', async () => {
    expect((await get('/inside.txt')).body).toBe('0123456789')
    expect((await get('/.well-known/security.txt')).body).toBe('mailto:')
  })
})
