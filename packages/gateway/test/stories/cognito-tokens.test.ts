import { describe, expect, test } from 'vitest'
import { startTwistingProxy } from './cognito-proxy.ts'
import { type CognitoWorld, createCognitoWorld } from './cognito-world.ts'

const okta = { identityProvider: 'Okta' }
const hour = 60 * 60_000

describe('what a user pool issues', () => {
  test('IT1 an ID token is no access token, and an access token is no ID token', async () => {
    await using given = await twisted()
    given.proxy.twist = (answer) => ({ ...answer, access_token: answer.id_token })
    expect((await given.signIn({ browser: 'a' })).page.status).toBe(400)
    given.proxy.twist = (answer) => ({ ...answer, id_token: answer.access_token })
    expect((await given.signIn({ browser: 'b' })).page.status).toBe(400)
    given.proxy.twist = (answer) => answer
    expect((await given.signIn({ browser: 'c' })).page.url).toBe(`${given.world.origin}/done`)
  })

  test('an access token of somebody else, or of a time before, is not taken for the one of this sign-in', async () => {
    await using given = await twisted()
    let first: unknown
    given.proxy.twist = (answer) => {
      first = answer.access_token
      return answer
    }
    await given.signIn({ as: 'bob', browser: 'bob' })
    given.proxy.twist = (answer) => ({ ...answer, access_token: first })
    expect((await given.signIn({ browser: 'ada' })).page.status).toBe(400)
    expect(given.world.log.text()).toContain('at_hash of the ID token is not that of the access token')
  })

  test('RT3 a refresh that brings an ID token as access token ends the session instead of handing it on', async () => {
    await using given = await twisted()
    const { browser } = await given.signIn()
    // Without an ID token beside it, whose at_hash would tell.
    given.proxy.twist = ({ id_token, ...answer }) => ({ ...answer, access_token: id_token })
    await travel(given, browser, hour)
    expect((await browser.fetch('/api/echo')).status).toBe(401)
    expect(given.world.upstream.requests).toEqual([])
  })

  test('a nonce that the pool made up itself is not ours: a sign-in whose nonce was taken out on its way fails', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const browser = given.world.browser()
    const start = await given.authorization('', browser)
    start.searchParams.delete('nonce')
    const page = await browser.visit(start.href, { from: given.world.origin })
    const end = page.forms.length > 0 ? await browser.submit(page, { button: 'ada' }) : page
    expect(end.status).toBe(400)
    expect(end.text).toContain('login_failed')
    expect((await browser.fetch('/auth/session')).json()).toEqual({ authenticated: false })
  })
})

describe('refresh', () => {
  test('without rotation no new refresh token comes: the old one stays good, hour after hour', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const { browser } = await given.signIn()
    for (let hours = 1; hours <= 3; hours++) {
      await travel(given, browser, hour)
      expect((await browser.fetch('/api/echo')).status, `after ${hours} h`).toBe(200)
    }
    expect(given.cognito.pool.domainFaults.count('/oauth2/token')).toBe(4)
  })

  test('RT1 with rotation the successor is kept, and parallel requests make one refresh', async () => {
    await using given = await createCognitoWorld({
      provider: okta,
      cognito: { client: { rotation: { graceSeconds: 0 } } },
    })
    const { browser } = await given.signIn()
    for (let hours = 1; hours <= 2; hours++) {
      await travel(given, browser, hour)
      const answers = await Promise.all(Array.from({ length: 8 }, () => browser.fetch('/api/echo')))
      expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(200))
    }
    expect(given.cognito.pool.domainFaults.count('/oauth2/token')).toBe(3)
  })

  test('TO3 a refresh token that a thief has used before ends the session: the pool calls it reuse', async () => {
    await using given = await twisted({ cognito: { client: { rotation: { graceSeconds: 0 } } } })
    let stolen = ''
    given.proxy.twist = (answer) => {
      stolen = String(answer.refresh_token)
      return answer
    }
    const { browser } = await given.signIn()
    const { settings, clientSecret } = given.cognito
    const form = { grant_type: 'refresh_token', refresh_token: stolen }
    const authorization = `Basic ${Buffer.from(`${settings.clientId}:${clientSecret}`).toString('base64')}`
    const thief = { method: 'POST', headers: { authorization }, body: new URLSearchParams(form) }
    expect((await fetch(`${settings.domain}/oauth2/token`, thief)).status).toBe(200)
    await travel(given, browser, hour)
    const refused = await browser.fetch('/api/echo')
    expect([refused.status, refused.json().code]).toEqual([401, 'session_expired'])
    expect(given.world.log.text()).toContain('Refresh token has been reused')
  })

  test('TO3 a user who was signed out at the pool by an administrator is signed out here with the next refresh', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const { browser } = await given.signIn()
    given.cognito.pool.globalSignOut('Okta_ada')
    await travel(given, browser, hour)
    const refused = await browser.fetch('/api/echo')
    expect([refused.status, refused.json().code]).toEqual([401, 'session_expired'])
  })

  test('a group that the pool takes away is gone with the next refresh, and the role with it', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const { browser } = await given.signIn()
    expect((await browser.fetch('/api/admin/echo')).status).toBe(200)
    given.cognito.pool.users.find('Okta_ada')?.attributes.set('custom:groups', 'users')
    await travel(given, browser, hour)
    await browser.fetch('/api/echo')
    expect((await browser.fetch('/api/admin/echo')).status).toBe(403)
    const { user, roles } = (await browser.fetch('/auth/session')).json<{ user: object; roles: string[] }>()
    expect(user).toMatchObject({ groups: expect.not.arrayContaining(['admin']) })
    expect(roles).toEqual([])
  })

  test('a claim that disappears at the identity provider leaves the old groups in the pool: they are what the pool says', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    await given.signIn()
    const ada = given.cognito.okta.users.find(({ sub }) => sub === 'ada')
    if (ada) ada.withheld = ['groups']
    const { browser } = await given.signIn({ browser: 'later' })
    // Nothing here can know better. `check` warns of rules on such attributes; docs/providers.md says what to do.
    expect((await browser.fetch('/auth/session')).json()).toMatchObject({ roles: ['admin'] })
  })
})

describe('sign-out', () => {
  test('LO3 the pool gets client_id and logout_uri, and nothing of the standard, which it refuses', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const { browser } = await given.signIn()
    const { redirectTo } = (await browser.fetch('/auth/logout', { method: 'POST' })).json<{ redirectTo: string }>()
    const url = new URL(redirectTo)
    expect(url.origin + url.pathname).toBe(`${given.cognito.settings.domain}/logout`)
    expect(Object.fromEntries(url.searchParams)).toEqual({
      client_id: given.cognito.settings.clientId,
      logout_uri: `${given.world.origin}/`,
    })
    const landing = await browser.visit(redirectTo, { from: given.world.origin })
    expect(landing.url).toBe(`${given.world.origin}/`)

    const standard = new URL(redirectTo)
    standard.searchParams.set('post_logout_redirect_uri', `${given.world.origin}/`)
    expect((await browser.visit(standard.href, { from: given.world.origin })).status).toBe(400)
  })

  test('LO4 the refresh token is revoked, and with it what the pool itself would still do', async () => {
    await using given = await createCognitoWorld({ provider: okta })
    const { browser } = await given.signIn()
    await browser.fetch('/auth/logout', { method: 'POST' })
    await expect
      .poll(() => given.cognito.pool.domainFaults.calls.find((call) => call.operation === '/oauth2/revoke'))
      .toEqual({
        operation: '/oauth2/revoke',
        status: 200,
      })
  })
})

/** A world whose pool's token endpoint is twisted on its way. */
async function twisted(cognito: Parameters<typeof createCognitoWorld>[0] = {}) {
  const given = await createCognitoWorld({ provider: okta, ...cognito })
  const proxy = await startTwistingProxy(given.cognito.settings.domain)
  const { identityPool: _, ...settings } = given.cognito.settings as CognitoWorld['cognito']['settings'] & {
    identityPool?: unknown
  }
  await given.world.reloadGateway({
    providers: { aws: { ...settings, ...okta, domain: proxy.url, clientSecret: { file: 'pool-secret' } } },
    defaultProvider: 'aws',
  })
  return {
    ...given,
    proxy,
    async [Symbol.asyncDispose]() {
      await given[Symbol.asyncDispose]()
      await proxy[Symbol.asyncDispose]()
    },
  }
}

/** Time goes by, with a request now and then so that the session stays. */
async function travel({ world }: CognitoWorld, browser: { fetch(path: string): Promise<unknown> }, ms: number) {
  for (let left = ms; left > 0; left -= ms / 4) {
    world.clock.advance(ms / 4)
    await browser.fetch('/auth/session')
  }
}
