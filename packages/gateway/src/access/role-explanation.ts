import type { RoleRule } from '../config/schema.ts'
import { elementsOf } from '../protocol/claim-elements.ts'
import { isJsonObject } from '../protocol/strict-json.ts'
import type { JsonObject } from '../session/json.ts'
import { hintsOf } from './role-hints.ts'
import { claimsRead, fits, grantingRules, type RoleMapping, rolesOf } from './roles.ts'

/** What one rule made of the claims. */
export interface ExplainedRule {
  /** Where it stands under `roles`. */
  readonly index: number
  /** `groups contains admin` */
  readonly asks: string
  readonly grant: readonly string[]
  readonly outcome: 'grants' | 'no-match' | 'not-reached'
  /** What was found, or what was missing. */
  readonly why: string
  /** The claim and the element of it that grant; no element where none may be there (`notEqual`). */
  readonly by?: { readonly claim: string; readonly element?: string }
  /** What may have been meant, where nothing matched. */
  readonly hints: readonly string[]
}

export interface ExplainedRoles {
  readonly roles: readonly string[]
  readonly rules: readonly ExplainedRule[]
}

/** Why a user with these claims has the roles, and not others: by the very rules that decide. */
export function explainRoles(mapping: RoleMapping, claims: JsonObject): ExplainedRoles {
  const granting = grantingRules(mapping, claims)
  const last = mapping.rolesMatch === 'first' ? granting.at(-1) : undefined
  const rules = mapping.roles.map((rule, index): ExplainedRule => {
    const what = { index, asks: asked(rule), grant: rule.grant }
    if (granting.includes(index)) return { ...what, outcome: 'grants', ...foundBy(rule, claims), hints: [] }
    if (last !== undefined && index > last) {
      return {
        ...what,
        outcome: 'not-reached',
        why: `roles[${last}] matched before, and only the first grants`,
        hints: [],
      }
    }
    return { ...what, outcome: 'no-match', why: whyNot(rule, claims), hints: hintsOf(rule, claims) }
  })
  return { roles: rolesOf(mapping, claims), rules }
}

function asked({ claim, equals, startsWith, contains, notEqual }: RoleRule): string {
  if (equals !== undefined) return `${claim} equals ${equals}`
  if (startsWith !== undefined) return `${claim} startsWith ${startsWith}`
  return contains !== undefined ? `${claim} contains ${contains}` : `${claim} notEqual ${notEqual}`
}

function foundBy(rule: RoleRule, claims: JsonObject): Pick<ExplainedRule, 'why' | 'by'> {
  const found = claimsRead(rule).map((claim) => ({ claim, elements: elementsOf(claims[claim]) }))
  for (const { claim, elements } of found) {
    const element = elements.find((one) => fits(rule, one))
    if (element !== undefined) return { why: `${quoted(element)} of ${claim}`, by: { claim, element } }
  }
  const read = found.filter(({ elements }) => elements.length > 0).map(({ claim }) => claim)
  return { why: `no element of ${read.join(' or ')} is it`, ...(read[0] !== undefined && { by: { claim: read[0] } }) }
}

function whyNot(rule: RoleRule, claims: JsonObject): string {
  const names = claimsRead(rule)
  const there = names.filter((name) => Object.hasOwn(claims, name))
  if (there.length === 0)
    return names.length === 1 ? 'there is no such claim' : `there is neither ${names.join(' nor ')}`
  const elements = there.flatMap((name) => elementsOf(claims[name]))
  if (elements.length > 0) {
    const has = `${there.join(' and ')} ${there.length === 1 ? 'has' : 'have'} ${shown(elements)}`
    return rule.notEqual === undefined ? has : `${has}, which it must not`
  }
  const [name = ''] = there
  const value = claims[name]
  if (isJsonObject(value)) return `${name} is an object; texts and lists of texts are read`
  return Array.isArray(value) && value.length > 0 ? `no element of ${name} is a text` : `${name} is empty`
}

const most = 10

function shown(elements: readonly string[]): string {
  const more = elements.length > most ? ` and ${elements.length - most} more` : ''
  return elements.slice(0, most).map(quoted).join(', ') + more
}

const quoted = (text: string) => `"${text.length > 80 ? `${text.slice(0, 80)}…` : text}"`
