import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { z } from 'zod'
import { type Config, type configSchema, createConfigSchema } from '../config/schema.ts'
import { createSurroundings, readText } from '../config/surroundings.ts'
import { appFolder } from './app.ts'
import type { DevelopmentClient, DevelopmentUser } from './provider-users.ts'

/** The staff of the Lyric. No passwords: one click signs them in. */
export const sampleUsers = [
  { sub: 'nora', name: 'Nora Vance', email: 'nora@lyric.example', groups: ['managers', 'staff'] },
  { sub: 'theo', name: 'Theo Marsh', email: 'theo@lyric.example', groups: ['staff', 'box-office'] },
  { sub: 'ines', name: 'Ines Duarte', email: 'ines@lyric.example', groups: ['staff'] },
] as const satisfies readonly DevelopmentUser[]

const roleRules = [
  { claim: 'groups', equals: 'managers', grant: ['admin'] },
  { claim: 'groups', equals: 'box-office', grant: ['box-office'] },
  { claim: 'groups', equals: 'staff', grant: ['staff'] },
]

/** The roles that the gateway will find for a sample user. */
export function rolesOf(user: DevelopmentUser): string[] {
  return roleRules.filter((rule) => user.groups.includes(rule.equals)).flatMap((rule) => rule.grant)
}

export interface DemoAddresses {
  /** Of the gateway, as browsers see it. */
  readonly origin: string
  readonly port: number
  /** The origin of the "before" page. */
  readonly before: string
  readonly issuer: string
  /** The origin of the sample API. */
  readonly api: string
}

/** The gateway as a confidential client of the development provider. */
export function gatewayClient(origin: string, clientSecret: string): DevelopmentClient {
  return {
    clientId: 'foyer',
    clientSecret,
    name: 'Foyer',
    redirectUris: [`${origin}/auth/callback/demo`],
    postLogoutRedirectUris: [`${origin}/`],
  }
}

/** The "before" page. Its secret never leaves this process: see `asPublicClient`. */
export function beforeClient(origin: string, clientSecret: string): DevelopmentClient {
  return {
    clientId: 'foyer-before',
    clientSecret,
    name: 'Foyer, before Coatcheck',
    redirectUris: [`${origin}/callback`],
    postLogoutRedirectUris: [`${origin}/`],
  }
}

interface DemoConfigOptions {
  /** Absolute: the store, the key ring and the certificate lie here. */
  readonly data: string
  readonly clientSecret: string
  readonly tls?: { readonly cert: string; readonly key: string } | undefined
}

/** The gateway's configuration, as a file would give it: worth reading as an example. */
export function createDemoConfig(at: DemoAddresses, { data, clientSecret, tls }: DemoConfigOptions): Config {
  const input: z.input<typeof configSchema> = {
    origin: at.origin,
    listen: { port: at.port, ...(tls && { tls: saveTls(data, tls) }) },
    keys: { file: 'coatcheck.keys' },
    store: { kind: 'lmdb', path: 'sessions' },
    providers: {
      demo: {
        issuer: at.issuer,
        clientId: 'foyer',
        clientSecret: { env: 'CLIENT_SECRET' },
        scope: 'openid profile email offline_access',
      },
    },
    roles: roleRules,
    routes: [
      { path: '/api/demo', upstream: at.api, stripPrefix: '/api', access: 'public' },
      {
        path: '/api/admin/*',
        upstream: at.api,
        stripPrefix: '/api',
        access: { roles: ['admin'] },
        credential: 'access-token',
      },
      { path: '/api/*', upstream: at.api, stripPrefix: '/api', access: 'authenticated', credential: 'access-token' },
      { path: '/*', static: appFolder, access: 'public' },
    ],
    headers: { csp: `default-src 'self'; frame-src ${at.before}; form-action 'self'` },
  }
  const surroundings = { env: { CLIENT_SECRET: clientSecret }, folder: data, readFile: readText, warn: false }
  return createConfigSchema(createSurroundings(surroundings)).parse(input)
}

/** The gateway reads its certificate from files, so here they are; made anew at each start. */
export function saveTls(data: string, tls: { cert: string; key: string }): { cert: string; key: string } {
  mkdirSync(data, { recursive: true, mode: 0o700 })
  const files = { cert: join(data, 'localhost.crt'), key: join(data, 'localhost.key') }
  writeFileSync(files.cert, tls.cert)
  writeFileSync(files.key, tls.key, { mode: 0o600 })
  return files
}
