import { loginUrl, pageOf } from './access/login-url.ts'
import type { Respond } from './decision.ts'
import { errors, Refusal } from './errors.ts'
import { isGatewayCookie } from './protocol/cookies.ts'
import type { RequestHead } from './protocol/head.ts'
import { isNavigation } from './protocol/navigation.ts'
import { errorResponse } from './protocol/problem.ts'
import { siftRequest } from './protocol/sift-request.ts'
import type { GatewayRequest } from './request.ts'
import type { Services } from './services.ts'

/** Turns what was thrown into the answer: code and hint to the client, the cause to the log. */
export type Refuser = (
  error: unknown,
  head: RequestHead,
  requestId: string,
  request: GatewayRequest | undefined,
) => Respond

export function createRefuser({ config, decisions, tally }: Pick<Services, 'config' | 'decisions' | 'tally'>): Refuser {
  return (error, head, requestId, request) => {
    const refusal = error instanceof Refusal ? error : new Refusal('internal_error', { cause: error })
    const { code, options } = refusal
    const { status } = errors[code]
    tally.refusals[code]++
    // What could not be read as a request still shows whether a person waits for the answer.
    const html = isNavigation(request?.fields ?? siftRequest(head.rawHeaders, isGatewayCookie))
    decisions.refused(code, refusal.cause, { head, requestId, request })
    const members = { ...loginMembers(code, request), ...options.members }
    return errorResponse(code, {
      html,
      requestId,
      members,
      ...(options.advice !== undefined && { advice: options.advice }),
      ...retryOf(refusal),
      ...(options.refresh !== undefined && { refresh: options.refresh }),
      headers: [
        ...(options.headers ?? []),
        ...(status === 503 && !options.headers?.includes('Retry-After') ? ['Retry-After', '5'] : []),
        ...(options.setCookies ?? []).flatMap((cookie) => ['Set-Cookie', cookie]),
      ],
    })
  }

  function retryOf({ code, options: { retry } }: Refusal): { retryHref?: string } {
    if (retry !== undefined) return { retryHref: retry }
    return code === 'login_state_mismatch' || code === 'login_failed' ? { retryHref: loginUrl(config, '/') } : {}
  }

  /** A script that hears "not signed in" needs to know where to send the window. */
  function loginMembers(code: string, request: GatewayRequest | undefined): Record<string, string> {
    if (request === undefined || (code !== 'login_required' && code !== 'session_expired')) return {}
    return { loginUrl: loginUrl(config, pageOf(request, config.origin)) }
  }
}
