import type { Config } from '../config/schema.ts'
import type { ErrorCode } from '../errors.ts'
import { type ExplainedStep, explainRequest } from './explanation.ts'

/** What the log says of one decision: see decision-log.ts. */
export interface LoggedDecision {
  readonly requestId: string
  /** `refused`, or what was done instead: `forward`, `respond`, … */
  readonly decision: string
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly time?: string
  readonly address?: string
  /** The pattern of the route's path, and where it stood in the configuration. */
  readonly route?: string
  readonly rule?: string
  /** The handle of the session, where one was proved. */
  readonly session?: string
  readonly code?: string
  readonly reason?: string
  /** Of an answer by the gateway that refuses nothing. */
  readonly status?: number
}

/**
 * The checks that a request went through, up to the one at which it was refused. `config`: the rules by which it was
 * decided, as far as they are still the same; undefined where nobody has them at hand.
 */
export function explainDecision(told: LoggedDecision, config: Config | undefined): readonly ExplainedStep[] {
  const failed = told.decision === 'refused' ? checkOf(told) : undefined
  const steps = rulesOf(told, config)
  const passed =
    failed === undefined ? steps : steps.filter(({ check }) => order.indexOf(check) < order.indexOf(failed))
  if (failed === undefined) return passed
  // What the check asks for stands before what was found lacking.
  const asked = failed === 'then' || failed === 'target' ? [] : steps.filter(({ check }) => check === failed)
  return [...passed, ...asked, { check: failed, says: `refused${told.reason === undefined ? '' : `: ${told.reason}`}` }]
}

function rulesOf(told: LoggedDecision, config: Config | undefined): ExplainedStep[] {
  const { path, route, rule, session } = told
  const who: ExplainedStep[] = session === undefined ? [] : [{ check: 'session', says: session }]
  const index = /^routes\[(\d+)\]$/.exec(rule ?? '')?.[1]
  const known = config !== undefined && index !== undefined && config.routes[Number(index)]?.path === route
  const expected = known ? explainRequest(config, { method: told.method, url: path }) : undefined
  if (expected?.route?.index === Number(index)) {
    const { steps } = expected
    const before = steps.filter(({ check }) => order.indexOf(check) < order.indexOf('session'))
    const after = steps.filter(({ check }) => order.indexOf(check) > order.indexOf('session'))
    return [...before, ...(session === undefined ? steps.filter(({ check }) => check === 'session') : who), ...after]
  }
  const named = rule === undefined ? `${route}, an endpoint of the gateway` : `${rule}, ${route}`
  const changed = config !== undefined && index !== undefined && !known
  return [
    { check: 'target', says: path },
    ...(route === undefined ? [] : [{ check: 'route' as const, says: named }]),
    ...(changed ? [{ check: 'route' as const, says: 'the configuration has another route there now' }] : []),
    ...who,
  ]
}

const order: readonly ExplainedStep['check'][] = [
  'target',
  'host',
  'route',
  'method',
  'csrf',
  'session',
  'limit',
  'access',
  'then',
]

/** At which check a refusal was said. */
function checkOf({ code, route, rule }: LoggedDecision): ExplainedStep['check'] {
  // A target that can't be read is of no route yet. Later on: a path that a stricter route may be meant by, or a parameter.
  if (code === 'bad_request' && route !== undefined) return rule === undefined ? 'then' : 'route'
  return checks.get(code) ?? 'then'
}

/** By code, which may be any text that stands in a log; the others are said while the request is carried out. */
const checks: ReadonlyMap<string | undefined, ExplainedStep['check']> = new Map<ErrorCode, ExplainedStep['check']>([
  ['bad_request', 'target'],
  ['misdirected_request', 'host'],
  ['not_found', 'route'],
  ['method_not_allowed', 'method'],
  ['csrf_rejected', 'csrf'],
  ['origin_rejected', 'csrf'],
  ['login_not_navigation', 'csrf'],
  ['login_required', 'session'],
  ['session_expired', 'session'],
  ['too_many_requests', 'limit'],
  ['access_denied', 'access'],
  ['step_up_required', 'access'],
])
