import { type Admission, createAdmission } from './access/admission.ts'
import { type Routable, webSocket } from './access/route-map.ts'
import { createTrespasses, type Trespasses } from './access/trespass.ts'
import { isWebSocket } from './config/addresses.ts'
import type { RouteConfig } from './config/schema.ts'
import type { Decision } from './decision.ts'
import { securityHeaders } from './protocol/security-headers.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'
import type { LiveSession } from './session/record.ts'
import { createForward } from './upstream/forward.ts'
import { createTunnel } from './upstream/tunnel.ts'

/** A configured route, with everything computed that does not depend on the request. */
export interface Route extends Routable, Admission {
  readonly access: 'public' | 'session'
  readonly csrf: 'header' | 'off'
  readonly trespasses: Trespasses
  /** Only of a route for WebSockets: refuses, by throwing, what is no handshake of an own page. */
  readonly handshake?: (request: GatewayRequest) => void
  carryOut(request: GatewayRequest, session: LiveSession | undefined): Decision | Promise<Decision>
}

export function compileRoute(config: RouteConfig, services: Services): Route {
  const shared = {
    path: config.path,
    methods: config.methods ?? (config.static === undefined ? undefined : ['GET']),
    access: config.access === 'public' ? ('public' as const) : ('session' as const),
    trespasses: createTrespasses(config, services.config.routes),
    ...createAdmission(config.access),
  }
  if (config.static !== undefined) {
    // Files change nothing when they are fetched, and a page's own <script src> can't send a header.
    return { ...shared, csrf: 'off', carryOut: createStatic(config, config.static, services) }
  }
  if (isWebSocket(config.upstream)) {
    // No page can send a header with a handshake; its Origin is looked at instead.
    return { ...shared, methods: [webSocket], csrf: 'off', ...createTunnel(config, services) }
  }
  return { ...shared, csrf: config.csrf, carryOut: createForward(config, services) }
}

function createStatic(route: RouteConfig, root: string, { config }: Services): Route['carryOut'] {
  const headers = [
    ...securityHeaders({
      https: config.origin.startsWith('https://'),
      host: new URL(config.origin).host,
      ...(config.headers.csp !== undefined && { csp: config.headers.csp }),
    }),
    // What only the signed-in may see stays in no cache, be it ever so fingerprinted. @see ASVS 5.0 14.3.2
    ...(route.access !== 'public' && route.cache === 'no-store' ? ['cache-control', 'no-store'] : []),
  ]
  const prefix = route.path.endsWith('/*') ? route.path.slice(0, -2) : route.path
  return (request) => ({ kind: 'static', root, path: request.path.slice(prefix.length) || '/', headers })
}
