import { randomBytes } from 'node:crypto'
import { createPolicy, type Policy } from './access/policy.ts'
import { type Routable, webSocket } from './access/route-map.ts'
import { createStay } from './access/stay.ts'
import { createTrespasses, type Trespasses } from './access/trespass.ts'
import { isWebSocket } from './config/addresses.ts'
import type { RouteConfig } from './config/schema.ts'
import type { Outcome, ServeStatic } from './decision.ts'
import { Refusal } from './errors.ts'
import type { RouteLimit } from './limits/limits.ts'
import { wantsNonces, withNonce } from './protocol/csp.ts'
import { policyOf, securityHeaders, transport } from './protocol/security-headers.ts'
import { createRefuser } from './refuse.ts'
import type { GatewayRequest, RouteName } from './request.ts'
import type { Services } from './services.ts'
import type { LiveSession } from './session/record.ts'
import { addHeaders } from './strict-transport.ts'
import { createUnauthorized } from './unauthorized.ts'
import { createPresignedUpload } from './upstream/aws/presigned-upload.ts'
import { createSignedForward } from './upstream/aws/signed-forward.ts'
import { createForward } from './upstream/forward.ts'
import { createTunnel } from './upstream/tunnel.ts'
import { createVouch } from './upstream/vouch.ts'

/** A configured route, with everything computed that does not depend on the request. */
export interface Route extends Routable {
  readonly named: RouteName
  readonly access: 'public' | 'session'
  readonly csrf: 'header' | 'same-origin' | 'token' | 'off'
  /** Bytes that the body of a request may have. */
  readonly maxBody: number
  readonly policy: Policy
  /** Of what goes on for long: see stay.ts. */
  readonly stays: ReturnType<typeof createStay>
  readonly trespasses: Trespasses
  /** Only of a route with a `limit`: counts, and refuses by throwing. */
  readonly limit?: RouteLimit
  /** Only of a route for WebSockets: refuses, by throwing, what is no handshake of an own page. */
  readonly handshake?: (request: GatewayRequest) => void
  carryOut(request: GatewayRequest, session: LiveSession | undefined): Outcome | Promise<Outcome>
}

export function compileRoute(config: RouteConfig, index: number, services: Services): Route {
  const limit = services.limits.ofRoute(config)
  const shared = {
    ...(limit && { limit }),
    path: config.path,
    named: { route: config.path, rule: `routes[${index}]` },
    methods: config.methods ?? (config.static === undefined ? undefined : ['GET']),
    access: config.access === 'public' ? ('public' as const) : ('session' as const),
    maxBody: config.maxBody,
    policy: createPolicy(config.access),
    stays: createStay(config.access),
    trespasses: createTrespasses(config, services.config.routes),
  }
  const vouch = createVouch(config, services)
  if (isWebSocket(config.upstream)) {
    const tunnel = createTunnel(config, services)
    const carryOut: Route['carryOut'] = (request, session) =>
      request.head.asked === undefined ? tunnel.carryOut(request, session) : vouch(request, session)
    // No page can send a header with a handshake; its Origin is looked at instead.
    return { ...shared, methods: [webSocket], csrf: 'off', handshake: tunnel.handshake, carryOut }
  }
  const here = carriedOutHere(config, services)
  const carryOut: Route['carryOut'] = (request, session) =>
    request.head.asked === undefined ? here(request, session) : vouch(request, session)
  // Files change nothing when they are fetched, and a page's own <script src> can't send a header.
  return { ...shared, csrf: config.static === undefined ? config.csrf : 'off', carryOut }
}

function carriedOutHere(config: RouteConfig, services: Services): Route['carryOut'] {
  if (config.static !== undefined) return createStatic(config, config.static, services)
  if (config.upstream !== undefined) {
    const forward = createForward(config, services, createUnauthorized(config, services))
    const { credential } = config
    if (typeof credential !== 'object' || credential.kind !== 'aws') return forward
    const { aws } = credential
    const answerTo = answers(services)
    if (config.presign === undefined) return createSignedForward(config, services, { aws, forward, answerTo })
    return createPresignedUpload(config, services, { aws, presign: config.presign, answerTo })
  }
  return () => {
    throw new Refusal('upstream_unavailable', {
      cause: 'the route has no upstream here (forwardAuth: true): the proxy in front carries it out',
    })
  }
}

/** The answer to what was refused after the decision. */
function answers(services: Services) {
  const refuse = createRefuser(services)
  const { protocol, host } = new URL(services.config.origin)
  const strict = transport({ https: protocol === 'https:', host })
  return (error: unknown, request: GatewayRequest) =>
    addHeaders(refuse(error, request.head, request.requestId, request), strict)
}

function createStatic(route: RouteConfig, root: string, { config, liveStreams }: Services): Route['carryOut'] {
  const { csp, cspReports } = config.headers
  const policy = {
    https: config.origin.startsWith('https://'),
    ...(csp !== undefined && { csp }),
    ...(cspReports && { reports: `${config.basePath}/csp-reports` }),
  }
  const nonces = wantsNonces(csp) ? createNonces(policyOf(policy)) : undefined
  const headers = [
    ...securityHeaders({ ...policy, host: new URL(config.origin).host }),
    // What only the signed-in may see stays in no cache, be it ever so fingerprinted. @see ASVS 5.0 14.3.2
    ...(route.access !== 'public' && route.cache === 'no-store' ? ['cache-control', 'no-store'] : []),
  ]
  const prefix = route.path.endsWith('/*') ? route.path.slice(0, -2) : route.path
  const stays = createStay(route.access)
  return (request, session) => ({
    ...{ kind: 'static', root, path: request.path.slice(prefix.length) || '/', headers, nonces },
    live:
      session &&
      ((stream) => {
        const asked = { path: request.path, method: request.head.method }
        return liveStreams.open({ session, stays, extendIdle: false, asked }, stream)
      }),
  })
}

/** 144 bits of the system's CSPRNG for each answer. @see CSP Level 3 §7.1 (128 at least) */
function createNonces(csp: string): ServeStatic['nonces'] {
  return () => {
    const nonce = randomBytes(18).toString('base64url')
    return { nonce, csp: withNonce(csp, nonce) }
  }
}
