import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { decodeProtectedHeader } from 'jose'
import { expect, test } from 'vitest'
import { providerPaths } from '../../../testkit/src/provider-api.ts'
import { createWorld, type World, type WorldOptions } from '../../../testkit/src/world.ts'
import { certificate, registeredKey } from './certificates.ts'
import { keyClient } from './client-key.ts'
import { audience, resourceServer } from './resource-server.ts'

/** A provider that holds to FAPI 2.0, and a client with a key on P-256. */
function fapiWorld(provider: WorldOptions['provider'] = {}, metadata: object = {}): Promise<World> {
  return createWorld({
    ...keyClient('P-256', {
      metadata: { dpop_bound_access_tokens: true, id_token_signed_response_alg: 'ES256', ...metadata },
      provider: { profile: 'fapi2', claims: ['name', 'email'] },
    }),
    provider: { fapi2: true, par: 'required', dpop: 'nonce', ttl: { accessToken: 600 }, ...provider },
  })
}

const start = (world: World) => world.browser().visit('/auth/login', { from: world.origin, follow: false })

test('AR1 AR2 profile: fapi2 with a key: everything the FAPI 2.0 Security Profile asks of a client, by one switch', async () => {
  await using world = await fapiWorld({ resource: audience })
  const api = resourceServer(world, '/bound')
  const browser = await world.signedIn()
  expect((await browser.fetch('/api/bound')).text).toBe('{"ok":true}')
  world.clock.advance(11 * 60_000)
  expect((await browser.fetch('/api/bound')).text).toBe('{"ok":true}')

  const [pushed] = world.provider.at(providerPaths.pushed)
  expect(pushed?.params.get('code_challenge_method')).toBe('S256')
  expect(pushed?.params.get('dpop_jkt')).toBe(api.accepted[0]?.cnf?.jkt)
  expect([...(world.provider.authorizations[0]?.keys() ?? [])].sort()).toEqual(['client_id', 'request_uri'])
  for (const { params, headers } of world.provider.at(providerPaths.token)) {
    expect(decodeProtectedHeader(params.get('client_assertion') ?? '').alg).toBe('ES256')
    expect(decodeProtectedHeader(String(headers.dpop)).alg).toBe('ES256')
  }
  expect(api.accepted).toHaveLength(2)
})

test('AR1 profile: fapi2 with a certificate: it proves the client and binds the tokens', async () => {
  const [server, client] = await Promise.all([certificate('localhost', 'server'), certificate('web', 'client')])
  await using world = await createWorld({
    provider: {
      ...{ fapi2: true, par: 'required', mtls: true },
      tls: { ...server, requestCert: true, rejectUnauthorized: false },
    },
    client: {
      metadata: {
        ...{ token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: { keys: [registeredKey(client)] } },
        ...{ tls_client_certificate_bound_access_tokens: true, id_token_signed_response_alg: 'ES256' },
      },
    },
    config: ({ folder }) => {
      for (const [name, text] of Object.entries({ 'ca.crt': server.cert, 'c.crt': client.cert, 'c.key': client.key })) {
        writeFileSync(join(folder, name), text, { mode: 0o600 })
      }
      const clientCertificate = { cert: 'c.crt', key: 'c.key' }
      const corp = { profile: 'fapi2', clientSecret: undefined, clientCertificate, ca: 'ca.crt' }
      return { providers: { corp: { ...corp, authorizationParams: { prompt: 'consent' } } } }
    },
  })
  expect((await world.browser().signIn({ as: 'ada' })).status, world.log.text()).toBe(200)

  // A provider that doesn't say that it binds tokens to the certificate may not.
  world.provider.tamper(providerPaths.discovery, (body) =>
    JSON.stringify({ ...JSON.parse(body), tls_client_certificate_bound_access_tokens: undefined }),
  )
  await world.stopGateway()
  await world.startGateway()
  expect((await start(world)).status).toBe(503)
  expect(String(world.log.events('provider_unavailable').at(-1)?.reason)).toContain('write dpop: always')
})

test('CB2 profile: fapi2: a callback without iss is refused before the code goes anywhere, whatever discovery says', async () => {
  await using world = await fapiWorld()
  world.provider.tamper(providerPaths.discovery, (body) =>
    JSON.stringify({ ...JSON.parse(body), authorization_response_iss_parameter_supported: undefined }),
  )
  await world.stopGateway()
  await world.startGateway()
  const callback = new URL(await world.browser().callbackFor({ as: 'ada' }))
  callback.searchParams.delete('iss')
  const page = await world.browser().visit(callback.href, { from: world.provider.issuer })
  expect([page.status, page.text.includes('login_failed')]).toEqual([400, true])
  expect(world.provider.tokenRequests).toBe(0)
})

test('AR1 profile: fapi2: an ID token signed with RS256 is refused, also where the provider lists it', async () => {
  const rs256 = { fapi2: false } as const
  await using world = await fapiWorld(rs256, { id_token_signed_response_alg: 'RS256' })
  world.provider.tamper(providerPaths.discovery, (body) =>
    JSON.stringify({ ...JSON.parse(body), id_token_signing_alg_values_supported: ['RS256', 'ES256'] }),
  )
  await world.stopGateway()
  await world.startGateway()
  const page = await world.browser().signIn({ as: 'ada' })
  expect([page.status, page.text.includes('login_failed')]).toEqual([400, true])
  expect(world.provider.codesRedeemed).toBe(1)
  expect(world.browser().cookies()).toEqual([])
})

test('AR1 profile: fapi2: an unbound token is refused, and no sign-in begins at a provider that lacks what the profile needs', async () => {
  await using world = await fapiWorld()
  const undo = world.provider.tamper(providerPaths.token, (body) =>
    JSON.stringify({ ...JSON.parse(body), token_type: 'Bearer' }),
  )
  expect((await world.browser('unbound').signIn({ as: 'ada' })).text).toContain('login_failed')
  undo()
  for (const [lacking, reason] of [
    [{ pushed_authorization_request_endpoint: undefined }, 'pushed_authorization_request_endpoint'],
    [{ id_token_signing_alg_values_supported: ['RS256', 'HS256'] }, 'none of PS256, ES256 and EdDSA'],
  ] as const) {
    const repair = world.provider.tamper(providerPaths.discovery, (body) =>
      JSON.stringify({ ...JSON.parse(body), ...lacking }),
    )
    await world.stopGateway()
    await world.startGateway()
    expect((await start(world)).status).toBe(503)
    expect(String(world.log.events('provider_unavailable').at(-1)?.reason)).toContain(reason)
    repair()
  }
})
