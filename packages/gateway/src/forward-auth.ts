import { loginUrl } from './access/login-url.ts'
import { createTrustedProxies } from './access/trusted-proxies.ts'
import type { Decision, Respond } from './decision.ts'
import { Refusal } from './errors.ts'
import type { Guard } from './guard.ts'
import { readQuestion } from './protocol/forwarded-question.ts'
import type { RequestHead } from './protocol/head.ts'
import { errorPage } from './protocol/page.ts'
import { createRefuser } from './refuse.ts'
import type { Services } from './services.ts'

/**
 * `/auth/forward`: a proxy holds a request and asks what becomes of it. The guard decides about the original as if it had
 * come here itself (route map, path tricks, CSRF, session, roles, step-up); only the carrying out differs:
 *
 *   admitted                                     → 200, see upstream/vouch.ts
 *   sign-in, step-up, the bounce page, any 401   → 401
 *   a limit                                      → 429, which proxies pass on, and nginx takes for a failure
 *   any other refusal                            → 403
 *   an outage                                    → 503
 *
 * 200 is said by `admitted` alone. Whatever else the guard may come to answer is no permission.
 */
export function withForwardAuth(guard: Guard, services: Services): Guard {
  const { config, newRequestId } = services
  const origin = new URL(config.origin)
  const path = `${config.basePath}/forward`
  const isTrusted = createTrustedProxies(config.trustedProxies)
  const refuse = createRefuser(services)

  return {
    ...guard,
    decide(head) {
      if (!asks(head.target) || head.method === 'TRACE') return guard.decide(head)
      const original = originalOf(head)
      if (typeof original === 'string') return refused(head, original)
      const decision = guard.decide(original)
      if (!(decision instanceof Promise)) return answer(decision, original)
      return decision.then((decided) => answer(decided, original))
    },
  }

  /** Envoy sends the original's target behind the path of the question; the others send the path alone. */
  function asks(target: string): boolean {
    if (!target.startsWith(path)) return false
    const next = target[path.length]
    return next === undefined || next === '?' || next === '/'
  }

  function originalOf(head: RequestHead): RequestHead | string {
    // Anybody else could have any request judged under a name of their choice. GHSA-7x63-xv5r-3p2x
    if (!isTrusted(head.peer)) return 'the asking address is not in trustedProxies'
    const question = readQuestion(head.rawHeaders, origin)
    if (typeof question === 'string') return question
    const { method, target, rawHeaders, credential } = question
    if (head.target[path.length] === '/' && head.target.slice(path.length) !== target)
      return 'the target of the question is not x-forwarded-uri'
    return { ...head, method, target, rawHeaders, asked: { credential } }
  }

  function refused(head: RequestHead, cause: string): Respond {
    return refuse(new Refusal('forward_auth_refused', { cause }), head, newRequestId(), undefined)
  }

  function answer(decision: Decision, original: RequestHead): Respond {
    // The gateway's own endpoints are not behind the proxy's application: nobody asks about them.
    if (decision.kind !== 'respond') return refused(original, 'the original request is not for a route')
    const { status, headers, body } = decision
    // `sent` stays behind: this answer reaches the proxy, not the browser. A rotated cookie proves itself by its first use.
    if (decision.admitted === true) return { kind: 'respond', status, headers, body }
    if (status === 429) return { kind: 'respond', status, headers, body }
    if (status >= 400 && status !== 401) return withStatus(decision, status >= 500 ? 503 : 403)
    const window = windowOf(decision, original)
    const shown = status === 303 ? signInPage(window) : withStatus(decision, 401)
    return { ...shown, headers: [...shown.headers, 'X-Coatcheck-Login-Url', window] }
  }

  /** Where the browser's window has to go for this 401. */
  function windowOf({ headers, body }: Respond, { target }: RequestHead): string {
    const location = headerOf(headers, 'location')
    if (location !== undefined) return location
    if (!isProblem(headers)) return loginUrl(config, target)
    const { loginUrl: login, stepUpUrl } = JSON.parse(body) as Record<string, string | undefined>
    return stepUpUrl ?? login ?? loginUrl(config, '/')
  }

  /** A redirect, for proxies that pass on a 401 with its body: a page that goes there by itself. */
  function signInPage(window: string): Respond {
    const code = window.startsWith(`${config.basePath}/step-up?`) ? 'step_up_required' : 'login_required'
    return errorPage(code, { refresh: window, retryHref: window })
  }
}

function withStatus({ headers, body }: Respond, status: 401 | 403 | 503): Respond {
  const told = isProblem(headers) ? JSON.stringify({ ...JSON.parse(body), status }) : body
  return { kind: 'respond', status, headers, body: told }
}

function isProblem(headers: readonly string[]): boolean {
  return headerOf(headers, 'content-type') === 'application/problem+json'
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((text, index) => index % 2 === 0 && text.toLowerCase() === name)
  return at === -1 ? undefined : headers[at + 1]
}
