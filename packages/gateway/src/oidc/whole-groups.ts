import { groupsOf } from '../access/roles.ts'
import type { ProviderConfig } from '../config/schema.ts'
import { isJsonObject } from '../protocol/strict-json.ts'
import { kindOf } from '../providers/kinds.ts'
import type { JsonObject } from '../session/json.ts'
import type { ClaimsNow } from './claims-now.ts'
import type { GroupsApi } from './groups-api.ts'

/** Why the groups in the claims are not all of a user's. */
export type GroupsLack =
  /** They are too many for a token, which says where they could be asked for instead. */
  | 'overage'
  /** As many as the provider ever puts into a token: there may be more. */
  | 'truncated'

export interface WholeGroups {
  readonly claims: JsonObject
  readonly lack: GroupsLack | undefined
}

interface Given {
  readonly sub: string
  readonly accessToken: string
  readonly claims: JsonObject
}

/** Sees to it that `groups` are all of them, as far as there is an API to ask. */
export function createWholeGroups(config: ProviderConfig, deciding: readonly string[], api: GroupsApi | undefined) {
  async function atSignIn({ claims, ...user }: Given): Promise<WholeGroups> {
    const lack = lackOf(config, claims, deciding)
    if (api === undefined || (lack === undefined && claims.groups !== undefined)) return { claims, lack }
    return { claims: { ...claims, groups: await api(user) }, lack: undefined }
  }

  /** What can't be told now leaves the groups of the session as they were, as a UserInfo that does not answer does. */
  async function atRefresh(now: ClaimsNow, user: Omit<Given, 'claims'>): Promise<ClaimsNow> {
    if (api === undefined || !deciding.includes('groups')) return now
    try {
      const { claims } = await atSignIn({ claims: now.claims, ...user })
      return { ...now, claims }
    } catch (fault) {
      const { groups: _, ...claims } = now.claims
      return { claims, complete: false, fault }
    }
  }

  return { atSignIn, atRefresh }
}

/**
 * Some of the groups must not pass for all: whoever has two hundred would lose rights, and a rule `notEqual` would grant some.
 * @see OpenID Connect Core §5.6.2 (claims that are told elsewhere); Entra's overage; Okta's limit of a hundred
 */
function lackOf(config: ProviderConfig, claims: JsonObject, deciding: readonly string[]): GroupsLack | undefined {
  const { _claim_names: elsewhere, hasgroups } = claims
  const told = isJsonObject(elsewhere) ? Object.keys(elsewhere) : []
  if (hasgroups === true || hasgroups === 'true') return 'overage'
  if (told.some((claim) => claim === 'groups' || deciding.includes(claim))) return 'overage'
  const most = kindOf(config).mostGroups
  return most !== undefined && groupsOf(claims).length >= most ? 'truncated' : undefined
}
