import type { Config } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import type { KeyRing } from '../session/key-ring.ts'
import type { Subject } from '../session/record.ts'
import { type Arrival, afterRefresh, afterSignIn, changesOf, isOf, lostClaims, merged, type Told } from './arrival.ts'
import { createLinks } from './links.ts'
import { type Speaker, toldOf, type Words } from './told.ts'
import { type UserRecord, userIdOf } from './user-record.ts'
import { createUserRows, type Known, type Place } from './user-rows.ts'
import type { UserId, UserStore } from './user-store.ts'

/** Who has signed in here. Touched at sign-in and refresh, and by operators; never by an ordinary request. */
export interface Directory {
  /**
   * Somebody signs in: a known user is brought up to date, an unknown one is written down.
   * @throws Refusal `access_denied` for a disabled user, `store_unavailable` where the directory can't be read
   */
  signIn(provider: Speaker, words: Words & { readonly email: string | undefined }): Promise<UserId>
  /** @throws Refusal as `signIn` */
  demandEnabled(subject: Subject): Promise<void>
  isDisabled(subject: Subject): Promise<boolean>
  /** The provider told of a user while their session lives: all that it was asked for. */
  refreshed(provider: Speaker, words: Words): Promise<void>
}

/** Writers of one user's row that may be faster, one after the other, before something is wrong. */
const mostTries = 50

export function createDirectory(parts: {
  config: Pick<Config, 'identity' | 'providers'>
  users: UserStore
  ring: KeyRing
  log: EventLog
  now: () => number
}): Directory {
  const { config, log, now } = parts
  const rows = createUserRows(parts)
  const links = createLinks({ ...parts, rows })

  /** The user's id; undefined when another writer was faster, and all has to be looked at anew. */
  async function attempt(arrival: Arrival): Promise<UserId | undefined> {
    const own = await rows.at(userIdOf(arrival.subject))
    refuseDisabled(own)
    const candidates = await links.candidates(arrival, own)
    // Also where they are too many to link: a second account must be no way around it.
    for (const candidate of candidates) refuseDisabled(candidate)
    const [other] = candidates
    if (other === undefined || links.objection(candidates, arrival, own) !== undefined)
      return await settle(own, arrival)
    if (own.record === undefined) {
      // The link first: if this process dies here, the next sign-in finds its way by it and adds the rest.
      const linked = await rows.write(own.id, own.version, { kind: 'alias', of: other.id })
      return linked ? await settle(other, arrival) : undefined
    }
    return await join([own as Known, other], arrival)
  }

  /** Two users, known apart, become one. Who signed in first stays, whoever does it: else two links could make a circle. */
  async function join(two: [Known, Known], arrival: Arrival): Promise<UserId | undefined> {
    const [elder, younger] = two.sort((a, b) => a.record.firstLoginAt - b.record.firstLoginAt || (a.id < b.id ? -1 : 1))
    const together = afterSignIn(merged(elder.record, younger.record), arrival, now())
    if (!(await rows.write(elder.id, elder.version, together))) return undefined
    // Lost if the younger was changed meanwhile (disabled, perhaps): the next look starts from that.
    if (!(await rows.write(younger.id, younger.version, { kind: 'alias', of: elder.id }))) return undefined
    log.warn({
      event: 'user_linked',
      user: elder.id,
      joined: younger.id,
      provider: arrival.provider,
      by: 'verified-email',
    })
    report(elder.id, arrival, { before: merged(elder.record, younger.record), after: together })
    return elder.id
  }

  async function settle(place: Place, arrival: Arrival): Promise<UserId | undefined> {
    const { id, version, record: before } = place
    const after = afterSignIn(before, arrival, now())
    if (!(await rows.write(id, version, after))) return undefined
    report(id, arrival, { before, after })
    return id
  }

  function report(user: UserId, told: Told, { before, after }: { before: UserRecord | undefined; after: UserRecord }) {
    const about = { user, provider: told.provider }
    if (before === undefined) {
      log.info({ event: 'user_created', ...about })
      return
    }
    if (!before.identities.some((one) => isOf(one, told.subject))) {
      log.warn({ event: 'user_linked', ...about, by: 'verified-email' })
    }
    const changes = changesOf(before, after)
    if (changes.changed.length > 0) log.info({ event: 'user_changed', ...about, ...changes })
    const claims = lostClaims(before, after, told.subject)
    if (claims.length > 0) {
      log.warn(
        { event: 'user_claims_missing', ...about, claims },
        'these claims came before and do not come any more; check whether the user lost the last group, or the provider sends the claim no longer (scope, mapping, filter). Roles go by what came',
      )
    }
  }

  return {
    async signIn(provider, { email, ...words }) {
      const arrival = { ...toldOf(config, provider, { ...words, at: 'sign-in' }), email }
      return await available(async () => {
        for (let tries = 0; tries < mostTries; tries++) {
          const id = await attempt(arrival)
          if (id !== undefined) return id
        }
        throw new Error('a user of the directory is changed all the time')
      })
    },

    demandEnabled: (subject) => available(async () => refuseDisabled(await rows.at(userIdOf(subject)))),

    async isDisabled(subject) {
      const { record } = await rows.at(userIdOf(subject))
      return record?.disabled !== undefined
    },

    async refreshed(provider, words) {
      const told = toldOf(config, provider, { ...words, at: 'refresh' })
      for (let tries = 0; tries < mostTries; tries++) {
        const { id, version, record } = await rows.at(userIdOf(told.subject))
        const after = record && afterRefresh(record, told)
        if (record === undefined || after === undefined) return
        if (!(await rows.write(id, version, after))) continue
        report(id, told, { before: record, after })
        return
      }
    },
  }
}

function refuseDisabled({ record }: Place): void {
  if (record?.disabled === undefined) return
  throw new Refusal('access_denied', {
    cause: 'the user is disabled in the directory',
    advice: 'This account is disabled. If you think it should not be, ask whoever manages your access.',
  })
}

/** What the directory can't tell lets nobody in: a disabled user would only have to wait for an outage. */
async function available<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (cause) {
    throw cause instanceof Refusal ? cause : new Refusal('store_unavailable', { cause })
  }
}
