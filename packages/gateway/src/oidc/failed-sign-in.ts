import * as oauth from 'oauth4webapi'
import type { ProviderConfig } from '../config/schema.ts'
import { listed, nameOf } from '../providers/behind.ts'
import { kindOf } from '../providers/kinds.ts'

/**
 * What the provider said of a sign-in that it refused, in words of ours for the person at the window; undefined where there
 * are none beyond those of the error table. The provider's own text is for the log: whoever can make it up (an identity
 * provider behind it, a user's attribute) would write on our page.
 */
export function adviceOf(config: ProviderConfig, cause: unknown): string | undefined {
  if (!(cause instanceof oauth.AuthorizationResponseError)) return undefined
  const answer = { error: cause.error, description: cause.error_description ?? '' }
  return kindOf(config).explain?.(answer, listed(config).map(nameOf))
}
