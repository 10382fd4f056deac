import { generateKeyPairSync } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { startCognito } from '../../../testkit/src/cognito.ts'
import { reservePort } from '../../../testkit/src/listen.ts'
import { run } from '../../src/cli/check.ts'
import { createLmdbStore } from '../../src/stores/lmdb.ts'
import { output } from './command.ts'
import { configFolder, corp, route, variant } from './folder.ts'

interface Local {
  readonly url: string
  [Symbol.asyncDispose](): Promise<void>
}

/** A server on loopback that answers every request with this. */
async function local(answer: (url: string) => { status?: number; body: string }): Promise<Local> {
  const server: Server = createServer((_, response) => {
    const { status = 200, body } = answer(url)
    response.writeHead(status, { 'content-type': 'application/json', location: 'https://elsewhere.example' }).end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return {
    url,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function metadata(url: string, changes: Record<string, unknown> = {}): string {
  return JSON.stringify({
    issuer: url,
    authorization_endpoint: `${url}/auth`,
    token_endpoint: `${url}/token`,
    jwks_uri: `${url}/jwks`,
    end_session_endpoint: `${url}/logout`,
    response_types_supported: ['code'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'private_key_jwt'],
    ...changes,
  })
}

/** `check --online` with this provider and upstream; lines without their numbers. */
async function check(
  issuer: string,
  upstream: string,
  sections: Record<string, unknown> = {},
  files: Record<string, string> = {},
) {
  const text = variant({
    providers: { corp: { ...corp, issuer } },
    routes: [route({ upstream }), route({ path: '/b/*', upstream })],
    store: { kind: 'memory' },
    ...sections,
  })
  using folder = configFolder({ ...files, 'c.yaml': text })
  const { status, stderr, stdout } = await output(run, ['-c', 'c.yaml', '--online'], folder.path)
  return {
    status,
    stdout,
    lines: stderr
      .split('\n')
      .slice(0, -1)
      .map((line) => line.replace(/^c\.yaml:\d+: /, '')),
  }
}

test('everything answers: exit 0', async () => {
  await using provider = await local((url) => ({ body: metadata(url) }))
  expect(await check(provider.url, provider.url)).toEqual({
    status: 0,
    lines: [],
    stdout: 'c.yaml: the configuration is valid, and everything it names answers\n',
  })
})

test('another issuer, missing endpoints and an unfit client are findings: exit 1', async () => {
  await using provider = await local((url) => ({
    body: metadata(url, {
      issuer: `${url}/`,
      token_endpoint: undefined,
      response_types_supported: ['id_token'],
      token_endpoint_auth_methods_supported: ['client_secret_post'],
    }),
  }))
  const { status, lines, stdout } = await check(provider.url, provider.url)
  expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  expect(lines).toEqual([
    `providers.corp.issuer: the provider says that its issuer is "${provider.url}/"; write exactly that`,
    'providers.corp.issuer: the provider names no token_endpoint',
    'providers.corp.issuer: the provider does not list the response type code',
    'providers.corp.clientAuth: the provider does not list client_secret_basic; write clientAuth: client_secret_post',
  ])
})

describe('strong clients: what the provider lists and the configuration insists on don’t fit', () => {
  const key = String(
    generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
  )
  const { clientSecret, ...bare } = corp
  const byKey = { ...bare, clientKey: { file: 'key.pem' } }
  const fapi = {
    authorization_response_iss_parameter_supported: true,
    dpop_signing_alg_values_supported: ['ES256'],
    id_token_signing_alg_values_supported: ['RS256', 'PS256'],
    pushed_authorization_request_endpoint: 'https://idp/par',
  }

  test.each([
    [
      { ...corp, par: 'always' },
      {},
      'par: the provider names no pushed_authorization_request_endpoint; write par: auto',
    ],
    [
      { ...corp, par: 'never' },
      { require_pushed_authorization_requests: true, pushed_authorization_request_endpoint: 'https://idp/par' },
      'par: the provider requires pushed authorization requests; write par: auto',
    ],
    [
      corp,
      { require_pushed_authorization_requests: true },
      'issuer: the provider requires pushed authorization requests and names no',
    ],
    [
      { ...corp, dpop: 'always' },
      {},
      'dpop: the provider does not list ES256 in dpop_signing_alg_values_supported; write',
    ],
    [
      byKey,
      { token_endpoint_auth_methods_supported: ['client_secret_post'] },
      'clientKey: the provider does not list private_key_jwt; write clientAuth: client_secret_post and a clientSecret',
    ],
    [
      corp,
      { token_endpoint_auth_methods_supported: ['private_key_jwt'] },
      'clientAuth: the provider does not list client_secret_basic; write clientKey: { file: key.pem }',
    ],
    [
      byKey,
      { token_endpoint_auth_signing_alg_values_supported: ['RS256'] },
      'clientKey: the provider does not list PS256 for private_key_jwt; write algorithm: RS256',
    ],
    [{ ...byKey, profile: 'fapi2' }, {}, 'profile: the provider names no pushed_authorization_request_endpoint'],
    [
      { ...byKey, profile: 'fapi2' },
      { ...fapi, id_token_signing_alg_values_supported: ['RS256'] },
      'profile: the provider signs ID tokens with none of PS256, ES256 and EdDSA',
    ],
    [
      { ...byKey, profile: 'fapi2' },
      { ...fapi, dpop_signing_alg_values_supported: undefined },
      'profile: the provider does not list ES256 in dpop_signing_alg_values_supported',
    ],
    [
      { ...byKey, profile: 'fapi2' },
      { ...fapi, authorization_response_iss_parameter_supported: undefined },
      'profile: the provider does not say that its callback names the issuer',
    ],
  ])('%j', async (keys, changes, expected) => {
    await using provider = await local((url) => ({ body: metadata(url, changes) }))
    const providers = { corp: { ...keys, issuer: provider.url } }
    const { status, lines } = await check(provider.url, provider.url, { providers }, { 'key.pem': key })
    expect(status).toBe(1)
    expect(lines).toContainEqual(expect.stringContaining(`providers.corp.${expected}`))
  })

  test('AR2 a provider that has all of it: nothing to say', async () => {
    await using provider = await local((url) => ({ body: metadata(url, fapi) }))
    const providers = { corp: { ...byKey, profile: 'fapi2', issuer: provider.url } }
    expect(await check(provider.url, provider.url, { providers }, { 'key.pem': key })).toMatchObject({
      status: 0,
      lines: [],
    })
  })
})

test('a user pool that names another domain than the configured one is a note: a pool may have two', async () => {
  await using provider = await local((url) => ({
    body: metadata(url, { authorization_endpoint: `${url}/oauth2/authorize` }),
  }))
  const pool = { kind: 'cognito', userPoolId: 'eu-west-1_Ab', clientId: 'web', issuer: provider.url }
  const found = async (domain: string) =>
    await check(provider.url, provider.url, { providers: { corp: { ...pool, domain } } })
  expect(await found(provider.url)).toMatchObject({
    status: 0,
    lines: [expect.stringContaining('corp.scope: warning: lacks')],
  })
  const { status, lines } = await found('https://login.example.com')
  expect(status).toBe(0)
  expect(lines).toContainEqual(
    expect.stringContaining('providers.corp.domain: warning: the user pool says that sign-ins go'),
  )
})

test('a provider that does not list S256 is a note: Cognito is one', async () => {
  const silent = { code_challenge_methods_supported: undefined, end_session_endpoint: undefined }
  await using provider = await local((url) => ({ body: metadata(url, silent) }))
  const { status, lines } = await check(provider.url, provider.url)
  expect(status).toBe(0)
  expect(lines).toEqual([
    expect.stringContaining('warning: the provider does not list PKCE with S256'),
    expect.stringContaining('warning: the provider names no end_session_endpoint'),
  ])
})

test.each([
  ['an error', { status: 500, body: '{}' }, 'answers 500'],
  ['a redirect, which is not followed', { status: 302, body: '' }, 'answers 302'],
  ['no JSON', { body: '<html>' }, 'answers something that is not JSON'],
  ['other JSON', { body: '[]' }, 'is not a discovery document'],
])('a provider with %s', async (_, answer, expected) => {
  await using provider = await local(() => answer)
  const { status, lines } = await check(provider.url, provider.url)
  expect(status).toBe(1)
  expect(lines).toEqual([`providers.corp.issuer: ${provider.url}/.well-known/openid-configuration ${expected}`])
})

test('a provider and an upstream that are down; the upstream of two routes is asked once', async () => {
  await using gone = await local(() => ({ body: '' }))
  const { url } = gone
  await gone[Symbol.asyncDispose]().catch(() => {})
  const { status, lines } = await check(url, url)
  expect(status).toBe(1)
  expect(lines).toEqual([
    `providers.corp.issuer: ${url}/.well-known/openid-configuration cannot be reached: ECONNREFUSED`,
    `routes[0].upstream: ${url} does not answer: ECONNREFUSED`,
  ])
})

test('an https upstream is asked for its certificate', async () => {
  await using plain = await local((url) => ({ body: metadata(url) }))
  const { status, lines } = await check(plain.url, plain.url.replace('http:', 'https:'))
  expect(status).toBe(1)
  expect(lines).toEqual([expect.stringMatching(/^routes\[0\]\.upstream: https:\S+ does not answer: ERR_SSL/)])
})

test('a store is opened and pinged where it exists, and not created where it does not', async () => {
  await using provider = await local((url) => ({ body: metadata(url) }))
  using folder = configFolder()
  const missing = { kind: 'lmdb', path: folder.at('data/sessions') }
  expect(await check(provider.url, provider.url, { store: missing })).toMatchObject({
    status: 0,
    lines: ['store.path: warning: is not there yet; the gateway creates it at its first start'],
  })
  const store = createLmdbStore({ path: folder.at('store'), now: Date.now })
  await (await store).close()
  const there = { kind: 'lmdb', path: folder.at('store') }
  expect(await check(provider.url, provider.url, { store: there })).toMatchObject({ status: 0, lines: [] })
  const broken = { kind: 'lmdb', path: folder.at('public/index.html') }
  expect(await check(provider.url, provider.url, { store: broken })).toMatchObject({
    status: 1,
    lines: [expect.stringContaining('store.path: the store cannot be used')],
  })
})

test('SS1 a transmitter is asked where its keys are, unless that is configured', async () => {
  await using provider = await local((url) => ({ body: metadata(url) }))
  await using other = await local((url) => ({ body: metadata(`${url}/x`) }))
  await using keyless = await local((url) => ({ body: JSON.stringify({ issuer: url }) }))
  await using broken = await local(() => ({ body: '[]' }))
  const at = async (transmitter: string, keys: object = {}) => {
    const signals = { transmitter, audience: 'x', provider: 'corp', ...keys }
    const { status, lines } = await check(provider.url, provider.url, { signals })
    return [status, ...lines]
  }
  const url = (server: Local) => `${server.url}/.well-known/ssf-configuration`
  expect(await at(provider.url)).toEqual([0])
  expect(await at(other.url)).toEqual([
    1,
    `signals.transmitter: the transmitter says that its issuer is "${other.url}/x"; write exactly that`,
  ])
  expect(await at(keyless.url)).toEqual([1, 'signals.jwksUri: the transmitter names no jwks_uri; write it here'])
  expect(await at(broken.url)).toEqual([1, `signals.transmitter: ${url(broken)} is not a transmitter's configuration`])
  expect(await at(broken.url, { jwksUri: `${broken.url}/jwks` })).toEqual([0])
})

test('PX7 a provider that lists its grants and not token exchange, where a route needs it: a finding', async () => {
  const grant = 'urn:ietf:params:oauth:grant-type:token-exchange'
  const routes = (upstream: string) => ({
    routes: [route({ upstream }), route({ path: '/b/*', upstream, credential: { exchange: { audience: 'orders' } } })],
  })
  for (const [listed, findings] of [
    [undefined, 0],
    [['authorization_code', grant], 0],
    [['authorization_code', 'refresh_token'], 1],
  ] as const) {
    await using provider = await local((url) => ({ body: metadata(url, { grant_types_supported: listed }) }))
    const { status, lines } = await check(provider.url, provider.url, routes(provider.url))
    expect([status, lines.length]).toEqual([findings, findings])
    const expected = `routes[1].credential.exchange: corp does not list the grant type ${grant} (RFC 8693); switch it on there, or write another credential`
    if (findings > 0) expect(lines).toEqual([expected])
    // Nobody needs it, nobody misses it.
    expect((await check(provider.url, provider.url)).status).toBe(0)
  }
})

describe('the identity pool', () => {
  const guid = '12345678-1234-1234-1234-123456789abc'
  const refusing = (name: string, message: string) => ({
    status: 400,
    body: JSON.stringify({ __type: name, message }),
  })

  test('is asked with a token that is none: no identity comes of it', async () => {
    await using provider = await local((url) => ({ body: metadata(url) }))
    await using cognito = await startCognito({ origin: 'http://127.0.0.1:3000' })
    const { id, endpoint } = cognito.settings.identityPool
    // The pool is there, and takes tokens of its user pool only.
    const found = await check(provider.url, provider.url, {
      providers: { corp: { ...corp, issuer: provider.url, identityPool: { id, endpoint } } },
    })
    expect(found.lines).toEqual([expect.stringContaining('the identity pool takes no tokens of')])
    const other = await check(provider.url, provider.url, {
      providers: { corp: { ...corp, issuer: provider.url, identityPool: { id: `eu-west-1:${guid}`, endpoint } } },
    })
    expect(other.lines).toEqual([expect.stringContaining('there is no such identity pool in eu-west-1')])
    const calls = cognito.identityPool.faults.calls.map(({ operation }) => operation)
    expect(new Set(calls)).toEqual(new Set(['GetId']))
  })

  test.each<[string, string, string[]]>([
    ['NotAuthorizedException', 'Invalid login token. Not a JWT', []],
    ['InvalidParameterException', 'Logins', []],
    ['AccessDeniedException', 'no', ['the identity pool does not answer as one: 400 AccessDeniedException']],
  ])('answers %s (%s): %j', async (name, message, lines) => {
    await using provider = await local((url) => ({ body: metadata(url) }))
    await using pool = await local(() => refusing(name, message))
    const identityPool = { id: `eu-west-1:${guid}`, endpoint: pool.url }
    const providers = { corp: { ...corp, issuer: provider.url, identityPool } }
    const found = await check(provider.url, provider.url, { providers })
    expect(found.lines).toEqual(lines.map((line) => expect.stringContaining(line)))
  })

  test('does not answer at all', async () => {
    await using provider = await local((url) => ({ body: metadata(url) }))
    const endpoint = `http://127.0.0.1:${await reservePort()}`
    const providers = { corp: { ...corp, issuer: provider.url, identityPool: { id: `eu-west-1:${guid}`, endpoint } } }
    const found = await check(provider.url, provider.url, { providers })
    expect(found.lines).toEqual([expect.stringContaining('the identity pool does not answer as one: ECONNREFUSED')])
  })
})
