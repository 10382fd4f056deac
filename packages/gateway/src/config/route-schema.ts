import { z } from 'zod'
import { handshakeOrigin, upstream } from './addresses.ts'
import { credentialSchema } from './credential-schema.ts'
import { presignSchema, refuseForPresign } from './presign-schema.ts'
import { duration, rate, size } from './quantities.ts'
import { settle } from './settle.ts'
import { refuseForStatic } from './static-route.ts'
import { nowhere, type Surroundings } from './surroundings.ts'
import { cookieName, filled, method, prefix, role, routePath } from './texts.ts'
import { upstreamKeys } from './upstream-schema.ts'

/** What a route may ask of who is signed in. */
const demands = {
  roles: z
    .array(role())
    .min(1, { error: 'name at least one role' })
    .optional()
    .describe('The roles of which the user needs at least one.'),
  groups: z
    .array(filled('group'))
    .min(1, { error: 'name at least one group' })
    .optional()
    .describe(
      "The groups of which the user needs at least one, by the provider's claim `groups` (or `cognito:groups`).",
    ),
  scopes: z
    .array(filled('scope'))
    .min(1, { error: 'name at least one scope' })
    .optional()
    .describe('The scopes that the sign-in must have been granted, all of them.'),
  claims: z
    .record(
      filled('claim'),
      z.union([filled(), z.array(filled()).min(1)], { error: 'write a text or a list of texts' }),
    )
    .optional()
    .describe(
      'Claims by name, each with its value or a list of values of which one is needed; lists element by element.',
    ),
  acr: z
    .array(filled('acr'))
    .min(1, { error: 'name at least one acr' })
    .optional()
    .describe(
      'The ways of signing in, as the provider names them, of which one is needed; else a step-up asks for the first.',
    ),
  maxAge: duration().optional().describe('The sign-in may be this old; else a step-up asks for a new one.'),
}

const mode = z
  .enum(['enforce', 'report'])
  .optional()
  .describe(
    '`enforce` unless said otherwise. `report`: a dry run. What these demands would refuse is logged (`authz_would_fail`) and let through.',
  )

const demandSchema = z.strictObject(demands)

export const accessSchema = z
  .union(
    [
      z.literal('public'),
      z.literal('authenticated'),
      z.strictObject({
        ...demands,
        anyOf: z
          .array(demandSchema)
          .min(1, { error: 'name at least one alternative' })
          .optional()
          .describe('Alternatives of the same keys, of which one must hold as a whole.'),
        allOf: z
          .array(z.strictObject({ ...demands, mode }))
          .min(1, { error: 'name at least one demand' })
          .optional()
          .describe('Further demands of the same keys, all of which must hold; each may have a `mode` of its own.'),
        mode,
      }),
    ],
    {
      error:
        'write public, authenticated or { roles: [...], acr: [...], maxAge: 5m }; a route that says nothing is open to nobody',
    },
  )
  .meta({ title: 'access' })

/** What goes on while the provider is down and the access token has run out. */
export const offlineSchema = z.strictObject({
  reads: duration().describe(
    'GET and HEAD go on for this long with the last token, and the upstream decides; everything else is 503.',
  ),
})

/**
 * What holds for an upstream where the route says nothing. Not a default of the schema, since static routes must not say them
 * at all; json-schema.ts shows them as defaults.
 */
const usual = { timeout: '30s', maxBody: '10mb' } as const

export function createRouteSchema(around: Surroundings) {
  const shape = z.strictObject({
    path: routePath().describe(
      '`/a/*` (also matches `/a`) or exactly `/a`. The most specific path wins; what no route names is 404.',
    ),
    methods: z
      .array(method())
      .min(1, { error: 'name at least one method, or remove the key to allow all' })
      .optional()
      .describe(
        'The methods served, others are 405. Without it: all but TRACE and CONNECT; GET and HEAD for `static`.',
      ),
    upstream: z
      .union([upstream(), z.array(upstream()).min(1, { error: 'name at least one address' })])
      .meta({ title: 'http(s) or ws(s) origin, or a list of http(s) ones' })
      .optional()
      .describe(
        'Where requests go: scheme, host and port; or a list of them, of which each request takes the least busy. `ws:` or `wss:` for WebSockets, and only for those. One of this, `static` and `forwardAuth`.',
      ),
    origins: z
      .array(handshakeOrigin())
      .min(1, { error: 'name at least one origin, or remove the key for the own origin' })
      .optional()
      .describe(
        'The pages that may open a WebSocket here, by origin; the own `origin` if absent. `none` admits clients that send no Origin, which browsers always do.',
      ),
    streams: z
      .strictObject({
        extendIdle: z
          .boolean()
          .default(false)
          .describe('`true`: the session does not run idle while a WebSocket, event stream or long answer is open.'),
        ping: duration({ max: '1h' })
          .prefault('30s')
          .describe('A WebSocket client that was silent for this long is sent a ping; as long again, and it is cut.'),
        idle: duration()
          .optional()
          .describe('A WebSocket without a message in either direction for this long is closed; without it: never.'),
      })
      .prefault({})
      .describe('What stays open for long: see docs/streams.md.'),
    static: filled('folder')
      .transform((path, ctx) => settle(around.site(path), around, ctx))
      .optional()
      .describe("The folder of a single-page app, served below the route's path; unknown paths get its `index.html`."),
    forwardAuth: z
      .literal(true, { error: 'write true, or remove the key' })
      .optional()
      .describe(
        'The route is carried out by a proxy in front, which asks `/auth/forward` about each request and must be in `trustedProxies`.',
      ),
    stripPrefix: prefix()
      .optional()
      .describe('Cut off the front of the path before the request goes on: `/api` turns `/api/users` into `/users`.'),
    access: accessSchema.describe(
      'Who may call: `public`, `authenticated`, or demands on the user, which hold together: `{ roles: [admin], maxAge: 5m }`.',
    ),
    credential: credentialSchema(around)
      .prefault('none')
      .describe(
        "What the upstream gets as `Authorization`: one of the user's tokens as it is (`access-token`, `id-token`), or one that works at this upstream only: `{ exchange: … }`, `{ mint: … }`.",
      ),
    presign: presignSchema()
      .optional()
      .describe(
        'Instead of passing uploads on: permissions for the page to put objects into the S3 bucket at `upstream` itself. See docs/aws.md.',
      ),
    csrf: z
      .enum(['header', 'token', 'same-origin', 'off'])
      .default('header')
      .describe(
        '`header`: calls by script carry `X-CSRF: 1`. `token`, for applications with forms: what changes something carries `csrf_token` as a field, or `X-CSRF-Token`, see docs/access.md. `same-origin`, only with `forwardAuth`: for applications that send no such header; Fetch Metadata and Origin decide. `off` only with `access: public`.',
      ),
    timeout: duration({ max: '24h' })
      .optional()
      .meta({ usual: usual.timeout })
      .describe('How long the upstream may take to begin its answer, and between two pieces of it.'),
    maxBody: size().optional().meta({ usual: usual.maxBody }).describe('The largest request body; more is 413.'),
    ...upstreamKeys(around),
    allowSetCookie: z
      .array(cookieName())
      .optional()
      .meta({ default: [] })
      .describe("Names of the upstream's cookies that may reach the browser; all others are dropped."),
    limit: rate()
      .optional()
      .describe(
        'Requests of one session, or of one address with `access: public`; more are 429. So many at once, and as many again in each `per`.',
      ),
    offline: offlineSchema.optional().describe('Instead of `session.offline`, for this route.'),
    cache: z
      .enum(['no-store', 'upstream'])
      .default('no-store')
      .describe('`no-store` on every answer, or the caching headers of the upstream as they are.'),
  })
  return shape
    .superRefine(refuseForStatic, { when: () => true })
    .superRefine(refuseForPresign, { when: () => true })
    .transform(({ upstream, ...route }) => ({
      ...route,
      // A permission is asked for, and changes nothing that a GET could show.
      ...(route.presign && { methods: route.methods ?? ['POST'] }),
      // The first of them names the upstream, in the log and elsewhere.
      upstream: Array.isArray(upstream) ? upstream[0] : upstream,
      addresses: upstream === undefined ? [] : [upstream].flat(),
      timeout: route.timeout ?? timeout,
      maxBody: route.maxBody ?? maxBody,
      allowSetCookie: route.allowSetCookie ?? [],
    }))
}

const timeout = duration().parse(usual.timeout)
const maxBody = size().parse(usual.maxBody)

export const routeSchema = createRouteSchema(nowhere)
export type Demand = Partial<z.output<typeof demandSchema>>
