import { setTimeout as sleep } from 'node:timers/promises'
import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import type { SessionId } from '../session/store.ts'
import { ProviderFault } from './bounded-fetch.ts'
import type { ProviderClient, Refresh } from './provider-client.ts'

export type TokenRefresh =
  | { readonly kind: 'refreshed'; readonly session: LiveSession }
  /** There is no refresh token: the session lives on by its own timeouts, without this credential. */
  | { readonly kind: 'login-required'; readonly cause: unknown }
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }
  /** The provider took the refresh token back, and the session ended with it; or it ended meanwhile. */
  | { readonly kind: 'ended'; readonly cause: unknown }

export type RefreshTokens = (session: LiveSession, cookie: string) => Promise<TokenRefresh>

/** How long a request waits for a refresh that another process makes, and how often it looks; milliseconds. */
const patience = 25_000
const glance = 25

/**
 * New tokens for a session whose access token runs out. One redemption of each refresh token: within this process by one
 * flight a session, across processes by a lease in the session's row. Who comes late receives the successor. A rotated
 * refresh token that is redeemed twice looks stolen to the provider, and ends every session of the grant.
 * @see RFC 9700 §4.14.2
 */
export function createTokenRefresh(
  services: Pick<Services, 'log' | 'providers' | 'revocation' | 'sessions'>,
): RefreshTokens {
  const { log, providers, revocation, sessions } = services
  const flying = new Map<SessionId, Promise<TokenRefresh>>()

  async function fly(session: LiveSession, cookie: string): Promise<TokenRefresh> {
    const provider = providers.get(session.record.provider)
    if (!provider || session.tokens.refreshToken === undefined) {
      return { kind: 'login-required', cause: 'the access token expired and there is no refresh token' }
    }
    const giveUpAt = performance.now() + patience
    for (;;) {
      const lease = await sessions.refreshLeases.take(session)
      if (lease.kind === 'granted') {
        try {
          return await redeem(session, cookie, provider)
        } finally {
          await lease.release()
        }
      }
      if (lease.kind === 'over') return ended
      if (lease.kind === 'superseded') return await successor(cookie)
      if (performance.now() > giveUpAt)
        return { kind: 'provider-unavailable', cause: 'another process holds the refresh' }
      await sleep(glance)
    }
  }

  async function successor(cookie: string): Promise<TokenRefresh> {
    const opened = await sessions.open(cookie)
    return opened.kind === 'live' ? { kind: 'refreshed', session: opened.session } : ended
  }

  async function redeem(session: LiveSession, cookie: string, provider: ProviderClient): Promise<TokenRefresh> {
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
      await sessions.end(session.id, 'refresh-rejected')
      return { kind: 'ended', cause: outcome.cause }
    }
    const { inherited } = session.tokens
    const tokens = { ...outcome.tokens, ...(inherited && { inherited }) }
    const next = await sessions.replaceTokens(session, cookie, tokens)
    log.info({ event: 'authn_token_created', ...event })
    if (next) return { kind: 'refreshed', session: next }
    // Signed out meanwhile, by the refresh token of before: its successor must not live on at the provider.
    revocation.revoke({ id: session.id, provider: provider.name, tokens })
    return ended
  }

  return (session, cookie) => {
    const running = flying.get(session.id)
    if (running) return running
    const flight = fly(session, cookie)
      .catch((cause: unknown) => {
        throw new Refusal('store_unavailable', { cause })
      })
      .finally(() => flying.delete(session.id))
    flying.set(session.id, flight)
    return flight
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
