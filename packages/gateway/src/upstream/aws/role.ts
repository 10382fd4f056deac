import { decodeJwt } from 'jose'
import type { IdentityPoolConfig } from '../../config/identity-pool-schema.ts'

export type Role =
  | { readonly kind: 'role'; readonly arn: string | undefined }
  | { readonly kind: 'none'; readonly reason: string }

/**
 * Which role is asked for. In the enhanced flow the pool decides, and refuses one that the token doesn't list. In the basic
 * flow nobody does but us: STS looks at the role's trust policy only, and that trusts every user of the pool.
 * `idToken` was verified when it came.
 */
export function roleOf(
  { flow, roleFrom }: Pick<IdentityPoolConfig, 'flow' | 'roleFrom'>,
  wanted: string | undefined,
  idToken: string,
): Role {
  const custom = wanted ?? (typeof roleFrom === 'object' ? roleFrom.customRoleArn : undefined)
  if (flow === 'enhanced') return { kind: 'role', arn: custom }
  const claims = decodeJwt(idToken)
  const roles = rolesIn(claims['cognito:roles'])
  const preferred = claims['cognito:preferred_role']
  const arn = custom ?? (typeof preferred === 'string' ? preferred : roles.length === 1 ? roles[0] : undefined)
  if (arn === undefined) return { kind: 'none', reason: `the ID token names ${roles.length} roles and prefers none` }
  if (!roles.includes(arn)) return { kind: 'none', reason: `cognito:roles of the ID token does not list ${arn}` }
  return { kind: 'role', arn }
}

function rolesIn(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(',').map((role) => role.trim())
  return Array.isArray(claim) ? claim.filter((role) => typeof role === 'string') : []
}
