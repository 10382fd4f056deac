import { expect, test } from 'vitest'
import { findLeaks } from '../../../testkit/src/canaries.ts'
import { withoutRequestId } from '../../../testkit/src/chance.ts'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import { createHostileWorld, type HostileWorld, hurry } from './hostile-world.ts'

/*
 * A provider that is taken over, or broken in ways that no specification foresees: whatever it sends, nobody is signed in
 * by it who should not be, nothing of it reaches a page, and the gateway does not fail.
 */
const discovery = '/.well-known/openid-configuration'
const jsonAnswer = (body: string) => ({ status: 200, type: 'application/json', body })

/** No session and no fault of ours: 400 or 503 with a clear page, the reason in the log, no token in either. */
async function expectRefused(hostile: HostileWorld, what: string, status?: number): Promise<void> {
  const { world, provider } = hostile
  const [sessions, failures] = [world.log.events('session_created').length, world.log.events('authn_login_fail').length]
  const page = await hostile.signIn(what)
  expect([400, 503], `${what}: ${page.status} ${page.text}`).toContain(page.status)
  if (status !== undefined) expect([what, page.status]).toEqual([what, status])
  expect(page.text, what).toContain(`<code>${page.status === 400 ? 'login_failed' : 'provider_unavailable'}</code>`)
  expect(page.text, what).toContain('href="/auth/login?return_to=%2F"')
  expect(world.browser(what).cookies(), what).toEqual([])
  expect(world.log.events('session_created'), what).toHaveLength(sessions)
  const [line] = world.log.events('authn_login_fail').slice(failures)
  expect(line?.reason, what).toBeTruthy()
  expect(findLeaks(world.browser(what).seen, provider.issuedTokens), what).toEqual([])
  expect(world.log.events('internal_error'), what).toEqual([])
}

async function expectSignedIn(hostile: HostileWorld, what: string): Promise<void> {
  const page = await hostile.signIn(what)
  expect(page.status, `${what}: ${page.text}`).toBe(200)
  const browser = hostile.world.browser(what)
  expect((await browser.fetch('/auth/session')).json(), what).toMatchObject({ authenticated: true })
  expect((await browser.fetch('/auth/sessions')).status, what).toBe(200)
  expect((await browser.fetch('/api/echo')).status, what).toBe(200)
}

test('IT1 keys and addresses of keys in a token’s header are neither used nor asked for; a critical extension is refused', async () => {
  await using hostile = await createHostileWorld()
  const { provider } = hostile
  const jwk = { kty: 'RSA', n: 'AQAB', e: 'AQAB' }
  const elsewhere = `${provider.issuer}/elsewhere`
  const pointers = { jwk, jku: elsewhere, x5u: elsewhere, x5c: ['MIIB'], x5t: 'AAAA', 'x5t#S256': 'AAAA' }
  for (const [name, value] of Object.entries(pointers)) {
    // Signed by the right key, they are only ballast; by another one they are the attack.
    hostile.twist({ header: { [name]: value } })
    await expectSignedIn(hostile, `honest with ${name}`)
    hostile.twist({ header: { [name]: value }, signature: 'stranger' })
    await expectRefused(hostile, `stranger with ${name}`, 400)
  }
  expect(provider.requests).not.toContain('/elsewhere')
  for (const header of [
    { crit: ['exp'], exp: 1 },
    { crit: ['x'], x: 1 },
    { crit: ['b64'], b64: true },
  ]) {
    hostile.twist({ header })
    await expectRefused(hostile, `crit ${JSON.stringify(header)}`, 400)
  }
})

test('IT1 numbers that no clock shows: exp, iat, nbf and auth_time without end, below zero or beyond any date', async () => {
  await using hostile = await createHostileWorld()
  const number = (name: string, value: string): Partial<Twists> => ({
    text: (json) => json.replace(new RegExp(`"${name}":\\d+`), `"${name}":${value}`),
  })
  for (const value of ['1e999', '-1e999', '1e308', '-1', '0', '1e20', 'true', '[]', '{}', '""']) {
    hostile.twist(number('iat', value))
    await expectRefused(hostile, `iat ${value}`, 400)
  }
  for (const value of ['-1e999', '-1', '0', '[]', '{}', '"1e999"', 'null']) {
    hostile.twist(number('exp', value))
    await expectRefused(hostile, `exp ${value}`, 400)
  }
  // It becomes a date on /auth/session, and the age that a demand for a fresh sign-in is measured by.
  for (const value of ['1e999', '1e308', '1e20', '99999999999', '-1', '-1e999', '[]', '"0"']) {
    hostile.twist(number('auth_time', value))
    await expectRefused(hostile, `auth_time ${value}`, 400)
  }
  // Long validity is the provider's to give: the session has times of its own.
  for (const value of ['1e999', '1e308', '99999999999.5']) {
    hostile.twist(number('exp', value))
    await expectSignedIn(hostile, `exp ${value}`)
  }
  hostile.twist({ ...number('auth_time', '0') })
  await expectSignedIn(hostile, 'auth_time 0')
})

test('IT1 members given twice: the last one counts for everybody (RFC 7519 §4), in claims as in the header', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  const twice = (json: string) => json.replace('"sub":"mallory"', '"sub":"mallory","sub":"victim"')
  hostile.twist({ text: twice })
  await expectRefused(hostile, 'UserInfo is about the first', 400)
  hostile.twist({ text: twice, userinfo: { sub: 'victim' } })
  await expectSignedIn(hostile, 'both say the last')
  expect((await world.browser('both say the last').fetch('/auth/session')).json()).toMatchObject({
    user: { sub: 'victim' },
  })
  const withHeader = (header: string) => (token: string) =>
    [Buffer.from(header).toString('base64url'), ...token.split('.').slice(1)].join('.')
  for (const header of [
    '{"alg":"RS256","kid":"honest-key","alg":"none"}',
    '{"alg":"none","kid":"honest-key","alg":"RS256"}',
  ]) {
    hostile.twist({ token: withHeader(header) })
    await expectRefused(hostile, header, 400)
  }
})

test('IT1 tokens that are no tokens: 400 or 503, never a fault, and nothing of them in the log', async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const cut = (at: number) => (token: string) => token.slice(0, at)
  const part = (at: number, text: string) => (token: string) => token.split('.').with(at, text).join('.')
  const encoded = (text: string) => Buffer.from(text).toString('base64url')
  const ways: Record<string, (token: string) => string> = {
    empty: () => '',
    'one part': () => 'canary-of-a-token',
    'two dots': () => '..',
    'five parts': (token) => `${token}.canary.canary`,
    'cut short': cut(60),
    'without signature': (token) => token.slice(0, token.lastIndexOf('.') + 1),
    'a header of text': part(0, encoded('canary')),
    'a header of null': part(0, encoded('null')),
    'a header of a list': part(0, encoded('[]')),
    'a header that is no base64': part(0, '%%%%'),
    'claims of text': part(1, encoded('"canary"')),
    'claims of null': part(1, encoded('null')),
    'claims of half': part(1, encoded('{"sub":"canary')),
    'claims that are no UTF-8': part(1, Buffer.from([0xff, 0xfe]).toString('base64url')),
    'a million brackets': part(1, encoded('['.repeat(600_000))),
  }
  for (const [what, token] of Object.entries(ways)) {
    hostile.twist({ token })
    await expectRefused(hostile, what)
  }
  expect(provider.userinfoRequests).toBe(0)
  expect(world.log.text()).not.toContain('canary')
})

test('IT1 brackets within brackets, a hundred thousand deep: a parser takes them, and nothing after it may fall over', async () => {
  await using hostile = await createHostileWorld()
  const deep = `${'['.repeat(100_000)}${']'.repeat(100_000)}`
  const nested = (json: string, name: string) => json.replace(/}$/, `,"${name}":${deep}}`)
  hostile.twist({ text: (json) => nested(json, 'name') })
  await expectRefused(hostile, 'a claim that is shown', 400)
  hostile.twist({ text: (json) => nested(json, 'groups') })
  await expectRefused(hostile, 'a claim that grants roles', 400)
  hostile.twist({ answer: { '/userinfo': jsonAnswer(nested('{"sub":"mallory"}', 'name')) } })
  await expectRefused(hostile, 'in UserInfo', 400)
  hostile.twist({ answer: { '/token': jsonAnswer(deep) } })
  await expectRefused(hostile, 'the whole token answer')
  await using fresh = await createHostileWorld()
  fresh.twist({ answer: { '/jwks': jsonAnswer(`{"keys":${deep}}`) } })
  await expectRefused(fresh, 'in the keys')
  hostile.twist({})
  await expectSignedIn(hostile, 'honest again')
})

test('OU1 a token answer of wrong types: refused, or what is unfit is left out; no session of it is broken', async () => {
  await using hostile = await createHostileWorld()
  const refused: Record<string, unknown>[] = [
    ...[undefined, null, 7, '', [], {}, true].map((access_token) => ({ access_token })),
    ...[undefined, null, 7, 'mac', [], {}].map((token_type) => ({ token_type })),
    ...[null, 7, [], {}, true].map((id_token) => ({ id_token })),
    ...[null, 7, [], {}].map((refresh_token) => ({ refresh_token })),
    ...[null, 'soon', '1e400', -1, [], {}].map((expires_in) => ({ expires_in })),
    ...[7, [], {}].map((scope) => ({ scope })),
  ]
  for (const tokenAnswer of refused) {
    hostile.twist({ tokenAnswer })
    await expectRefused(hostile, JSON.stringify(tokenAnswer))
  }
  for (const expires_in of ['300', 1e300, 300.5, 1e308]) {
    hostile.twist({ tokenAnswer: { expires_in } })
    await expectSignedIn(hostile, `expires_in ${expires_in}`)
  }
  // Read back from the store, a number that has no JSON would be a token that has always expired.
  await using second = await hostile.world.anotherGateway()
  expect((await second.fetch(hostile.world.browser('expires_in 1e+308'), '/api/echo')).status).toBe(200)
  expect(hostile.provider.refreshes).toBe(0)
  hostile.twist({
    tokenAnswer: { token_type: 'BEARER', error: 'invalid_grant', surplus: { a: [1] }, __proto__: { x: 1 } },
  })
  await expectSignedIn(hostile, 'surplus members')
})

test('OU1 UserInfo of wrong types: a list, a text, nothing, HTML: no session; odd claims are shown as they are, and harm nobody', async () => {
  await using hostile = await createHostileWorld()
  for (const body of ['[]', 'null', '"mallory"', '7', '', '{', '{"sub":["mallory"]}', '{"sub":{"toString":"x"}}']) {
    hostile.twist({ answer: { '/userinfo': jsonAnswer(body) } })
    await expectRefused(hostile, body)
  }
  hostile.twist({ answer: { '/userinfo': { status: 200, body: '<html>canary' } } })
  await expectRefused(hostile, 'HTML')
  const odd = { name: { toString: 7, constructor: null }, email: [1, null], picture: '</script>\u2028', __proto__: 1 }
  hostile.twist({ userinfo: odd })
  await expectSignedIn(hostile, 'odd claims')
  const { user } = (await hostile.world.browser('odd claims').fetch('/auth/session')).json<{ user: object }>()
  expect(user).toMatchObject({ sub: 'mallory', name: odd.name, email: odd.email, picture: odd.picture })
})

test('AR3 OU1 a discovery document of wrong types: no sign-in, or one without what is unfit; never a fault', async () => {
  const members = ['authorization_endpoint', 'token_endpoint', 'jwks_uri', 'userinfo_endpoint', 'end_session_endpoint']
  const values = [7, null, [], {}, '', 'relative', 'javascript:alert(1)', 'file:///etc/passwd', 'ftp://idp.example/x']
  await using hostile = await createHostileWorld()
  const { world } = hostile
  const restart = async (metadata: Record<string, unknown>) => {
    await world.stopGateway()
    hostile.twist({ metadata })
    await world.startGateway()
  }
  for (const member of members) {
    for (const value of values) {
      await restart({ [member]: value })
      const what = `${member} ${JSON.stringify(value)}`
      const page = await hostile.signIn(what)
      expect([200, 400, 503], `${what}: ${page.status} ${page.text}`).toContain(page.status)
      const needed = member !== 'end_session_endpoint' && member !== 'userinfo_endpoint'
      if (needed) expect([what, page.status]).toEqual([what, 503])
      if (page.status !== 200) continue
      const out = await world.browser(what).fetch('/auth/logout', { method: 'POST' })
      expect([what, out.status]).toEqual([what, 200])
      expect(out.json<{ redirectTo: string }>().redirectTo, what).toMatch(/^http:/)
    }
  }
  for (const value of [7, null, {}, 'RS256', ['none'], [7]]) {
    await restart({ id_token_signing_alg_values_supported: value })
    const page = await hostile.signIn(`algorithms ${JSON.stringify(value)}`)
    expect([200, 400, 503], JSON.stringify(value)).toContain(page.status)
  }
  for (const body of ['[]', 'null', '7', '"x"', '{}', `{"issuer":7}`, `{"issuer":["${hostile.provider.issuer}"]}`]) {
    await world.stopGateway()
    hostile.twist({ answer: { [discovery]: jsonAnswer(body) } })
    await world.startGateway()
    expect((await hostile.signIn(body)).status, body).toBe(503)
  }
  expect(world.log.lines.filter(({ code, event }) => code === 'internal_error' || event === 'internal_error')).toEqual(
    [],
  )
}, 60_000)

test('OU1 answers that are slow or huge, at discovery, keys, token and UserInfo: 503, and nobody waits for the rest', async () => {
  const huge = jsonAnswer(JSON.stringify({ sub: 'mallory', keys: [], pad: 'x'.repeat(1_100_000) }))
  for (const path of [discovery, '/jwks', '/token', '/userinfo']) {
    await using hostile = await createHostileWorld()
    const { world } = hostile
    await world.stopGateway()
    const spy = hurry()
    try {
      for (const twist of [{ slow: { [path]: 1500 } }, { answer: { [path]: huge } }]) {
        hostile.twist(twist)
        await world.startGateway()
        const what = `${path} ${Object.keys(twist)}`
        const page = await hostile.signIn(what)
        expect([what, page.status]).toEqual([what, 503])
        expect(world.browser(what).cookies(), what).toEqual([])
        await world.stopGateway()
      }
    } finally {
      spy.mockRestore()
    }
    hostile.twist({})
    await world.startGateway()
    await expectSignedIn(hostile, `${path} mended`)
  }
})

test('LG3 error, error_description and error_uri of hostile texts: none on the page, each on one line of the log, made visible', async () => {
  await using hostile = await createHostileWorld()
  const { world } = hostile
  const evil = '<script>alert(1)</script>\r\n{"level":"info","event":"forged"}\0\u001b[2J\u202e\u2028'
  const fromToken = (error: unknown, status = 400) => ({
    answer: {
      '/token': {
        status,
        type: 'application/json',
        body: JSON.stringify({ error, error_description: evil, error_uri: evil }),
      },
    },
  })
  const ways: [what: string, twist: Partial<Twists>][] = [
    [
      'callback',
      { callbackError: { error: 'access_denied', error_description: evil, error_uri: 'javascript:alert(1)' } },
    ],
    ['callback error', { callbackError: { error: evil } }],
    ['token', fromToken('invalid_grant')],
    ['token error', fromToken(evil)],
    ['token error a list', fromToken(['x'])],
    ['token error of an outage', fromToken('server_error', 500)],
    [
      'token challenge',
      {
        answer: {
          '/token': {
            status: 401,
            type: 'text/html',
            body: evil,
            headers: { 'www-authenticate': 'Basic realm="<script>"' },
          },
        },
      },
    ],
  ]
  for (const [what, twist] of ways) {
    hostile.twist(twist)
    const page = await hostile.signIn(what)
    expect([400, 503], what).toContain(page.status)
    expect(withoutRequestId(page.text), what).not.toMatch(/alert|forged|javascript:/)
    expect(page.text.match(/<script/g), what).toBeNull()
    expect(withoutRequestId(page.exchange.rawHeaders.join('\n')), what).not.toMatch(/alert|forged/)
    const reason = String(world.log.events('authn_login_fail').at(-1)?.reason)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what must not be there
    expect(reason, what).not.toMatch(/[\x00-\x1f\u202e\u2028]/)
  }
  expect(world.log.events('forged')).toEqual([])
  expect(world.log.events('authn_login_fail')).toHaveLength(ways.length)
})
