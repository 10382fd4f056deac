import { decodeJwt } from 'jose'
import type { IdentityPoolConfig } from '../../config/identity-pool-schema.ts'
import type { EventLog } from '../../event-log.ts'
import { printable } from '../../protocol/printable.ts'
import { createCache } from '../../session/cache.ts'
import type { LiveSession, Tokens } from '../../session/record.ts'
import type { Clock, SessionId } from '../../session/store.ts'
import type { AwsCredentials } from './credentials.ts'
import { type FailureKind, failureKindOf, reasonOf } from './failures.ts'
import { createIdentityCalls, type IdentityCalls, type Logins, type PoolAddress } from './identity-sdk.ts'
import { roleOf } from './role.ts'

/** Whose credentials: of which pool, by which name of the issuer there, and which role if not the pool's choice. */
export interface Wanted {
  readonly pool: IdentityPoolConfig
  readonly loginsKey: string
  readonly roleArn: string | undefined
}

export type Obtained =
  | { readonly kind: 'usable'; readonly credentials: AwsCredentials }
  | { readonly kind: FailureKind; readonly cause: unknown }
  /** The session ended meanwhile. */
  | { readonly kind: 'ended' }

export interface RoleCredentials {
  /** Some that are good for this request, if there are; new ones are fetched ahead of their end. */
  at(session: LiveSession, wanted: Wanted): AwsCredentials | undefined
  /** Asks the pool: once, however many ask at the same time. `instead`: of those, which were refused. Never rejects. */
  fetch(session: LiveSession, wanted: Wanted, instead?: AwsCredentials): Promise<Obtained>
  /** The session is over: AWS honours what it gave for an hour, we for not a second more. */
  forget(id: SessionId): void
  /** Of an answer that came late. */
  isOver(id: SessionId, credentials: AwsCredentials): boolean
}

export interface RoleCredentialsOptions {
  readonly log: EventLog
  readonly now: Clock
  readonly handleOf: (id: SessionId) => string
  readonly callsOf?: (pool: PoolAddress) => IdentityCalls
  /** Milliseconds for one call, and for all that one request waits for. */
  readonly timeouts?: { readonly call: number; readonly all: number }
}

interface Held {
  readonly credentials?: AwsCredentials
  /** What the credentials were given for: see `standingOf`. */
  readonly standing?: string
  readonly refusal?: { readonly answer: Obtained; readonly until: number; readonly idToken: string }
  readonly flight?: Promise<Obtained>
}

/** Renewed so long before the end; milliseconds. */
const ahead = 300_000
/** Credentials this near to their end may be over when AWS reads them; milliseconds. */
const aboutToExpire = 5_000
/** A refusal stands for so long: a client that tries again and again must not use up the quota of the pool. Milliseconds. */
const refusalStands = 10_000

/**
 * AWS credentials, in memory only, by the session that they were given to, and the identities of users for ever. An entry
 * can't be found by any other user: its key is the session's id, or issuer and subject with the pool.
 */
export function createRoleCredentials(options: RoleCredentialsOptions): RoleCredentials {
  const { log, now, handleOf, callsOf = createIdentityCalls, timeouts = { call: 5_000, all: 8_000 } } = options
  const sessions = createCache<SessionId, Map<string, Held>>(8192)
  const identities = createCache<string, Promise<string>>(65_536)
  const calls = new Map<string, IdentityCalls>()

  const names = new WeakMap<Wanted, string>()
  const standings = new WeakMap<Tokens, string>()

  /** Routes that say the same share their credentials. */
  function nameOf(wanted: Wanted): string {
    const known = names.get(wanted) ?? JSON.stringify([wanted.pool, wanted.loginsKey, wanted.roleArn])
    names.set(wanted, known)
    return known
  }

  function standing({ tokens }: LiveSession): string {
    const known = standings.get(tokens) ?? standingOf(tokens.idToken)
    standings.set(tokens, known)
    return known
  }

  function callsTo(pool: IdentityPoolConfig): IdentityCalls {
    const { id, endpoint, stsEndpoint, region = id.slice(0, id.indexOf(':')) } = pool
    const key = JSON.stringify([id, region, endpoint, stsEndpoint])
    const known = calls.get(key) ?? callsOf({ id, region, endpoint, stsEndpoint })
    calls.set(key, known)
    return known
  }

  function heldBy(session: LiveSession): Map<string, Held> {
    const held = sessions.get(session.id) ?? new Map<string, Held>()
    sessions.set(session.id, held)
    return held
  }

  async function ask({ record, tokens }: LiveSession, { pool, loginsKey, roleArn }: Wanted): Promise<Obtained> {
    const role = roleOf(pool, roleArn, tokens.idToken)
    if (role.kind === 'none') return { kind: 'denied', cause: role.reason }
    const logins = { [loginsKey]: tokens.idToken }
    const all = AbortSignal.timeout(timeouts.all)
    const within = () => AbortSignal.any([all, AbortSignal.timeout(timeouts.call)])
    const { iss, sub } = record.subject
    // Never by the session, the name of the user or the role alone: user 2 would get the identity of user 1.
    const whose = JSON.stringify([pool.id, pool.endpoint, loginsKey, iss, sub])
    try {
      const to = callsTo(pool)
      const identityId = await identityOf(whose, to, logins, within)
      const { arn } = role
      const credentials =
        pool.flow === 'basic' && arn !== undefined
          ? await to.assumeRole(identityId, { logins, roleArn: arn, name: sessionName(sub) }, within())
          : await to.getCredentials(identityId, { logins, roleArn: arn }, within())
      return { kind: 'usable', credentials }
    } catch (cause) {
      // The identity was deleted in the pool: the next try asks for the new one.
      if (cause instanceof Error && cause.name === 'ResourceNotFoundException') identities.delete(whose)
      return { kind: failureKindOf(cause), cause: reasonOf(cause, [tokens.idToken, tokens.accessToken]) }
    }
  }

  function identityOf(whose: string, to: IdentityCalls, logins: Logins, within: () => AbortSignal): Promise<string> {
    const known = identities.get(whose)
    if (known !== undefined) return known
    const asked = to.getId(logins, within())
    identities.set(whose, asked)
    asked.catch(() => identities.delete(whose))
    return asked
  }

  function fetch(session: LiveSession, wanted: Wanted, instead?: AwsCredentials): Promise<Obtained> {
    const held = heldBy(session)
    const name = nameOf(wanted)
    const before = held.get(name)
    if (before?.flight) return before.flight
    const { idToken } = session.tokens
    const { refusal, credentials: current } = before ?? {}
    if (refusal !== undefined && refusal.idToken === idToken && now() < refusal.until)
      return Promise.resolve(refusal.answer)
    // Somebody else has replaced those that were refused already.
    if (instead !== undefined && current !== undefined && current !== instead)
      return Promise.resolve({ kind: 'usable', credentials: current })
    const flight = ask(session, wanted).then((answer): Obtained => {
      if (sessions.get(session.id) !== held) return { kind: 'ended' }
      report(session, wanted, answer)
      const kept = before?.credentials && { credentials: before.credentials, standing: before.standing ?? '' }
      held.set(name, {
        ...(answer.kind === 'usable' ? { credentials: answer.credentials, standing: standing(session) } : kept),
        ...(answer.kind !== 'usable' &&
          answer.kind !== 'unavailable' && { refusal: { answer, until: now() + refusalStands, idToken } }),
      })
      return answer
    })
    held.set(name, { ...before, flight })
    return flight
  }

  function report({ id, record }: LiveSession, { pool, roleArn }: Wanted, answer: Obtained): void {
    const fields = { session: handleOf(id), provider: record.provider, identityPool: pool.id, roleArn }
    if (answer.kind === 'usable') log.info({ event: 'aws_credentials_obtained', ...fields })
    else if (answer.kind !== 'ended') {
      const reason = printable(String(answer.cause))
      log.warn({ event: 'aws_credentials_failed', ...fields, outcome: answer.kind, reason })
    }
  }

  return {
    at(session, wanted) {
      const known = sessions.get(session.id)?.get(nameOf(wanted))
      if (known?.credentials === undefined) return undefined
      // A refresh may have told other rights.
      if (known.standing !== standing(session)) return undefined
      const left = known.credentials.expiresAt - now()
      if (left <= aboutToExpire) return undefined
      // Still good for this request: the next ones find new ones, and nobody waits.
      if (left <= ahead && known.flight === undefined) void fetch(session, wanted)
      return known.credentials
    },
    fetch,
    forget: (id) => sessions.delete(id),
    isOver(id, credentials) {
      return ![...(sessions.get(id)?.values() ?? [])].some((held) => held.credentials === credentials)
    },
  }
}

/**
 * All that an ID token says of its user, and nothing of the token itself: while that stays the same, a refresh changes nothing
 * about roles and tags, and the credentials go on for their hour.
 */
export function standingOf(idToken: string): string {
  const claims = decodeJwt(idToken)
  const lasting = Object.entries(claims).filter(([name]) => !ofToken.has(name))
  return JSON.stringify(lasting.sort(([a], [b]) => (a < b ? -1 : 1)))
}

const ofToken = new Set('iat exp nbf jti at_hash c_hash nonce auth_time origin_jti event_id sid'.split(' '))

/** In CloudTrail one finds the user by it. @see AssumeRoleWithWebIdentity, RoleSessionName */
function sessionName(sub: string): string {
  return sub
    .replace(/[^\w+=,.@-]/g, '-')
    .slice(0, 64)
    .padEnd(2, '-')
}
