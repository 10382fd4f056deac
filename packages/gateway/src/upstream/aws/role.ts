import { decodeJwt } from 'jose'
import type { IdentityPoolConfig } from '../../config/identity-pool-schema.ts'

export type Role =
  | { readonly kind: 'role'; readonly arn: string | undefined }
  | { readonly kind: 'none'; readonly reason: string }

/** Whose word on the role counts. */
export type RoleSettings = Pick<IdentityPoolConfig, 'flow' | 'roleFrom'>

/**
 * Which role is asked for. In the enhanced flow the pool decides, and refuses one that the token doesn't list. In the basic
 * flow nobody does but us: STS looks at the role's trust policy only, and that trusts every user of the pool.
 * `idToken` was verified when it came.
 */
export function roleOf(settings: RoleSettings, wanted: string | undefined, idToken: string): Role {
  const custom = askedFor(settings, wanted)
  if (settings.flow === 'enhanced') return { kind: 'role', arn: custom }
  const { roles, chosen } = rolesOfToken(decodeJwt(idToken))
  const arn = custom ?? chosen
  if (arn === undefined) return { kind: 'none', reason: `the ID token names ${roles.length} roles and prefers none` }
  if (!roles.includes(arn)) return { kind: 'none', reason: `cognito:roles of the ID token does not list ${arn}` }
  return { kind: 'role', arn }
}

/** The role that the configuration asks for: of the route, else of the pool. */
export function askedFor({ roleFrom }: Pick<RoleSettings, 'roleFrom'>, wanted: string | undefined): string | undefined {
  return wanted ?? (typeof roleFrom === 'object' ? roleFrom.customRoleArn : undefined)
}

export interface RolesOfToken {
  readonly roles: readonly string[]
  /** By what the token says: the preferred one, else the only one. */
  readonly chosen: string | undefined
  readonly preferred: boolean
}

export function rolesOfToken(claims: Readonly<Record<string, unknown>>): RolesOfToken {
  const roles = rolesIn(claims['cognito:roles'])
  const preferred = claims['cognito:preferred_role']
  if (typeof preferred === 'string') return { roles, chosen: preferred, preferred: true }
  return { roles, chosen: roles.length === 1 ? roles[0] : undefined, preferred: false }
}

function rolesIn(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(',').map((role) => role.trim())
  return Array.isArray(claim) ? claim.filter((role) => typeof role === 'string') : []
}
