import { loginUrl } from '../access/login-url.ts'
import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import { behindOf } from './behind.ts'
import { lookAgain, refuseUnlessNavigation, startLogin } from './login-start.ts'
import type { StepUp } from './pending-login.ts'
import type { SignedIn } from './provider-client.ts'
import { redirect } from './redirect.ts'

/**
 * `GET /auth/step-up?return_to=…&acr=…&max_age=…`: the signed-in user proves anew, or more strongly, who they are. It ends
 * with a new session in place of the old one. @see RFC 9470 · ASVS 5.0 7.5.1
 */
export function createStepUp(services: Services) {
  const { config, providers } = services

  return async (request: EndpointRequest): Promise<Respond> => {
    refuseUnlessNavigation(request)
    const again = lookAgain(request)
    if (again) return again
    const { acr, maxAge } = readDemand(request.parameters)
    const opened = await openOrRefuse(services, request)
    if (opened?.kind !== 'live') return redirect(loginUrl(config, request.parameters.get('return_to') ?? '/'))
    const { record, id } = opened.session
    const provider = providers.get(record.provider)
    if (!provider) throw new Refusal('bad_request', { cause: 'the provider of the session is configured no more' })
    const behind = behindOf(provider.config, record)
    return await startLogin(services, request, {
      provider,
      previous: id,
      ...(behind !== undefined && { behind }),
      stepUp: { ...record.subject, ...(acr !== undefined && { acr }), ...(maxAge !== undefined && { maxAge }) },
    })
  }
}

function readDemand(parameters: URLSearchParams): { acr: string | undefined; maxAge: number | undefined } {
  const acr = parameters.get('acr') ?? undefined
  const maxAge = parameters.get('max_age') ?? undefined
  if (acr !== undefined && !/^[\w:./-]{1,200}$/.test(acr)) throw new Refusal('bad_request', { cause: 'acr' })
  if (maxAge !== undefined && !/^\d{1,7}$/.test(maxAge)) throw new Refusal('bad_request', { cause: 'max_age' })
  // Without any demand it is a plain re-authentication: now.
  return { acr, maxAge: maxAge === undefined ? (acr === undefined ? 0 : undefined) : Number(maxAge) }
}

/**
 * Whether the one who came back is the one who was sent, and proved what was asked: else somebody at the same desk could
 * take the session over, or an answer of lesser strength pass for a stronger one.
 */
export function checkStepUp(demand: StepUp, iss: string, { sub, claims }: SignedIn): void {
  if (demand.iss !== iss || demand.sub !== sub) {
    throw new Refusal('login_failed', { cause: 'the step-up came back with another user' })
  }
  if (demand.acr !== undefined && claims.acr !== demand.acr) {
    throw new Refusal('login_failed', { cause: 'the provider did not reach the acr that was asked for' })
  }
}
