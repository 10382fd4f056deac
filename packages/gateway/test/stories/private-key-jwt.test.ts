import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt, decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { findLeaks, formsOf } from '../../../testkit/src/canaries.ts'
import { type ProviderRequest, providerPaths } from '../../../testkit/src/provider-api.ts'
import { createWorld } from '../../../testkit/src/world.ts'
import { keyClient, newKeyPair, pemOf } from './client-key.ts'

const assertionOf = (request: ProviderRequest | undefined) => request?.params.get('client_assertion') ?? ''
const shortTokens = { ttl: { accessToken: 600 } } as const

test.each([
  ['P-256', {}, 'ES256'],
  ['P-384', {}, 'ES384'],
  ['RSA', {}, 'PS256'],
  ['RSA', { algorithm: 'RS256' }, 'RS256'],
  ['Ed25519', {}, 'EdDSA'],
] as const)(
  'AR1 private_key_jwt with a key on %s and %j signs with %s, and the provider takes it',
  async (kind, clientKey, alg) => {
    const metadata = { token_endpoint_auth_signing_alg: alg }
    await using world = await createWorld(keyClient(kind, { clientKey, metadata, kid: 'key-1' }))
    const page = await world.browser().signIn({ as: 'ada' })
    expect(page.status, world.log.text()).toBe(200)
    const [redeemed] = world.provider.at(providerPaths.token)
    expect(decodeProtectedHeader(assertionOf(redeemed))).toEqual({ alg, kid: 'key-1' })
  },
)

test('AR1 each assertion is for this issuer alone, short, and used once: at PAR, at sign-in and at each refresh', async () => {
  await using world = await createWorld({ ...keyClient('P-256'), provider: { par: 'offered', ...shortTokens } })
  const browser = await world.signedIn()
  world.clock.advance(11 * 60_000)
  expect((await browser.fetch('/api/echo')).status).toBe(200)
  const requests = [...world.provider.at(providerPaths.pushed), ...world.provider.at(providerPaths.token)]
  expect(requests).toHaveLength(3)
  const ids = new Set<unknown>()
  for (const request of requests) {
    expect(request.params.get('client_assertion_type')).toBe('urn:ietf:params:oauth:client-assertion-type:jwt-bearer')
    expect(request.params.get('client_id')).toBe('web-corp')
    expect(request.params.has('client_secret')).toBe(false)
    expect(request.headers.authorization).toBeUndefined()
    const claims = decodeJwt(assertionOf(request))
    // A text, not a list: one audience, and not an endpoint's address that another provider could claim as its own.
    expect(claims).toMatchObject({ iss: 'web-corp', sub: 'web-corp', aud: world.provider.issuer })
    expect((claims.exp ?? 0) - (claims.iat ?? 0)).toBeLessThanOrEqual(60)
    expect(String(claims.jti)).toMatch(/^[\w-]{22,}$/)
    ids.add(claims.jti)
  }
  expect(ids.size).toBe(requests.length)
  // By the gateway's own clock, which the world has moved.
  expect(decodeJwt(assertionOf(requests.at(-1))).iat).toBeGreaterThan(Math.floor(Date.now() / 1000) + 10 * 60)
})

test('AR1 a key that is not the registered one: the sign-in fails, nobody is signed in, and the log says what the provider said', async () => {
  await using world = await createWorld(keyClient('P-256'))
  await world.stopGateway()
  writeFileSync(join(world.folder, 'key.pem'), pemOf(newKeyPair('P-256').privateKey))
  await world.startGateway()
  const page = await world.browser().signIn({ as: 'ada' })
  expect([page.status, page.text.includes('login_failed')]).toEqual([400, true])
  expect(world.browser().cookies()).toEqual([])
  expect(world.log.text()).toContain('invalid_client')
})

test('LG2 PX3 neither key nor assertion is in the log, or in any byte for the browser', async () => {
  await using world = await createWorld({ ...keyClient('P-256'), provider: { par: 'offered', ...shortTokens } })
  const browser = await world.signedIn()
  world.clock.advance(11 * 60_000)
  const undo = world.provider.failAs(401, { error: 'invalid_client' }, providerPaths.token)
  expect((await browser.fetch('/api/echo')).status).toBe(503)
  undo()
  const key = world.config.providers.corp?.clientKey?.key.export({ format: 'jwk' }).d ?? ''
  const requests = [...world.provider.at(providerPaths.pushed), ...world.provider.at(providerPaths.token)]
  const canaries = [key, ...requests.map(assertionOf)]
  expect(canaries.length).toBeGreaterThan(3)
  expect(findLeaks(browser.seen, canaries)).toEqual([])
  for (const canary of canaries) for (const form of formsOf(canary)) expect(world.log.text()).not.toContain(form)
  // Nor does the configuration show it to whoever prints it.
  expect(JSON.stringify(world.config)).not.toContain(key)
})
