import { askedFor, type RoleSettings, rolesOfToken } from './role.ts'

export interface ExplainedAwsRole {
  /** As far as it can be told here; the identity pool has the last word. */
  readonly roleArn?: string
  readonly why: string
  /** It is known that there will be no credentials. */
  readonly refused?: true
}

/** Which role of IAM a user with these claims of an ID token gets. `wanted`: what the route asks for. */
export function explainAwsRole(
  settings: RoleSettings,
  wanted: string | undefined,
  claims: Readonly<Record<string, unknown>>,
): ExplainedAwsRole {
  const { roles, chosen, preferred } = rolesOfToken(claims)
  const custom = askedFor(settings, wanted)
  if (custom !== undefined) {
    const whose = wanted === undefined ? 'customRoleArn of the identity pool' : 'roleArn of the route'
    if (roles.includes(custom)) return { roleArn: custom, why: `${whose}, and cognito:roles lists it` }
    return { refused: true, why: `${whose} asks for ${custom}, which cognito:roles does not list` }
  }
  if (settings.flow === 'enhanced' && settings.roleFrom === 'rules')
    return { why: 'the rules of the identity pool decide, first to last; the gateway does not know them' }
  if (chosen !== undefined) {
    const why = preferred
      ? 'cognito:preferred_role, that of the group with the lowest precedence'
      : 'the only one of cognito:roles'
    if (settings.flow === 'enhanced' || roles.includes(chosen)) return { roleArn: chosen, why }
    return { refused: true, why: `cognito:preferred_role is ${chosen}, which cognito:roles does not list` }
  }
  const names = roles.length === 0 ? 'cognito:roles names none' : `cognito:roles names ${roles.length} and prefers none`
  if (settings.flow === 'basic') return { refused: true, why: names }
  return {
    why: `${names}: the identity pool gives its authenticated role, or refuses, as AmbiguousRoleResolution says`,
  }
}
