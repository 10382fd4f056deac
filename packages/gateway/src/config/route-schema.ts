import { z } from 'zod'
import { handshakeOrigin, upstream } from './addresses.ts'
import { duration, size } from './quantities.ts'
import { settle } from './settle.ts'
import { nowhere, type Surroundings } from './surroundings.ts'
import { cookieName, filled, method, prefix, role, routePath } from './texts.ts'

export const accessSchema = z
  .union(
    [
      z.literal('public'),
      z.literal('authenticated'),
      z.strictObject({
        roles: z
          .array(role())
          .min(1, { error: 'name at least one role' })
          .optional()
          .describe('The roles of which the user needs at least one.'),
        acr: z
          .array(filled('acr'))
          .min(1, { error: 'name at least one acr' })
          .optional()
          .describe(
            'The ways of signing in, as the provider names them, of which one is needed; else a step-up asks for the first.',
          ),
        maxAge: duration().optional().describe('The sign-in may be this old; else a step-up asks for a new one.'),
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

export function createRouteSchema(around: Surroundings) {
  return z.strictObject({
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
    upstream: upstream()
      .optional()
      .describe(
        'Where requests go: scheme, host and port. `ws:` or `wss:` for WebSockets, and only for those. Either this or `static`.',
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
      .describe(
        "The folder of a single-page app, served below the route's path; unknown paths get its `index.html`. Either this or `upstream`.",
      ),
    stripPrefix: prefix()
      .optional()
      .describe('Cut off the front of the path before the request goes on: `/api` turns `/api/users` into `/users`.'),
    access: accessSchema.describe(
      'Who may call: `public`, `authenticated`, or `{ roles: [...] }` for users with one of the roles.',
    ),
    credential: z
      .enum(['none', 'access-token', 'id-token'])
      .default('none')
      .describe("What the upstream gets as `Authorization: Bearer`, of the signed-in user's tokens."),
    csrf: z
      .enum(['header', 'off'])
      .default('header')
      .describe('`header`: calls by script carry `X-CSRF: 1`. `off` only with `access: public`.'),
    timeout: duration({ max: '24h' })
      .prefault('30s')
      .describe('How long the upstream may take to begin its answer, and between two pieces of it.'),
    maxBody: size().prefault('10mb').describe('The largest request body; more is 413.'),
    allowSetCookie: z
      .array(cookieName())
      .default([])
      .describe("Names of the upstream's cookies that may reach the browser; all others are dropped."),
    offline: offlineSchema.optional().describe('Instead of `session.offline`, for this route.'),
    cache: z
      .enum(['no-store', 'upstream'])
      .default('no-store')
      .describe('`no-store` on every answer, or the caching headers of the upstream as they are.'),
  })
}

export const routeSchema = createRouteSchema(nowhere)
