import { expect, test } from 'vitest'
import { jwtStart } from '../../../testkit/src/chance.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import type { Page } from '../../../testkit/src/page.ts'
import { createHostileWorld } from './hostile-world.ts'

const asking = (response_mode: string) => ({
  config: { providers: { evil: { authorizationParams: { response_mode } } } },
})
const ours = clientOf('evil').clientId
const minute = 60_000

function expectErrorPage(page: Page, status: number, code: string, what = ''): void {
  expect(page.status, `${what} ${page.text}`).toBe(status)
  expect(page.text, what).toContain(`<code>${code}</code>`)
  expect(page.headers('set-cookie').join(), what).not.toContain('session=')
}

test('CB1 CB2 JARM: jwt, query.jwt and form_post.jwt sign in; code, state and iss travel in the signed response alone', async () => {
  for (const mode of ['jwt', 'query.jwt', 'form_post.jwt']) {
    await using hostile = await createHostileWorld(asking(mode))
    const { world, provider } = hostile
    for (const alg of ['RS256', 'PS256', 'ES256'] as const) {
      hostile.twist({ response: { alg } })
      const page = await hostile.signIn(alg)
      expect([mode, alg, page.status, page.text]).toEqual([mode, alg, 200, expect.stringContaining('The app')])
      const browser = world.browser(alg)
      expect((await browser.fetch('/auth/session')).json()).toMatchObject({ user: { sub: 'mallory' } })
      const callbacks = browser.seen.filter(({ url }) => url.includes('/auth/callback/'))
      const names = callbacks.flatMap(({ url }) => [...new URL(url).searchParams.keys()])
      expect(names).toEqual(mode === 'form_post.jwt' ? ['again'] : ['response'])
    }
    expect(provider.codesRedeemed).toBe(3)
    expect(world.log.text()).not.toMatch(jwtStart)
  }
})

const seconds = () => Math.floor(Date.now() / 1000)

/** JARM §2.4, and what attackers do to JWTs. */
const broken: { name: string; response: Twists['response']; reason: RegExp }[] = [
  { name: 'iss of another', response: { claims: { iss: 'https://idp.example' } }, reason: /"iss"/ },
  {
    name: 'iss of another, before its state is looked at',
    response: { claims: { iss: 'https://x', state: 'y' } },
    reason: /"iss"/,
  },
  { name: 'iss missing', response: { claims: { iss: undefined } }, reason: /"iss"/ },
  { name: 'aud of another', response: { claims: { aud: 'other' } }, reason: /aud/ },
  { name: 'aud missing', response: { claims: { aud: undefined } }, reason: /"aud"/ },
  { name: 'another aud beside ours', response: { claims: { aud: [ours, 'other'] } }, reason: /aud/ },
  { name: 'aud empty', response: { claims: { aud: [] } }, reason: /aud/ },
  { name: 'exp missing', response: { claims: { exp: undefined } }, reason: /"exp"/ },
  { name: 'exp past', response: { claims: { exp: seconds() - 600 } }, reason: /"exp"/ },
  { name: 'exp a text', response: { claims: { exp: '9999999999' } }, reason: /"exp"/ },
  { name: 'exp a year away', response: { claims: { exp: seconds() + 31_536_000 } }, reason: /exp/ },
  { name: 'exp without end', response: { text: (json) => json.replace(/"exp":\d+/, '"exp":1e999') }, reason: /exp/ },
  { name: 'nbf to come', response: { claims: { nbf: seconds() + 600 } }, reason: /"nbf"/ },
  { name: 'no state', response: { claims: { state: undefined } }, reason: /no state/ },
  { name: 'a state that is a list', response: { claims: { state: ['x'] } }, reason: /no state/ },
  { name: 'alg none', response: { signature: 'none' }, reason: /alg/ },
  { name: 'HS256 by the client secret', response: { signature: 'hs256-client-secret' }, reason: /alg/ },
  { name: 'HS256 by the public key', response: { signature: 'hs256-public-key' }, reason: /alg/ },
  { name: 'signed by a stranger', response: { signature: 'stranger' }, reason: /signature/ },
  { name: 'a stranger’s ES256', response: { signature: 'stranger', alg: 'ES256' }, reason: /signature/ },
  { name: 'one bit changed', response: { signature: 'flipped-bit' }, reason: /signature/ },
  { name: 'a key in the header', response: { signature: 'embedded-jwk', header: { kid: 'x' } }, reason: /key/ },
  { name: 'unknown kid', response: { header: { kid: 'unknown' } }, reason: /key/ },
  { name: 'critical header', response: { header: { crit: ['exp'], exp: 1 } }, reason: /not recognized/ },
  { name: 'no JWT', response: { token: () => 'abc' }, reason: /JWS|JWT/ },
  { name: 'cut short', response: { token: (jwt) => jwt.slice(0, -8) }, reason: /signature/ },
  { name: 'encrypted, or so it says', response: { token: (jwt) => `${jwt}.e30.e30` }, reason: /JWS|JWT/ },
  { name: 'claims that are a list', response: { text: () => '[]' }, reason: /JWT/ },
  { name: 'claims that are no JSON', response: { text: () => '{' }, reason: /JWT|JSON/ },
]

test('CB1 JARM: a response whose signature, alg, iss, aud or exp is wrong is not read: 400, no token request, the log tells why', async () => {
  await using hostile = await createHostileWorld(asking('jwt'))
  const { world, provider } = hostile
  for (const { name, response, reason } of broken) {
    hostile.twist({ response })
    const page = await hostile.signIn(name)
    expectErrorPage(page, 400, 'login_failed', name)
    expect(String(world.log.events('authn_login_fail').at(-1)?.reason), name).toMatch(reason)
    expect(page.text, name).not.toMatch(/signature|audience|mallory/)
    expect(page.text, name).not.toMatch(jwtStart)
  }
  expect(provider.tokenRequests).toBe(0)
  expect(world.log.events('session_created')).toEqual([])
  expect(world.log.text()).not.toMatch(jwtStart)
  hostile.twist({})
  expect((await hostile.signIn('honest')).status).toBe(200)
})

test('CB2 CB3 JARM is not to be stepped round: a plain answer, parameters beside the response, two responses, a response that nobody asked for', async () => {
  await using hostile = await createHostileWorld(asking('jwt'))
  const { world, provider } = hostile
  const tries: [what: string, twist: Partial<Twists>, code: string][] = [
    ['a plain answer', { responseMode: 'query' }, 'login_failed'],
    ['a plain error', { responseMode: 'query', callbackError: { error: 'access_denied' } }, 'login_failed'],
    ['a plain form', { responseMode: 'form_post' }, 'login_failed'],
    ['a code beside it', { callbackExtra: [['code', 'other']] }, 'login_failed'],
    ['a state beside it', { callbackExtra: [['state', 'other']] }, 'login_failed'],
    ['an error beside it', { callbackExtra: [['error', 'access_denied']] }, 'login_failed'],
    ['an iss beside it', { callbackExtra: [['iss', provider.issuer]] }, 'login_failed'],
    ['two responses', { callbackExtra: [['response', 'other']] }, 'bad_request'],
  ]
  for (const [what, twist, code] of tries) {
    hostile.twist(twist)
    expectErrorPage(await hostile.signIn(what), 400, code, what)
  }
  await world.stopGateway()
  await world.startGateway({ providers: { evil: { authorizationParams: { response_mode: 'query' } } } })
  hostile.twist({ responseMode: 'jwt' })
  expectErrorPage(await hostile.signIn('unasked'), 400, 'login_state_mismatch')
  expect(provider.tokenRequests).toBe(0)
})

test('CB1 CB2 JARM: after the signature the same order as ever: the state of this browser, iss, error', async () => {
  await using hostile = await createHostileWorld(asking('jwt'))
  const { world, provider } = hostile
  hostile.twist({ response: { claims: { state: 'of-somebody-else' } } })
  expectErrorPage(await hostile.signIn('state'), 400, 'login_state_mismatch')
  hostile.twist({ callbackError: { error: 'access_denied', error_description: '<b>no</b>' } })
  const refused = await hostile.signIn('refused')
  expectErrorPage(refused, 400, 'login_failed')
  expect(refused.text).not.toContain('<b>no')
  expect(String(world.log.events('authn_login_fail').at(-1)?.reason)).toContain('access_denied')
  hostile.twist({ callbackError: { error: 'temporarily_unavailable' } })
  expectErrorPage(await hostile.signIn('outage'), 503, 'provider_unavailable')
  hostile.twist({ callbackError: { error: 'login_required' } })
  const silent = await world.browser('silent').visit('/auth/login?silent=1&return_to=/quiet', { from: world.origin })
  expect(silent.url).toBe(`${world.origin}/quiet`)
  expect(provider.tokenRequests).toBe(0)

  // A good response in a browser that did not begin the sign-in, and twice in the one that did.
  hostile.twist({})
  const browser = world.browser('user')
  const begun = await browser.visit('/auth/login', { from: world.origin, follow: false })
  const { parameters } = await provider.authorize(begun.location ?? '')
  const callback = `/auth/callback/evil?${parameters}`
  const thief = world.browser('thief')
  expectErrorPage(await thief.visit(callback, { from: provider.issuer }), 400, 'login_state_mismatch')
  await thief.visit('/auth/login', { from: world.origin, follow: false })
  expectErrorPage(await thief.visit(callback, { from: provider.issuer }), 400, 'login_state_mismatch')
  const saved = browser.saved()
  expect((await browser.visit(callback, { from: provider.issuer })).status).toBe(200)
  expectErrorPage(await saved.visit(callback, { from: provider.issuer }), 400, 'login_state_mismatch')
  expect(provider.tokenRequests).toBe(1)
})

test('IT4 JARM: keys are looked up for browsers with a sign-in under way only, as seldom as ever, and their loss is 503', async () => {
  await using hostile = await createHostileWorld(asking('query.jwt'))
  const { world, provider, clock } = hostile
  const header = Buffer.from('{"alg":"RS256","kid":"invented"}').toString('base64url')
  for (let i = 0; i < 10; i++) {
    const page = await world.browser('nobody').visit(`/auth/callback/evil?response=${header}.e30.AAAA`)
    expectErrorPage(page, 400, 'login_state_mismatch')
  }
  expect(provider.jwksFetches).toBe(0)
  for (let i = 0; i < 10; i++) {
    hostile.twist({ response: { header: { kid: `invented-${i}` } } })
    expectErrorPage(await hostile.signIn(), 400, 'login_failed')
  }
  expect(provider.jwksFetches).toBeLessThanOrEqual(6)
  clock.advance(2 * 60 * minute)
  hostile.twist({ answer: { '/jwks': { status: 500, body: '' } } })
  expectErrorPage(await hostile.signIn(), 503, 'provider_unavailable')
  hostile.twist({})
  await expect.poll(async () => (await hostile.signIn()).status, { interval: 200 }).toBe(200)
})

test('CB1 JARM: only the algorithms that discovery offers for responses are taken; without a word, RS256', async () => {
  for (const [offered, taken] of [
    [undefined, ['RS256']],
    [['ES256'], ['ES256']],
    [['none', 'HS256', 'PS256'], ['PS256']],
  ] as const) {
    await using hostile = await createHostileWorld(asking('jwt'))
    const metadata = { authorization_signing_alg_values_supported: offered }
    for (const alg of ['RS256', 'PS256', 'ES256'] as const) {
      hostile.twist({ metadata, response: { alg } })
      const { status } = await hostile.signIn()
      expect([offered, alg, status]).toEqual([offered, alg, (taken as readonly string[]).includes(alg) ? 200 : 400])
    }
    for (const signature of ['none', 'hs256-client-secret'] as const) {
      hostile.twist({ metadata, response: { signature } })
      expect((await hostile.signIn()).status).toBe(400)
    }
  }
})
