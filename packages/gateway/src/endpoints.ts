import { loginUrl } from './access/login-url.ts'
import { createRouteMap } from './access/route-map.ts'
import type { Decision, Respond, Streaming } from './decision.ts'
import type { EndpointRow } from './endpoint.ts'
import { Refusal } from './errors.ts'
import { endpointRows } from './gateway.ts'
import { redirect } from './oidc/redirect.ts'
import { csrfRefusal, eventSourceRefusal, formPostRefusal, sameOriginRefusal } from './protocol/csrf.ts'
import { isForeignSubresource, isPrefetch } from './protocol/navigation.ts'
import { bouncePage } from './protocol/page.ts'
import { createRefuser } from './refuse.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'

export interface Endpoints {
  owns(path: string): boolean
  decide(request: GatewayRequest): Decision
  /** What an anonymous navigation to a protected page gets. */
  signInPage(request: GatewayRequest): Respond
}

/** Looks a request up in the table of our own endpoints, and runs what it finds. */
export function createEndpoints(services: Services): Endpoints {
  const { config, limits } = services
  const base = config.basePath
  const find = createRouteMap(endpointRows(services).map((row) => ({ ...row, named: { route: base + row.path } })))
  const refuse = createRefuser(services)

  function decide(request: GatewayRequest): Decision {
    const match = find(request.path.slice(base.length), request.head.method)
    if (match === undefined) throw new Refusal('not_found')
    if (match.kind === 'method-not-allowed')
      throw new Refusal('method_not_allowed', { headers: ['Allow', match.allow] })
    const row = match.route
    request.named = row.named
    // Not counted: else any page on the web could use up the sign-ins of an office, by images that one of it looks at.
    if (row.limit === 'sign-in' && isForeignSubresource(request.fields))
      throw new Refusal(row.path === '/callback/*' ? 'login_state_mismatch' : 'login_not_navigation')
    limits.admit(row.limit, request)
    checkCsrf(row, request)
    return { kind: 'endpoint', maxBody: row.maxBody, run: (body) => run(row, request, body) }
  }

  async function run(row: EndpointRow, request: GatewayRequest, body: Uint8Array): Promise<Respond | Streaming> {
    const answer = await handle(row, request, body)
    if (answer.kind === 'respond') limits.answered(row.limit, request, answer.status)
    return answer
  }

  async function handle(row: EndpointRow, request: GatewayRequest, body: Uint8Array): Promise<Respond | Streaming> {
    const parameters = new URLSearchParams(request.query)
    const name = row.path.endsWith('/*') ? request.path.slice(base.length + row.path.length - 1) : ''
    const given = { ...request, parameters, name, body }
    try {
      return await row.handle(given)
    } catch (error) {
      return refuse(error, request.head, request.requestId, given)
    }
  }

  function checkCsrf(row: EndpointRow, { fields, head }: GatewayRequest): void {
    if (row.csrf === 'none') return
    const reason = reasonOf(row, fields, head.method)
    if (reason === undefined) return
    if (row.csrf === 'header-or-form' && formPostRefusal(fields, config.origin) === undefined) return
    throw new Refusal('csrf_rejected', { cause: reason })
  }

  function reasonOf(row: EndpointRow, fields: GatewayRequest['fields'], method: string): string | undefined {
    if (row.csrf === 'event-source') return eventSourceRefusal(fields, config.origin)
    if (row.csrf === 'same-origin') return sameOriginRefusal(fields, method, config.origin)
    return csrfRefusal(fields, method, config.origin)
  }

  function signInPage(request: GatewayRequest): Respond {
    const { fields, path, query } = request
    // A link on another site, or the landing after sign-in: Strict hides the cookie. Loaded again from here it shows.
    if (fields.secFetchSite === 'cross-site' && request.cookie === undefined && !isPrefetch(fields)) {
      return bouncePage(path + query)
    }
    return redirect(loginUrl(config, path + query))
  }

  return {
    owns: (path) => path.startsWith(base) && (path.length === base.length || path[base.length] === '/'),
    decide,
    signInPage,
  }
}
