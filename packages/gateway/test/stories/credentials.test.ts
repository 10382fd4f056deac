import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findLeaks, formsOf } from '../../../testkit/src/canaries.ts'
import { providerPaths } from '../../../testkit/src/provider-api.ts'
import type { Exchange } from '../../../testkit/src/transport.ts'
import type { UpstreamRequest } from '../../../testkit/src/upstream.ts'
import { createWorld, type World } from '../../../testkit/src/world.ts'
import { wireUser } from './wire.ts'

const valuesOf = ({ rawHeaders }: UpstreamRequest, name: string) =>
  rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === name)

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as object

describe('what each upstream is given', () => {
  const credentials = ['none', 'access-token', 'id-token'] as const

  const worldOf = () =>
    createWorld({
      config: ({ upstream }) => ({
        routes: [
          ...credentials.map((credential) => ({
            path: `/${credential}/*`,
            upstream,
            access: 'authenticated',
            credential,
          })),
          { path: '/default/*', upstream, access: 'authenticated' },
          { path: '/public/*', upstream, access: 'public' },
          { path: '/*', static: './public', access: 'public' },
        ],
      }),
    })

  const given = async (world: World, path: string, headers: Record<string, string> = {}) => {
    const page = await world.browser().fetch(path, { headers })
    expect([path, page.status]).toEqual([path, 200])
    return valuesOf(world.upstream.last(), 'authorization')
  }

  test('PX2 PX3 none, access token or ID token: exactly what the route says, nothing by default, and never what the client brought', async () => {
    await using world = await worldOf()
    await world.signedIn()
    for (const headers of [{}, { authorization: 'Bearer forged' }]) {
      for (const path of ['/none/echo', '/default/echo', '/public/echo'])
        expect([path, await given(world, path, headers)]).toEqual([path, []])
      const [access = '', ...more] = await given(world, '/access-token/echo', headers)
      const [id = '', ...others] = await given(world, '/id-token/echo', headers)
      expect([more, others]).toEqual([[], []])
      for (const value of [access, id]) expect(world.provider.issuedTokens).toContain(value.replace(/^Bearer /, ''))
      expect(access).not.toBe(id)
      expect(claimsOf(id)).toMatchObject({ sub: 'ada', aud: 'web-corp' })
    }
    // A refresh token goes nowhere but home.
    const everywhere = world.upstream.requests.flatMap(({ rawHeaders, target, body }) => [
      ...rawHeaders,
      target,
      String(body),
    ])
    const sent = [...world.provider.issuedTokens].filter((token) => everywhere.some((text) => text.includes(token)))
    expect([sent.length, world.provider.issuedTokens.size]).toEqual([2, 3])
  })

  test('PX3 each user’s calls carry that user’s token, also over one upstream connection and at the same time', async () => {
    await using world = await worldOf()
    const names = ['ada', 'bob', 'eve']
    const browsers = await Promise.all(names.map((as) => world.signedIn({ as, browser: as })))
    await Promise.all(
      Array.from({ length: 60 }, (_, n) =>
        browsers[n % 3]?.fetch(`/id-token/echo?n=${n}`, { method: n % 2 ? 'POST' : 'GET' }),
      ),
    )
    expect(world.upstream.requests).toHaveLength(60)
    for (const request of world.upstream.requests) {
      const owner = names[Number(request.target.split('=')[1]) % 3]
      const [bearer = ''] = valuesOf(request, 'authorization')
      expect([claimsOf(bearer), valuesOf(request, 'x-coatcheck-user')]).toEqual([
        expect.objectContaining({ sub: owner }),
        [owner],
      ])
    }
  })

  test('PX3 after sign-out no upstream gets the token again', async () => {
    await using world = await worldOf()
    const browser = await world.signedIn()
    const thief = browser.saved()
    await browser.fetch('/auth/logout', { method: 'POST' })
    const before = world.upstream.requests.length
    for (const one of [browser, thief])
      for (const kind of credentials) expect((await one.fetch(`/${kind}/echo`)).status).toBe(401)
    expect(world.upstream.requests).toHaveLength(before)
  })
})

/** Everything that happens to a user in a day, good and bad. */
async function aDayOf(world: World): Promise<Exchange[]> {
  const { upstream, provider, clock } = world
  upstream.on('/dies', ({ request }) => void request.socket.destroy())
  const browser = await world.signedIn({ returnTo: '/welcome' })
  const use = async () => {
    const paths = [
      '/api/echo',
      '/api/status?code=500',
      '/api/status?code=404',
      '/api/redirect',
      '/api/set-cookie',
      '/api/cors',
    ]
    const own = [
      '/auth/session',
      '/auth/sessions',
      '/auth/nowhere',
      '/auth/login',
      '/auth/step-up?acr=x',
      '/nowhere',
      '/',
    ]
    for (const path of [...paths, '/api/dies', '/api/hang', '/api/admin/echo', '/api/..%2f', ...own]) {
      await browser.fetch(path)
      await browser.visit(path, { from: world.origin, follow: false })
      await browser.fetch(path, { method: 'POST', body: 'x', csrf: false })
    }
  }
  await use()
  // A new cookie value, a refreshed token, and the old value used too late.
  clock.advance(20 * 60_000)
  const early = browser.saved()
  await browser.fetch('/api/echo')
  clock.advance(20 * 60_000)
  await browser.fetch('/api/echo')
  // The provider fails at its token endpoint in three ways.
  for (const restore of [
    () => provider.failAs(500, { error: 'server_error' }, providerPaths.token),
    () => provider.failWith(503, providerPaths.token),
    () => provider.tamper(providerPaths.token, (body) => body.slice(1)),
  ]) {
    clock.advance(70 * 60_000)
    await browser.fetch('/auth/session', { method: 'POST' })
    const undo = restore()
    await browser.fetch('/api/echo')
    await world.signedIn({ browser: 'unlucky' }).catch(() => {})
    undo()
  }
  await browser.signIn({ as: 'ada' })
  await use()
  const seen = [...browser.seen]
  const bye = browser.saved()
  await browser.fetch('/auth/logout', { method: 'POST' })
  for (const one of [browser, bye, early]) {
    await one.fetch('/api/echo')
    await one.visit('/api/echo', { follow: false })
    seen.push(...one.seen)
  }
  return [...seen, ...world.browser('unlucky').seen]
}

const worldOfADay = () =>
  createWorld({
    config: ({ upstream }) => ({
      session: { idle: '10h' },
      routes: [
        {
          path: '/api/admin/*',
          upstream,
          stripPrefix: '/api/admin',
          access: { roles: ['admin'] },
          credential: 'id-token',
        },
        {
          path: '/api/*',
          upstream,
          stripPrefix: '/api',
          access: 'authenticated',
          credential: 'access-token',
          timeout: '1s',
        },
        { path: '/*', static: './public', access: 'public' },
      ],
    }),
  })

/** Every value of a cookie of the gateway that the browser was ever given. */
const cookieValues = (seen: readonly Exchange[]) =>
  seen
    .flatMap(({ rawHeaders }) =>
      rawHeaders.filter((_, at) => at % 2 === 1 && rawHeaders[at - 1]?.toLowerCase() === 'set-cookie'),
    )
    .filter((line) => line.startsWith('__Host-'))
    .map((line) => line.slice(line.indexOf('=') + 1).split(';')[0] as string)
    .filter((value) => value !== '')

describe('after a day of good and bad luck', () => {
  let world: World
  let seen: readonly Exchange[]
  beforeAll(async () => {
    world = await worldOfADay()
    seen = await aDayOf(world)
  })
  afterAll(() => world[Symbol.asyncDispose]())

  test('PX3 canaries: no token, code, verifier or client secret is in any byte for the browser', async () => {
    expect(world.provider.issuedTokens.size).toBeGreaterThan(8)
    expect(findLeaks(seen, world.provider.issuedTokens)).toEqual([])
    const verifiers = world.provider.at(providerPaths.token).map(({ params }) => params.get('code_verifier') ?? '')
    const secrets = [...verifiers.filter((one) => one !== ''), 'secret-of-corp-0123456789abcdef']
    expect(secrets.length).toBeGreaterThan(2)
    expect(findLeaks(seen, secrets)).toEqual([])
    // A code comes by the callback's address, as it must, and is in nothing that the gateway writes.
    const written = seen.filter(({ url }) => url.startsWith(world.origin)).map((one) => ({ ...one, url: '' }))
    expect(written.length).toBeGreaterThan(100)
    expect(findLeaks(written, world.provider.issuedCodes)).toEqual([])
  })

  test('CK4 the session’s id and secret are in no address and no body, in no header but the cookie’s own, and at no upstream', async () => {
    const sessions = cookieValues(seen).filter((value) => value.startsWith('v1.'))
    expect(sessions.length).toBeGreaterThan(3)
    const parts = [...new Set(sessions.flatMap((value) => value.split('.')).filter((part) => part.length > 16))]
    const canaries = parts.flatMap(formsOf)
    const shown = seen.flatMap(({ method, url, requestHeaders, rawHeaders, body }) => {
      const sent = Object.entries(requestHeaders).filter(([name]) => name !== 'cookie')
      const got = rawHeaders.filter((_, at) => rawHeaders[at - (at % 2)]?.toLowerCase() !== 'set-cookie')
      return [url, sent.flat().join('\n'), got.join('\n'), body.toString('latin1')].map(
        (text) => [`${method} ${url}`, text] as const,
      )
    })
    for (const canary of canaries)
      for (const [where, text] of shown) if (text.includes(canary)) expect.unreachable(where)
    const received = world.upstream.requests.map(({ target, rawHeaders, body }) =>
      [target, ...rawHeaders, body.toString('latin1')].join('\n'),
    )
    expect(received.length).toBeGreaterThan(15)
    for (const canary of canaries) for (const text of received) expect(text).not.toContain(canary)
  })

  test('LG2 CK4 the log holds no token, code, state, nonce, verifier, cookie value, key or client secret', async () => {
    const { provider } = world
    const asked = provider.authorizations.flatMap((params) =>
      ['state', 'nonce', 'code_challenge'].map((name) => params.get(name)),
    )
    const redeemed = provider
      .at(providerPaths.token)
      .flatMap(({ params }) => [params.get('code_verifier'), params.get('refresh_token')])
    const cookies = cookieValues(seen)
      .flatMap((value) => value.split('.'))
      .filter((part) => part.length > 16)
    const canaries = new Set(
      [
        ...provider.issuedTokens,
        ...provider.issuedCodes,
        ...asked,
        ...redeemed,
        ...cookies,
        'secret-of-corp-0123456789abcdef',
        world.adminToken,
      ].filter((one) => one !== null && one !== undefined),
    )
    expect(canaries.size).toBeGreaterThan(30)
    const log = world.log.text()
    for (const event of ['upstream failed', 'malicious_csrf', 'provider_unavailable', 'session_created', 'started'])
      expect(log).toContain(event)
    for (const canary of canaries) for (const form of formsOf(canary)) expect(log).not.toContain(form)
  })
})

describe('what the log holds', () => {
  test('LG2 nor pieces of them: a library that quotes what it could not read is not quoted', async () => {
    await using world = await createWorld({ config: { session: { idle: '10h' } } })
    const canary = 'Zq7Zq7Zq7Zq7Zq7'
    const broken = [
      `{"access_token":${canary}`,
      `{"access_token":"${canary}","refresh_token":"${canary}","id_token":"${canary}.${canary}.${canary}","token_type":"Bearer"}`,
      `{"access_token":"${canary}","token_type":"${canary}"}`,
      `{"error":"${canary}","error_description":"${canary}"}`,
      `{"access_token":"${canary}","token_type":"Bearer","expires_in":"${canary}"}`,
      canary,
    ]
    for (const body of broken) {
      const user = await world.signedIn({ browser: `before ${body}` })
      world.clock.advance(2 * 3600_000)
      const undo = world.provider.tamper(providerPaths.token, () => body)
      for (const page of [await world.browser(body).signIn({ as: 'ada' }), await user.fetch('/api/echo')])
        expect([body, page.status >= 400, page.text.includes('Zq7Zq7')]).toEqual([body, true, false])
      undo()
      const leaking = world.log.lines.filter((line) => JSON.stringify(line).includes('Zq7Zq7'))
      expect([body, leaking]).toEqual([body, []])
    }
  })

  test('LG2 a provider that repeats a code or a token in its complaint: the log tells its error, and repeats nothing', async () => {
    await using world = await createWorld({ config: { session: { idle: '10h' } } })
    const { provider } = world
    const user = await world.signedIn()
    world.clock.advance(2 * 3600_000)
    for (const where of ['error', 'error_description']) {
      const complaint = {
        toJSON: () => ({
          ...{ error: 'invalid_scope', error_description: 'no' },
          [where]: `not good: ${[...provider.issuedCodes, ...provider.issuedTokens].join(' ')}`,
        }),
      }
      const undo = provider.failAs(400, complaint, providerPaths.token)
      expect((await world.browser(where).signIn({ as: 'bob' })).status).toBe(400)
      expect((await user.fetch('/api/echo')).status).toBeGreaterThanOrEqual(400)
      undo()
    }
    const log = world.log.text()
    expect(log).toContain('the provider answered invalid_scope')
    for (const secret of [...provider.issuedCodes, ...provider.issuedTokens])
      for (const form of formsOf(secret)) expect(log).not.toContain(form)
  })

  test('LG3 CR, LF and control characters in path, User-Agent, X-Request-Id and everything else forge no line', async () => {
    await using world = await createWorld()
    const bob = await wireUser(world, 'bob')
    const forged = '{"level":"error","event":"forged"}'
    const encoded = encodeURIComponent(`\n${forged}\r\n\u2028\u0000\u001b[2J\u202e`)
    const lines = [
      `User-Agent: x\x85${forged}\r\n`,
      `User-Agent: \x1b[2J${forged}\r\n`,
      `User-Agent: a\n${forged}\r\n`,
      `User-Agent: a\r${forged}\r\n`,
      `X-Request-Id: x\n${forged}\r\n`,
      `X-Request-Id: ${forged}\r\n`,
      `X-Forwarded-For: ${forged}\r\n`,
      `Origin: ${forged}\r\n`,
      `Referer: ${world.origin}/${forged}\r\n`,
      `Accept-Language: ${forged}\r\n`,
      `traceparent: ${forged}\r\n`,
      `Cookie: ${forged}\r\n`,
      `Connection: ${forged}\r\n`,
    ]
    for (const line of lines) {
      await bob.call('/api/echo', line)
      await bob.send(`GET /api/echo HTTP/1.1\r\nHost: ${bob.host}\r\n${line}Connection: close\r\n\r\n`)
    }
    for (const target of [
      `/api/${encoded}`,
      `/api/x?${encoded}`,
      `/api/${forged}`,
      `/api/\n${forged}`,
      `/\x1b[2J`,
      `/${'%0a'.repeat(500)}`,
    ]) {
      await bob.call(target, 'X-CSRF: 2\r\n')
      await bob.call(target, '', 'TRACE')
    }
    for (const as of [
      `/auth/login?return_to=${encoded}`,
      `/auth/callback/corp?state=${encoded}&error=${encoded}`,
      `/auth/callback/${encoded}`,
    ])
      await bob.call(as, 'Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n')
    const { log } = world
    expect(log.lines.length).toBeGreaterThan(20)
    expect(log.events('forged')).toEqual([])
    // One line each, of printable text: nothing moves the cursor of whoever reads it.
    expect(log.text().trimEnd().split('\n')).toHaveLength(log.lines.length)
    expect(log.text()).not.toMatch(/[^\n -~…]/)
    for (const line of log.lines) {
      const { path, requestId } = line
      if (path !== undefined) expect(path).toMatch(/^[ -~…]*$/)
      if (requestId !== undefined) expect(requestId).toMatch(/^[\w-]+$/)
    }
  })
})
