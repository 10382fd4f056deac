import { createAttributes } from './account/attributes.ts'
import { createPassword } from './account/password.ts'
import type { EndpointRow } from './endpoint.ts'
import { createCallback } from './oidc/callback.ts'
import { createLogin } from './oidc/login.ts'
import { createLogout } from './oidc/logout.ts'
import { createStepUp } from './oidc/step-up.ts'
import { createThirdPartyPost } from './oidc/third-party-login.ts'
import type { Services } from './services.ts'
import { createOwnSessions } from './session/own-sessions.ts'
import { createSessionEvents } from './session/session-events.ts'
import { createSessionInfo } from './session/session-info.ts'
import { createBackchannelLogout } from './signals/backchannel-logout.ts'
import { createFrontchannelLogout } from './signals/frontchannel-logout.ts'
import { createGlobalTokenRevocation } from './signals/global-token-revocation.ts'
import { createJwks } from './upstream/jwks.ts'
import { createCspReports } from './watch/csp-reports.ts'

/**
 * The gateway's own endpoints, below `basePath`: one row each. A path that is not here is 404, a method 405; there are no
 * other ways in but `/forward`, where proxies ask: see forward-auth.ts.
 */
export function endpointRows(services: Services): readonly EndpointRow[] {
  const own = createOwnSessions(services)
  const attributes = createAttributes(services)
  const info = createSessionInfo(services)
  const callback = createCallback(services)
  const reports: EndpointRow = {
    path: '/csp-reports',
    methods: ['POST'],
    csrf: 'same-origin',
    maxBody: 65_536,
    handle: createCspReports(services),
  }
  // biome-ignore format: one row each, read at a glance
  return [
    { path: '/login',      methods: ['GET'],    csrf: 'none',           maxBody: 0,    limit: 'sign-in', handle: createLogin(services) },
    { path: '/login',      methods: ['POST'],   csrf: 'none',           maxBody: 4096, limit: 'sign-in', handle: createThirdPartyPost(services) },
    { path: '/step-up',    methods: ['GET'],    csrf: 'none',           maxBody: 0,    limit: 'sign-in', handle: createStepUp(services) },
    { path: '/callback/*', methods: ['GET'],    csrf: 'none',           maxBody: 0,    limit: 'sign-in', handle: callback },
    { path: '/callback/*', methods: ['POST'],   csrf: 'none',           maxBody: 65_536, limit: 'sign-in', handle: callback },
    { path: '/session',    methods: ['GET'],    csrf: 'none',           maxBody: 0,    handle: info },
    { path: '/session',    methods: ['POST'],   csrf: 'header',         maxBody: 1024, handle: info },
    { path: '/events',     methods: ['GET'],    csrf: 'event-source',   maxBody: 0,    handle: createSessionEvents(services) },
    { path: '/backchannel-logout/*',  methods: ['POST'], csrf: 'none', maxBody: 65_536, limit: 'notifications', handle: createBackchannelLogout(services) },
    { path: '/frontchannel-logout/*', methods: ['GET'],  csrf: 'none', maxBody: 0,      handle: createFrontchannelLogout(services) },
    { path: '/global-token-revocation/*', methods: ['POST'], csrf: 'none', maxBody: 16_384, limit: 'notifications', handle: createGlobalTokenRevocation(services) },
    { path: '/signals',    methods: ['POST'],   csrf: 'none',           maxBody: 65_536, limit: 'notifications', handle: services.signals.push },
    { path: '/logout',     methods: ['POST'],   csrf: 'header-or-form', maxBody: 1024, handle: createLogout(services) },
    { path: '/password',   methods: ['POST'],   csrf: 'header',         maxBody: 4096, handle: createPassword(services) },
    { path: '/attributes', methods: ['GET'],    csrf: 'header',         maxBody: 0,    handle: attributes.read },
    { path: '/attributes', methods: ['PATCH'],  csrf: 'header',         maxBody: 65_536, handle: attributes.update },
    { path: '/jwks.json',  methods: ['GET'],    csrf: 'none',           maxBody: 0,    handle: createJwks(services) },
    { path: '/sessions',   methods: ['GET'],    csrf: 'header',         maxBody: 0,    handle: own.list },
    { path: '/sessions',   methods: ['DELETE'], csrf: 'header',         maxBody: 1024, handle: own.endOthers },
    { path: '/sessions/*', methods: ['DELETE'], csrf: 'header',         maxBody: 1024, handle: own.endOne },
    ...(services.config.headers.cspReports ? [reports] : []),
  ]
}
