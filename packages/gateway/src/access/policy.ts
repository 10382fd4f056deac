import type { Demand, RouteConfig } from '../config/schema.ts'
import { elementsOf } from '../protocol/claim-elements.ts'
import type { SessionRecord } from '../session/record.ts'
import { createAssurance, type Shortfall } from './assurance.ts'
import { groupsOf } from './roles.ts'

/** Why a session may not use a route: for good, or until its user has signed in more strongly or more recently. */
export type Objection =
  | { readonly kind: 'denied'; readonly reason: string }
  | { readonly kind: 'step-up'; readonly shortfall: Shortfall }

/** Undefined: no objection. */
export type Check = (who: SessionRecord, now: number) => Objection | undefined

export interface Policy {
  readonly check: Check
  /** Demands with `mode: report`: what they would refuse is logged, and let through. */
  readonly dryRuns: readonly Check[]
}

/**
 * The demands of a route on who is signed in. All of one object hold together; of `roles`, `groups`, `acr` and of a claim's
 * values one is enough, of `scopes` every one is needed. @see ASVS 5.0 8.2.1
 */
export function createPolicy(access: RouteConfig['access']): Policy {
  if (typeof access !== 'object') return { check: () => undefined, dryRuns: [] }
  const { anyOf, allOf = [], mode, ...own } = access
  const checks = [...checksOf(own), ...(anyOf ? [any(anyOf.map((demand) => all(checksOf(demand))))] : [])]
  const enforced = allOf.filter((demand) => demand.mode !== 'report').flatMap(checksOf)
  const watched = allOf.filter((demand) => demand.mode === 'report').map((demand) => all(checksOf(demand)))
  if (mode === 'report') return { check: () => undefined, dryRuns: [all([...checks, ...enforced]), ...watched] }
  return { check: all([...checks, ...enforced]), dryRuns: watched }
}

function checksOf({ roles, groups, scopes, claims = {}, acr, maxAge }: Demand): Check[] {
  const lacks = createAssurance({ acr, maxAge })
  const assured: Check = (who, now) => {
    const shortfall = lacks(who, now)
    return shortfall && { kind: 'step-up', shortfall }
  }
  return [
    ...(roles ? [demand((who) => roles.some((role) => who.roles.includes(role)), `none of the roles ${roles}`)] : []),
    ...(groups ? [demand((who) => meets(groupsOf(who.attributes), groups), `none of the groups ${groups}`)] : []),
    ...(scopes
      ? [demand((who) => scopes.every((scope) => who.scopes?.includes(scope)), `not all scopes ${scopes}`)]
      : []),
    ...Object.entries(claims).map(([claim, wanted]) =>
      demand((who) => meets(elementsOf(who.attributes?.[claim]), [wanted].flat()), `claim ${claim} is another`),
    ),
    // Last: nobody is sent to sign in again for what they will not get.
    ...(acr !== undefined || maxAge !== undefined ? [assured] : []),
  ]
}

function demand(holds: (who: SessionRecord) => boolean, reason: string): Check {
  const objection: Objection = { kind: 'denied', reason }
  return (who) => (holds(who) ? undefined : objection)
}

/** The first objection; a denial before a step-up, which would not help. */
function all(checks: readonly Check[]): Check {
  const [only, ...more] = checks
  if (only === undefined) return () => undefined
  if (more.length === 0) return only
  return (who, now) => {
    let stepUp: Objection | undefined
    for (const check of checks) {
      const objection = check(who, now)
      if (objection?.kind === 'denied') return objection
      stepUp ??= objection
    }
    return stepUp
  }
}

/** The first alternative without objection; else one that a step-up opens, else the reasons of all. */
function any(alternatives: readonly Check[]): Check {
  return (who, now) => {
    const reasons: string[] = []
    let stepUp: Objection | undefined
    for (const check of alternatives) {
      const objection = check(who, now)
      if (objection === undefined) return undefined
      if (objection.kind === 'denied') reasons.push(objection.reason)
      else stepUp ??= objection
    }
    return stepUp ?? { kind: 'denied', reason: `no alternative holds: ${reasons.join('; ')}` }
  }
}

function meets(elements: readonly string[], wanted: readonly string[]): boolean {
  return wanted.some((one) => elements.includes(one))
}
