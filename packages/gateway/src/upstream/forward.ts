import { createAdmission, createStay } from '../access/admission.ts'
import type { RouteConfig } from '../config/schema.ts'
import type { Decision, Forward, ResponseRules } from '../decision.ts'
import { isNavigation } from '../protocol/navigation.ts'
import { pageDefaults, securityDefaults } from '../protocol/security-headers.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import { createCredential } from './credential.ts'
import { identityHeaders } from './identity-headers.ts'

/**
 * What a route with an upstream does with an admitted request. The upstream hears only what the sifted head let through,
 * and what the gateway says itself: who is calling, from where, and the credential of the route.
 */
export function createForward(
  route: RouteConfig,
  services: Services,
): (request: GatewayRequest, session: LiveSession | undefined) => Decision | Promise<Decision> {
  const { config } = services
  const upstream = route.upstream as string
  const origin = new URL(config.origin)
  const strip = route.stripPrefix ?? ''
  const credentialOf = createCredential(route, services)
  const stays = createStay(createAdmission(route.access))
  const { extendIdle } = route.streams
  const rules: ResponseRules = {
    allowSetCookie: route.allowSetCookie,
    dropCors: route.access !== 'public',
    noStore: route.access !== 'public' && route.cache === 'no-store',
    defaults: securityDefaults({ https: origin.protocol === 'https:', host: origin.host }),
    pageDefaults,
    add: [],
  }
  const fixed = ['X-Forwarded-Proto', origin.protocol.slice(0, -1), 'X-Forwarded-Host', origin.host]

  function forward(
    request: GatewayRequest,
    session: LiveSession | undefined,
    authorization: string | undefined,
  ): Forward {
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
    if (authorization !== undefined) headers.push('Authorization', authorization)
    const path = (strip === '' ? request.path : request.path.slice(strip.length) || '/') + request.query
    return {
      kind: 'forward',
      upstream,
      path,
      headers,
      response: rules,
      timeout: route.timeout,
      maxBody: route.maxBody,
      requestId: request.requestId,
      navigation: isNavigation(request.fields),
      live: session && ((stream) => services.liveStreams.open({ session, stays, extendIdle }, stream)),
    }
  }

  return (request, session) => {
    if (session === undefined) return forward(request, undefined, undefined)
    const authorization = credentialOf(request, session)
    if (!(authorization instanceof Promise)) return forward(request, session, authorization)
    return authorization.then((value) => forward(request, session, value))
  }
}
