import type { Config } from '../config/schema.ts'
import { elementsOf } from '../protocol/claim-elements.ts'
import type { JsonObject } from '../session/json.ts'

type RoleRule = Config['roles'][number]

/** The application's roles of a user: what every matching rule grants, first to last, each once. */
export function rolesOf(rules: readonly RoleRule[], claims: JsonObject): string[] {
  const roles = new Set<string>()
  for (const rule of rules)
    if (matches(rule, rule.claim === 'groups' ? groupsOf(claims) : elementsOf(claims[rule.claim])))
      for (const role of rule.grant) roles.add(role)
  return [...roles]
}

/** `groups` is what most providers call it; Amazon Cognito has a name of its own. */
export const groupClaims = ['groups', 'cognito:groups'] as const

export function groupsOf(claims: JsonObject = {}): string[] {
  return groupClaims.flatMap((name) => elementsOf(claims[name]))
}

function matches(rule: RoleRule, elements: readonly string[]): boolean {
  const { equals, startsWith, contains, notEqual } = rule
  if (equals !== undefined) return elements.includes(equals)
  if (startsWith !== undefined) return elements.some((element) => element.startsWith(startsWith))
  if (contains !== undefined) return elements.includes(contains)
  // A claim that is missing proves nothing, and so grants nothing.
  if (notEqual !== undefined) return elements.length > 0 && !elements.includes(notEqual)
  return false
}
