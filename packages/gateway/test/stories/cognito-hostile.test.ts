import { createServer, request } from 'node:http'
import { describe, expect, test } from 'vitest'
import type { Twists } from '../../../testkit/src/hostile-provider.ts'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { createHostileWorld } from './hostile-world.ts'

/** The paths of a user pool's domain, and what the hostile provider calls them. */
const paths: Readonly<Record<string, string>> = {
  '/oauth2/authorize': '/authorize',
  '/oauth2/token': '/token',
  '/oauth2/userInfo': '/userinfo',
}

/** A world whose user pool signs whatever a test wants: by its own keys, so that nothing but the rules of a pool can tell. */
async function hostilePool() {
  const given = await createHostileWorld()
  const { port } = new URL(given.provider.issuer)
  const server = createServer((from, to) => {
    const { pathname, search } = new URL(from.url ?? '/', 'http://pool')
    const path = `${paths[pathname] ?? pathname}${search}`
    const onward = request({ port, host: '127.0.0.1', method: from.method, path, headers: from.headers }, (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(to)
    })
    from.pipe(onward)
  })
  const domain = `http://localhost:${await listen(server)}`
  const provider = { kind: 'cognito', userPoolId: 'eu-west-1_AbCdEf123', domain, claims: ['email_verified', 'picture'] }
  await given.world.reloadGateway({ providers: { evil: provider } })
  const clientId = given.world.config.providers.evil?.clientId
  const iat = Math.floor(given.clock.now() / 1000)
  const access = {
    iss: given.provider.issuer,
    sub: 'mallory',
    token_use: 'access',
    client_id: clientId,
    iat,
    exp: iat + 300,
  }
  const id = { token_use: 'id', 'cognito:username': 'mallory', at_hash: undefined }
  return {
    ...given,
    /** Signs in with an ID token and an access token of these claims, over those of a good pool. */
    async pass(own: { id?: object; access?: object }, more: Partial<Twists> = {}) {
      const access_token = await given.provider.sign({ ...access, ...own.access })
      given.twist({ claims: { ...id, ...own.id }, tokenAnswer: { access_token }, ...more })
      return await given.signIn()
    },
    async [Symbol.asyncDispose]() {
      await given[Symbol.asyncDispose]()
      await closeServer(server)
    },
  }
}

/** UserInfo knows the access tokens of its own making only. */
const userInfo = (claims: object) => ({
  answer: {
    '/userinfo': { status: 200, type: 'application/json', body: JSON.stringify({ sub: 'mallory', ...claims }) },
  },
})

describe('a user pool’s tokens are held to what they say they are', () => {
  test('IT1 what a good pool signs is taken, and booleans of UserInfo, which are texts, become booleans', async () => {
    await using given = await hostilePool()
    const page = await given.pass({}, userInfo({ email_verified: 'true' }))
    expect(page.url).toBe(`${given.world.origin}/`)
    const session = await given.world.browser('browser 0').fetch('/auth/session')
    expect(session.json()).toMatchObject({ user: { username: 'mallory', email_verified: true, groups: [] } })
  })

  test.each([
    ['an ID token without token_use', { id: { token_use: undefined } }, 'token_use of the ID token'],
    ['an access token that passes for an ID token', { id: { token_use: 'access' } }, 'token_use of the ID token'],
    ['an ID token that passes for an access token', { access: { token_use: 'id' } }, 'token_use of the access token'],
    ['an access token of another client', { access: { client_id: 'other' } }, 'client_id of the access token'],
    ['an access token of another user', { access: { sub: 'ada' } }, 'sub of the access token is not that of the ID'],
    ['an access token of another pool', { access: { iss: 'https://other' } }, 'unexpected \\"iss\\" claim value'],
    ['an access token that is over', { access: { exp: 1 } }, '\\"exp\\" claim timestamp check failed'],
  ])('IT1 %s: no sign-in', async (_, own, reason) => {
    await using given = await hostilePool()
    const page = await given.pass(own, userInfo({}))
    expect(page.status).toBe(400)
    expect(page.text).toContain('login_failed')
    expect(given.world.log.text()).toContain(reason)
  })

  test('IT1 an access token that a stranger signed, or that is none: no sign-in', async () => {
    await using given = await hostilePool()
    const forged = await given.provider.sign({ token_use: 'access' }, { signature: 'stranger' })
    for (const access_token of [forged, 'opaque']) {
      expect((await given.pass({}, { ...userInfo({}), tokenAnswer: { access_token } })).status).toBe(400)
    }
  })
})
