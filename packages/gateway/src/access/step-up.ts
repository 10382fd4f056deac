import type { Config } from '../config/schema.ts'
import type { Respond } from '../decision.ts'
import { Refusal } from '../errors.ts'
import { redirect } from '../oidc/redirect.ts'
import { isNavigation } from '../protocol/navigation.ts'
import type { GatewayRequest } from '../request.ts'
import { type Shortfall, stepUpChallenge, stepUpUrl } from './assurance.ts'
import { pageOf } from './login-url.ts'

/**
 * Sends a page on to the step-up, and tells a script where it is.
 * @throws Refusal `step_up_required`, for a script
 * @see RFC 9470 §3
 */
export function askStepUp(
  config: Pick<Config, 'basePath' | 'origin'>,
  request: GatewayRequest,
  shortfall: Shortfall,
): Respond {
  const { basePath, origin } = config
  if (isNavigation(request.fields)) return redirect(stepUpUrl(basePath, request.path + request.query, shortfall))
  throw new Refusal('step_up_required', {
    members: { stepUpUrl: stepUpUrl(basePath, pageOf(request, origin), shortfall) },
    headers: ['WWW-Authenticate', stepUpChallenge(shortfall)],
  })
}
