import { type ExplainedRoles, type ExplainedRule, explainRoles } from '../access/role-explanation.ts'
import type { Loaded } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { printable } from '../protocol/printable.ts'
import type { JsonObject } from '../session/json.ts'
import { type ExplainedAwsRole, explainAwsRole } from '../upstream/aws/role-explanation.ts'
import { row } from './explained-rows.ts'
import type { Io } from './options.ts'

export interface AskedOfClaims {
  readonly claims: JsonObject
  /** The configuration, as the operator wrote it. */
  readonly file: string
  readonly json: boolean
}

/** A configuration that is sound. */
export interface Known {
  readonly config: Config
  readonly lineOf: Extract<Loaded, { config: Config }>['lineOf']
}

/** `coatcheck explain roles --claims FILE`: which rule gave which role, and why the others gave none. */
export function explainClaims({ claims, file, json }: AskedOfClaims, known: Known, io: Io): void {
  const { config } = known
  const explained = explainRoles(config, claims)
  const aws = awsRoles(config, claims)
  if (json) {
    io.stdout.write(
      `${JSON.stringify({ ...withLines(explained, known), ...(aws.length > 0 && { aws }) }, undefined, 2)}\n`,
    )
    return
  }
  const rows = [...rowsOfRoles(explained, known, file), ...aws.map((one) => row('aws', describeAws(one)))]
  io.stdout.write(`${['roles', ...rows].join('\n')}\n`)
}

export function withLines(explained: ExplainedRoles, { lineOf }: Known) {
  return { ...explained, rules: explained.rules.map((rule) => ({ ...rule, line: lineOf(['roles', rule.index]) })) }
}

/** A line for each role and the rules that grant it, then one for each rule that does not, with what may be wrong. */
export function rowsOfRoles({ roles, rules }: ExplainedRoles, { config, lineOf }: Known, file: string): string[] {
  const place = ({ index }: ExplainedRule) => `roles[${index}] (${file}:${lineOf(['roles', index])})`
  const granting = rules.filter(({ outcome }) => outcome === 'grants')
  const granted = roles.flatMap((role) =>
    granting
      .filter(({ grant }) => grant.includes(role))
      .map((rule) => row('granted', text(`${role} by ${place(rule)}: ${rule.asks}; ${rule.why}`))),
  )
  const not = rules
    .filter(({ outcome }) => outcome !== 'grants')
    .flatMap((rule) => [
      row('not', text(`${rule.grant.join(', ')} by ${place(rule)}: ${rule.asks}; ${rule.why}`)),
      ...rule.hints.map((hint) => row('', text(`hint: ${hint}`))),
    ])
  const none = config.roles.length === 0 ? 'none: the configuration has no rules under roles' : 'none'
  return [...(granted.length > 0 ? granted : [row('granted', none)]), ...not]
}

export interface AwsRoleOf extends ExplainedAwsRole {
  readonly provider: string
}

/** What each identity pool that these claims may be of would give; the issuer says which, where the claims have it. */
export function awsRoles(config: Config, claims: JsonObject, route?: Config['routes'][number]): AwsRoleOf[] {
  const { credential } = route ?? {}
  const asked = typeof credential === 'object' && credential.kind === 'aws' ? credential.aws : undefined
  if (route !== undefined && asked === undefined) return []
  return Object.entries(config.providers).flatMap(([provider, { identityPool, issuer }]) => {
    if (identityPool === undefined || (asked?.provider ?? provider) !== provider) return []
    if (typeof claims.iss === 'string' && claims.iss !== issuer) return []
    return [{ provider, ...explainAwsRole(identityPool, asked?.roleArn, claims) }]
  })
}

export function describeAws({ provider, roleArn, refused, why }: AwsRoleOf): string {
  const what = roleArn ?? (refused ? 'no credentials' : 'not known here')
  return text(`${what} by ${provider}: ${why}`)
}

/** Claims may hold anything, and this goes to a terminal. */
function text(words: string): string {
  return printable(words, 2000)
}
