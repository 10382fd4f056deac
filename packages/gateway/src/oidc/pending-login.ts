import { hash, randomBytes } from 'node:crypto'
import type { Behind } from '../providers/kind.ts'
import type { KeyRing } from '../session/key-ring.ts'
import { seal, unseal } from '../session/seal.ts'
import type { SessionId } from '../session/store.ts'
import type { DpopKey } from './dpop-key.ts'

/**
 * One sign-in on its way, from /auth/login to its callback. It travels sealed in a cookie of its own, so that two tabs
 * can sign in at once, an abandoned sign-in costs the server nothing, and the callback completes only in the browser
 * that began it. Its `state` works once; the store remembers used ones.
 */
export interface PendingLogin {
  readonly id: string
  readonly provider: string
  /** `id` and 256 random bits in base64url. */
  readonly state: string
  readonly nonce: string
  /** PKCE. @see RFC 7636 */
  readonly verifier: string
  readonly returnTo: string
  /** Asked with prompt=none: no sign-in page is shown, and a refusal leads back without one. */
  readonly silent: boolean
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
  /** The session that this sign-in replaces: SameSite=Strict hides its cookie at the callback. */
  readonly previous?: SessionId
  /** A step-up: who must come back, and how they must have proved it. */
  readonly stepUp?: StepUp
  /** The key that its tokens will be bound to. */
  readonly dpopKey?: DpopKey
  /** The identity provider behind the provider where it takes place. */
  readonly behind?: Behind
}

/** What a re-authentication has to show. @see OpenID Connect Core §3.1.2.1 · RFC 9470 */
export interface StepUp {
  readonly iss: string
  readonly sub: string
  readonly acr?: string
  /** Seconds since the user last proved who they are. */
  readonly maxAge?: number
}

export const loginCookiePrefix = '__Host-login-'
/** Ten minutes to type a password and find a second factor. */
export const loginLifetime = 10 * 60_000

export function newPendingLogin(
  input: Pick<PendingLogin, 'provider' | 'returnTo' | 'silent' | 'stepUp'> & {
    previous: SessionId | undefined
    dpopKey?: DpopKey | undefined
    behind?: Behind | undefined
    now: number
  },
): PendingLogin {
  // Seconds first: the ids of a browser's login cookies sort by age, so that the oldest can make room.
  const id =
    Math.floor(input.now / 1000)
      .toString(16)
      .padStart(8, '0')
      .slice(-8) + randomBytes(3).toString('base64url')
  return {
    id,
    provider: input.provider,
    state: id + randomBytes(32).toString('base64url'),
    nonce: randomBytes(32).toString('base64url'),
    verifier: randomBytes(32).toString('base64url'),
    returnTo: input.returnTo,
    silent: input.silent,
    expiresAt: input.now + loginLifetime,
    ...(input.previous !== undefined && { previous: input.previous }),
    ...(input.stepUp !== undefined && { stepUp: input.stepUp }),
    ...(input.dpopKey !== undefined && { dpopKey: input.dpopKey }),
    ...(input.behind !== undefined && { behind: input.behind }),
  }
}

/** S256 of the verifier. @see RFC 7636 §4.2 */
export function challengeOf(login: PendingLogin): string {
  return hash('sha256', login.verifier, 'base64url')
}

export function sealPendingLogin(ring: KeyRing, login: PendingLogin): string {
  const keyId = ring.current
  const key = ring.derive(keyId, 'login-transaction') as Buffer
  return `${keyId}.${seal(key, Buffer.from(JSON.stringify(login)), `login ${login.id}`).toString('base64url')}`
}

export function openPendingLogin(ring: KeyRing, id: string, value: string): PendingLogin | undefined {
  const dot = value.indexOf('.')
  const key = dot > 0 ? ring.derive(value.slice(0, dot), 'login-transaction') : undefined
  const plaintext = key && unseal(key, Buffer.from(value.slice(dot + 1), 'base64url'), `login ${id}`)
  return plaintext && (JSON.parse(plaintext.toString()) as PendingLogin)
}
