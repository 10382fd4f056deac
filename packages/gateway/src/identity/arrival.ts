import { isDeepStrictEqual } from 'node:util'
import type { JsonObject } from '../session/json.ts'
import type { Subject } from '../session/record.ts'
import type { Identity, UserRecord } from './user-record.ts'

/** What a provider tells of a user who signs in, or whose tokens are renewed. */
export interface Told {
  readonly subject: Subject
  readonly provider: string
  readonly profile: JsonObject
  /** Undefined where they were not asked for. */
  readonly groups: readonly string[] | undefined
  readonly roles: readonly string[]
  /** The claims of which it is noticed when they come no more: those that decide what the user may do. */
  readonly asked: readonly string[]
  /** Those of them that came. */
  readonly told: readonly string[]
}

export interface Arrival extends Told {
  /** The address that the provider vouches for, normalised. */
  readonly email?: string | undefined
}

/** The record after a sign-in; `before` is undefined for somebody new. An identity that it does not have yet is added. */
export function afterSignIn(before: UserRecord | undefined, arrival: Arrival, now: number): UserRecord {
  const known = before?.identities.find((one) => isOf(one, arrival.subject))
  const { iss, sub } = arrival.subject
  const identity: Identity = {
    ...{ iss, sub, provider: arrival.provider },
    ...(arrival.email !== undefined && { email: arrival.email }),
    firstLoginAt: known?.firstLoginAt ?? now,
    lastLoginAt: now,
    ...(known === undefined && before !== undefined && { linkedBy: 'verified-email' as const }),
    ...(known?.linkedBy && { linkedBy: known.linkedBy }),
    ...claimsOf(known, arrival),
  }
  const others = before?.identities ?? []
  return {
    ...toldNow(arrival, before),
    profile: arrival.profile,
    kind: 'user',
    identities: known ? others.map((one) => (one === known ? identity : one)) : [...others, identity],
    firstLoginAt: before?.firstLoginAt ?? now,
    lastLoginAt: now,
    ...(before?.disabled && { disabled: before.disabled }),
  }
}

/** The record after a refresh; undefined where that told nothing new. It is no sign-in, so no date changes. */
export function afterRefresh(before: UserRecord, told: Told): UserRecord | undefined {
  const known = before.identities.find((one) => isOf(one, told.subject))
  if (!known) return undefined
  const { told: _, missing: __, ...rest } = known
  const identity: Identity = { ...rest, ...claimsOf(known, told) }
  const identities = before.identities.map((one) => (one === known ? identity : one))
  // Another identity of the same user may have signed in since: the record is as of the last sign-in.
  const latest = before.lastLoginAt === known.lastLoginAt
  const after = { ...before, ...(latest && toldNow(told, before)), identities }
  return isDeepStrictEqual(after, before) ? undefined : after
}

/** One user of two, by a rule that links them; `elder` signed in first. */
export function merged(elder: UserRecord, younger: UserRecord): UserRecord {
  const joined = younger.identities
    .filter((one) => !elder.identities.some((known) => isOf(known, one)))
    .map((one) => ({ ...one, linkedBy: 'verified-email' as const }))
  return { ...elder, identities: [...elder.identities, ...joined] }
}

export function isOf(one: Subject, { iss, sub }: Subject): boolean {
  return one.iss === iss && one.sub === sub
}

/** What an operator would want to know of a change: names of what differs, and roles, which are words of ours. */
export function changesOf(before: UserRecord, after: UserRecord) {
  const names = (['provider', 'profile', 'groups', 'roles'] as const).filter(
    (name) => !isDeepStrictEqual(before[name], after[name]),
  )
  return {
    changed: names,
    rolesGained: after.roles.filter((role) => !before.roles.includes(role)),
    rolesLost: before.roles.filter((role) => !after.roles.includes(role)),
  }
}

/** Claims that went missing with this one. */
export function lostClaims(before: UserRecord | undefined, after: UserRecord, subject: Subject): readonly string[] {
  const missingIn = (record: UserRecord | undefined) =>
    record?.identities.find((one) => isOf(one, subject))?.missing ?? []
  const known = missingIn(before)
  return missingIn(after).filter((claim) => !known.includes(claim))
}

function toldNow({ provider, profile, groups, roles }: Told, before: UserRecord | undefined) {
  return {
    provider,
    profile: { ...before?.profile, ...profile },
    groups: [...(groups ?? before?.groups ?? [])],
    roles: [...roles],
  }
}

/** A claim that is absent is another thing than one that is empty: it is remembered as missing until it comes again. */
function claimsOf(known: Identity | undefined, { asked, told }: Told): Pick<Identity, 'told' | 'missing'> {
  const before = known?.told ?? []
  const now = [...told, ...before.filter((claim) => !asked.includes(claim))]
  const missing = [...(known?.missing ?? []), ...before].filter((claim) => !now.includes(claim))
  return { told: now, ...(missing.length > 0 && { missing }) }
}
