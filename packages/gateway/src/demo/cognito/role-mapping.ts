import type { JWTPayload } from 'jose'
import { AwsError } from './json-error.ts'

export interface MappingRule {
  readonly claim: string
  readonly matchType: 'Equals' | 'NotEqual' | 'StartsWith' | 'Contains'
  readonly value: string
  readonly roleArn: string
}

/** How an identity pool picks the role: from the token's own claims, or by rules; else the ambiguous case decides. */
export type RoleMapping = { readonly ambiguous?: 'AuthenticatedRole' | 'Deny' } & (
  | { readonly type: 'Token' }
  | { readonly type: 'Rules'; readonly rules: readonly MappingRule[] }
)

export const maxRules = 25

export interface RoleChoice {
  readonly mapping: RoleMapping | undefined
  readonly authenticatedRole: string
  readonly customRoleArn: string | undefined
}

/** The role that the pool gives to the holder of these claims. */
export function chooseRole(claims: JWTPayload, { mapping, authenticatedRole, customRoleArn }: RoleChoice): string {
  const roles = rolesOf(claims)
  if (customRoleArn !== undefined) {
    // The one defence of the enhanced flow: a user asks for no role that the token doesn't list.
    if (mapping?.type === 'Token' && roles.includes(customRoleArn)) return customRoleArn
    throw new AwsError('NotAuthorizedException', 'Token is not authorized to assume this role.')
  }
  if (mapping === undefined) return authenticatedRole
  const chosen = mapping.type === 'Token' ? byToken(claims, roles) : byRules(claims, mapping.rules)
  if (chosen !== undefined) return chosen
  if (mapping.ambiguous === 'AuthenticatedRole') return authenticatedRole
  throw new AwsError('NotAuthorizedException', 'Access to role is forbidden: no role could be determined.')
}

function byToken(claims: JWTPayload, roles: readonly string[]): string | undefined {
  const preferred = claims['cognito:preferred_role']
  if (typeof preferred === 'string') return preferred
  return roles.length === 1 ? roles[0] : undefined
}

/** The first that matches. A list is compared as the text that the pool makes of it: `Contains` looks for any part. */
function byRules(claims: JWTPayload, rules: readonly MappingRule[]): string | undefined {
  return rules.find(({ claim, matchType, value }) => {
    const actual = claims[claim]
    if (actual === undefined) return false
    const text = Array.isArray(actual) ? `[${actual.join(', ')}]` : String(actual)
    if (matchType === 'Equals') return text === value
    if (matchType === 'NotEqual') return text !== value
    return matchType === 'StartsWith' ? text.startsWith(value) : text.includes(value)
  })?.roleArn
}

function rolesOf(claims: JWTPayload): string[] {
  const roles = claims['cognito:roles']
  if (typeof roles === 'string') return roles.split(',')
  return Array.isArray(roles) ? roles.map(String) : []
}
