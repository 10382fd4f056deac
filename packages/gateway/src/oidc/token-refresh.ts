import { setTimeout } from 'node:timers/promises'
import { pick } from '../access/attributes.ts'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import { refreshRejected, type UserChange } from '../session/machine.ts'
import type { LiveSession, SessionRecord } from '../session/record.ts'
import type { Lease } from '../session/refresh-lease.ts'
import type { SessionId } from '../session/store.ts'
import type { ClaimsNow } from './claims-now.ts'
import type { ProviderClient, Refresh } from './provider-client.ts'
import { ProviderFault } from './provider-fault.ts'
import { providerOf } from './provider-of.ts'
import { shownClaims } from './shown-claims.ts'

export type TokenRefresh =
  | { readonly kind: 'refreshed'; readonly session: LiveSession }
  /** There is no refresh token: the session lives on by its own timeouts, without this credential. */
  | { readonly kind: 'login-required'; readonly cause: unknown }
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }
  /** The provider took the refresh token back, and the session ended with it; or it ended meanwhile. */
  | { readonly kind: 'ended'; readonly cause: unknown }

/** `arrivedAt`: when the request that showed the cookie came, if that was not just now. */
export type RefreshTokens = (session: LiveSession, cookie: string, arrivedAt?: number) => Promise<TokenRefresh>

export interface RefreshWaiting {
  readonly sleep?: (ms: number) => Promise<unknown>
  /** How long a request waits for a refresh that another process makes; milliseconds. */
  readonly patience?: number
}

/** A cookie value, and when the request that showed it came: milliseconds since the epoch. */
interface Shown {
  readonly value: string
  readonly arrivedAt: number
}

/** How often it looks whether the other has finished; milliseconds. */
const glance = 25

/**
 * New tokens for a session whose access token runs out. One redemption of each refresh token: within this process by one
 * flight a session, across processes by a lease in the session's row. Who comes late receives the successor. A rotated
 * refresh token that is redeemed twice looks stolen to the provider, and ends every session of the grant.
 * @see RFC 9700 §4.14.2
 */
export function createTokenRefresh(
  services: Pick<Services, 'log' | 'now' | 'providers' | 'revocation' | 'sessions'>,
  { sleep = (ms) => setTimeout(ms), patience = 25_000 }: RefreshWaiting = {},
): RefreshTokens {
  const { log, now, providers, revocation, sessions } = services
  const flying = new Map<SessionId, Promise<TokenRefresh>>()

  async function fly(session: LiveSession, shown: string, arrivedAt = now()): Promise<TokenRefresh> {
    // The cookie was good when the request came: waiting for another process may outlast its grace.
    const cookie: Shown = { value: shown, arrivedAt }
    const provider = providerOf(providers, session.record)
    if (!provider || session.tokens.refreshToken === undefined) {
      return { kind: 'login-required', cause: 'the access token expired and there is no refresh token' }
    }
    for (let waited = 0; ; waited += glance) {
      const lease = await sessions.refreshLeases.take(session)
      if (lease.kind === 'granted') {
        try {
          return await redeem(session, cookie, { provider, lease })
        } finally {
          await lease.release()
        }
      }
      if (lease.kind === 'over') return ended
      if (lease.kind === 'superseded') return await successor(cookie)
      if (waited >= patience) return { kind: 'provider-unavailable', cause: 'another process holds the refresh' }
      await sleep(glance)
    }
  }

  async function successor({ value, arrivedAt }: Shown): Promise<TokenRefresh> {
    const opened = await sessions.open(value, arrivedAt)
    return opened.kind === 'live' ? { kind: 'refreshed', session: opened.session } : ended
  }

  async function redeem(
    session: LiveSession,
    cookie: Shown,
    { provider, lease }: { provider: ProviderClient; lease: Lease },
  ): Promise<TokenRefresh> {
    const { sub } = session.record.subject
    const event = { session: sessions.handleOf(session.id), provider: provider.name }
    let outcome: Refresh = await provider.refresh(session.tokens, sub)
    const lost = outcome.kind === 'provider-unavailable' && wasLost(outcome.cause)
    if (lost) {
      // The answer may have been lost on its way, with the successor in it: one more try, which a provider with a
      // grace period answers well. @see FAPI 2.0 Security Profile §5.3.2.1
      log.warn({ event: 'authn_token_answer_lost', ...event })
      outcome = await provider.refresh(session.tokens, sub)
    }
    if (outcome.kind === 'provider-unavailable') {
      log.warn({ event: 'provider_unavailable', during: 'refresh', reason: String(outcome.cause), ...event })
      return outcome
    }
    if (outcome.kind === 'login-required') {
      log.warn({ event: lost ? 'authn_token_reuse' : 'authn_token_refused', reason: String(outcome.cause), ...event })
      const { tokensVersion } = session.record
      const holds = (record: SessionRecord) => refreshRejected(record, tokensVersion)
      const ends = await sessions.end(session.id, 'refresh-rejected', { holds })
      // Refused because another had redeemed it: a holder that slept past its lease. What that one got is ours as well.
      return ends ? { kind: 'ended', cause: outcome.cause } : await successor(cookie)
    }
    const { inherited } = session.tokens
    const tokens = { ...outcome.tokens, ...(inherited && { inherited }) }
    const next = await lease.renew(tokens, outcome.user && changeOf(session.record, outcome.user, provider))
    log.info({ event: 'authn_token_created', ...event })
    if (next) return { kind: 'refreshed', session: next }
    const stands = await successor(cookie)
    // Signed out meanwhile, by the refresh token of before: its successor must not live on at the provider.
    if (stands.kind === 'ended') revocation.revoke({ id: session.id, provider: provider.name, tokens })
    return stands
  }

  return (session, cookie, arrivedAt) => {
    const running = flying.get(session.id)
    if (running) return running
    const flight = fly(session, cookie, arrivedAt)
      .catch((cause: unknown) => {
        throw new Refusal('store_unavailable', { cause })
      })
      .finally(() => flying.delete(session.id))
    flying.set(session.id, flight)
    return flight
  }
}

/** What the session is to know of its user from now on. What was not told stays, unless the provider told all. */
function changeOf(
  { attributes = {}, claims }: SessionRecord,
  now: ClaimsNow,
  { config, decidingClaims }: ProviderClient,
): Omit<UserChange, 'roles'> {
  const deciding = pick(now.claims, decidingClaims)
  return {
    attributes: now.complete ? deciding : { ...attributes, ...deciding },
    claims: { ...claims, ...shownClaims(config, now.claims) },
  }
}

const ended: TokenRefresh = { kind: 'ended', cause: 'the session ended during the refresh' }

/** The request may have reached the provider, and its answer did not reach us. */
function wasLost(cause: unknown): boolean {
  return cause instanceof ProviderFault && cause.retryAfter === undefined && !neverLeft(cause)
}

/** No connection, no request. */
function neverLeft(fault: Error): boolean {
  for (let cause: unknown = fault; cause instanceof Error; cause = cause.cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ECONNREFUSED') return true
  }
  return false
}
