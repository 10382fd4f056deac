import type { Config, ProviderConfig, RouteConfig } from '../config/schema.ts'
import { kindOf } from '../providers/kinds.ts'
import type { JsonObject } from '../session/json.ts'
import { groupClaims } from './roles.ts'

/** The claims that decide what a user may do: those that role rules and routes read, or pass on. Kept with the session, shown to nobody. */
export function decidingClaims({ roles, routes }: Pick<Config, 'roles' | 'routes'>): string[] {
  const demands = routes.flatMap(({ access }) =>
    typeof access === 'object' ? [access, ...(access.anyOf ?? []), ...(access.allOf ?? [])] : [],
  )
  const claims = [
    ...roles.flatMap(({ claim }) => (claim === 'groups' ? groupClaims : [claim])),
    ...demands.flatMap((demand) => Object.keys(demand.claims ?? {})),
    ...(demands.some(({ groups }) => groups !== undefined) || routes.some(mintsGroups) ? groupClaims : []),
  ]
  return [...new Set(claims)]
}

function mintsGroups({ credential }: RouteConfig): boolean {
  return typeof credential === 'object' && credential.kind === 'mint' && credential.mint.claims.includes('groups')
}

/** Those of them that the provider must tell, so that UserInfo is asked where the ID token lacks one. An alias is not missed. */
export function wanted(deciding: readonly string[], provider: Pick<ProviderConfig, 'kind'>): string[] {
  const { onlyInIdToken } = kindOf(provider)
  return deciding.filter((claim) => claim !== 'cognito:groups' && !onlyInIdToken?.(claim))
}

export function pick(claims: JsonObject, names: readonly string[]): JsonObject {
  return Object.fromEntries(names.flatMap((name) => (claims[name] === undefined ? [] : [[name, claims[name]]])))
}
