import type { Config, CredentialConfig, Demand, RouteConfig } from '../config/schema.ts'
import type { Rate } from '../limits/buckets.ts'
import { isSafe } from '../protocol/csrf.ts'
import { readTarget } from '../protocol/target.ts'
import type { JsonObject } from '../session/json.ts'
import type { SessionRecord } from '../session/record.ts'
import { createPolicy } from './policy.ts'
import { rolesOf } from './roles.ts'
import { createRouteMap } from './route-map.ts'
import { createTrespasses } from './trespass.ts'

/** One check that a request goes through, in the order of the guard. */
export interface ExplainedStep {
  readonly check: 'target' | 'host' | 'route' | 'method' | 'csrf' | 'session' | 'limit' | 'access' | 'then'
  readonly says: string
}

export interface Explanation {
  readonly method: string
  readonly path: string
  /** Where in `routes` the rule stands. */
  readonly route?: { readonly index: number; readonly path: string }
  readonly steps: readonly ExplainedStep[]
  /** The error code that a signed-in caller gets, as far as it is known here; absent if the request goes through. */
  readonly refused?: string
}

export interface Asked {
  readonly method: string
  /** A path, or an address of the origin. */
  readonly url: string
  /** Of the one who asks; what else a route demands stays open. */
  readonly roles?: readonly string[] | undefined
  /** Their claims, from which the roles follow; and groups and claims that a route demands are known as well. */
  readonly claims?: JsonObject | undefined
}

/** Which route and rule a request meets, and what would happen to it: by the same parts as the guard's own decision. */
export function explainRequest(config: Config, { method, url, roles, claims }: Asked): Explanation {
  const steps: ExplainedStep[] = []
  const say = (check: ExplainedStep['check'], says: string) => void steps.push({ check, says })
  const target = readTarget(url)
  if (target.kind === 'refused') {
    say('target', `refused: ${target.reason}`)
    return { method, path: url, steps, refused: 'bad_request' }
  }
  const { path } = target
  const end = (refused?: string, route?: Explanation['route']): Explanation => ({
    method,
    path,
    steps,
    ...(route && { route }),
    ...(refused !== undefined && { refused }),
  })
  say('target', path)
  if (target.kind === 'absolute' && `${target.scheme}://${target.authority}` !== config.origin) {
    say('host', `not the origin ${config.origin}`)
    return end('misdirected_request')
  }
  if (`${path}/`.startsWith(`${config.basePath}/`)) {
    say('route', `one of the gateway's own endpoints, below ${config.basePath}`)
    return end()
  }
  const found = createRouteMap(config.routes.map(withOwnMethods))(path, method)
  if (found === undefined || method === 'TRACE' || method === 'CONNECT') {
    say(
      found === undefined ? 'route' : 'method',
      found === undefined ? 'none: what no route names does not exist' : 'never forwarded',
    )
    return end(found === undefined ? 'not_found' : 'method_not_allowed')
  }
  if (found.kind === 'method-not-allowed') {
    say('method', `not served here; the most specific path allows ${found.allow}`)
    return end('method_not_allowed')
  }
  const { config: rule, index } = found.route
  const route = { index, path: rule.path }
  say('route', `routes[${index}], ${rule.path}`)
  if (createTrespasses(rule, config.routes)(path, method)) {
    say('route', 'the upstream may take this path for that of a stricter route')
    return end('bad_request', route)
  }
  say('csrf', csrfOf(rule, method))
  say(
    'session',
    rule.access === 'public'
      ? 'none needed'
      : 'needed: a navigation without one goes to sign-in, a script gets 401 login_required',
  )
  if (rule.limit) say('limit', limitOf(rule.access, rule.limit))
  const refused = explainAccess(
    rule,
    claims === undefined ? roles && { roles } : { roles: rolesOf(config, claims), claims },
    say,
  )
  if (refused === undefined) say('then', endOf(rule, path + target.query))
  return end(refused, route)
}

function withOwnMethods(config: RouteConfig, index: number) {
  const methods = config.methods ?? (config.static === undefined ? undefined : ['GET'])
  return { path: config.path, methods, config, index }
}

function csrfOf({ csrf, static: folder, forwardAuth }: RouteConfig, method: string): string {
  if (folder !== undefined) return 'none: files change nothing when they are fetched'
  if (csrf === 'token') {
    if (isSafe(method)) return `token: ${method} needs none, from a page of the origin or opened in the window`
    const field = forwardAuth ? '' : ', or a form field csrf_token,'
    return `token: X-CSRF-Token${field} of the session, from a page of the origin`
  }
  return csrf === 'off' ? 'off' : `${csrf}: a script sends X-CSRF: 1 from a page of the origin`
}

function limitOf(access: RouteConfig['access'], { requests, per }: Rate): string {
  const whose = access === 'public' ? 'address' : 'session'
  return `${requests} at once, and as many again in ${per / 1000} s, by ${whose}; else 429 too_many_requests`
}

function explainAccess(
  { access }: RouteConfig,
  asker: (Pick<Asked, 'claims'> & Required<Pick<Asked, 'roles'>>) | undefined,
  say: (check: 'access', says: string) => void,
): string | undefined {
  if (typeof access !== 'object') {
    say('access', access)
    return undefined
  }
  const { anyOf, allOf = [], mode, ...own } = access
  const dry = mode === 'report' ? ' (dry run: only logged)' : ''
  for (const demand of demandsOf(own)) say('access', demand + dry)
  if (anyOf) say('access', `one of: ${anyOf.map((one) => demandsOf(one).join(' and ')).join('; or ')}${dry}`)
  for (const one of allOf) {
    for (const demand of demandsOf(one))
      say('access', demand + (one.mode === 'report' ? ' (dry run: only logged)' : dry))
  }
  if (asker === undefined) return undefined
  const { roles = [], claims } = asker
  const who = { roles, attributes: claims ?? {}, scopes: [], authenticatedAt: 0 } as unknown as SessionRecord
  const objection = createPolicy(knownPart(access, claims !== undefined)).check(who, 0)
  const what = claims === undefined ? 'roles' : 'roles, groups and claims'
  say(
    'access',
    objection === undefined
      ? `the roles ${roles.join(', ') || '(none)'} meet what is asked of ${what}`
      : `not met: ${reasonOf(objection)}`,
  )
  return objection === undefined ? undefined : 'access_denied'
}

function reasonOf(objection: NonNullable<ReturnType<ReturnType<typeof createPolicy>['check']>>): string {
  return objection.kind === 'denied' ? objection.reason : 'a step-up'
}

/** The part of the demands that roles decide, or claims too; alternatives that ask for more than that may hold. */
function knownPart(access: Exclude<RouteConfig['access'], string>, withClaims: boolean): RouteConfig['access'] {
  const onlyKnown = ({ roles, groups, claims }: Demand) => ({
    ...(roles && { roles }),
    ...(withClaims && { ...(groups && { groups }), ...(claims && { claims }) }),
  })
  const { anyOf, allOf, mode } = access
  return {
    ...onlyKnown(access),
    ...(anyOf && { anyOf: anyOf.map(onlyKnown) }),
    ...(allOf && { allOf: allOf.map((one) => ({ ...onlyKnown(one), ...(one.mode && { mode: one.mode }) })) }),
    ...(mode && { mode }),
  }
}

function demandsOf({ roles, groups, scopes, claims = {}, acr, maxAge }: Demand): string[] {
  return [
    ...(roles ? [`one of the roles ${roles.join(', ')}`] : []),
    ...(groups ? [`one of the groups ${groups.join(', ')}`] : []),
    ...(scopes ? [`the scopes ${scopes.join(', ')}`] : []),
    ...Object.entries(claims).map(([claim, wanted]) => `claim ${claim}: ${[wanted].flat().join(' or ')}`),
    ...(acr ? [`signed in by ${acr.join(' or ')}, else a step-up`] : []),
    ...(maxAge === undefined ? [] : [`signed in no longer than ${maxAge / 1000} s ago, else a step-up`]),
  ]
}

function endOf(route: RouteConfig, target: string): string {
  if (route.static !== undefined) return `a file of ${route.static}, or its index.html`
  const path = route.stripPrefix === undefined ? target : target.slice(route.stripPrefix.length) || '/'
  const credential = route.credential === 'none' ? 'no credential' : describe(route.credential)
  if (route.presign !== undefined) {
    const { key, types, maxSize, expires } = route.presign
    const object = key.map((part) => ('text' in part ? part.text : `{${part.of}}`)).join('')
    const what = `one object ${object} of ${types.join(' or ')} and at most ${maxSize} bytes`
    return `a permission, good for ${expires / 1000} s, to put ${what} into ${route.upstream}; ${credential}`
  }
  return `forwarded to ${route.upstream}${path.startsWith('/') ? path : `/${path}`} with ${credential}`
}

function describe(credential: CredentialConfig): string {
  if (typeof credential === 'string') return `the credential ${credential}`
  if (credential.kind === 'exchange') {
    const { audience, resource, scope } = credential.exchange
    const forWhom = [audience, resource].filter((one) => one !== undefined).join(' at ')
    return `a token of the provider's for ${forWhom}${scope === undefined ? '' : `, scope ${scope}`} (exchange)`
  }
  if (credential.kind === 'aws') {
    const { service, region, roleArn } = credential.aws
    return `a signature for ${service} in ${region} with AWS credentials of ${roleArn ?? "the user's role"} (aws)`
  }
  const { audience, ttl, claims, encryptTo } = credential.mint
  const says = claims.length === 0 ? '' : `, with ${claims.join(', ')}`
  const sealed = encryptTo === undefined ? '' : `, encrypted by ${encryptTo.algorithm}`
  return `a token of the gateway's own for ${audience}, good for ${ttl / 1000} s${says}${sealed} (mint)`
}
