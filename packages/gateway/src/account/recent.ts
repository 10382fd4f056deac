import { createAssurance, stepUpChallenge, stepUpUrl } from '../access/assurance.ts'
import { pageOf } from '../access/login-url.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'

/** So long ago at most must have proved who they are who changes their account; milliseconds. @see ASVS 5.0 7.5.1 */
const recently = 5 * 60_000

const lacks = createAssurance({ maxAge: recently })

/**
 * Whoever finds a window open must not take over the account behind it.
 * @throws Refusal `step_up_required`, with the address at which the user can prove anew who they are
 */
export function demandRecent(
  { config, now }: Pick<Services, 'config' | 'now'>,
  request: EndpointRequest,
  { record }: LiveSession,
): void {
  const shortfall = lacks(record, now())
  if (!shortfall) return
  const url = stepUpUrl(config.basePath, pageOf(request, config.origin), shortfall)
  throw new Refusal('step_up_required', {
    members: { stepUpUrl: url },
    headers: ['WWW-Authenticate', stepUpChallenge(shortfall)],
    retry: url,
  })
}
