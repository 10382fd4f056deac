import { webSocket } from '../access/route-map.ts'
import { createStay } from '../access/stay.ts'
import { isWebSocket } from '../config/addresses.ts'
import { isProvidersToken } from '../config/credential-schema.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { Forward, Outcome, ResponseRules, Unauthorized } from '../decision.ts'
import { isNavigation } from '../protocol/navigation.ts'
import { pageDefaults, securityDefaults } from '../protocol/security-headers.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { type Credential, createCredential } from './credential.ts'
import { identityHeaders } from './identity-headers.ts'
import { poolSettingsOf } from './pool-settings.ts'
import { createStillAdmitted } from './still-admitted.ts'

/**
 * What a route with an upstream does with an admitted request. The upstream hears only what the sifted head let through,
 * and what the gateway says itself: who is calling, from where, and the credential of the route.
 */
export function createForward(
  route: RouteConfig,
  services: Services,
  unauthorized?: Unauthorized,
): (request: GatewayRequest, session: LiveSession | undefined) => Outcome | Promise<Outcome> {
  const { config, dpopProofs, formTokens } = services
  const upstream = route.upstream as string
  const pool = poolSettingsOf(route, services.readFile)
  const origin = new URL(config.origin)
  const strip = route.stripPrefix ?? ''
  const credentialOf = createCredential(route, services)
  const stillAdmitted = createStillAdmitted(route, services)
  const stays = createStay(route.access)
  const { extendIdle } = route.streams
  const tunnels = isWebSocket(upstream)
  const withToken = route.csrf === 'token'
  const rules: ResponseRules = {
    allowSetCookie: route.allowSetCookie,
    dropCors: route.access !== 'public',
    noStore: route.access !== 'public' && route.cache === 'no-store',
    defaults: securityDefaults({ https: origin.protocol === 'https:', host: origin.host }),
    pageDefaults,
    add: [],
    heardNonce: isProvidersToken(route.credential) ? (nonce) => dpopProofs.nonces.learn(upstream, nonce) : undefined,
  }
  const fixed = ['X-Forwarded-Proto', origin.protocol.slice(0, -1), 'X-Forwarded-Host', origin.host]

  function forward(
    request: GatewayRequest,
    session: LiveSession | undefined,
    credential: Credential | undefined,
  ): Forward {
    const path = (strip === '' ? request.path : request.path.slice(strip.length) || '/') + request.query
    const headers = request.fields.forward
    headers.push(
      'X-Forwarded-For',
      request.address,
      'X-Request-Id',
      request.requestId,
      'traceparent',
      request.fields.traceparent ?? services.newTraceparent(),
      ...fixed,
    )
    if (request.fields.tracestate !== undefined) headers.push('tracestate', request.fields.tracestate)
    if (session) headers.push(...identityHeaders(session))
    if (session && withToken) {
      dropSpent(headers)
      headers.push('X-Coatcheck-CSRF-Token', formTokens.issue(session.id))
    }
    if (typeof credential === 'string') headers.push('Authorization', credential)
    else if (credential !== undefined) {
      headers.push(...dpopProofs.headers(credential, { method: request.head.method, upstream, path }))
    }
    return {
      kind: 'forward',
      upstream,
      pool,
      path,
      headers,
      response: rules,
      timeout: route.timeout,
      maxBody: route.maxBody,
      requestId: request.requestId,
      navigation: isNavigation(request.fields),
      unauthorized,
      // Named although they have no value: a copy that gives them one costs a tenth of one that adds them.
      refused: undefined,
      withBody: undefined,
      request,
      session,
      live:
        session &&
        ((stream) => {
          const asked = { path: request.path, method: tunnels ? webSocket : request.head.method }
          return services.liveStreams.open({ session, stays, extendIdle, asked }, stream)
        }),
    }
  }

  return (request, session) => {
    if (session === undefined) return forward(request, undefined, undefined)
    const credential = credentialOf(request, session)
    if (!(credential instanceof Promise)) return forward(request, session, credential)
    return credential.then((refreshed) => {
      stillAdmitted(refreshed.session)
      return forward(request, refreshed.session, refreshed.credential)
    })
  }
}

/** The client's token was for the gateway. An upstream that writes down what it gets has no use for it. */
function dropSpent(headers: string[]): void {
  for (let i = headers.length - 2; i >= 0; i -= 2) {
    if (headers[i]?.toLowerCase() === 'x-csrf-token') headers.splice(i, 2)
  }
}
