import { clientAddress } from './access/client-address.ts'
import { createRouteMap, webSocket } from './access/route-map.ts'
import { askStepUp } from './access/step-up.ts'
import { createTrustedProxies } from './access/trusted-proxies.ts'
import type { Decision, Look, Outcome } from './decision.ts'
import { createEndpoints } from './endpoints.ts'
import { Refusal } from './errors.ts'
import { createFormCheck } from './form-check.ts'
import { withForwardAuth } from './forward-auth.ts'
import { AMBIGUOUS, isGatewayCookie } from './protocol/cookies.ts'
import { csrfRefusal, isSafe, sameOriginRefusal } from './protocol/csrf.ts'
import type { RequestHead } from './protocol/head.ts'
import { isNavigation } from './protocol/navigation.ts'
import { siftRequest } from './protocol/sift-request.ts'
import { readTarget } from './protocol/target.ts'
import { createRefuser } from './refuse.ts'
import type { GatewayRequest } from './request.ts'
import { compileRoute, type Route } from './route.ts'
import type { Services } from './services.ts'
import type { LiveSession, Opened } from './session/record.ts'
import { withRotation } from './session/rotate-cookie.ts'
import type { Asked, Terms } from './session/watched-session.ts'
import { upgradeRequired } from './upstream/tunnel.ts'

export interface Guard {
  /**
   * What becomes of a request, by its head alone. Synchronous when the session is known to this process; never throws and
   * never rejects: what is expected becomes an answer, and what isn't becomes `internal_error`.
   */
  decide(head: RequestHead): Decision | Promise<Decision>
  /** What holds of a stream that began as this request, perhaps under other routes. */
  stays(asked: Asked): Terms['stays']
}

/**
 * The product in one function. In this order, and the first refusal stands:
 *
 *   framing and target → host → own endpoint or route → method → an anonymous navigation goes to sign-in
 *   → CSRF → session → access → credential → forward
 *
 * CSRF comes before the session, so that a page of another site learns nothing about who is signed in.
 */
export function createGuard(services: Services): Guard {
  const { config, cookies, decisions, limits, log, newRequestId, now, sessions } = services
  const origin = new URL(config.origin)
  const isTrusted = createTrustedProxies(config.trustedProxies)
  const endpoints = createEndpoints(services)
  const findRoute = createRouteMap(config.routes.map((route, index) => compileRoute(route, index, services)))
  const refuse = createRefuser(services)
  const tell = decisions.decided
  const checkForm = createFormCheck(services)

  function decide(head: RequestHead): Decision | Promise<Decision> {
    const requestId = newRequestId()
    let request: GatewayRequest | undefined
    try {
      const known = read(head, requestId)
      request = known
      const decision = endpoints.owns(known.path) ? endpoints.decide(known) : decideRoute(known)
      if (!(decision instanceof Promise)) return tell === undefined ? decision : tell(known, decision)
      const told = tell === undefined ? decision : decision.then((decided) => tell(known, decided))
      return told.catch((error: unknown) => refuse(error, head, requestId, known))
    } catch (error) {
      return refuse(error, head, requestId, request)
    }
  }

  /** One reading of the request, or none: what another reader could take differently is refused, not repaired. */
  function read(head: RequestHead, requestId: string): GatewayRequest {
    if (head.method === 'TRACE' || head.method === 'CONNECT')
      throw new Refusal('method_not_allowed', { cause: head.method, headers: ['Allow', usualMethods] })
    const fields = siftRequest(head.rawHeaders, isGatewayCookie, head.strictlyParsed)
    if (fields.problem !== undefined) throw new Refusal('bad_request', { cause: fields.problem })
    const target = readTarget(head.target)
    if (target.kind === 'refused') throw new Refusal('bad_request', { cause: target.reason })
    if (fields.host === undefined || fields.host === '') throw new Refusal('bad_request', { cause: 'no Host' })
    if (target.kind === 'absolute' && `${target.scheme}://${target.authority}` !== config.origin) {
      throw new Refusal('bad_request', { cause: 'an absolute target of another origin' })
    }
    // A forged Host would end up in redirects, and in what the upstream believes of its own address.
    if (fields.host !== origin.host && fields.host.toLowerCase() !== origin.host) {
      throw new Refusal('misdirected_request', { cause: 'Host is not that of the origin' })
    }
    const cookie = cookies.readSession(fields.cookie)
    if (cookie === AMBIGUOUS) throw new Refusal('bad_request', { cause: 'the session cookie came twice' })
    const address = clientAddress(head.peer, fields.forwardedFor, isTrusted)
    const { path, query } = target
    return { head, fields, path, query, address, requestId, cookie, named: undefined, session: undefined }
  }

  function decideRoute(request: GatewayRequest): Decision | Promise<Decision> {
    const route = routeOf(request)
    request.named = route.named
    if (route.trespasses(request.path, request.head.method)) {
      throw new Refusal('bad_request', { cause: 'the upstream may take the path for that of a stricter route' })
    }
    route.handshake?.(request)
    if (route.access === 'public') {
      route.limit?.(request, undefined)
      checkCsrf(route, request)
      return route.carryOut(request, undefined)
    }
    // A navigation is answered by a page, so who it is comes first; for a script CSRF comes first.
    const navigation = route.handshake === undefined && isNavigation(request.fields)
    if (route.csrf === 'token' && !isSafe(request.head.method)) return decideForm(route, request, navigation)
    if (!navigation) checkCsrf(route, request)
    return admitOpened(route, request, navigation)
  }

  /**
   * A form. Where it comes from is looked at first of all: another site learns neither who is signed in nor what its token is
   * worth. Then as ever: sign-in for a page that nobody is signed in for, the token, the session.
   */
  function decideForm(route: Route, asked: GatewayRequest, navigation: boolean): Decision | Promise<Decision> {
    checkCsrf(route, asked)
    // The body may take its time, and the cookie's grace be over then: it was good when it came.
    const request = { ...asked, arrivedAt: now() }
    const check = () => {
      const decision = checkForm(request, route.maxBody, () => admitOpened(route, request, navigation))
      return decision instanceof Promise || decision.kind !== 'look' ? decision : guarded(decision, request)
    }
    if (!navigation) return check()
    const opened = opening(request)
    const answer = (known: Opened) => (known.kind === 'live' ? check() : admit(route, request, navigation, known))
    return opened instanceof Promise ? opened.then(answer) : answer(opened)
  }

  /** A look whose second decision is refused as the first one would be. */
  function guarded({ decide: decideBy, ...look }: Look, request: GatewayRequest): Look {
    const { head, requestId } = request
    const decide: Look['decide'] = (beginning) =>
      decideBy(beginning).catch((error: unknown) => refuse(error, head, requestId, request))
    return { ...look, decide }
  }

  function admitOpened(route: Route, request: GatewayRequest, navigation: boolean): Outcome | Promise<Outcome> {
    const opened = opening(request)
    if (!(opened instanceof Promise)) return admit(route, request, navigation, opened)
    return opened.then((known) => admit(route, request, navigation, known))
  }

  function routeOf({ path, head, fields }: GatewayRequest): Route {
    const upgraded = fields.upgrade === undefined ? undefined : findRoute(path, webSocket)
    // Everywhere else an Upgrade is ignored, as any server may. @see RFC 9110 §7.8
    if (upgraded?.kind === 'route' && upgraded.route.handshake && /websocket/i.test(fields.upgrade ?? ''))
      return upgraded.route
    const match = findRoute(path, head.method)
    if (match === undefined) throw new Refusal('not_found')
    if (match.kind === 'route') return match.route
    if (match.allow !== '') throw new Refusal('method_not_allowed', { headers: ['Allow', match.allow] })
    // Only WebSockets are here.
    if (head.method === 'GET' || head.method === 'HEAD') throw upgradeRequired()
    throw new Refusal('method_not_allowed', { headers: ['Allow', 'GET'] })
  }

  function opening({ cookie, arrivedAt }: GatewayRequest): Opened | Promise<Opened> {
    if (cookie === undefined) return anonymous
    try {
      const opened = sessions.open(cookie, arrivedAt)
      return opened instanceof Promise ? opened.catch(storeUnavailable) : opened
    } catch (cause) {
      return storeUnavailable(cause)
    }
  }

  function admit(
    route: Route,
    request: GatewayRequest,
    navigation: boolean,
    opened: Opened,
  ): Outcome | Promise<Outcome> {
    if (opened.kind !== 'live') {
      if (opened.kind === 'unknown' && request.cookie !== undefined) limits.missed(request, true)
      if (navigation) return endpoints.signInPage(request)
      if (opened.kind === 'ended') throw new Refusal('session_expired', { cause: `it ended: ${opened.reason}` })
      const cause = request.cookie === undefined ? 'no session cookie' : 'the session cookie is of no session'
      throw new Refusal('login_required', { cause })
    }
    if (navigation) checkCsrf(route, request)
    const { session } = opened
    request.session = session
    route.limit?.(request, session)
    const objection = route.policy.check(session.record, now())
    if (objection?.kind === 'denied') throw new Refusal('access_denied', { cause: objection.reason })
    if (objection?.kind === 'step-up') return askStepUp(config, request, objection.shortfall)
    if (route.policy.dryRuns.length > 0) rehearse(route, request, session)
    sessions.touch(session)
    const decision = route.carryOut(request, session)
    return opened.rotationDue ? rotated(request, session, decision) : decision
  }

  /** Demands that are only tried out: what they would refuse is written down, and let through. */
  function rehearse(route: Route, request: GatewayRequest, { id, record }: LiveSession): void {
    for (const check of route.policy.dryRuns) {
      const objection = check(record, now())
      if (objection === undefined) continue
      const reason = objection.kind === 'denied' ? objection.reason : 'a step-up'
      const { requestId, path } = request
      const session = sessions.handleOf(id)
      log.warn({ event: 'authz_would_fail', route: route.path, path, reason, session, requestId })
    }
  }

  async function rotated(request: GatewayRequest, session: LiveSession, decision: Outcome | Promise<Outcome>) {
    const decided = await decision
    // A client that takes no cookie from a 101 would go on with a value that we take for replaced.
    return decided.kind === 'endpoint' || decided.kind === 'tunnel'
      ? decided
      : await withRotation(services, request, session, decided)
  }

  function checkCsrf(route: Route, request: GatewayRequest): void {
    if (route.csrf === 'off') return
    const refusalOf = route.csrf === 'header' ? csrfRefusal : sameOriginRefusal
    const reason = refusalOf(request.fields, request.head.method, config.origin)
    if (reason !== undefined) throw new Refusal('csrf_rejected', { cause: reason })
  }

  function stays({ path, method }: Asked): Terms['stays'] {
    const match = findRoute(path, method)
    if (match?.kind !== 'route') return nowhere
    return method === webSocket && match.route.handshake === undefined ? nowhere : match.route.stays
  }

  return withForwardAuth({ decide, stays }, services)
}

/** For TRACE and CONNECT, which are refused before a route is known. */
const usualMethods = 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS'

/** The route is gone, and with it whatever it let through. */
const nowhere: Terms['stays'] = () => 'access-denied'

const anonymous: Opened = { kind: 'unknown' }

/** An error is not a miss: nobody is signed out, and no cookie is deleted, because the store can't be read. */
function storeUnavailable(cause: unknown): never {
  throw new Refusal('store_unavailable', { cause })
}
