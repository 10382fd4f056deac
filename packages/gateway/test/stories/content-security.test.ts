import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { ConfigInput } from '../../../testkit/src/config.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'

const csp = "default-src 'self'; script-src 'nonce-{nonce}' 'strict-dynamic'; style-src 'self' 'nonce-{nonce}'"
const page =
  '<!doctype html><title>App</title><style>h1{}</style><script>start()</script><!-- <script> --><h1>\u00e9</h1>\n'

/** A world whose application has inline scripts. */
const noncedWorld = (config: ConfigInput = {}) =>
  createWorld({
    config: { headers: { csp }, ...config },
    beforeStart({ folder }) {
      const put = (name: string, text: string | Uint8Array) => writeFileSync(join(folder, 'public', name), text)
      mkdirSync(join(folder, 'public', 'docs'))
      put('index.html', page)
      put('index.html.br', brotliCompressSync(page))
      put('index.html.gz', gzipSync(page))
      put('docs/index.html', '<title>Docs</title><script src="docs.js"></script>')
      put('help.htm', '<title>Help</title><script src="help.js"></script>')
      put('image.svg', '<svg xmlns="http://www.w3.org/2000/svg"><script>a()</script></svg>')
    },
  })

const policyOf = (answer: Page) => String(answer.header('content-security-policy'))
const nonceOf = (answer: Page) => /'nonce-([\w-]+)'/.exec(policyOf(answer))?.[1] ?? 'none'

describe('SH1 a nonce for each page', () => {
  test('SH1 every answer has its own, in its policy and on what was deployed; nothing else of the page differs, nothing keeps it', async () => {
    await using world = await noncedWorld()
    const browser = world.browser()
    const seen = new Set<string>()
    for (const path of ['/', '/index.html', '/deep/link', '/docs/', '/help.htm', '/', '/']) {
      const answer = await browser.visit(path)
      const nonce = nonceOf(answer)
      seen.add(nonce)
      expect([path, answer.status, nonce]).toEqual([path, 200, expect.stringMatching(/^[\w-]{24}$/)])
      expect(policyOf(answer)).toBe(
        `${csp.replaceAll('{nonce}', nonce)}; object-src 'none'; base-uri 'none'; frame-ancestors 'none'`,
      )
      expect(answer.text.match(/nonce="[^"]*"/g)?.every((text) => text === `nonce="${nonce}"`)).toBe(true)
      if (answer.title === 'App') {
        expect(answer.text.replaceAll(` nonce="${nonce}"`, '')).toBe(page)
        expect(answer.text.split(nonce)).toHaveLength(3)
      }
      expect(answer.headers('cache-control')).toEqual(['no-store'])
      for (const name of ['etag', 'last-modified', 'accept-ranges', 'content-encoding'])
        expect([name, answer.headers(name)]).toEqual([name, []])
      expect(answer.header('content-type')).toBe('text/html;charset=utf-8')
      expect(answer.header('cross-origin-opener-policy')).toBe('same-origin')
    }
    expect(seen.size).toBe(7)
  })

  test('SH1 no 304, no 206 and no precompressed page: each would bring a page without the nonce of its policy', async () => {
    await using world = await noncedWorld()
    const browser = world.browser()
    for (const headers of [
      { 'if-none-match': '*' },
      { 'if-none-match': 'W/"1-1"', 'if-modified-since': new Date(Date.now() + 1e6).toUTCString() },
      { range: 'bytes=0-9' },
      { 'accept-encoding': 'br, gzip' },
    ]) {
      const answer = await browser.visit('/', { headers: headers as Record<string, string> })
      expect([headers, answer.status, answer.text.includes(nonceOf(answer))]).toEqual([headers, 200, true])
      expect(answer.text.split(nonceOf(answer))).toHaveLength(3)
    }
    const head = await browser.visit('/', { method: 'HEAD' })
    expect([head.status, head.text, head.header('content-length')]).toEqual([
      ...[200, ''],
      String(Buffer.byteLength(page) + 2 * ` nonce="${nonceOf(head)}"`.length),
    ])
  })

  test('SH1 what is no page has the policy without a nonce, and is kept as ever', async () => {
    await using world = await noncedWorld()
    const browser = world.browser()
    for (const path of ['/app.js', '/image.svg']) {
      const answer = await browser.fetch(path)
      expect(policyOf(answer)).toContain("script-src 'strict-dynamic'; style-src 'self'")
      expect(policyOf(answer)).not.toContain('nonce')
      const again = await browser.fetch(path, { headers: { 'if-none-match': String(answer.header('etag')) } })
      expect(again.status).toBe(304)
    }
  })

  test('SH1 a page that is deployed anew, in place or by a rename, is the new one at once', async () => {
    await using world = await noncedWorld()
    const browser = world.browser()
    await browser.visit('/')
    const file = join(world.folder, 'public', 'index.html')
    writeFileSync(file, '<title>Two</title><script>two()</script>')
    expect((await browser.visit('/')).text).toMatch(/^<title>Two<\/title><script nonce="[\w-]+">two\(\)<\/script>$/)
    writeFileSync(`${file}.new`, '<title>Six</title><script>six()</script>')
    renameSync(`${file}.new`, file)
    expect((await browser.visit('/')).title).toBe('Six')
  })

  test('SH1 PX4 a page for the signed-in brings the rotated cookie along', async () => {
    await using world = await noncedWorld({
      routes: [
        { path: '/staff/*', static: './public', access: 'authenticated' },
        { path: '/*', static: './public', access: 'public' },
      ],
    })
    const ada = await world.signedIn()
    world.clock.advance(16 * 60_000)
    const answer = await ada.visit('/staff/', { from: `${world.origin}/` })
    expect(answer.headers('set-cookie')).toHaveLength(1)
    expect([answer.headers('cache-control'), answer.text.split(nonceOf(answer)).length]).toEqual([['no-store'], 3])
  })
})

describe('SH1 reports of browsers', () => {
  const send = (world: World, type: string, body: unknown, headers: Record<string, string> = {}) =>
    world.browser().fetch('/auth/csp-reports', {
      ...{ method: 'POST', csrf: false, mode: 'no-cors' as const },
      headers: { 'content-type': type, ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    })
  const legacy = (world: World, members: object = {}) => ({
    'csp-report': {
      'document-uri': `${world.origin}/orders/7?code=secret#secret`,
      'violated-directive': "script-src 'self'",
      'blocked-uri': 'https://evil.test/x.js?token=secret',
      'source-file': `${world.origin}/app.js?v=secret`,
      'line-number': 3,
      'column-number': 14,
      'script-sample': 'secret',
      referrer: 'https://evil.test/?secret',
      'original-policy': 'secret',
      disposition: 'report',
      ...members,
    },
  })
  const metricsOf = async (world: World) =>
    (await fetch(`${world.adminUrl}/metrics`, { headers: { authorization: `Bearer ${world.adminToken}` } })).text()

  test('SH1 LG3 both kinds: one line each, without queries, samples and what could forge a line; counted', async () => {
    await using world = await createWorld({ config: { headers: { cspReports: true } } })
    expect(policyOf(await world.browser().visit('/'))).toMatch(/; report-uri \/auth\/csp-reports$/)
    const answer = await send(world, 'application/csp-report', legacy(world))
    expect([answer.status, answer.text]).toEqual([204, ''])
    const body = {
      documentURL: `${world.origin}/a\u202e?q=secret`,
      effectiveDirective: 'img-src',
      blockedURL: 'inline',
      sourceFile: 'data:text/javascript,secret',
      lineNumber: '1; DROP',
      columnNumber: -1,
      sample: 'secret',
      disposition: 'x\nforged',
    }
    const reports = [
      { type: 'csp-violation', age: 1, url: 'https://evil.test/?secret', user_agent: 'secret', body },
      { type: 'csp-violation', body: { ...body, effectiveDirective: 'toString', blockedURL: 'secret: ?' } },
      { type: 'deprecation', body: { id: 'secret' } },
      null,
      'secret',
    ]
    expect((await send(world, 'Application/Reports+JSON; charset=utf-8', reports)).status).toBe(204)
    const lines = world.log
      .events('csp_violation')
      .map(({ requestId, address, level, time, event, msg, ...rest }) => rest)
    expect(lines).toEqual([
      {
        ...{ directive: 'script-src', blocked: 'https://evil.test/x.js', page: `${world.origin}/orders/7` },
        ...{ source: `${world.origin}/app.js`, line: 3, column: 14, disposition: 'report' },
      },
      {
        ...{ directive: 'img-src', blocked: 'inline', page: `${world.origin}/a%E2%80%AE` },
        ...{ source: 'data:', disposition: 'enforce' },
      },
      {
        ...{ directive: 'other', blocked: 'secret:', page: `${world.origin}/a%E2%80%AE` },
        ...{ source: 'data:', disposition: 'enforce' },
      },
    ])
    expect(await metricsOf(world)).toContain(
      'coatcheck_csp_violations_total{directive="script-src",disposition="report"} 1',
    )
  })

  test('SH1 what is no report, too large, from elsewhere or about another page logs no violation', async () => {
    await using world = await createWorld({ config: { headers: { cspReports: true }, log: { level: 'debug' } } })
    for (const [type, body] of [
      ['application/json', legacy(world)],
      ['', legacy(world)],
      ['application/csp-report', '{"csp-report":'],
      ['application/reports+json', '\ufeff'],
    ] as const)
      expect([type, body, (await send(world, type, body)).status]).toEqual([type, body, 400])
    for (const body of [[], {}, null, 7, 'null', { 'csp-report': [] }, { 'csp-report': { 'document-uri': 7 } }])
      for (const type of ['application/csp-report', 'application/reports+json'])
        expect([type, body, (await send(world, type, body)).status]).toEqual([type, body, 204])
    const elsewhere = legacy(world, { 'document-uri': 'https://evil.test/' })
    expect((await send(world, 'application/csp-report', elsewhere)).status).toBe(204)
    const large = JSON.stringify(legacy(world, { 'original-policy': 'x'.repeat(70_000) }))
    expect((await send(world, 'application/csp-report', large)).status).toBe(413)
    for (const headers of [
      { origin: 'https://evil.test' },
      { 'sec-fetch-site': 'cross-site' },
      { origin: 'null' },
    ] as const)
      expect((await send(world, 'application/csp-report', legacy(world), { ...headers })).status).toBe(403)
    expect(world.log.events('csp_violation')).toEqual([])
  })

  test('SH1 a flood fills no log: some at once, then one a second, at most twenty of one request', async () => {
    await using world = await createWorld({ config: { headers: { cspReports: true } } })
    const flood = Array.from({ length: 50 }, () => ({
      type: 'csp-violation',
      body: { documentURL: `${world.origin}/`, effectiveDirective: 'img-src', blockedURL: 'inline' },
    }))
    expect((await send(world, 'application/reports+json', flood)).status).toBe(204)
    expect(world.log.events('csp_violation')).toHaveLength(20)
    for (let n = 0; n < 5; n++) await send(world, 'application/reports+json', flood)
    expect(world.log.events('csp_violation')).toHaveLength(60)
    expect(await metricsOf(world)).toContain('coatcheck_csp_reports_dropped_total{reason="rate"} 60')
    world.clock.advance(2500)
    await send(world, 'application/reports+json', flood)
    expect(world.log.events('csp_violation')).toHaveLength(62)
  })

  test('SH1 without cspReports there is no such endpoint, and no policy names it', async () => {
    await using world = await createWorld()
    expect((await send(world, 'application/csp-report', legacy(world))).status).toBe(404)
    expect(policyOf(await world.browser().visit('/'))).not.toContain('report')
  })
})

describe('SH1 whose headers they are', () => {
  test('SH1 all that the gateway answers itself, pages, files, problems and data alike, is for this origin and sniffed by nobody', async () => {
    await using world = await createWorld({ config: { headers: { cspReports: true } } })
    const ada = await world.signedIn()
    const nobody = world.browser('nobody')
    const plain = { from: `${world.origin}/`, follow: false }
    const answers: [what: string, answer: Page, isPage: boolean][] = [
      ['a start page', await nobody.visit('/', plain), true],
      ['a file', await nobody.fetch('/app.js'), false],
      ['a missing file, for a script', await nobody.fetch('/missing.js'), false],
      ['a missing file, for a person', await nobody.visit('/missing.js', plain), true],
      ['who is signed in', await ada.fetch('/auth/session'), false],
      ['the list of sessions', await ada.fetch('/auth/sessions'), false],
      ['a problem', await nobody.fetch('/api/echo'), false],
      ['a forgery', await ada.fetch('/api/echo', { csrf: false }), false],
      ['an error page', await nobody.visit('/auth/callback/corp?state=x', plain), true],
      ['a page of ours', await nobody.visit('/api/echo', { from: 'https://other.test/', follow: false }), true],
      ['nothing', await nobody.fetch('/auth/nowhere'), false],
      ['signing out', await ada.fetch('/auth/logout', { method: 'POST' }), false],
    ]
    for (const [what, answer, isPage] of answers) {
      expect([what, answer.headers('x-content-type-options')]).toEqual([what, ['nosniff']])
      expect([what, answer.headers('cross-origin-resource-policy')]).toEqual([what, ['same-origin']])
      if (!isPage) continue
      expect([what, answer.header('content-type')]).toEqual([what, expect.stringMatching(/^text\/html/)])
      expect([what, answer.headers('cross-origin-opener-policy')]).toEqual([what, ['same-origin']])
      expect([what, answer.headers('content-security-policy')]).toEqual([
        what,
        [expect.stringContaining('frame-ancestors')],
      ])
      expect([what, answer.headers('referrer-policy')]).toEqual([
        what,
        [expect.stringMatching(/^(same-origin|no-referrer)$/)],
      ])
    }
  })

  test('SH1 what an application says of its own pages stands; where it is silent the gateway speaks', async () => {
    await using world = await createWorld({
      config: { origin: 'https://app.example.com', trustedProxies: ['127.0.0.0/8'] },
    })
    const own = {
      'strict-transport-security': 'max-age=60',
      'content-security-policy': "default-src 'none'",
      'cross-origin-opener-policy': 'unsafe-none',
      'cross-origin-resource-policy': 'cross-origin',
      'cross-origin-embedder-policy': 'require-corp',
      'permissions-policy': 'camera=()',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    }
    world.upstream.on(
      '/talks',
      ({ response }) => void response.writeHead(200, { 'content-type': 'text/html', ...own }).end(),
    )
    world.upstream.on('/silent', ({ response }) => void response.writeHead(200, { 'content-type': 'text/html' }).end())
    const headers = { host: 'app.example.com', origin: 'https://app.example.com' }
    const talks = await world.browser().fetch('/api/public/talks', { headers })
    for (const [name, value] of Object.entries(own)) expect([name, talks.headers(name)]).toEqual([name, [value]])
    const silent = await world.browser().fetch('/api/public/silent', { headers })
    const given = Object.keys(own).map((name) => [name, silent.header(name)])
    expect(Object.fromEntries(given)).toEqual({
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'content-security-policy': "frame-ancestors 'self'",
      'cross-origin-opener-policy': undefined,
      'cross-origin-resource-policy': 'same-origin',
      'cross-origin-embedder-policy': undefined,
      'permissions-policy': undefined,
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    })
  })
})
