import { errors, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { isProviderBroken } from '../oidc/faults.ts'
import { type PlainToken, readPlain } from '../oidc/plain-token.ts'
import { asymmetric } from '../oidc/signature-algorithms.ts'
import { isJsonObject } from '../protocol/strict-json.ts'
import { readSubject, type Subject } from './subject.ts'

/** Why an event is not taken, in the words of the wire. @see RFC 8935 §2.4 · SSF 1.0 §8.1.4.1 (invalid_state) */
export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
  | 'invalid_state'

export class SetRefusal extends Error {
  override readonly name = 'SetRefusal'
  readonly err: SetError

  constructor(err: SetError, message: string) {
    super(message)
    this.err = err
  }
}

export const caep = 'https://schemas.openid.net/secevent/caep/event-type/'
export const ssf = 'https://schemas.openid.net/secevent/ssf/event-type/'

/** What we know how to act on; every other event is acknowledged, logged, and changes nothing. */
const ours: readonly string[] = [
  `${caep}session-revoked`,
  `${caep}credential-change`,
  `${ssf}verification`,
  `${ssf}stream-updated`,
]

export interface SecurityEvent {
  readonly jti: string
  /** The event type's URI. */
  readonly type: string
  readonly payload: Readonly<Record<string, unknown>>
  /** `sub_id` as it came; read by `subjectOf` where the event is acted upon. */
  readonly subId: Readonly<Record<string, unknown>>
  /** When it happened, in seconds since the epoch: a session that began later has nothing to do with it. */
  readonly at: number
}

export interface EventRules {
  readonly issuer: string
  readonly audience: readonly string[]
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** Seconds. */
const tolerance = 60

/** What a Security Event Token says before it is verified: who it claims to be from. */
export function readEvent(token: string): PlainToken {
  try {
    return readPlain(token)
  } catch (cause) {
    throw new SetRefusal('invalid_request', (cause as Error).message)
  }
}

/**
 * A Security Event Token as the Shared Signals Framework profiles it: `typ: secevent+jwt`, no `sub`, no `exp`, `sub_id`, one
 * event. There is no limit to its age: deliveries are retried for days, and what began after the event stays anyway.
 * @see RFC 8417 §2.2 · SSF 1.0 §4.1
 * @throws SetRefusal, or a `ProviderFault` when the transmitter's keys can't be had
 */
export async function verifyEvent(token: string, keyOf: JWTVerifyGetKey, rules: EventRules): Promise<SecurityEvent> {
  const { header } = readEvent(token)
  const typ = typeof header.typ === 'string' ? header.typ.toLowerCase().replace(/^application\//, '') : undefined
  // Whatever else the transmitter signs with the same key (ID tokens, logout tokens) is no event.
  if (typ !== 'secevent+jwt') throw new SetRefusal('invalid_request', 'typ is not secevent+jwt')
  const { payload } = await jwtVerify(token, keyOf, {
    issuer: rules.issuer,
    audience: [...rules.audience],
    algorithms: [...asymmetric],
    currentDate: new Date(rules.now),
    clockTolerance: tolerance,
    requiredClaims: ['iat', 'jti', 'events'],
  }).catch((cause: unknown) => {
    throw isProviderBroken(cause) ? cause : new SetRefusal(...whyRefused(cause))
  })
  return checkClaims(payload, Math.floor(rules.now / 1000))
}

function checkClaims(claims: Readonly<Record<string, unknown>>, now: number): SecurityEvent {
  const { jti, iat, toe, events, sub_id: subId } = claims
  if (typeof jti !== 'string' || jti === '') throw invalid('jti is not a text')
  // Defence against taking a SET for another token, and another token for a SET. @see SSF 1.0 §4.1.3
  if ('sub' in claims) throw invalid('a security event has no sub')
  if ('exp' in claims) throw invalid('a security event has no exp')
  if (!isJsonObject(subId) || typeof subId.format !== 'string') throw invalid('sub_id is missing, or has no format')
  if (typeof iat !== 'number' || iat > now + tolerance) throw invalid('iat is to come')
  const { type, payload } = onlyEvent(events)
  const [happened] = [payload.event_timestamp, toe, iat].filter((time) => time !== undefined)
  if (typeof happened !== 'number' || !(happened >= 0)) throw invalid('the time of the event is not a number')
  // What is told of has happened: a time to come would end sessions that begin after the telling.
  return { jti, type, payload, subId, at: Math.min(happened, iat + tolerance) }
}

/**
 * More than one event is allowed only as other names of the same. Two that we know are two events, and which of them the
 * subject belongs to is anybody's guess. @see SSF 1.0 §4.2.1
 */
function onlyEvent(events: unknown): Pick<SecurityEvent, 'type' | 'payload'> {
  if (!isJsonObject(events)) throw invalid('events is not an object')
  const types = Object.keys(events)
  const known = types.filter((type) => ours.includes(type))
  const [type] = known.length > 0 ? known : types
  if (type === undefined) throw invalid('there is no event')
  if (known.length > 1) throw invalid('there are several events')
  const payload = events[type]
  if (!types.every((name) => isJsonObject(events[name])) || !isJsonObject(payload)) {
    throw invalid('an event is not an object')
  }
  return { type, payload }
}

export function subjectOf({ subId }: SecurityEvent): Subject {
  try {
    return readSubject(subId)
  } catch (cause) {
    throw invalid((cause as Error).message)
  }
}

export function invalid(message: string): SetRefusal {
  return new SetRefusal('invalid_request', message)
}

function whyRefused(cause: unknown): [SetError, string] {
  const message = cause instanceof Error ? cause.message : String(cause)
  if (cause instanceof errors.JWTClaimValidationFailed) {
    if (cause.claim === 'iss') return ['invalid_issuer', message]
    return [cause.claim === 'aud' ? 'invalid_audience' : 'invalid_request', message]
  }
  if (cause instanceof errors.JWTExpired || cause instanceof errors.JWTInvalid || cause instanceof errors.JWSInvalid) {
    return ['invalid_request', message]
  }
  // Its algorithm, its kid, or the signature itself.
  return ['invalid_key', message]
}
