import { pick } from '../access/attributes.ts'
import { groupClaims, groupsOf } from '../access/roles.ts'
import type { Config, ProviderConfig } from '../config/schema.ts'
import { shownClaims } from '../oidc/shown-claims.ts'
import type { JsonObject } from '../session/json.ts'
import type { Subject } from '../session/record.ts'
import type { Told } from './arrival.ts'

/** A provider that told something of a user. */
export interface Speaker {
  readonly name: string
  readonly config: ProviderConfig
  readonly decidingClaims: readonly string[]
}

/** What it told. */
export interface Words {
  readonly subject: Subject
  readonly claims: JsonObject
  readonly roles: readonly string[]
}

/** The same, as the directory keeps it. A refresh asks for less than a sign-in: what was not asked for is not gone. */
export function toldOf(
  { identity }: Pick<Config, 'identity'>,
  { name, config, decidingClaims }: Speaker,
  { subject, claims, roles, at }: Words & { readonly at: 'sign-in' | 'refresh' },
): Told {
  const asked = at === 'sign-in' ? [...new Set([...decidingClaims, ...groupClaims])] : decidingClaims
  const groupsTold = groupClaims.some((claim) => asked.includes(claim) || claims[claim] !== undefined)
  return {
    subject,
    provider: name,
    profile: { ...shownClaims(config, claims), ...pick(claims, identity.claims) },
    groups: groupsTold ? groupsOf(claims) : undefined,
    roles,
    asked,
    told: asked.filter((claim) => claims[claim] !== undefined),
  }
}
