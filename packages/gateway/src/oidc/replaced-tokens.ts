import type { LiveSession, Tokens } from '../session/record.ts'
import type { Sessions } from '../session/sessions.ts'
import type { SessionId } from '../session/store.ts'

/** Who signed in, and the provider's own name for that sign-in, where it has one. */
export interface Successor {
  readonly provider: string
  readonly sub: string
  readonly sid: unknown
}

export interface Replaced {
  /** Refresh tokens that the new session keeps until its own end, to revoke them then. */
  readonly inherited: readonly string[]
  /** Sessions whose tokens can be revoked as soon as they ended. */
  readonly revocable: readonly LiveSession[]
}

/** So many are carried along; what is older ends by the provider's own times. */
const most = 4

/**
 * What becomes of the tokens of sessions that a sign-in replaces. Providers tie a user's sign-ins in one browser to one
 * grant, and to revoke a refresh token is to revoke its grant (RFC 7009 §2.1): the tokens just received would die with the
 * old ones. So where the new sign-in may be on the same grant, the new session inherits the old refresh token.
 */
export function sortReplaced(
  sessions: Pick<Sessions, 'opened'>,
  ids: ReadonlySet<SessionId>,
  successor: Successor,
): Replaced {
  const known = [...ids].flatMap((id) => sessions.opened(id) ?? [])
  const related = known.filter(({ record }) => mayShareGrant(record, successor))
  const inherited = related.flatMap(({ tokens }) => refreshTokensOf(tokens)).slice(-most)
  return { inherited, revocable: known.filter((session) => !related.includes(session)) }
}

/** Whether the tokens of a sign-in that came to nothing can be revoked without harm to the sessions that the browser has. */
export function isApart(
  sessions: Pick<Sessions, 'opened'>,
  ids: ReadonlySet<SessionId>,
  successor: Successor,
): boolean {
  return [...ids].every((id) => {
    const known = sessions.opened(id)
    return known !== undefined && !mayShareGrant(known.record, successor)
  })
}

function mayShareGrant({ provider, subject, providerSid }: LiveSession['record'], successor: Successor): boolean {
  if (provider !== successor.provider || subject.sub !== successor.sub) return false
  return providerSid === undefined || successor.sid === undefined || providerSid === successor.sid
}

function refreshTokensOf({ refreshToken, inherited = [] }: Tokens): string[] {
  return refreshToken === undefined ? [...inherited] : [...inherited, refreshToken]
}
