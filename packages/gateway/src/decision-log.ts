import type { Decision } from './decision.ts'
import { type ErrorCode, errors } from './errors.ts'
import { reasonOf } from './oidc/faults.ts'
import type { RequestHead } from './protocol/head.ts'
import { printable } from './protocol/printable.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'

/** What became of a request, for `coatcheck explain --request`: by its id, with route, rule, session and reason. */
export interface DecisionLog {
  /** Every refusal is told, wherever in the gateway it comes from. */
  refused(code: ErrorCode, cause: unknown, asked: Asked): void
  /** Every other decision, with `log.decisions: all`; undefined otherwise, so that a request that is let through costs nothing. */
  readonly decided: ((request: GatewayRequest, decision: Decision) => Decision) | undefined
}

/** A request, as far as it could be read. */
export interface Asked {
  readonly head: RequestHead
  readonly requestId: string
  readonly request: GatewayRequest | undefined
}

export function createDecisionLog({
  config,
  log,
  sessions,
}: Pick<Services, 'config' | 'log' | 'sessions'>): DecisionLog {
  function fieldsOf({ head, requestId, request }: Asked) {
    const session = request?.session
    return {
      requestId,
      method: printable(head.method, 16),
      // Without the query: it may carry what belongs to nobody's log.
      path: printable(request?.path ?? head.target.split('?', 1)[0] ?? '', 256),
      address: request?.address ?? head.peer,
      ...request?.named,
      ...(session && { session: sessions.handleOf(session.id) }),
    }
  }

  return {
    refused(code, cause, asked) {
      const { status } = errors[code]
      const decision = 'refused'
      const fields = { event: eventOf[code] ?? 'request_refused', decision, code, ...fieldsOf(asked) }
      if (code === 'internal_error') log.error({ ...fields, err: cause }, 'fault')
      else if (everyday.has(code)) log.info({ ...fields, ...reason(cause) })
      else if (status >= 500 && !ofUpstream.has(code)) log.error({ ...fields, ...reason(cause) })
      else log.warn({ ...fields, ...reason(cause) })
    },

    decided:
      config.log.decisions === 'all'
        ? (request, decision) => {
            const { head, requestId } = request
            const fields = fieldsOf({ head, requestId, request })
            const more = decision.kind === 'respond' ? { status: decision.status } : {}
            log.info({ event: 'request_decided', decision: decision.kind, ...more, ...fields })
            return decision
          }
        : undefined,
  }
}

/** Not being signed in, an address that isn't there, and a limit (which has an alert of its own) wake nobody up. */
const everyday: ReadonlySet<ErrorCode> = new Set([
  'login_required',
  'session_expired',
  'not_found',
  'too_many_requests',
])

/** Another server's failure, and no fault of the gateway's. */
const ofUpstream: ReadonlySet<ErrorCode> = new Set(['upstream_unavailable', 'upstream_timeout', 'upstream_busy'])

const eventOf: Partial<Record<ErrorCode, string>> = {
  csrf_rejected: 'malicious_csrf',
  origin_rejected: 'malicious_csrf',
  access_denied: 'authz_fail',
  provider_unavailable: 'provider_unavailable',
  store_unavailable: 'store_unavailable',
}

function reason(cause: unknown): { reason?: string } {
  return cause === undefined ? {} : { reason: printable(reasonOf(cause)) }
}
