import { emailIndex, federatedIndex, providerSidIndex, userIndex } from '../session/indices.ts'
import type { SessionRecord } from '../session/record.ts'
import type { ListedSession, Sessions } from '../session/sessions.ts'
import { covers, type Reach } from './reach.ts'
import type { Identifier, Subject } from './subject.ts'

/** The live sessions that a subject means, among those that may be meant. */
export async function findSessions(
  { underIndex }: Pick<Sessions, 'underIndex'>,
  { simple, user, session }: Subject,
  reach: Reach,
): Promise<ListedSession[]> {
  const sids = sidsOf(session ?? simple, reach)
  const users = [user, simple].flatMap((identifier) => usersOf(identifier, reach))
  const indices = session ? sids : [...sids, ...users]
  const found = new Map<string, ListedSession>()
  for (const index of new Set(indices)) {
    for (const listed of await underIndex(index)) found.set(listed.id, listed)
  }
  return [...found.values()].filter(
    ({ record }) => covers(reach, record.provider) && (session === undefined || fits(record, user, reach)),
  )
}

/** A session id means something at the provider that made it, and nowhere else: another may use the same. */
function sidsOf(identifier: Identifier | undefined, { own }: Reach): string[] {
  return identifier?.format === 'opaque' && own ? [providerSidIndex(own.issuer, identifier.id)] : []
}

function usersOf(identifier: Identifier | undefined, reach: Reach): string[] {
  switch (identifier?.format) {
    case undefined:
      return []
    case 'email':
      return [emailIndex(identifier.email)]
    case 'opaque':
      return reach.own ? [userIndex({ iss: reach.own.issuer, sub: identifier.id })] : []
    case 'iss_sub': {
      const { iss, sub } = identifier
      const { identityProvider: provider } = reach
      const behind = iss === reach.issuer && provider !== undefined
      return [
        ...issuersNamed(iss, reach).map((issuer) => userIndex({ iss: issuer, sub })),
        ...(behind ? reach.providers.map(({ issuer }) => federatedIndex(issuer, { provider, sub })) : []),
      ]
    }
  }
}

/** Whoever speaks may name its users under its own issuer, or as their provider does (an Okta org and its server). */
function issuersNamed(iss: string, { own, issuer, providers }: Reach): string[] {
  const same = providers.filter((provider) => provider.issuer === iss).map((provider) => provider.issuer)
  return iss === issuer && own ? [...same, own.issuer] : same
}

/** Whether a user may be that of the session. What the session doesn't know fits (SSF 1.0 §8.1.3.1); what differs does not. */
function fits(record: SessionRecord, user: Identifier | undefined, reach: Reach): boolean {
  if (user === undefined) return true
  if (user.format === 'email') return record.email === undefined || record.email === user.email
  const { iss } = record.subject
  const known = [userIndex(record.subject), ...(record.federated ?? []).map((one) => federatedIndex(iss, one))]
  return usersOf(user, reach).some((index) => known.includes(index))
}

/** Does anybody whose sessions may be meant go by this name at all? */
export function isWithin({ simple }: Subject, reach: Reach): boolean {
  if (simple?.format === 'email') return reach.providers.length > 0
  return simple !== undefined && (usersOf(simple, reach).length > 0 || sidsOf(simple, reach).length > 0)
}
