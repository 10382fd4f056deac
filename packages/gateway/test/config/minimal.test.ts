import { expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { configFolder, configOf, corp, env, minimal, variant } from './folder.ts'

test('ten lines are a configuration; everything else has a default', () => {
  expect(minimal.trim().split('\n')).toHaveLength(10)
  using folder = configFolder({ 'c.yaml': minimal })
  const { config } = loadConfig(folder.at('c.yaml'), { env })
  expect(config).toMatchObject({
    origin: 'https://app.example.com',
    listen: { host: '127.0.0.1', port: 8080 },
    trustedProxies: [],
    workers: 1,
    keys: { file: folder.at('coatcheck.keys') },
    basePath: '/auth',
    providers: {
      corp: {
        kind: 'oidc',
        issuer: 'https://idp.example.com',
        clientId: 'web',
        clientSecret: env.CLIENT_SECRET,
        scope: 'openid profile email',
        authorizationParams: {},
        claims: ['name', 'email', 'picture'],
        logout: { idTokenHint: false, typ: 'strict' },
      },
    },
    defaultProvider: 'corp',
    session: {
      idle: 30 * 60_000,
      absolute: 12 * 3_600_000,
      rotate: 15 * 60_000,
      grace: 30_000,
      sameSite: 'strict',
      cookie: '__Host-Http-session',
    },
    store: { kind: 'lmdb', path: folder.at('data/sessions') },
    roles: [],
    routes: [
      {
        path: '/api/*',
        upstream: 'http://127.0.0.1:3000',
        access: 'authenticated',
        credential: 'none',
        csrf: 'header',
        timeout: 30_000,
        maxBody: 10 * 1024 * 1024,
        allowSetCookie: [],
        cache: 'no-store',
      },
      {
        path: '/*',
        static: folder.at('public'),
        access: 'public',
        credential: 'none',
        csrf: 'header',
        timeout: 30_000,
        maxBody: 10 * 1024 * 1024,
        allowSetCookie: [],
        cache: 'no-store',
      },
    ],
    upstreamClient: 'own',
    headers: {},
    log: { level: 'info' },
  })
})

test('AR4 the default scope asks for nothing but the sign-in and the name', () => {
  expect(configOf(variant({})).providers.corp?.scope).toBe('openid profile email')
})

test('with several providers the default is named, and names from URLs find nothing else', () => {
  const config = configOf(variant({ providers: { corp, other: corp }, defaultProvider: 'other' }))
  expect(config.defaultProvider).toBe('other')
  expect(config.providers.constructor).toBeUndefined()
})

test('a configuration names the line of a key, for what is found out later', () => {
  using folder = configFolder({ 'c.yaml': minimal })
  const loaded = loadConfig(folder.at('c.yaml'), { env })
  if (!loaded.config) throw new Error('broken')
  expect(loaded.lineOf(['providers', 'corp', 'issuer'])).toBe(5)
  expect(loaded.lineOf(['providers', 'corp', 'clientAuth'])).toBe(4)
  expect(loaded.lineOf(['routes', 1, 'static'])).toBe(10)
  expect(loaded.lineOf(['store', 'path'])).toBe(1)
})
