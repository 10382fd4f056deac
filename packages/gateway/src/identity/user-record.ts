import { hash } from 'node:crypto'
import type { JsonObject } from '../session/json.ts'
import type { Subject } from '../session/record.ts'
import type { UserId } from './user-store.ts'

/** One way in which a user signs in. Times are milliseconds since the epoch. */
export interface Identity extends Subject {
  /** The configured name of the provider, as of the last sign-in. */
  readonly provider: string
  /** The address that the provider vouched for at the last sign-in, normalised: by it, and nothing else, rules link. */
  readonly email?: string
  readonly firstLoginAt: number
  readonly lastLoginAt: number
  /** The rule that joined it to the identity before it; absent for the first. */
  readonly linkedBy?: 'verified-email'
  /** Of the claims that decide what the user may do: those that came when the provider last told all. */
  readonly told: readonly string[]
  /** Those that came once and do not come any more. */
  readonly missing?: readonly string[]
}

/** What the directory knows of a user: as of the last sign-in, but for the first one's date. */
export interface UserRecord {
  readonly kind: 'user'
  /** In the order in which they came; never empty. */
  readonly identities: readonly Identity[]
  /** The configured name of the provider of the last sign-in. */
  readonly provider: string
  readonly profile: JsonObject
  readonly groups: readonly string[]
  readonly roles: readonly string[]
  readonly firstLoginAt: number
  readonly lastLoginAt: number
  readonly disabled?: { readonly at: number; readonly reason?: string }
}

/** In the row of an identity that was linked: the user to whom it belongs. */
export interface Alias {
  readonly kind: 'alias'
  readonly of: UserId
}

/**
 * The row of an identity. A hash, as the indices of sessions are, and not of the key ring's: it must still be found when
 * the key under which it was first written is long gone, or a disabled user would be a new one.
 */
export function userIdOf({ iss, sub }: Subject): UserId {
  // With a hyphen in front, `coatcheck users disable ID` would take it for an option.
  return digest('user', iss, sub).slice(0, 22).replace(/^-/, '_') as UserId
}

/** Whose address this is, as one issuer vouches for it. */
export function addressIndex(iss: string, email: string): string {
  return `address:${digest('address', iss, email)}`
}

export function indicesOf(row: UserRecord | Alias): string[] {
  if (row.kind === 'alias') return []
  return row.identities.flatMap(({ iss, email }) => (email === undefined ? [] : [addressIndex(iss, email)]))
}

/** JSON keeps the parts apart: no issuer and subject can be shifted into looking like another pair. */
function digest(...parts: string[]): string {
  return hash('sha256', JSON.stringify(parts), 'base64url')
}

/** As operators see a user. */
export function describeUser(id: UserId, record: UserRecord) {
  const iso = (time: number) => new Date(time).toISOString()
  const { disabled, profile, groups, roles, provider, identities } = record
  return {
    id,
    disabled: disabled !== undefined,
    ...(disabled && { disabledAt: iso(disabled.at) }),
    ...(disabled?.reason !== undefined && { disabledReason: disabled.reason }),
    provider,
    firstLoginAt: iso(record.firstLoginAt),
    lastLoginAt: iso(record.lastLoginAt),
    profile,
    groups,
    roles,
    identities: identities.map(({ told: _, firstLoginAt, lastLoginAt, ...identity }) => ({
      ...identity,
      firstLoginAt: iso(firstLoginAt),
      lastLoginAt: iso(lastLoginAt),
    })),
  }
}

export type DescribedUser = ReturnType<typeof describeUser>
