import { z } from 'zod'
import { host, network, origin, port } from './addresses.ts'
import { completeProvider } from './complete-provider.ts'
import { createIdentitySchema } from './identity-schema.ts'
import { createLimitsSchema } from './limits-schema.ts'
import { createProviderSchema, providerSchema } from './provider-schema.ts'
import { duration } from './quantities.ts'
import { accessSchema, createRouteSchema, offlineSchema, routeSchema } from './route-schema.ts'
import { reviewConfig } from './rules.ts'
import { secret } from './secret.ts'
import { settle, warning } from './settle.ts'
import { createSignalsSchema } from './signals-schema.ts'
import { nowhere, type Surroundings } from './surroundings.ts'
import { filled, headerValue, prefix, providerName, role } from './texts.ts'

/**
 * The configuration: the only source of types, defaults, messages, the JSON Schema and docs/configuration.md.
 * After parsing, durations are milliseconds, sizes are bytes, secrets are resolved and paths are absolute.
 * What concerns two keys at once is in rules.ts; what is refused for now, in planned.ts.
 */
function createSections(around: Surroundings) {
  const ownFile = (title: string) => filled(title).transform((path) => around.own(path))

  const listen = z.strictObject({
    host: host().default('127.0.0.1').describe('The address to listen on; `0.0.0.0` or `::` for all.'),
    port: port().describe('The port; 0 takes a free one and logs it.'),
    tls: z
      .strictObject({
        cert: filled('file').describe('The certificate (chain) in PEM form.'),
        key: filled('file').describe('Its private key in PEM form, without passphrase.'),
      })
      .transform((files, ctx) => settle(around.tls(files), around, ctx))
      .optional()
      .describe('Without it: plain HTTP, for loopback or behind a proxy named in `trustedProxies`.'),
  })

  const workerCount = { error: 'write a whole number from 1 to 256, or auto' }

  const admin = z.strictObject({
    host: host().default('127.0.0.1').describe('The address to listen on.'),
    port: port().describe('The port; 0 takes a free one and logs it.'),
    token: secret(around)
      .optional()
      .describe('The bearer token for `/metrics` and `/api/*`; without it they answer nobody.'),
    names: z
      .array(host())
      .default([])
      .describe('Further names under which it is called. Addresses, loopback names and `host` always may.'),
  })

  const session = z.strictObject({
    idle: duration().prefault('30m').describe('A session ends after this long without a request.'),
    absolute: duration().prefault('12h').describe('A session ends after this long in any case.'),
    rotate: duration().prefault('15m').describe('The session cookie gets a new value this often.'),
    grace: duration()
      .prefault('30s')
      .describe(
        'How long a replaced value still works, for requests that were under way. Later it is a copy: the session ends.',
      ),
    perUser: z
      .strictObject({
        max: z.number().int().min(1).max(1000).describe('How many sessions one user may have at once.'),
        action: z
          .enum(['evict-oldest', 'refuse'])
          .default('evict-oldest')
          .describe('At one more: `evict-oldest` ends the one that was unused for longest, `refuse` the sign-in.'),
      })
      .prefault({ max: 20 })
      .describe('A limit of sessions for each user.'),
    streams: z
      .strictObject({
        max: z
          .number()
          .int()
          .min(1)
          .max(10_000)
          .default(50)
          .describe('How many WebSockets and event streams one session may have open at once; one more is 429.'),
        notice: duration()
          .prefault('2m')
          .describe(
            'How long before its end the page hears `expiring` over `/auth/events`; half of `idle` if that is less.',
          ),
      })
      .prefault({})
      .describe('What stays open for long: see docs/streams.md.'),
    offline: offlineSchema
      .optional()
      .describe('What goes on while the provider is down and the access token has run out; without it: nothing.'),
    sameSite: z.enum(['strict', 'lax']).default('strict').describe('The SameSite attribute of the session cookie.'),
    cookie: z
      .enum(['__Host-Http-session', '__Host-session'])
      .default('__Host-Http-session')
      .describe('The name of the session cookie; the second where a browser refuses the first.'),
  })

  const store = z.discriminatedUnion(
    'kind',
    [
      z.strictObject({ kind: z.literal('memory').describe('Sessions end with the process.') }),
      z.strictObject({
        kind: z.literal('lmdb').describe('Embedded, on disk; shared by the processes of one machine.'),
        path: ownFile('folder').prefault('data/sessions').describe('The folder of the store; created on first start.'),
      }),
    ],
    { error: 'write { kind: lmdb, path: data/sessions } or { kind: memory }' },
  )

  const watch = z.strictObject({
    geo: z
      .strictObject({
        file: filled('file')
          .transform((path, ctx) => settle(around.existing(path), around, ctx))
          .describe("A database of addresses in MaxMind's format, such as GeoLite2-City.mmdb."),
      })
      .optional()
      .describe('Where sessions come from, for the list that users see of their own.'),
  })

  const roleRule = z.strictObject({
    claim: filled('claim').describe(
      "The provider's claim. A list or a comma-separated text is read element by element.",
    ),
    equals: filled().optional().describe('One element is this.'),
    startsWith: filled().optional().describe('One element starts with this.'),
    contains: filled().optional().describe('The list contains this element.'),
    notEqual: filled().optional().describe('No element is this (and there is at least one).'),
    grant: z.array(role()).min(1, { error: 'name at least one role' }).describe('The roles that the user then has.'),
  })

  const trusted = network().superRefine((text, ctx) => {
    if (around.warn && text.endsWith('/0')) {
      ctx.addIssue({ code: 'custom', message: 'trusts every address: anyone can forge theirs', params: warning })
    }
  })

  return z.strictObject({
    origin: origin().describe(
      'The origin that browsers see; the only one. Plain http only on localhost, 127.0.0.1 and [::1].',
    ),
    listen: listen.describe('Where the gateway listens.'),
    trustedProxies: z
      .array(trusted)
      .prefault([])
      .describe('Networks or addresses of the proxies whose X-Forwarded-For and X-Forwarded-Proto are believed.'),
    workers: z
      .union([z.int().min(1, workerCount).max(256, workerCount), z.literal('auto')], workerCount)
      .meta({ title: 'number or `auto`' })
      .default(1)
      .describe('How many processes serve requests; `auto`: one for each processor. They share the store.'),
    admin: admin.optional().describe('The listener for `/healthz`, `/readyz` and operators; without it there is none.'),
    keys: z
      .strictObject({
        file: ownFile('file')
          .prefault('coatcheck.keys')
          .describe('The key ring; created on first start. Keep it secret and keep a copy.'),
      })
      .prefault({})
      .describe('The keys that seal sessions.'),
    basePath: prefix().default('/auth').describe("Where the gateway's own endpoints are."),
    providers: z
      .record(providerName(), createProviderSchema(around))
      .refine((providers) => Object.keys(providers).length > 0, { error: 'name at least one provider' })
      .describe('The OpenID providers, by a name of your own: small letters, digits and hyphens.'),
    defaultProvider: z
      .string({ error: 'write the name of a provider' })
      .optional()
      .describe('The provider of `/auth/login` without `provider=`. Needed if there are several.'),
    session: session.prefault({}).describe('How long sessions last and how their cookie looks.'),
    store: store.prefault({ kind: 'lmdb' }).describe('Where sessions are kept, sealed.'),
    roles: z
      .array(roleRule)
      .default([])
      .describe(
        "From the provider's claims to the application's roles, first to last. Exactly one of `equals`, `startsWith`, `contains`, `notEqual`.",
      ),
    rolesMatch: z
      .enum(['all', 'first'], { error: 'write all or first' })
      .default('all')
      .describe('Which of the rules under `roles` grant: `all` that match, or only the `first` one.'),
    identity: createIdentitySchema()
      .prefault({})
      .describe('The directory of users: everybody who has signed in, kept beside the sessions.'),
    routes: z
      .array(createRouteSchema(around))
      .min(1, { error: 'name at least one route' })
      .describe('What is served, and to whom.'),
    upstreamClient: z
      .enum(['own', 'undici'])
      .default('own')
      .describe('Who speaks HTTP/1.1 to upstreams: the gateway itself, stricter and at less cost, or undici.'),
    limits: createLimitsSchema().describe(
      'How often who may ask, beside the `limit` of a route; each may be `off`, and so may all: `limits: off`.',
    ),
    headers: z
      .strictObject({
        csp: headerValue()
          .optional()
          .describe(
            "The Content-Security-Policy of what the gateway serves from `static` folders. `'nonce-{nonce}'` in it: each page gets a nonce of its own, on its scripts and styles too, see docs/static-files.md.",
          ),
        cspReports: z
          .boolean()
          .default(false)
          .describe('`true`: browsers report to `/auth/csp-reports` what that policy stopped; each report is logged.'),
      })
      .prefault({})
      .describe('Security headers.'),
    watch: watch.prefault({}).describe('What the gateway notices of its sessions.'),
    signals: createSignalsSchema(around)
      .prefault({})
      .describe(
        'Shared Signals: who may tell us that sessions are over. The first transmitter stands here, further ones under `transmitters`.',
      ),
    log: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error', 'silent'])
          .default('info')
          .describe('The least that is logged.'),
        decisions: z
          .enum(['refused', 'all'])
          .default('refused')
          .describe(
            'What becomes of requests, by request id, for `coatcheck explain --request`: of those that are refused, or of all.',
          ),
      })
      .prefault({})
      .describe('The log, as JSON lines on standard output.'),
  })
}

/** The whole configuration, as seen from these surroundings. */
export function createConfigSchema(around: Surroundings) {
  return createSections(around)
    .superRefine(reviewConfig(around.warn), { when: () => true })
    .transform(({ providers, defaultProvider, ...rest }) => ({
      ...rest,
      // Names come out of URLs: no `constructor` may be found here that nobody configured.
      providers: completed(providers),
      // rules.ts has seen to it that one is named where there are several.
      defaultProvider: defaultProvider ?? Object.keys(providers)[0] ?? '',
    }))
}

function completed(providers: Sections['providers']): Record<string, ProviderConfig> {
  const known = Object.entries(providers).map(([name, provider]) => [name, completeProvider(provider)])
  return Object.assign(Object.create(null), Object.fromEntries(known))
}

export const configSchema = createConfigSchema(nowhere)
export { accessSchema, providerSchema, routeSchema }

/** Before the last step: what rules.ts reviews. */
export type Sections = z.output<ReturnType<typeof createSections>>
export type Config = z.output<typeof configSchema>
export type ProviderConfig = ReturnType<typeof completeProvider>
export type RouteConfig = z.output<typeof routeSchema>
export type { CredentialConfig, ExchangeConfig, MintConfig } from './credential-schema.ts'
export type { Demand } from './route-schema.ts'
export type RoleRule = Config['roles'][number]
export type SignalsConfig = Config['signals']
