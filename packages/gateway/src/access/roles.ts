import type { Config, RoleRule } from '../config/schema.ts'
import { elementsOf } from '../protocol/claim-elements.ts'
import type { JsonObject } from '../session/json.ts'

/** From claims to roles: the rules, and whether all that match grant or only the first. */
export type RoleMapping = Pick<Config, 'roles' | 'rolesMatch'>

/** The application's roles of a user: what the rules that match grant, first to last, each once. */
export function rolesOf(mapping: RoleMapping, claims: JsonObject): string[] {
  const granting = grantingRules(mapping, claims)
  return [...new Set(granting.flatMap((index) => mapping.roles[index]?.grant ?? []))]
}

/** Which rules granted each role: `{ admin: ['roles[0]'] }`. */
export function rulesByRole(mapping: RoleMapping, claims: JsonObject): Record<string, string[]> {
  const granting = grantingRules(mapping, claims)
  const from = (role: string) => granting.filter((index) => mapping.roles[index]?.grant.includes(role))
  return Object.fromEntries(
    rolesOf(mapping, claims).map((role) => [role, from(role).map((index) => `roles[${index}]`)]),
  )
}

/** The places of the rules that grant. */
export function grantingRules({ roles, rolesMatch }: RoleMapping, claims: JsonObject): number[] {
  const matching: number[] = []
  for (const [index, rule] of roles.entries()) {
    if (!matches(rule, rule.claim === 'groups' ? groupsOf(claims) : elementsOf(claims[rule.claim]))) continue
    matching.push(index)
    if (rolesMatch === 'first') break
  }
  return matching
}

/** `groups` is what most providers call it; Amazon Cognito has a name of its own. */
export const groupClaims = ['groups', 'cognito:groups'] as const

export function groupsOf(claims: JsonObject = {}): string[] {
  return groupClaims.flatMap((name) => elementsOf(claims[name]))
}

/** The claims that a rule reads. */
export function claimsRead({ claim }: Pick<RoleRule, 'claim'>): readonly string[] {
  return claim === 'groups' ? groupClaims : [claim]
}

function matches(rule: RoleRule, elements: readonly string[]): boolean {
  // A claim that is missing proves nothing, and so grants nothing.
  if (rule.notEqual !== undefined) return elements.length > 0 && !elements.includes(rule.notEqual)
  return elements.some((element) => fits(rule, element))
}

/** Whether this element is what the rule looks for. */
export function fits({ equals, startsWith, contains }: RoleRule, element: string): boolean {
  if (startsWith !== undefined) return element.startsWith(startsWith)
  const whole = equals ?? contains
  return whole !== undefined && element === whole
}
