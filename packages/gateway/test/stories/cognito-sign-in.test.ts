import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { createCognitoWorld, nina } from './cognito-world.ts'

const session = async (browser: { fetch(path: string): Promise<{ json<T>(): T }> }) =>
  (await browser.fetch('/auth/session')).json<{ authenticated: boolean; user: object; roles: string[] }>()

describe('a sign-in through a user pool of Amazon Cognito', () => {
  test('an employee signs in with Okta behind the pool, and the page learns who they are', async () => {
    await using given = await createCognitoWorld({ provider: { identityProvider: 'Okta' } })
    const { browser, page } = await given.signIn()
    expect(page.url).toBe(`${given.world.origin}/done`)
    const { user, roles } = await session(browser)
    expect(user).toMatchObject({
      username: 'Okta_ada',
      groups: expect.arrayContaining(['admin', 'users']),
      identityProvider: 'Okta',
      name: 'Ada Lovelace',
      iss: given.cognito.pool.issuer,
    })
    expect(roles).toEqual(['admin'])
    // The access token has no `aud`: what tells whose it is are token_use and client_id.
    expect((await browser.fetch('/api/admin/echo')).status).toBe(200)
    const bearer = given.world.upstream.last().header('authorization')?.slice('Bearer '.length) ?? ''
    const claims = decodeJwt(bearer)
    expect(claims).toMatchObject({ token_use: 'access', client_id: given.cognito.settings.clientId })
    expect(claims).not.toHaveProperty('aud')
  })

  test('AR1 S256, a nonce and an opaque state always go along, although discovery says nothing of PKCE', async () => {
    await using given = await createCognitoWorld({ provider: { identityProvider: 'Okta' } })
    const url = await given.authorization()
    expect(url.origin + url.pathname).toBe(`${given.cognito.settings.domain}/oauth2/authorize`)
    expect(Object.fromEntries(url.searchParams)).toMatchObject({
      code_challenge_method: 'S256',
      scope: 'openid profile email',
      identity_provider: 'Okta',
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      state: expect.stringMatching(/^[\w-]+$/),
    })
  })

  test('a native user has no identity provider, and a user without groups shows none', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
    given.cognito.pool.users.addNative({ username: 'solo', password: 'Solo-Pass-1' })
    const { browser } = await given.signIn({ as: 'solo', password: 'Solo-Pass-1' })
    const { user } = await session(browser)
    expect(user).toMatchObject({ username: 'solo', groups: [] })
    expect(user).not.toHaveProperty('identityProvider')
  })

  test('a group is compared whole: nonadmin is no admin', async () => {
    await using given = await createCognitoWorld({ provider: { identityProvider: 'Okta' } })
    const { browser } = await given.signIn({ as: 'carol' })
    expect(await session(browser)).toMatchObject({ user: { groups: expect.arrayContaining(['nonadmin']) }, roles: [] })
    expect((await browser.fetch('/api/admin/echo')).status).toBe(403)
  })

  test('the roles of the pool decide too, as the ARNs that they are', async () => {
    const roles = [
      { claim: 'cognito:roles', equals: 'arn:aws:iam::123456789012:role/admin', grant: ['admin'] },
      { claim: 'cognito:preferred_role', equals: 'arn:aws:iam::123456789012:role/admin', grant: ['chief'] },
    ]
    await using given = await createCognitoWorld({ provider: { identityProvider: 'Okta' }, config: { roles } })
    const { browser } = await given.signIn()
    expect((await session(browser)).roles).toEqual(['admin', 'chief'])
    const bob = await given.signIn({ as: 'bob', browser: 'bob' })
    expect((await session(bob.browser)).roles).toEqual([])
  })

  test('the newer form of the issuer: what the tokens say is what is configured, and nothing looser', async () => {
    await using given = await createCognitoWorld({
      provider: { identityProvider: 'Okta' },
      cognito: { pool: { issuerForm: 'multi-region' } },
    })
    const { browser } = await given.signIn()
    expect(await session(browser)).toMatchObject({ authenticated: true, user: { iss: given.cognito.pool.issuer } })
    const issuer = given.cognito.pool.issuer.replace('issuer-cognito-idp', 'other')
    expect(issuer).not.toBe(given.cognito.pool.issuer)
    await given.world.reloadGateway({
      providers: {
        aws: { ...given.cognito.settings, issuer, identityPool: undefined, clientSecret: { file: 'pool-secret' } },
      },
      defaultProvider: 'aws',
    })
    expect((await given.world.browser('late').visit('/auth/login', { from: given.world.origin })).status).toBe(503)
  })

  test('a public client signs in by PKCE alone', async () => {
    await using given = await createCognitoWorld({
      provider: { identityProvider: 'Okta', clientSecret: undefined },
      cognito: { client: { clientSecrets: [] } },
    })
    const { browser } = await given.signIn()
    expect(await session(browser)).toMatchObject({ authenticated: true })
  })
})

describe('which identity provider', () => {
  test('a link may name one that is listed, or one by its identifier; any other is refused', async () => {
    const identityProviders = ['Okta', { identifier: 'example.com' }]
    await using given = await createCognitoWorld({ provider: { identityProviders } })
    expect((await given.authorization('&idp=Okta')).searchParams.get('identity_provider')).toBe('Okta')
    const byIdentifier = (await given.authorization('&idp=example.com')).searchParams
    expect(byIdentifier.get('idp_identifier')).toBe('example.com')
    expect(byIdentifier.has('identity_provider')).toBe(false)
    const open = (await given.authorization()).searchParams
    expect(open.has('identity_provider')).toBe(false)
    for (const idp of ['Salesforce', 'okta', '', 'COGNITO', 'constructor']) {
      const page = await given.world.browser('links').visit(`/auth/login?idp=${idp}`, { from: given.world.origin })
      expect(page.status, idp).toBe(400)
    }
    const elsewhere = await given.world.browser('links').visit('/auth/login?provider=corp&idp=Okta', {
      from: given.world.origin,
    })
    expect(elsewhere.status, 'a provider with none behind it').toBe(400)
  })

  test('the domain of an address chooses, on a page that says the same of every user', async () => {
    const homeRealms = { 'example.com': 'Okta', 'sf.example': 'Salesforce' }
    await using given = await createCognitoWorld({ provider: { homeRealms } })
    const browser = given.world.browser()
    const ask = await browser.visit('/auth/login?return_to=/done', { from: given.world.origin })
    expect(ask.status).toBe(200)
    expect(ask.text).not.toContain('<script')
    expect(ask.text).toMatch(/<label for="address">[\s\S]*<input [^>]*id="address"/)

    const wrong = await browser.submit(ask, { fields: { login_hint: '<b>nobody' } })
    expect(wrong.status).toBe(400)
    expect(wrong.text).toContain('role="alert"')
    expect(wrong.text).not.toContain('nobody')

    const address = 'Ada@Example.com'
    const at = await browser.submit(wrong, { fields: { login_hint: address }, follow: false })
    const sent = new URL(at.location ?? '').searchParams
    expect(sent.get('identity_provider')).toBe('Okta')
    expect(sent.get('login_hint')).toBe(address)
    const stranger = await browser.submit(wrong, { fields: { login_hint: 'no-such-user@example.com' }, follow: false })
    expect(new URL(stranger.location ?? '').searchParams.get('identity_provider')).toBe('Okta')
    const open = await browser.submit(wrong, { fields: { login_hint: 'nina@elsewhere.example' }, follow: false })
    expect(new URL(open.location ?? '').searchParams.has('identity_provider')).toBe(false)

    const okta = await browser.submit(wrong, { fields: { login_hint: 'ada@example.com' } })
    const landing = okta.forms.length > 0 ? await browser.submit(okta, { button: 'ada' }) : okta
    expect(landing.url).toBe(`${given.world.origin}/done`)
    expect(await session(browser)).toMatchObject({ user: { identityProvider: 'Okta' } })
  })

  test('nothing is asked where a link decides, or where nothing can be asked', async () => {
    await using given = await createCognitoWorld({ provider: { homeRealms: { 'example.com': 'Okta' } } })
    expect((await given.authorization('&idp=Okta')).searchParams.get('identity_provider')).toBe('Okta')
    expect((await given.authorization('&silent=1')).searchParams.get('prompt')).toBe('none')
  })

  test('what fails at the identity provider is told in words of ours; its own are in the log', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
    const { okta } = given.cognito
    const undo = okta.failAs(400, { error: 'access_denied', error_description: 'Call <b>555-1234</b> now' }, '/token')
    const { page } = await given.signIn({ query: '&idp=Okta' })
    expect(page.status).toBe(400)
    expect(page.text).toContain('Okta did not let this account in.')
    expect(page.text).toContain('login_failed')
    expect(page.text).not.toContain('555-1234')
    expect(page.text, 'starting again leads to the same place').toContain(
      `/auth/login?return_to=${encodeURIComponent('/done')}&#38;idp=Okta`,
    )
    expect(given.world.log.text()).toContain('Okta Error - 400')
    undo()
    const again = await given.signIn({ query: '&idp=Okta' })
    expect(again.page.url).toBe(`${given.world.origin}/done`)
  })
})

describe('step-up', () => {
  const routes = (upstream: string) => [
    { path: '/api/pay/*', upstream, stripPrefix: '/api/pay', access: { maxAge: '5m' } },
    { path: '/*', static: './public', access: 'public' },
  ]

  test('SA1 the pool does not heed max_age, so prompt=login goes along, to where the user signed in before', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta', 'Salesforce'] } })
    const { world } = given
    await world.reloadGateway({
      providers: {
        aws: {
          ...given.cognito.settings,
          identityPool: undefined,
          clientSecret: { file: 'pool-secret' },
          identityProviders: ['Okta', 'Salesforce'],
        },
      },
      defaultProvider: 'aws',
      routes: routes(world.upstream.url),
    })
    const { browser } = await given.signIn({ query: '&idp=Okta' })
    world.clock.advance(6 * 60_000)
    const refused = await browser.fetch('/api/pay/echo')
    expect(refused.status).toBe(401)
    const { stepUpUrl } = refused.json<{ stepUpUrl: string }>()
    const start = await browser.visit(stepUpUrl, { from: world.origin, follow: false })
    expect(Object.fromEntries(new URL(start.location ?? '').searchParams)).toMatchObject({
      max_age: '300',
      prompt: 'login',
      identity_provider: 'Okta',
    })
    const page = await browser.visit(stepUpUrl, { from: world.origin })
    await browser.submit(page, { button: 'ada' })
    expect((await browser.fetch('/api/pay/echo')).status).toBe(200)
  })

  test('a native user is asked by the pool itself', async () => {
    await using given = await createCognitoWorld({ provider: { identityProviders: ['Okta'] } })
    const { browser } = await given.signIn(nina)
    const start = await browser.visit('/auth/step-up?max_age=0', { from: given.world.origin, follow: false })
    const sent = new URL(start.location ?? '').searchParams
    expect(sent.get('prompt')).toBe('login')
    expect(sent.has('identity_provider')).toBe(false)
  })
})
