import { z } from 'zod'

// First shape; see the interface. Units: durations are milliseconds, sizes are bytes after parsing.
const duration = z.string().transform(Number)
const size = z.string().transform(Number)
const secret = z.string()

export const providerSchema = z.strictObject({
  kind: z.enum(['oidc']).default('oidc'),
  issuer: z.string(),
  clientId: z.string(),
  clientSecret: secret,
  scope: z.string().default('openid profile email'),
  authorizationParams: z.record(z.string(), z.string()).default({}),
  claims: z.array(z.string()).default(['name', 'email', 'picture']),
  logout: z.strictObject({ idTokenHint: z.boolean().default(false) }).prefault({}),
})

export const accessSchema = z.union([
  z.literal('public'),
  z.literal('authenticated'),
  z.strictObject({ roles: z.array(z.string()).min(1) }),
])

export const routeSchema = z.strictObject({
  path: z.string(),
  methods: z.array(z.string()).optional(),
  upstream: z.string().optional(),
  static: z.string().optional(),
  stripPrefix: z.string().optional(),
  access: accessSchema,
  credential: z.enum(['none', 'access-token', 'id-token']).default('none'),
  csrf: z.enum(['header', 'off']).default('header'),
  timeout: duration.prefault('30s'),
  maxBody: size.prefault('10mb'),
  allowSetCookie: z.array(z.string()).default([]),
  cache: z.enum(['no-store', 'upstream']).default('no-store'),
})

export const configSchema = z.strictObject({
  origin: z.string(),
  listen: z.strictObject({
    host: z.string().default('127.0.0.1'),
    port: z.number().int(),
    tls: z.strictObject({ cert: z.string(), key: z.string() }).optional(),
  }),
  trustedProxies: z.array(z.string()).default([]),
  admin: z
    .strictObject({ host: z.string().default('127.0.0.1'), port: z.number().int(), token: secret.optional() })
    .optional(),
  keys: z.strictObject({ file: z.string().default('coatcheck.keys') }).prefault({}),
  basePath: z.string().default('/auth'),
  providers: z.record(z.string(), providerSchema),
  defaultProvider: z.string(),
  session: z
    .strictObject({
      idle: duration.prefault('30m'),
      absolute: duration.prefault('12h'),
      sameSite: z.enum(['strict', 'lax']).default('strict'),
    })
    .prefault({}),
  store: z
    .discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('memory') }),
      z.strictObject({ kind: z.literal('lmdb'), path: z.string() }),
    ])
    .prefault({ kind: 'lmdb', path: 'data/sessions' }),
  roles: z
    .array(
      z.strictObject({
        claim: z.string(),
        equals: z.string().optional(),
        startsWith: z.string().optional(),
        contains: z.string().optional(),
        notEqual: z.string().optional(),
        grant: z.array(z.string()),
      }),
    )
    .default([]),
  routes: z.array(routeSchema),
  headers: z.strictObject({ csp: z.string().optional() }).prefault({}),
  log: z.strictObject({ level: z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info') }).prefault({}),
})

export type Config = z.output<typeof configSchema>
export type ProviderConfig = z.output<typeof providerSchema>
export type RouteConfig = z.output<typeof routeSchema>
