import type { Config } from '../config/schema.ts'
import type { EventLog } from '../event-log.ts'
import { type Arrival, isOf } from './arrival.ts'
import { addressIndex } from './user-record.ts'
import type { Known, Place, UserRows } from './user-rows.ts'
import type { UserStore } from './user-store.ts'

type Rule = Config['identity']['link'][number]

export interface Links {
  /**
   * The known users whom the rules take for the one who signs in, besides `own`: none, one, or several that only a person
   * can tell apart.
   */
  candidates(arrival: Arrival, own: Place): Promise<Known[]>
  /** Why two may not become one, if so. */
  objection(candidates: readonly Known[], arrival: Arrival, own: Place): string | undefined
}

/**
 * Which identities are the same user: nobody's, unless a rule of the operator says so.
 *
 * The attack is account takeover by a claimed address. Whoever can sign in at one of the providers enters the victim's
 * address there, and becomes the victim at the first application that goes by addresses ("pre-hijacking" if they come first;
 * nOAuth, where a tenant's administrator writes whatever address they like). So both sides count only as their provider
 * vouches for them (`email_verified`), a rule names the providers that are trusted to do so, and may name the domains. An
 * address that was given to a new person is the rest of it: see `objection`.
 */
export function createLinks(parts: {
  config: Pick<Config, 'identity' | 'providers'>
  rows: Pick<UserRows, 'usersAt'>
  users: Pick<UserStore, 'find'>
  log: EventLog
}): Links {
  const { config, rows, users, log } = parts

  function applying({ provider, email }: Arrival): Rule[] {
    const domain = email?.slice(email.lastIndexOf('@') + 1)
    return config.identity.link.filter(
      (rule) =>
        domain !== undefined &&
        rule.providers.includes(provider) &&
        (rule.domains === undefined || rule.domains.includes(domain)),
    )
  }

  return {
    async candidates(arrival, own) {
      const { email, subject } = arrival
      const names = new Set(applying(arrival).flatMap(({ providers }) => providers))
      const issuers = new Set([...names].flatMap((name) => config.providers[name]?.issuer ?? []))
      issuers.delete(subject.iss)
      const ids = await Promise.all([...issuers].map((iss) => users.find(addressIndex(iss, email as string))))
      return (await rows.usersAt(ids.flat())).filter(({ id }) => id !== own.id)
    },

    objection(candidates, arrival, own) {
      const [one, ...more] = candidates
      const event = { event: 'user_link_refused', provider: arrival.provider, user: own.id }
      const why =
        more.length > 0
          ? 'several users have this address'
          : one && sharesIssuer(one, arrival, own)
            ? // The provider gave the address to somebody else since, or that user has two accounts there.
              'that user has another account at the same provider'
            : undefined
      if (why !== undefined) log.warn({ ...event, reason: why, others: candidates.map(({ id }) => id) })
      return why
    },
  }
}

function sharesIssuer({ record }: Known, { subject }: Arrival, own: Place): boolean {
  const coming = [subject, ...(own.record?.identities ?? [])]
  return record.identities.some((known) => coming.some((one) => one.iss === known.iss && !isOf(one, known)))
}
