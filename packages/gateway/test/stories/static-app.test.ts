import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { wireUser } from './wire.ts'

const script = 'export const greeting = "hello"\n'.repeat(100)

/** A world with an application as a build tool leaves it, and with what must not be seen. */
function siteWorld(config: ConfigInput = {}) {
  return createWorld({
    config,
    beforeStart({ folder }) {
      const site = join(folder, 'public')
      const put = (name: string, content: string | Uint8Array) => writeFileSync(join(site, name), content)
      for (const name of ['assets', '.git', '.well-known', 'docs', 'empty']) mkdirSync(join(site, name))
      writeFileSync(join(folder, 'outside.txt'), 'secret')
      put('assets/main-B8fKq2Lx.js', script)
      put('assets/main-B8fKq2Lx.js.br', brotliCompressSync(script))
      put('assets/main-B8fKq2Lx.js.gz', gzipSync(script))
      put('assets/notes.txt', '0123456789')
      put('assets/caf\u00e9 100%.txt', 'coffee')
      put('docs/index.html', '<title>Docs</title>')
      put('.env', 'secret')
      put('.git/config', 'secret')
      put('assets/.htpasswd', 'secret')
      put('.well-known/security.txt', 'Contact: mailto:a@example.com')
      symlinkSync(join(folder, 'outside.txt'), join(site, 'link.txt'))
      symlinkSync(folder, join(site, 'up'))
      symlinkSync(join(site, 'loop'), join(site, 'loop'))
    },
  })
}

test('SH1 a person’s deep link shows the application; a script, an image or an API typo never gets HTML for a file that is not there', async () => {
  await using world = await siteWorld()
  const browser = world.browser()
  for (const path of ['/', '/orders', '/orders/7?tab=1', '/a/b/c/d', '/empty/', '/assets/']) {
    const page = await browser.visit(path, { from: `${world.origin}/` })
    expect([path, page.status, page.header('content-type'), page.title]).toEqual([
      path,
      200,
      'text/html;charset=utf-8',
      'App',
    ])
  }
  expect((await browser.visit('/docs', { from: `${world.origin}/` })).title).toBe('Docs')
  const missing = [
    '/assets/main-0ld0ld0l.js',
    '/missing.css',
    '/logo.png',
    '/data.json',
    '/assets/gone.map',
    '/favicon.ico',
  ]
  for (const path of [...missing, '/orders', '/app.js/x', `/${'a'.repeat(300)}`, '/loop/x']) {
    for (const dest of ['empty', 'script', 'style', 'image'] as const) {
      const page = await browser.fetch(path, { dest, mode: dest === 'empty' ? 'cors' : 'no-cors', csrf: false })
      expect([path, dest, page.status, page.header('content-type')]).toEqual([
        path,
        dest,
        404,
        'application/problem+json',
      ])
    }
  }
  // Opened in the window it is a page, but not the application, and not 200.
  for (const path of missing) {
    const page = await browser.visit(path)
    expect([path, page.status, page.header('content-type')]).toEqual([path, 404, 'text/html; charset=utf-8'])
    expect(page.text).not.toContain('The app')
  }
})

test('PX1 dotfiles, what lies outside, links that lead there, and every spelling of them: not a byte', async () => {
  await using world = await siteWorld()
  const nobody = await wireUser(world)
  const hidden = [
    ...[
      '/.env',
      '/.git/config',
      '/.git',
      '/.git/',
      '/assets/.htpasswd',
      '/link.txt',
      '/up/outside.txt',
      '/up',
      '/up/coatcheck.keys',
    ],
    ...[
      '/up/coatcheck.yaml',
      '/../coatcheck.keys',
      '/..%2fcoatcheck.keys',
      '/%2e%2e/outside.txt',
      '/%2eenv',
      '/.%65nv',
    ],
    ...[
      '/..\\outside.txt',
      '/..%5coutside.txt',
      '/assets/..%2f.env',
      '/assets/../.env',
      '/.well-known/../.env',
      '//etc/passwd',
    ],
    ...[
      '/%00',
      '/app.js%00.png',
      '/.env%20',
      '/.ENV',
      '/.env/',
      '/.env.',
      '/etc/passwd',
      '/assets/%252e%252e/.env',
      '/~root',
      '/C:/x',
    ],
    ...[
      '/.well-known/.env',
      '/.well-known/.git/config',
      '/app.js;.html',
      '/file:///etc/passwd',
      '/::$DATA',
      '/app.js::$DATA',
    ],
  ]
  for (const path of hidden) {
    for (const lines of ['', 'Sec-Fetch-Mode: navigate\r\nAccept: text/html\r\n']) {
      const { statuses, text } = await nobody.call(path, lines)
      const shown = text.includes('The app')
      // A path that names no file at all may be the application's own (`/~root`).
      expect([path, shown ? 'the app' : statuses[0]]).toEqual([
        path,
        expect.toSatisfy((one) => [400, 404, 'the app'].includes(one)),
      ])
      expect([path, /secret|BEGIN|root:|privateKey|clientSecret|"keys"/.test(text)]).toEqual([path, false])
    }
  }
  const fine = await nobody.call('/.well-known/security.txt')
  expect([fine.statuses, fine.text.includes('mailto:')]).toEqual([[200], true])
})

test('a file is compressed as the browser likes, kept for ever by its fingerprint, and asked for again by its tag', async () => {
  await using world = await siteWorld()
  const browser = world.browser()
  const path = '/assets/main-B8fKq2Lx.js'
  for (const [accepted, coding] of [
    ['br, gzip', 'br'],
    ['gzip', 'gzip'],
    ['identity', undefined],
    ['br;q=0, gzip;q=0', undefined],
  ] as const) {
    const page = await browser.fetch(path, { headers: { 'accept-encoding': accepted } })
    expect([accepted, page.status, page.text === script]).toEqual([accepted, 200, true])
    expect([accepted, page.header('vary'), page.header('content-type')]).toEqual([
      accepted,
      'Accept-Encoding',
      'text/javascript',
    ])
    if (!accepted.includes('q=0')) expect([accepted, page.header('content-encoding')]).toEqual([accepted, coding])
    expect(page.header('cache-control')).toBe('public, max-age=31536000, immutable')
    expect(page.headers('set-cookie')).toEqual([])
  }
  for (const name of ['/app.js', '/']) {
    const first = await browser.visit(name)
    expect([name, first.header('cache-control')]).toEqual([name, 'no-cache'])
    const etag = String(first.header('etag'))
    const again = await browser.visit(name, { headers: { 'if-none-match': etag } })
    expect([name, again.status, again.text, again.header('etag')]).toEqual([name, 304, '', etag])
    expect((await browser.visit(name, { headers: { 'if-none-match': '"other"' } })).status).toBe(200)
  }
})

test('HEAD, ranges and names beyond ASCII; other methods are 405, and nothing is listed', async () => {
  await using world = await siteWorld()
  const browser = world.browser()
  const whole = await browser.fetch('/assets/notes.txt')
  const head = await browser.fetch('/assets/notes.txt', { method: 'HEAD' })
  expect([head.status, head.text, head.header('content-length')]).toEqual([200, '', '10'])
  expect(head.header('etag')).toBe(whole.header('etag'))
  const range = await browser.fetch('/assets/notes.txt', { headers: { range: 'bytes=2-4' } })
  expect([range.status, range.text, range.header('content-range')]).toEqual([206, '234', 'bytes 2-4/10'])
  for (const bad of ['bytes=4-2', 'bytes=-3', 'bytes=0-1,3-4', 'items=0-1', 'bytes=a-b']) {
    const page = await browser.fetch('/assets/notes.txt', { headers: { range: bad } })
    expect([bad, page.status, page.text]).toEqual([bad, 200, '0123456789'])
  }
  expect((await browser.fetch('/assets/caf%C3%A9%20100%25.txt')).text).toBe('coffee')
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const page = await browser.fetch('/app.js', { method })
    expect([method, page.status, page.header('allow'), page.json().code]).toEqual([
      method,
      405,
      'GET, HEAD',
      'method_not_allowed',
    ])
  }
  expect((await browser.fetch('/assets/')).text).not.toContain('notes.txt')
})

describe('SH1 what defends the application in its browser', () => {
  const policy = (headers: (name: string) => string | undefined) => ({
    nosniff: headers('x-content-type-options'),
    referrer: headers('referrer-policy'),
    opener: headers('cross-origin-opener-policy'),
    resource: headers('cross-origin-resource-policy'),
  })
  const expected = { nosniff: 'nosniff', referrer: 'same-origin', opener: 'same-origin', resource: 'same-origin' }

  test('SH1 on every file, every start page, 206 and 304: CSP, nosniff, Referrer-Policy, COOP, CORP; no HSTS over plain http', async () => {
    await using world = await siteWorld()
    const browser = world.browser()
    const etag = String((await browser.fetch('/app.js')).header('etag'))
    for (const page of [
      await browser.visit('/'),
      await browser.visit('/deep/link'),
      await browser.fetch('/app.js'),
      await browser.fetch('/app.js', { method: 'HEAD' }),
      await browser.fetch('/app.js', { headers: { range: 'bytes=0-3' } }),
      await browser.fetch('/app.js', { headers: { 'if-none-match': etag } }),
    ]) {
      expect(policy((name) => page.header(name))).toEqual(expected)
      const csp = String(page.header('content-security-policy'))
      for (const directive of ["default-src 'self'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"])
        expect(csp).toContain(directive)
      expect(csp).not.toMatch(/unsafe-|\*/)
      expect(page.header('strict-transport-security')).toBeUndefined()
    }
  })

  test('SH1 on an https origin every answer has HSTS of a year: files, APIs, redirects, errors, what can’t be read; a CSP of one’s own is completed', async () => {
    await using world = await siteWorld({
      origin: 'https://app.example.com',
      trustedProxies: ['127.0.0.0/8'],
      headers: { csp: "default-src 'self'; img-src *" },
    })
    const nobody = await wireUser(world)
    const get = async (path: string) => {
      const own = 'Host: app.example.com\r\nX-CSRF: 1\r\nSec-Fetch-Site: same-origin\r\nConnection: close\r\n'
      const { text } = await nobody.send(`GET ${path} HTTP/1.1\r\n${own}\r\n`)
      return (name: string) => new RegExp(`^${name}: (.*)\r$`, 'im').exec(text)?.[1]
    }
    const file = await get('/app.js')
    expect(policy(file)).toEqual(expected)
    expect(file('content-security-policy')).toBe(
      "default-src 'self'; img-src *; object-src 'none'; base-uri 'none'; frame-ancestors 'none'",
    )
    const paths = [
      '/app.js',
      '/missing.js',
      '/api/public/echo',
      '/api/echo',
      '/api/x;y',
      '/auth/session',
      '/auth/nowhere',
    ]
    for (const path of [...paths, '/auth/sessions', '/auth/login', '/api/public/dies', '/', '//'])
      expect([path, (await get(path))('strict-transport-security')]).toEqual([
        path,
        'max-age=31536000; includeSubDomains',
      ])
    const navigate = 'Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nSec-Fetch-Dest: document\r\n'
    for (const lines of ['Host: app.example.com\r\n', 'Host: evil.test\r\n', 'Bad header: 1\r\n', ''])
      for (const more of ['', navigate])
        for (const path of ['/api/echo', '/auth/login']) {
          const { text } = await nobody.send(`GET ${path} HTTP/1.1\r\n${lines}${more}Connection: close\r\n\r\n`)
          expect([
            path,
            lines,
            text.match(/^strict-transport-security: max-age=31536000; includeSubDomains\r$/gim),
          ]).toHaveProperty('2.length', 1)
        }
  })
})

test('PX4 RB1 files for the signed-in only: sign-in for a person, 401 for a script, no cache keeps them; a fingerprint changes nothing', async () => {
  await using world = await siteWorld({
    routes: [
      { path: '/staff/*', static: './public', access: { roles: ['member'] } },
      { path: '/*', static: './public', access: 'public' },
    ],
  })
  const nobody = world.browser('nobody')
  expect((await nobody.visit('/staff/', { from: `${world.origin}/`, follow: false })).location).toContain(
    '/auth/login?',
  )
  expect((await nobody.fetch('/staff/app.js')).json()).toMatchObject({ status: 401, code: 'login_required' })
  expect((await (await world.signedIn({ as: 'eve', browser: 'eve' })).fetch('/staff/app.js')).status).toBe(403)
  const bob = await world.signedIn({ as: 'bob', browser: 'bob' })
  for (const path of ['/staff/', '/staff/deep/link', '/staff/app.js', '/staff/assets/main-B8fKq2Lx.js']) {
    const page = await bob.visit(path, { from: `${world.origin}/` })
    expect([path, page.status, page.headers('cache-control')]).toEqual([path, 200, ['no-store']])
  }
})
