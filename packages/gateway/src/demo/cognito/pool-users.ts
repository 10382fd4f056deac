import { randomUUID } from 'node:crypto'
import type { PoolGroup, PoolIdentityProvider, PoolUser } from './pool-settings.ts'

export interface NativeUser {
  readonly username: string
  readonly password: string
  readonly attributes?: Readonly<Record<string, string>>
  readonly groups?: readonly string[]
}

/** What the pool's limits and triggers decide about its users. */
export interface PoolUserOptions {
  readonly userPoolId: string
  readonly groups: readonly PoolGroup[]
  readonly now: () => number
  /** The groups that tokens name, in place of the user's own: what a PreTokenGeneration trigger decides. */
  readonly preTokenGeneration?: ((user: PoolUser) => readonly string[]) | undefined
}

/** An attribute of the provider can't become one of the pool. */
export class AttributeError extends Error {}

const maxAttribute = 2048

export type PoolUsers = ReturnType<typeof createPoolUsers>

/** The users of the pool: its own, and those that came from identity providers. */
export function createPoolUsers({ userPoolId, groups, now, preTokenGeneration }: PoolUserOptions) {
  const users = new Map<string, PoolUser>()

  return {
    all: () => [...users.values()],
    find: (username: string) => users.get(username),

    addNative({ username, password, attributes = {}, groups: own = [] }: NativeUser): PoolUser {
      const sub = randomUUID()
      const user: PoolUser = {
        username,
        sub,
        password,
        attributes: new Map(Object.entries(attributes)),
        groups: new Set(own),
        enabled: true,
      }
      users.set(username, user)
      return user
    },

    /** Creates the user at the first sign-in, and updates mapped attributes at each. */
    federated(provider: PoolIdentityProvider, claims: Readonly<Record<string, unknown>>): PoolUser {
      const fresh = mapped(provider, claims)
      const userId = String(claims.sub)
      const username = `${provider.name}_${userId}`
      const user = users.get(username) ?? {
        username,
        sub: randomUUID(),
        attributes: new Map(),
        // The pool makes this group by itself, one for each provider.
        groups: new Set([`${userPoolId}_${provider.name}`]),
        identity: { userId, providerName: provider.name, issuer: provider.issuer, dateCreated: now() },
        enabled: true,
      }
      // A claim that is gone upstream leaves the old value where it was: that is how the real pool keeps stale roles.
      for (const [name, value] of fresh) user.attributes.set(name, value)
      users.set(username, user)
      return user
    },

    groupsOf: (user: PoolUser): readonly string[] => preTokenGeneration?.(user) ?? [...user.groups],

    rolesOf(names: readonly string[]): { roles: string[]; preferred: string | undefined } {
      const own = groups.filter((group) => names.includes(group.name) && group.roleArn !== undefined)
      const rank = ({ precedence = Number.POSITIVE_INFINITY }: PoolGroup) => precedence
      const best = Math.min(...own.map(rank))
      const first = new Set(own.filter((group) => rank(group) === best).map((group) => group.roleArn as string))
      const roles = [...new Set(own.map((group) => group.roleArn as string))]
      // Several at the same precedence with different roles: none is preferred.
      return { roles, preferred: first.size === 1 ? [...first][0] : undefined }
    },
  }
}

function mapped(provider: PoolIdentityProvider, claims: Readonly<Record<string, unknown>>): Map<string, string> {
  const attributes = new Map<string, string>()
  for (const [attribute, claim] of Object.entries(provider.attributeMap)) {
    const value = claims[claim]
    if (value === undefined || value === null) continue
    const text = flattened(value)
    if (text.length > maxAttribute) throw new AttributeError(`${attribute}: Attribute value is longer than 2048`)
    attributes.set(attribute, text)
  }
  return attributes
}

/** The pool knows no lists: several values become one string, from which they can't always be told apart again. */
export function flattened(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(String).join(', ')}]`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
