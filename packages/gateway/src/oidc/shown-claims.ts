import { pick } from '../access/attributes.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { kindOf } from '../providers/kinds.ts'
import type { JsonObject } from '../session/json.ts'

/** What `/auth/session` shows of the user: the claims that are configured, and what the kind of provider adds. */
export function shownClaims(config: ProviderConfig, claims: JsonObject): JsonObject {
  return { ...pick(claims, config.claims), ...kindOf(config).profile?.(claims) }
}
