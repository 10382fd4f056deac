import type { RoleRule } from '../config/schema.ts'
import { elementsOf } from '../protocol/claim-elements.ts'
import type { JsonObject } from '../session/json.ts'
import { claimsRead, groupClaims } from './roles.ts'

/** Why a rule that does not match was perhaps thought to: the usual mistakes, each in a sentence. */
export function hintsOf(rule: RoleRule, claims: JsonObject): string[] {
  const names = claimsRead(rule).filter((name) => Object.hasOwn(claims, name))
  if (names.length === 0) return [...aboutName(rule.claim, claims)]
  // `notEqual` found what it must not: there is nothing that could have been meant.
  if (rule.notEqual !== undefined) return []
  return [...new Set(names.flatMap((name) => [...aboutValue(rule, name, claims[name])]))]
}

function* aboutName(claim: string, claims: JsonObject): Generator<string> {
  const names = Object.keys(claims)
  const otherCase = names.find((name) => name.toLowerCase() === claim.toLowerCase())
  if (otherCase !== undefined) yield `the claims have ${otherCase}: names are compared with their case`
  if (claim === 'cognito:groups' && names.includes('groups'))
    yield 'the claims have groups; claim: groups reads both names'
  const custom = names.find((name) => name === `custom:${claim}`)
  if (custom !== undefined) yield `the claims have ${custom}: an attribute of the user pool's own is named so in full`
  const [outer = '', ...inner] = claim.split('.')
  if (inner.length > 0 && names.includes(outer)) yield `${outer} is there, but only claims at the top are read`
  if (claims.token_use === 'access')
    yield 'these are claims of an access token; roles come from the ID token and UserInfo'
}

function* aboutValue(rule: RoleRule, name: string, value: unknown): Generator<string> {
  const wanted = rule.equals ?? rule.contains ?? rule.startsWith ?? ''
  const elements = elementsOf(value)
  const is = (one: string) => (rule.startsWith === undefined ? one === wanted : one.startsWith(wanted))
  const otherCase = elements.find(
    (one) => (rule.startsWith === undefined ? one : one.slice(0, wanted.length)).toLowerCase() === wanted.toLowerCase(),
  )
  if (otherCase !== undefined && !is(otherCase)) yield `"${otherCase}" differs in letter case only`
  const part = elements.find((one) => one !== otherCase && wanted !== '' && one.includes(wanted))
  if (part !== undefined) {
    yield rule.startsWith === undefined
      ? `"${part}" has it as a part; elements are compared whole, so that admin is not in nonadmin`
      : `"${part}" has it, but not at its start`
  }
  if (typeof value !== 'string') return
  if (wanted.includes(',')) yield `${name} is one text, taken apart at its commas: no element has one in it`
  else if (elements.length === 1 && /[ ;|]/.test(value) && value.split(/[ ;|]+/).some(is))
    yield `${name} is one text; lists are taken apart at commas only, not at spaces or semicolons`
  if ((groupClaims as readonly string[]).includes(name) || !value.startsWith('[') || !value.endsWith(']')) return
  yield `${name} is a list that became one text, as user pools keep them: an element with a comma in it can not be told from two`
}
