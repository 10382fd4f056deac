import { createPolicy } from '../access/policy.ts'
import type { RouteConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'

/**
 * A request was admitted by what was known of its user before a refresh. If the refresh took that away, this very request is
 * refused. @see ASVS 5.0 8.3.2
 * @throws Refusal `access_denied`
 */
export function createStillAdmitted(route: Pick<RouteConfig, 'access'>, { now }: Pick<Services, 'now'>) {
  const { check } = createPolicy(route.access)
  return ({ record }: LiveSession): void => {
    if (check(record, now()) !== undefined) {
      throw new Refusal('access_denied', { cause: 'what the refresh told of the user closes the route' })
    }
  }
}
