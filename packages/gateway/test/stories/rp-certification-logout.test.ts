import { expect, test } from 'vitest'
import type { Browser } from '../../../testkit/src/browser.ts'
import { clientOf } from '../../../testkit/src/config.ts'
import type { JwtTwists } from '../../../testkit/src/hostile-provider.ts'
import { createHostileWorld, type HostileWorld } from './hostile-world.ts'

/*
 * The sign-out plans of the relying-party certification: RP-initiated, back-channel, front-channel. There is no session
 * management by frames: a browser that keeps sites apart shows them nothing. More rules: backchannel-logout.test.ts.
 */
const event = 'http://schemas.openid.net/event/backchannel-logout'
const sid = 'session-at-the-provider'

async function signedIn(hostile: HostileWorld, name = 'user'): Promise<Browser> {
  hostile.twist({ claims: { sid } })
  expect((await hostile.signIn(name)).status).toBe(200)
  hostile.twist({})
  return hostile.world.browser(name)
}

const isSignedIn = async (browser: Browser) => (await browser.fetch('/api/echo')).status === 200

/** Signs out here, and goes to the provider and back: the page of the return. */
async function signOut(browser: Browser) {
  const { redirectTo } = (await browser.fetch('/auth/logout', { method: 'POST' })).json<{ redirectTo: string }>()
  return { asked: new URL(redirectTo), home: await browser.visit(redirectTo, { from: browser.base }) }
}

/** A story of a sign-out whose return carries this state; undefined: the one that was sent. */
const returns = (logoutState?: string | null) => async () => {
  await using hostile = await createHostileWorld()
  const { world, provider } = hostile
  const browser = await signedIn(hostile)
  const saved = browser.saved()
  if (logoutState !== undefined) hostile.twist({ logoutState })
  const { asked, home } = await signOut(browser)
  expect(asked.origin + asked.pathname).toBe(`${provider.issuer}/logout`)
  expect(asked.searchParams.get('post_logout_redirect_uri')).toBe(`${world.origin}/`)
  expect(asked.searchParams.get('client_id')).toBe(clientOf('evil').clientId)
  const returned = new URL(home.url)
  expect([home.status, returned.origin, returned.pathname]).toEqual([200, world.origin, '/'])
  const wanted = logoutState === undefined ? asked.searchParams.get('state') : logoutState
  expect(returned.searchParams.get('state')).toBe(wanted)
  expect(await isSignedIn(browser)).toBe(false)
  expect(await isSignedIn(saved)).toBe(false)
}

test('LO3 rp-init-logout: signed out here, sent to the provider, and back with the state', returns())
test('LO3 rp-init-logout-other-state: the return with another state is a visit of the start page', returns('other'))
test('LO3 rp-init-logout-no-state: the return without a state as well', returns(null))

/** What the provider sends, server to server. */
async function backchannel({ world, provider, clock }: HostileWorld, twist: Partial<JwtTwists> = {}): Promise<number> {
  const seconds = Math.floor(clock.now() / 1000)
  const honest = {
    ...{ iss: provider.issuer, aud: clientOf('evil').clientId, iat: seconds, exp: seconds + 120 },
    ...{ jti: `token-${Math.random()}`, sub: 'mallory', sid, events: { [event]: {} } },
  }
  const logout_token = await provider.sign(honest, { ...twist, header: { typ: 'logout+jwt', ...twist.header } })
  const body = new URLSearchParams({ logout_token })
  const answer = await fetch(`${world.origin}/auth/backchannel-logout/evil`, { method: 'POST', body })
  expect(answer.headers.get('cache-control')).toBe('no-store')
  return answer.status
}

test('BL1 rp-backchannel-rpinitlogout: the user signs out in one browser, and the provider’s token ends the other of that sign-in', async () => {
  await using hostile = await createHostileWorld()
  const [one, two] = [await signedIn(hostile, 'one'), await signedIn(hostile, 'two')]
  await signOut(one)
  expect(await isSignedIn(two)).toBe(true)
  expect(await backchannel(hostile)).toBe(200)
  expect(await isSignedIn(two)).toBe(false)
  expect(await backchannel(hostile, { alg: 'ES256' })).toBe(200)
})

test('BL1 rp-backchannel-opinitlogout: the provider ends the sign-in of its own accord', async () => {
  await using hostile = await createHostileWorld()
  const browser = await signedIn(hostile)
  expect(await backchannel(hostile, { alg: 'PS256' })).toBe(200)
  expect(await isSignedIn(browser)).toBe(false)
})

/** A story in which the provider sends a token with this wrong with it: 400, and nobody is signed out. */
const ignores = (twist: Partial<JwtTwists>) => async () => {
  await using hostile = await createHostileWorld()
  const browser = await signedIn(hostile)
  expect(await backchannel(hostile, twist)).toBe(400)
  expect(await isSignedIn(browser)).toBe(true)
  const refused = hostile.world.log.lines.filter(({ code }) => code === 'logout_token_invalid')
  expect(refused).toHaveLength(1)
  expect(refused[0]?.reason).toBeTruthy()
}

const lacking = (...names: string[]) => ignores({ claims: Object.fromEntries(names.map((name) => [name, undefined])) })
const otherEvent = { 'http://example.com/other': {} }

test('BL3 rp-backchannel-rpinitlogout-lt-wrong-issuer', ignores({ claims: { iss: 'https://idp.example' } }))
test('BL3 rp-backchannel-rpinitlogout-lt-wrong-aud', ignores({ claims: { aud: 'other' } }))
test(
  'BL2 rp-backchannel-rpinitlogout-lt-wrong-alg: by the client secret',
  ignores({ signature: 'hs256-client-secret' }),
)
test('BL2 rp-backchannel-rpinitlogout-lt-wrong-alg: by the public key', ignores({ signature: 'hs256-public-key' }))
test('BL2 rp-backchannel-rpinitlogout-lt-alg-none', ignores({ signature: 'none' }))
test('BL2 rp-backchannel-rpinitlogout-lt-bad-sig', ignores({ signature: 'stranger' }))
test('BL4 rp-backchannel-rpinitlogout-lt-no-event', lacking('events'))
test('BL4 rp-backchannel-rpinitlogout-lt-wrong-event', ignores({ claims: { events: otherEvent } }))
test('BL5 rp-backchannel-rpinitlogout-lt-with-nonce', ignores({ claims: { nonce: 'n' } }))
test('BL3 rp-backchannel-rpinitlogout-lt-no-iat', lacking('iat'))
test('BL3 rp-backchannel-rpinitlogout-lt-no-jti', lacking('jti'))
test('BL4 rp-backchannel-rpinitlogout-lt-no-sub-no-sid', lacking('sub', 'sid'))

/** The frame in the provider's sign-out page. */
const frame = ({ world, provider }: HostileWorld, query: Record<string, string>) =>
  world.browser('frames').fetch(`/auth/frontchannel-logout/evil?${new URLSearchParams(query)}`, {
    ...{ from: `${provider.issuer}/logout`, csrf: false, mode: 'navigate', dest: 'iframe' },
  })

/** A story in which the provider's page holds this frame. */
const framed =
  (query: (issuer: string) => Record<string, string>, then: { status: number; ended: boolean }) => async () => {
    await using hostile = await createHostileWorld()
    const browser = await signedIn(hostile)
    await signOut(await signedIn(hostile, 'elsewhere'))
    const answer = await frame(hostile, query(hostile.provider.issuer))
    expect([answer.status, answer.header('cache-control')]).toEqual([then.status, 'no-store'])
    expect(await isSignedIn(browser)).toBe(!then.ended)
  }

const ends = { status: 200, ended: true }
const nothing = { status: 200, ended: false }
const refused = { status: 400, ended: false }

test(
  'LO7 rp-frontchannel-rpinitlogout: iss and sid of the sign-in end it',
  framed((iss) => ({ iss, sid }), ends),
)
test(
  'LO7 rp-frontchannel-rpinitlogout-wrong-issuer',
  framed(() => ({ iss: 'https://idp.example', sid }), nothing),
)
test(
  'LO7 rp-frontchannel-rpinitlogout-wrong-sid',
  framed((iss) => ({ iss, sid: 'other' }), nothing),
)
test(
  'LO7 rp-frontchannel-rpinitlogout-no-sid',
  framed((iss) => ({ iss }), refused),
)
test(
  'LO7 rp-frontchannel-rpinitlogout-no-issuer',
  framed(() => ({ sid }), refused),
)
test(
  'LO7 rp-frontchannel-rpinitlogout with neither: nobody is named, nobody is signed out',
  framed(() => ({}), nothing),
)
