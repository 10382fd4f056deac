import type { Config } from '../config/schema.ts'
import type { Json, JsonObject } from '../session/json.ts'

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

/**
 * A claim as a list. Providers flatten lists into `a,b` or `[a, b]`; they are taken apart again and compared element by
 * element, never as a substring: `admin` is not in `nonadmin`.
 */
export function elementsOf(claim: Json | undefined): string[] {
  if (claim === undefined || claim === null) return []
  if (Array.isArray(claim)) return claim.filter((element) => typeof element === 'string')
  if (typeof claim === 'string') {
    const list = claim.startsWith('[') && claim.endsWith(']') ? claim.slice(1, -1) : claim
    return list
      .split(',')
      .map((element) => element.trim())
      .filter((element) => element !== '')
  }
  return typeof claim === 'object' ? [] : [String(claim)]
}
