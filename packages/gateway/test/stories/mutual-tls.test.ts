import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import { decodeJwt } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { closeServer, listen } from '../../../testkit/src/listen.ts'
import { providerPaths } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { certificate, type Pair, registeredKey } from './certificates.ts'
import { audience } from './resource-server.ts'

let authority: Pair
let server: Pair
/** Signed by nobody but itself. */
let client: Pair
/** Signed by the authority. */
let vouched: Pair
beforeAll(async () => {
  authority = await certificate('Authority', 'authority')
  ;[server, client, vouched] = await Promise.all([
    certificate('localhost', 'server', authority),
    certificate('web', 'client'),
    certificate('web', 'client', authority),
  ])
})

const asking = () => ({ ...server, ca: authority.cert, requestCert: true, rejectUnauthorized: false })

/** A world whose provider speaks TLS and knows the gateway by its certificate. */
function mutualWorld(shown: Pair, metadata: object, options: WorldOptions = {}): Promise<World> {
  return createWorld({
    ...options,
    provider: { mtls: true, par: 'offered', tls: asking(), ttl: { accessToken: 600 }, ...options.provider },
    client: { metadata: { ...metadata, tls_client_certificate_bound_access_tokens: true } },
    config: ({ folder }) => {
      writeFileSync(join(folder, 'ca.crt'), authority.cert)
      writeFileSync(join(folder, 'client.crt'), shown.cert)
      writeFileSync(join(folder, 'client.key'), shown.key, { mode: 0o600 })
      const corp = {
        clientSecret: undefined,
        clientCertificate: { cert: 'client.crt', key: 'client.key' },
        ca: 'ca.crt',
        authorizationParams: { prompt: 'consent' },
      }
      return { providers: { corp } }
    },
  })
}

const selfSigned = () => ({
  token_endpoint_auth_method: 'self_signed_tls_client_auth',
  jwks: { keys: [registeredKey(client)] },
})
const bySubject = (subject = 'CN=web') => ({
  token_endpoint_auth_method: 'tls_client_auth',
  tls_client_auth_subject_dn: subject,
})

const shownIn = ({ socket }: IncomingMessage) => (socket as TLSSocket).getPeerX509Certificate()?.fingerprint256

/** Which certificate came with each request, by path. */
function watch(target: World['provider']['server']): Map<string, string | undefined> {
  const shown = new Map<string, string | undefined>()
  target.prependListener('request', (request: IncomingMessage) => {
    shown.set(new URL(request.url ?? '', 'https://x').pathname, shownIn(request))
  })
  return shown
}

test('AR1 self_signed_tls_client_auth: the certificate is the proof at PAR, token endpoint and UserInfo, for sign-in and refresh', async () => {
  await using world = await mutualWorld(client, selfSigned())
  const shown = watch(world.provider.server)
  const browser = await world.signedIn()
  world.clock.advance(11 * 60_000)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const { fingerprint256 } = new X509Certificate(client.cert)
  for (const path of [providerPaths.pushed, providerPaths.token, providerPaths.userinfo]) {
    expect([path, shown.get(path)]).toEqual([path, fingerprint256])
  }
  const requests = world.provider.at(providerPaths.token)
  expect(requests).toHaveLength(2)
  for (const { params, headers } of requests) {
    expect(params.get('client_id')).toBe('web-corp')
    expect([headers.authorization, params.has('client_secret'), params.has('client_assertion')]).toEqual([
      undefined,
      false,
      false,
    ])
  }
})

test('AR1 tls_client_auth: a certificate of the authority with the registered subject, and tokens bound to it', async () => {
  await using world = await mutualWorld(vouched, bySubject(), { provider: { resource: audience } })
  await world.stopGateway()
  // All in the ID token: a token for an API does not open UserInfo.
  await world.startGateway({ providers: { corp: { claims: ['name'] } } })
  const browser = await world.signedIn()
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const token = world.upstream.last().header('authorization') ?? ''
  const { fingerprint256 } = new X509Certificate(vouched.cert)
  const thumbprint = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
  expect(decodeJwt(token.replace(/^Bearer /, '')).cnf).toEqual({ 'x5t#S256': thumbprint })
})

test('AR1 a certificate that the provider does not know, or of another subject: login_failed', async () => {
  for (const [shown, metadata] of [
    [vouched, selfSigned()],
    [vouched, bySubject('CN=other')],
    [client, bySubject()],
  ] as const) {
    await using world = await mutualWorld(shown, metadata)
    const page = await world.browser().signIn({ as: 'ada' })
    expect([page.status, page.text.includes('login_failed')]).toEqual([400, true])
    expect(world.browser().cookies()).toEqual([])
    expect(world.provider.codesRedeemed).toBe(0)
  }
})

test('AR1 mtls_endpoint_aliases are used where discovery names them; the browser is sent to the usual address', async () => {
  await using world = await mutualWorld(client, selfSigned(), { provider: { tls: { ...server } } })
  const asked: string[] = []
  const alias = createServer(asking(), (request: IncomingMessage, response: ServerResponse) => {
    asked.push(new URL(request.url ?? '', 'https://x').pathname)
    world.provider.server.emit('request', request, response)
  })
  const base = `https://localhost:${await listen(alias)}`
  try {
    world.provider.tamper(providerPaths.discovery, (body) =>
      JSON.stringify({
        ...JSON.parse(body),
        mtls_endpoint_aliases: {
          pushed_authorization_request_endpoint: `${base}/request`,
          token_endpoint: `${base}/token`,
          userinfo_endpoint: `${base}/me`,
        },
      }),
    )
    await world.stopGateway()
    await world.startGateway()
    await world.signedIn()
    expect(asked).toEqual(['/request', '/token', '/me'])
    expect(world.provider.authorizations).toHaveLength(1)
  } finally {
    await closeServer(alias)
  }
})

test('ca: a provider with a certificate of its own authority is trusted by it alone', async () => {
  const tls = await certificate('localhost', 'server', authority)
  const config =
    (pem: string | undefined): NonNullable<WorldOptions['config']> =>
    ({ folder }) => {
      if (pem !== undefined) writeFileSync(join(folder, 'ca.crt'), pem)
      return { providers: { corp: pem === undefined ? {} : { ca: 'ca.crt' } } }
    }
  await using trusting = await createWorld({ provider: { tls }, config: config(authority.cert) })
  expect((await trusting.browser().signIn({ as: 'ada' })).status).toBe(200)
  const stranger = await certificate('Stranger', 'authority')
  for (const pem of [undefined, stranger.cert]) {
    await using wary = await createWorld({ provider: { tls }, config: config(pem) })
    const page = await wary.browser().startLogin()
    expect([page.status, page.text.includes('provider_unavailable')]).toEqual([503, true])
    expect(wary.provider.authorizations).toEqual([])
  }
})

test('LG2 the key of the certificate is in no log line', async () => {
  await using world = await mutualWorld(client, selfSigned(), { store: 'lmdb' })
  await world.signedIn()
  await world.provider.down()
  world.clock.advance(11 * 60_000)
  await world.browser().fetch('/api/echo')
  const body = client.key.split('\n').slice(1, -2)
  for (const line of body) expect(world.log.text()).not.toContain(line)
})

test('PX7 AR1 a token exchange is proved by the certificate as well, and the new token is bound to it', async () => {
  const targets = [{ audience: 'orders', scopes: ['read'], ttl: 300 }]
  await using world = await mutualWorld(client, selfSigned(), { provider: { exchange: { targets } } })
  await world.stopGateway()
  const credential = { exchange: { audience: 'orders' } }
  await world.startGateway({
    routes: [
      { path: '/api/*', upstream: world.upstream.url, access: 'authenticated', credential },
      { path: '/*', static: './public', access: 'public' },
    ],
  })
  const browser = await world.signedIn()
  const shown = watch(world.provider.server)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  expect(shown.get(providerPaths.token)).toBe(new X509Certificate(client.cert).fingerprint256)
  const exchange = world.provider.at(providerPaths.token).at(-1)
  expect([exchange?.params.get('audience'), exchange?.params.get('client_id')]).toEqual(['orders', 'web-corp'])
  const token =
    world.upstream
      .last()
      .header('authorization')
      ?.replace(/^Bearer /, '') ?? ''
  const { fingerprint256 } = new X509Certificate(client.cert)
  const thumbprint = Buffer.from(fingerprint256.replaceAll(':', ''), 'hex').toString('base64url')
  expect(decodeJwt(token)).toMatchObject({ aud: 'orders', cnf: { 'x5t#S256': thumbprint } })
})
