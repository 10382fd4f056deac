import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import { redirect } from './redirect.ts'

/**
 * A callback whose state is unknown, used or another browser's. No token request is made for it. Somebody who is signed
 * in just goes on (a second tab, the back button); anybody else is told to start again.
 */
export async function lateCallback(services: Services, request: EndpointRequest, reason: string): Promise<Respond> {
  const opened = await openOrRefuse(services, request)
  if (opened?.kind === 'live') return redirect('/')
  // From another site SameSite=Strict hides the cookie, so that nothing is known yet: the page looks again from here.
  const hidden = request.cookie === undefined && request.fields.secFetchSite === 'cross-site'
  throw new Refusal('login_state_mismatch', {
    cause: reason,
    ...(hidden && { refresh: `${services.config.basePath}/callback/${request.name}` }),
  })
}
