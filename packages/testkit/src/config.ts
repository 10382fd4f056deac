import type { DevelopmentClient } from '../../gateway/src/demo/provider-users.ts'

/** A configuration as it is written in YAML, before it is read. */
export type ConfigInput = { readonly [key: string]: ConfigValue }
export type ConfigValue = string | number | boolean | null | undefined | readonly ConfigValue[] | ConfigInput

export interface WorldAddresses {
  readonly origin: string
  readonly port: number
  readonly adminPort: number
  readonly upstream: string
  /** Provider name to issuer. */
  readonly issuers: Readonly<Record<string, string>>
}

export const adminToken = 'admin-token-of-the-world'

/** The credentials by which a provider of the world knows the gateway. */
export function clientOf(provider: string): { clientId: string; clientSecret: string } {
  return { clientId: `web-${provider}`, clientSecret: `secret-of-${provider}-0123456789abcdef` }
}

/** The gateway as it is registered at a provider. */
export function registrationOf(provider: string, origin: string): DevelopmentClient {
  const redirectUris = [`${origin}/auth/callback/${provider}`]
  return { ...clientOf(provider), redirectUris, postLogoutRedirectUris: [`${origin}/`] }
}

/** The variables to which the configuration refers. */
export function environmentOf(names: readonly string[]): Record<string, string> {
  const secrets = names.map((name) => [secretVariable(name), clientOf(name).clientSecret] as const)
  return { COATCHECK_ADMIN_TOKEN: adminToken, ...Object.fromEntries(secrets) }
}

const secretVariable = (provider: string) => `SECRET_OF_${provider.toUpperCase().replaceAll('-', '_')}`

/** What most tests want: one of each kind of route, role `admin` for the group `ops`, the memory store. */
export function defaultConfig({ origin, port, adminPort, upstream, issuers }: WorldAddresses): ConfigInput {
  const providers = Object.entries(issuers).map(([name, issuer]) => {
    const { clientId } = clientOf(name)
    const clientSecret = { env: secretVariable(name) }
    return [name, { issuer, clientId, clientSecret, scope: 'openid profile email offline_access' }]
  })
  return {
    origin,
    listen: { host: '127.0.0.1', port },
    admin: { host: '127.0.0.1', port: adminPort, token: { env: 'COATCHECK_ADMIN_TOKEN' } },
    keys: { file: 'coatcheck.keys' },
    providers: Object.fromEntries(providers),
    defaultProvider: Object.keys(issuers)[0],
    store: { kind: 'memory' },
    roles: [
      { claim: 'groups', equals: 'ops', grant: ['admin'] },
      { claim: 'groups', equals: 'staff', grant: ['member'] },
    ],
    routes: [
      { path: '/api/public/*', upstream, stripPrefix: '/api/public', access: 'public' },
      {
        path: '/api/admin/*',
        upstream,
        stripPrefix: '/api/admin',
        access: { roles: ['admin'] },
        credential: 'access-token',
      },
      { path: '/api/*', upstream, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
      { path: '/*', static: './public', access: 'public' },
    ],
  }
}

/** Lays one configuration over another: maps are merged, all else (lists too) is replaced, `undefined` removes. */
export function overlay(base: ConfigInput, over: ConfigInput): ConfigInput {
  const merged: Record<string, ConfigValue> = { ...base }
  for (const [key, value] of Object.entries(over)) {
    const under = merged[key]
    if (value === undefined) delete merged[key]
    else merged[key] = isMap(under) && isMap(value) ? overlay(under, value) : value
  }
  return merged
}

function isMap(value: ConfigValue): value is ConfigInput {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
