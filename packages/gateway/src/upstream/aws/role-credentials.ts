import { hash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { decodeJwt } from 'jose'
import { Refusal } from '../../errors.ts'
import type { EventLog } from '../../event-log.ts'
import { printable } from '../../protocol/printable.ts'
import { createCache } from '../../session/cache.ts'
import type { LiveSession, Tokens } from '../../session/record.ts'
import type { Sessions } from '../../session/sessions.ts'
import type { Clock, SessionId } from '../../session/store.ts'
import type { AwsCredentials } from './credentials.ts'
import type { Identities } from './identities.ts'
import { createIdentityCalls, type IdentityCalls, type PoolAddress } from './identity-sdk.ts'
import { createPoolQuestion, type PoolAnswer, type Wanted } from './pool-question.ts'

export type { Wanted }

export type Obtained =
  | PoolAnswer
  /** The session ended meanwhile. */
  | { readonly kind: 'ended' }

export interface RoleCredentials {
  /** Some that are good for this request, if there are, without I/O; new ones are fetched ahead of their end. */
  at(session: LiveSession, wanted: Wanted): AwsCredentials | undefined
  /**
   * Asks the pool: once, however many ask at the same time in however many processes. `instead`: of those, which were refused.
   * @throws Refusal when the session store fails
   */
  fetch(session: LiveSession, wanted: Wanted, instead?: AwsCredentials): Promise<Obtained>
  /** The session is over: AWS honours what it gave for an hour, we for not a second more. */
  forget(id: SessionId): void
}

export interface RoleCredentialsOptions {
  readonly log: EventLog
  readonly now: Clock
  readonly identities: Identities
  /** Those that hold now: what is held here outlives a configuration. */
  readonly sessions: () => Pick<Sessions, 'kept' | 'handleOf'>
  readonly callsOf?: (pool: PoolAddress) => IdentityCalls
  /** Milliseconds for one call, and for all that one request waits for. */
  readonly timeouts?: { readonly call: number; readonly all: number }
  readonly sleep?: (ms: number) => Promise<unknown>
}

/** As they are opened here. */
interface Current {
  readonly credentials: AwsCredentials
  /** What they were given for: see `standingOf`. */
  readonly standing: string
}

interface Held {
  readonly current?: Current | undefined
  /** The version of the session's row that was looked at last. */
  readonly version: number
  readonly refusal?: { readonly answer: Obtained; readonly until: number; readonly idToken: string }
  readonly flight?: { readonly answer: Promise<Obtained>; readonly standing: string }
}

/** Renewed so long before the end; milliseconds. */
const ahead = 300_000
/** Credentials this near to their end may be over when AWS reads them; milliseconds. */
const aboutToExpire = 5_000
/** A refusal stands for so long: a client that tries again and again must not use up the quota of the pool. Milliseconds. */
const refusalStands = 10_000
/** Beyond the time for all calls: a lease that ran out was of a process that died. Milliseconds. */
const leaseMargin = 2_000
/** How often it looks whether another process has finished; milliseconds. */
const glance = 25

/**
 * AWS credentials, kept in the session that they were given to: sealed in its row, for all processes, and opened in memory
 * here. An entry can't be found by any other user: its place is the session's row, and its key the session's own.
 */
export function createRoleCredentials(options: RoleCredentialsOptions): RoleCredentials {
  const { log, now, identities, sessions, callsOf = createIdentityCalls, sleep = (ms) => setTimeout(ms) } = options
  const { timeouts = { call: 5_000, all: 8_000 } } = options
  const opened = createCache<SessionId, Map<string, Held>>(8192)
  const ask = createPoolQuestion({ identities, callsOf, timeouts })
  const lifetime = timeouts.all + leaseMargin

  const names = new WeakMap<Wanted, string>()
  const standings = new WeakMap<Tokens, string>()

  /** Routes that say the same share their credentials. */
  function nameOf(wanted: Wanted): string {
    const known = names.get(wanted)
    if (known !== undefined) return known
    const all = JSON.stringify([wanted.pool, wanted.loginsKey, wanted.roleArn])
    const name = `aws-${hash('sha256', all, 'base64url').slice(0, 22)}`
    names.set(wanted, name)
    return name
  }

  function standing({ tokens }: LiveSession): string {
    const known = standings.get(tokens) ?? standingOf(tokens.idToken)
    standings.set(tokens, known)
    return known
  }

  function hold(id: SessionId, name: string, next: Held): Held {
    const held = opened.get(id) ?? new Map<string, Held>()
    opened.set(id, held.set(name, next))
    return next
  }

  /** What is held here, with what the session's row brought since: another process may have renewed it. */
  function upToDate(session: LiveSession, name: string): Held | undefined {
    const held = opened.get(session.id)?.get(name)
    if (held !== undefined && held.version >= session.version) return held
    const text = sessions().kept.open(session, name)
    if (text === undefined && held === undefined) return undefined
    const current = text === undefined ? held?.current : same(held?.current, JSON.parse(text) as Current)
    return hold(session.id, name, { ...held, current, version: session.version })
  }

  function isGood({ credentials, standing: given }: Current, session: LiveSession, least: number): boolean {
    // A refresh may have told other rights.
    return given === standing(session) && credentials.expiresAt - now() > least
  }

  async function obtain(session: LiveSession, wanted: Wanted, instead: AwsCredentials | undefined): Promise<Obtained> {
    const name = nameOf(wanted)
    const good = (text: string) => {
      const current = JSON.parse(text) as Current
      return isGood(current, session, ahead) && current.credentials.accessKeyId !== instead?.accessKeyId
    }
    for (let waited = 0; ; waited += glance) {
      const turn = await sessions().kept.take(session, name, { lifetime, good })
      if (turn.kind === 'over') return { kind: 'ended' }
      if (turn.kind === 'kept') return usable(session, name, { ...turn, current: JSON.parse(turn.text) as Current })
      if (turn.kind === 'granted') {
        const answer = await ask(session, wanted)
        report(session, wanted, answer)
        if (answer.kind !== 'usable') {
          await turn.release()
          return answer
        }
        const current = { credentials: answer.credentials, standing: standing(session) }
        const version = await turn.keep(JSON.stringify(current), answer.credentials.expiresAt)
        if (version !== false) return usable(session, name, { version, current })
        // Signed out meanwhile, or another was faster: the next turn tells, and what came is given to nobody.
      } else if (waited >= lifetime) {
        return { kind: 'unavailable', cause: 'another process asks the identity pool, and does not finish' }
      } else await sleep(glance)
    }
  }

  function usable({ id }: LiveSession, name: string, { version, current }: Held & { current: Current }): Obtained {
    const before = opened.get(id)?.get(name)
    const next = same(before?.current, current)
    const { flight } = before ?? {}
    hold(id, name, { current: next, version, ...(flight && { flight }) })
    return { kind: 'usable', credentials: next.credentials }
  }

  function fetch(session: LiveSession, wanted: Wanted, instead?: AwsCredentials): Promise<Obtained> {
    const name = nameOf(wanted)
    const before = upToDate(session, name)
    if (before?.flight?.standing === standing(session)) return before.flight.answer
    const { idToken } = session.tokens
    const { refusal, current } = before ?? {}
    if (refusal !== undefined && refusal.idToken === idToken && now() < refusal.until)
      return Promise.resolve(refusal.answer)
    // Somebody else has replaced those that were refused already.
    const replaced = instead !== undefined && current !== undefined && current.credentials !== instead
    if (replaced && isGood(current, session, aboutToExpire)) {
      return Promise.resolve({ kind: 'usable', credentials: current.credentials })
    }
    const landed = (refusal?: Held['refusal']) => {
      const { flight, ...held } = opened.get(session.id)?.get(name) ?? { version: session.version }
      // Another may be under way since, for other rights of the same user.
      const other = flight !== undefined && flight.answer !== answer ? { flight } : {}
      hold(session.id, name, { ...held, ...other, ...(refusal && { refusal }) })
    }
    const answer: Promise<Obtained> = obtain(session, wanted, instead).then(
      (outcome) => {
        const refused = outcome.kind === 'denied' || outcome.kind === 'refused'
        landed(refused ? { answer: outcome, until: now() + refusalStands, idToken } : undefined)
        return outcome
      },
      (cause: unknown) => {
        landed()
        throw new Refusal('store_unavailable', { cause })
      },
    )
    hold(session.id, name, { version: session.version, ...before, flight: { answer, standing: standing(session) } })
    return answer
  }

  function report({ id, record }: LiveSession, { pool, roleArn }: Wanted, answer: PoolAnswer): void {
    const fields = { session: sessions().handleOf(id), provider: record.provider, identityPool: pool.id, roleArn }
    if (answer.kind === 'usable') log.info({ event: 'aws_credentials_obtained', ...fields })
    else {
      const reason = printable(String(answer.cause))
      log.warn({ event: 'aws_credentials_failed', ...fields, outcome: answer.kind, reason })
    }
  }

  return {
    at(session, wanted) {
      const known = upToDate(session, nameOf(wanted))
      if (known?.current === undefined || !isGood(known.current, session, aboutToExpire)) return undefined
      // Still good for this request: the next ones find new ones, and nobody waits.
      if (known.flight === undefined && !isGood(known.current, session, ahead)) {
        fetch(session, wanted).catch((err: unknown) => {
          log.error({ event: 'store_unavailable', err }, 'AWS credentials were not renewed ahead of time')
        })
      }
      return known.current.credentials
    },
    fetch,
    forget: (id) => opened.delete(id),
  }
}

/** The object that is known stays where it says the same: keys that were derived from it are found by it. */
function same(known: Current | undefined, next: Current): Current {
  const same = known?.credentials.accessKeyId === next.credentials.accessKeyId && known.standing === next.standing
  return same ? known : next
}

/**
 * All that an ID token says of its user, and nothing of the token itself: while that stays the same, a refresh changes nothing
 * about roles and tags, and the credentials go on for their hour.
 */
export function standingOf(idToken: string): string {
  const claims = decodeJwt(idToken)
  const lasting = Object.entries(claims).filter(([name]) => !ofToken.has(name))
  return hash('sha256', JSON.stringify(lasting.sort(([a], [b]) => (a < b ? -1 : 1))), 'base64url')
}

const ofToken = new Set('iat exp nbf jti at_hash c_hash nonce auth_time origin_jti event_id sid'.split(' '))
