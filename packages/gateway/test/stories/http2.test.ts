import { writeFileSync } from 'node:fs'
import { type ClientHttp2Session, connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2'
import { join } from 'node:path'
import selfsigned from 'selfsigned'
import { describe, expect, test } from 'vitest'
import { formsOf } from '../../../testkit/src/canaries.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import type { Config } from '../../src/config/schema.ts'
import { startGateway } from '../../src/start.ts'

const { cert, private: key } = await selfsigned.generate([{ name: 'commonName', value: '127.0.0.1' }], {
  keyType: 'ec',
})

interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

/** The world's gateway once more, on the same store, with TLS in front; and an HTTP/2 connection of a user to it. */
async function worldWithHttp2(options: WorldOptions = {}) {
  const world = await createWorld(options)
  const browser = await world.signedIn({ as: 'bob' })
  const tls = { cert: join(world.folder, 'tls.crt'), key: join(world.folder, 'tls.key') }
  writeFileSync(tls.cert, cert)
  writeFileSync(tls.key, key)
  const { admin: _, ...rest } = world.config
  const gateway = await startGateway({
    config: { ...rest, listen: { host: '127.0.0.1', port: 0, tls } } as Config,
    now: world.clock.now,
    log: world.log.logger,
    store: world.store,
  })
  const session = connect(gateway.url, { rejectUnauthorized: false })
  session.on('error', () => {})
  const { host } = new URL(world.origin)
  const cookies = browser.cookies().map((one) => one.cookieString())
  return {
    world,
    browser,
    host,
    cookies,
    session,
    /** A call of the application's own script; `headers` are laid over it. */
    call: (path: string, headers: OutgoingHttpHeaders = {}, body?: string) =>
      ask(session, { ':path': path, ':authority': host, 'x-csrf': '1', cookie: cookies, ...headers }, body),
    async [Symbol.asyncDispose]() {
      session.destroy()
      await gateway.close({ graceMs: 0 })
      await world[Symbol.asyncDispose]()
    },
  }
}

function ask(session: ClientHttp2Session, headers: OutgoingHttpHeaders, body?: string): Promise<Answer> {
  const stream = session.request(headers, { endStream: body === undefined })
  if (body !== undefined) stream.end(body)
  return new Promise((resolve, reject) => {
    let head: IncomingHttpHeaders = {}
    let text = ''
    stream.on('error', reject).on('response', (fields) => {
      head = fields
    })
    stream.on('data', (chunk) => {
      text += String(chunk)
    })
    stream.on('close', () => resolve({ status: Number(head[':status']), headers: head, body: text }))
  })
}

const seenBy = (world: World) => world.upstream.last()

describe('HTTP/2 to the same guard', () => {
  test('PX2 PX3 a signed-in call: crumbs of cookies are joined, ours taken out, identity set, and no token comes back', async () => {
    await using h2 = await worldWithHttp2()
    const answer = await h2.call('/api/echo?x=1', {
      cookie: ['theme=dark', ...h2.cookies, 'lang=de'],
      authorization: 'Bearer forged',
      'x-coatcheck-user': 'root',
      'x-forwarded-for': '1.2.3.4',
      te: 'trailers',
    })
    expect(answer.status).toBe(200)
    const seen = seenBy(h2.world)
    expect(seen.target).toBe('/echo?x=1')
    expect(seen.header('cookie')).toBe('theme=dark; lang=de')
    expect(seen.header('x-coatcheck-user')).toBe('bob')
    expect(seen.header('x-forwarded-for')).toBe('127.0.0.1')
    expect(h2.world.provider.issuedTokens).toContain(seen.header('authorization')?.replace('Bearer ', ''))
    expect(seen.rawHeaders.some((name) => name.startsWith(':') || name.toLowerCase() === 'te')).toBe(false)
    const bytes = JSON.stringify(answer)
    for (const token of h2.world.provider.issuedTokens) {
      for (const form of formsOf(token)) expect(bytes).not.toContain(form)
    }
  })

  test('PX1 CS1 what HTTP/1.1 refuses is refused here too', async () => {
    await using h2 = await worldWithHttp2()
    const before = h2.world.upstream.requests.length
    const rows: [status: number, path: string, headers: OutgoingHttpHeaders][] = [
      [421, '/api/echo', { ':authority': 'evil.test' }],
      [400, '/api/echo', { host: 'evil.test' }],
      [400, '/api/echo', { cookie: [...h2.cookies, ...h2.cookies] }],
      [401, '/api/echo', { cookie: 'a=b' }],
      [403, '/api/echo', { 'x-csrf': '2' }],
      [403, '/api/admin/echo', {}],
      [400, '/api/..%2fadmin', {}],
      [400, '/api//x', {}],
      [405, '/api/echo', { ':method': 'TRACE' }],
    ]
    for (const [status, path, headers] of rows) {
      const answer = await h2.call(path, headers)
      expect([path, headers, answer.status]).toEqual([path, headers, status])
    }
    expect(h2.world.upstream.requests.length).toBe(before)
  })

  test('pages, files and endpoints', async () => {
    await using h2 = await worldWithHttp2()
    const page = await h2.call('/', { accept: 'text/html' })
    expect([page.status, page.headers['content-type'], page.body]).toEqual([
      200,
      'text/html;charset=utf-8',
      expect.stringContaining('The app'),
    ])
    const again = await h2.call('/', { accept: 'text/html', 'if-none-match': String(page.headers.etag) })
    expect([again.status, again.body]).toEqual([304, ''])
    const head = await h2.call('/app.js', { ':method': 'HEAD' })
    expect([head.status, Number(head.headers['content-length']) > 0, head.body]).toEqual([200, true, ''])
    expect((await h2.call('/nowhere.js')).status).toBe(404)
    expect(JSON.parse((await h2.call('/auth/session')).body)).toMatchObject({ authenticated: true })
    const out = await h2.call('/auth/logout', { ':method': 'POST', origin: h2.world.origin }, '')
    expect([out.status, JSON.parse(out.body)]).toEqual([200, { redirectTo: expect.any(String) }])
    expect((await h2.call('/api/echo')).status).toBe(401)
  })

  test('CT1 a new cookie value that the browser did not get is not taken for delivered', async () => {
    await using h2 = await worldWithHttp2({ config: { session: { rotate: '1m', grace: '5s' } } })
    h2.world.upstream.on('/endless', ({ response }) => void response.write('x'))
    h2.world.clock.advance(61_000)
    const stream = h2.session.request({
      ':path': '/api/endless',
      ':authority': h2.host,
      'x-csrf': '1',
      cookie: h2.cookies,
    })
    stream.on('error', () => {})
    const rotated = await new Promise<IncomingHttpHeaders>((resolve) => stream.on('response', resolve))
    expect(rotated['set-cookie']).toHaveLength(1)
    stream.close(8)
    await expect.poll(() => h2.world.upstream.open).toBe(0)
    // Long after the grace: had the new value counted as delivered, the old one would be a copy, and the session over.
    h2.world.clock.advance(20_000)
    expect((await h2.call('/api/echo')).status).toBe(200)
  })

  test('PX8 the retry after a refused token', async () => {
    await using h2 = await worldWithHttp2()
    let refused: string | undefined
    h2.world.upstream.on('/data', ({ request, response }) => {
      refused ??= request.headers.authorization
      response.writeHead(request.headers.authorization === refused ? 401 : 200).end('data')
    })
    expect((await h2.call('/api/data')).status).toBe(200)
  })
})
