import { describe, expect, test } from 'vitest'
import { endSessionUrl } from '../../src/oidc/end-session.ts'
import type { ProviderLink } from '../../src/oidc/provider-link.ts'

const logout = { returnTo: 'https://app.example.com/', state: 'opaque', hint: 'sid-1', idToken: 'an-id-token' }

async function urlOf(config: object, metadata: object = {}) {
  const issuer = 'https://idp.example.com/'
  const link = {
    config: { issuer, clientId: 'web', logout: { idTokenHint: false }, ...config },
    metadata: { get: async () => ({ issuer, ...metadata }) },
  }
  const url = await endSessionUrl(link as unknown as ProviderLink, logout)
  return url && { at: url.origin + url.pathname, ...Object.fromEntries(url.searchParams) }
}

describe('LO3 the way to the provider’s sign-out', () => {
  const end_session_endpoint = 'https://idp.example.com/logout'

  test('by the standard, and nowhere where a provider has none', async () => {
    const standard = { client_id: 'web', post_logout_redirect_uri: 'https://app.example.com/', state: 'opaque' }
    expect(await urlOf({ kind: 'oidc' }, { end_session_endpoint })).toEqual({
      at: end_session_endpoint,
      ...standard,
      logout_hint: 'sid-1',
    })
    expect(await urlOf({ kind: 'oidc' })).toBeUndefined()
    expect(await urlOf({ kind: 'google' })).toBeUndefined()
    expect(await urlOf({ kind: 'okta', logout: { idTokenHint: true } }, { end_session_endpoint })).toEqual({
      at: end_session_endpoint,
      ...standard,
      id_token_hint: 'an-id-token',
    })
  })

  test('auth0: by its own address where discovery names none', async () => {
    expect(await urlOf({ kind: 'auth0' })).toEqual({
      at: 'https://idp.example.com/v2/logout',
      client_id: 'web',
      returnTo: 'https://app.example.com/',
    })
    expect(await urlOf({ kind: 'auth0' }, { end_session_endpoint })).toMatchObject({ at: end_session_endpoint })
  })

  test('cognito: always its own, also where discovery names an address; never in the clear', async () => {
    const pool = { kind: 'cognito', domain: 'https://login.example.com' }
    expect(await urlOf(pool, { end_session_endpoint })).toEqual({
      at: 'https://login.example.com/logout',
      client_id: 'web',
      logout_uri: 'https://app.example.com/',
    })
    expect(await urlOf({ ...pool, domain: 'http://localhost:1' })).toBeUndefined()
  })
})
