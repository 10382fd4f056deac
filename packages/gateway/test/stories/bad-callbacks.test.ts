import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientOf } from '../../../testkit/src/config.ts'
import { startHostileProvider } from '../../../testkit/src/hostile-provider.ts'
import { rawRequest, statusesOf } from '../../../testkit/src/raw.ts'
import { createHostileWorld } from './hostile-world.ts'

/** One provider, known under four names: for each way in which it may answer. */
const modes = { evil: 'query', poster: 'form_post', signed: 'query.jwt', both: 'form_post.jwt' }

async function worldOfModes() {
  // Hundreds of callbacks at one standstill of the clock: the limit of them has its own story.
  const hostile = await createHostileWorld({ config: { limits: 'off' } })
  const { world, provider } = hostile
  const client = { issuer: provider.issuer, clientId: 'web-evil', clientSecret: { env: 'SECRET_OF_EVIL' } }
  const providers = Object.entries(modes).map(([name, response_mode]) => [
    name,
    { ...client, authorizationParams: { response_mode } },
  ])
  await world.stopGateway()
  await world.startGateway({ providers: Object.fromEntries(providers) })
  /** A browser with a sign-in under way at each of them: its cookies, and the state of each. */
  const states: Record<string, string> = {}
  for (const name of Object.keys(modes)) {
    const begun = await world.browser().visit(`/auth/login?provider=${name}`, { from: world.origin, follow: false })
    states[name] = new URL(begun.location ?? '').searchParams.get('state') ?? ''
  }
  const cookies = world
    .browser()
    .cookies()
    .map((cookie) => cookie.cookieString())
  const head = (line: string, withCookie: boolean) =>
    [
      `${line} HTTP/1.1`,
      `Host: ${new URL(world.origin).host}`,
      ...['Connection: close', 'Accept: text/html', 'Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: navigate'],
      'Sec-Fetch-Dest: document',
      ...(withCookie ? [`Cookie: ${cookies.join('; ')}`] : []),
    ].join('\r\n')
  return { ...hostile, states, head }
}

type Modes = Awaited<ReturnType<typeof worldOfModes>>

const junk = fc.oneof(
  fc.stringMatching(/^[!-~]{0,40}$/),
  fc.string({ unit: 'binary', maxLength: 20 }).map(encodeURIComponent),
  fc.constantFrom(
    '',
    '%',
    '%0',
    '%00',
    '%ff%fe',
    '+',
    '%0d%0aSet-Cookie:x',
    '..',
    '__proto__',
    '[]',
    '{}',
    'eyJhbGciOiJub25lIn0.e30.',
  ),
)
const name = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(
      'code',
      'state',
      'iss',
      'error',
      'error_description',
      'response',
      'id_token',
      'token',
      'again',
    ),
  },
  { weight: 1, arbitrary: junk.map((text) => text.replaceAll(/[=&#]/g, '')) },
)

/** Parameters as nobody honest sends them: with the true state there is never a code beside it, and no outage is claimed. */
const parameters = ({ provider, states }: Modes, at: string) => {
  const state = states[at] ?? ''
  const near = [
    state,
    state.slice(1),
    `${state}A`,
    state.toUpperCase(),
    states.evil ?? '',
    `${state.slice(0, 12)}${'A'.repeat(43)}`,
  ]
  const value = fc.oneof(junk, fc.constantFrom(...near, encodeURIComponent(provider.issuer), 'access_denied'))
  return fc
    .array(fc.tuple(name, value), { maxLength: 6 })
    .map((pairs) => pairs.map((pair) => pair.join('=')).join('&'))
    .filter((text) => !(Object.values(states).some((one) => text.includes(`state=${one}`)) && text.includes('code=')))
}

/** 400 and a code, or the page that posts once more; nothing asked of the provider, nothing begun, the reason logged. */
async function expectHarmless({ world, provider }: Modes, request: string, at: { posted: boolean }): Promise<number> {
  const before = world.log.lines.length
  const answer = await rawRequest(world.port, Buffer.from(request, 'latin1'))
  const [status = 0, ...more] = statusesOf(answer)
  expect(more).toEqual([])
  expect(at.posted ? [200, 400] : [400], answer.slice(0, 200)).toContain(status)
  // Header fields only: the page that posts a form once more repeats what was in it, escaped.
  const head = answer.slice(0, answer.indexOf('\r\n\r\n'))
  expect(head).not.toMatch(/session=/i)
  expect(provider.tokenRequests + provider.userinfoRequests).toBe(0)
  const lines = world.log.lines.slice(before)
  expect(lines.filter(({ level }) => level === 'error')).toEqual([])
  if (status === 400) {
    const code = /<code>(bad_request|login_state_mismatch|login_failed)<\/code>/.exec(answer)?.[1]
    expect(code, answer.slice(0, 300)).toBeTruthy()
    expect(lines.filter((line) => line.code === code && line.reason)).not.toEqual([])
  } else {
    expect(answer).toContain('?again=1')
    expect(head).not.toMatch(/^set-cookie:/im)
  }
  return status
}

test('CB1 CB3 whatever query comes to the callback: 400 with a code, logged with its reason; no token request, no session, no fault', async () => {
  await using given = await worldOfModes()
  for (const at of Object.keys(modes)) {
    await fc.assert(
      fc.asyncProperty(parameters(given, at), fc.boolean(), async (query, withCookie) => {
        const line = given.head(`GET /auth/callback/${at}${query === '' ? '' : `?${query}`}`, withCookie)
        await expectHarmless(given, `${line}\r\n\r\n`, { posted: false })
      }),
      {
        numRuns: 100,
        examples: [
          ['', true],
          ['', false],
          ['=', true],
          ['state', true],
          ['&&', false],
        ],
      },
    )
  }
  expect(given.world.log.events('session_created')).toEqual([])
})

test('CB1 CB3 whatever form comes to the callback: 400 with a code, or the page that posts it once more; no token request, no session, no fault', async () => {
  await using given = await worldOfModes()
  const types = fc.constantFrom(
    ...['application/x-www-form-urlencoded', 'application/x-www-form-urlencoded; charset=UTF-8', 'text/plain', ''],
    ...['application/json', 'multipart/form-data; boundary=x', 'application/x-www-form-urlencoded; charset=utf-16'],
  )
  const again = fc.constantFrom('', '', '?again=1', '?again=1', '?again=2', '?code=x', '?')
  let repeated = 0
  for (const at of Object.keys(modes)) {
    const form = fc.oneof(
      { weight: 4, arbitrary: parameters(given, at) },
      { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes).toString('latin1')) },
    )
    await fc.assert(
      fc.asyncProperty(form, types, again, fc.boolean(), async (body, type, query, withCookie) => {
        const line = given.head(`POST /auth/callback/${at}${query}`, withCookie)
        const length = `Content-Type: ${type}\r\nContent-Length: ${Buffer.byteLength(body, 'latin1')}`
        const status = await expectHarmless(given, `${line}\r\n${length}\r\n\r\n${body}`, { posted: true })
        if (status !== 200) return
        repeated++
        expect([query.replace('?', ''), withCookie]).toEqual(['', false])
      }),
      {
        numRuns: 100,
        examples: [
          ['', 'application/x-www-form-urlencoded', '', true],
          ['state=x&code=y', 'application/x-www-form-urlencoded', '', false],
        ],
      },
    )
  }
  expect(repeated).toBeGreaterThan(3)
  expect(given.world.log.events('session_created')).toEqual([])
})

test('CB3 a parameter given twice is 400 at every endpoint of sign-in and sign-out, and changes nothing', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  expect((await hostile.signIn('user')).status).toBe(200)
  const browser = world.browser()
  const asked = provider.tokenRequests
  const visits = [
    '/auth/callback/evil?code=a&code=b&state=x',
    '/auth/callback/evil?code=a&state=x&state=x',
    '/auth/callback/evil?error=a&error=b',
    '/auth/login?return_to=/a&return_to=/b',
    '/auth/login?silent=1&silent=1',
    `/auth/login?iss=${provider.issuer}&iss=${provider.issuer}`,
    '/auth/step-up?max_age=1&max_age=9999',
    '/auth/step-up?acr=a&acr=b',
    '/auth/frontchannel-logout/evil?iss=a&iss=b&sid=c',
  ]
  for (const address of visits) {
    const page = await browser.visit(address, { from: world.origin, follow: false })
    expect([address, page.status]).toEqual([address, 400])
    expect(page.text).toContain('bad_request')
  }
  const posts = [
    ['/auth/logout?everywhere=1&everywhere=0', ''],
    ['/auth/logout?x=1&%78=2', ''],
    ['/auth/login', 'iss=a&iss=b'],
    ['/auth/callback/evil', 'code=a&code=b'],
    ['/auth/backchannel-logout/evil', 'logout_token=a&logout_token=b'],
  ] as const
  for (const [address, body] of posts) {
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    const page = await browser.visit(address, { method: 'POST', from: world.origin, body, headers, follow: false })
    expect([address, page.status]).toEqual([address, 400])
  }
  expect((await browser.fetch('/auth/session')).json()).toMatchObject({ authenticated: true })
  expect(provider.tokenRequests).toBe(asked)
})

test('CB2 mix-up between two providers that name themselves nowhere: each has its own redirect URI, and that is enough', async () => {
  const client = clientOf('honest')
  await using honest = await startHostileProvider(client)
  await using hostile = await createHostileWorld({
    config: {
      providers: {
        honest: { issuer: honest.issuer, clientId: client.clientId, clientSecret: { env: 'SECRET_OF_EVIL' } },
      },
      defaultProvider: 'evil',
    },
  })
  const { world, provider } = hostile
  const silent = { metadata: { authorization_response_iss_parameter_supported: undefined }, callbackIss: null }
  hostile.twist(silent)
  Object.assign(honest.twist, silent)
  const victim = world.browser('victim')
  const begun = await victim.visit('/auth/login?provider=evil', { from: world.origin, follow: false })
  // The hostile provider passes the request on in its own way: the honest one's client and redirect URI, the state as it was.
  const passedOn = new URL(`${honest.issuer}/authorize`)
  for (const [name, value] of new URL(begun.location ?? '').searchParams) passedOn.searchParams.set(name, value)
  passedOn.searchParams.set('client_id', client.clientId)
  passedOn.searchParams.set('redirect_uri', `${world.origin}/auth/callback/honest`)
  const callback = honest.authorizeRedirect(passedOn.href)
  expect(new URL(callback).searchParams.has('iss')).toBe(false)
  const page = await victim.visit(callback, { from: honest.issuer })
  expect(page.status).toBe(400)
  expect(page.text).toContain('login_state_mismatch')
  expect(world.log.lines.some(({ reason }) => String(reason).includes('another provider'))).toBe(true)
  expect(honest.tokenRequests + provider.tokenRequests).toBe(0)
  // The sign-in that was begun is still good where it began.
  const own = provider.authorizeRedirect(begun.location ?? '')
  expect((await victim.visit(own, { from: provider.issuer })).status).toBe(200)
})

test('a sign-in that was refused leads back, when started again, to the page and the provider that it was for', async () => {
  await using hostile = await createHostileWorld({ providers: ['corp'] })
  const { world } = hostile
  const start = '/auth/login?provider=evil&return_to=%2Forders%3Fa%3D1%26b%3D2'
  const failures = [
    { callbackError: { error: 'access_denied' } },
    { callbackError: { error: 'temporarily_unavailable' } },
    { claims: { nonce: 'wrong' } },
    { answer: { '/token': { status: 500, body: '' } } },
    { userinfo: { sub: 'victim' } },
  ]
  for (const [at, twist] of failures.entries()) {
    hostile.twist(twist)
    const browser = world.browser(`user ${at}`)
    const refused = await browser.visit(start, { from: world.origin })
    expect([400, 503]).toContain(refused.status)
    expect(refused.title).toMatch(/Sign-in was refused|Sign-in is unavailable/)
    const [, href = '', label] = /<a class="button" href="([^"]*)">([^<]*)</.exec(refused.text) ?? []
    expect(label).toBe(refused.status === 400 ? 'Start again' : 'Try again')
    hostile.twist({})
    const again = await browser.visit(href.replaceAll('&#38;', '&'), { from: world.origin })
    expect([again.status, again.url]).toEqual([200, `${world.origin}/orders?a=1&b=2`])
    expect((await browser.fetch('/auth/session')).json()).toMatchObject({ provider: 'evil' })
  }
})

test('OU2 a provider that was never reached: the page of the failed sign-in tries again for the same page', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  await world.stopGateway()
  hostile.twist({ answer: { '/.well-known/openid-configuration': { status: 500, body: '' } } })
  await world.startGateway()
  const page = await world.browser().visit('/auth/login?return_to=/orders', { from: world.origin })
  expect([page.status, page.title]).toEqual([503, 'Sign-in is unavailable'])
  expect(page.text).toContain('<a class="button" href="/auth/login?return_to=%2Forders">Try again</a>')
})
