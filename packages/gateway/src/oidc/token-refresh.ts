import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import type { SessionId } from '../session/store.ts'

export type TokenRefresh =
  | { readonly kind: 'refreshed'; readonly session: LiveSession }
  /** There is no refresh token: the session lives on by its own timeouts, without this credential. */
  | { readonly kind: 'login-required'; readonly cause: unknown }
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }
  /** The provider took the refresh token back, and the session ended with it; or it ended meanwhile. */
  | { readonly kind: 'ended'; readonly cause: unknown }

export type RefreshTokens = (session: LiveSession, cookie: string) => Promise<TokenRefresh>

/**
 * New tokens for a session whose access token ran out. One flight a session in this process: a rotated refresh token that
 * is redeemed twice looks stolen to the provider, and ends every session of the grant.
 */
export function createTokenRefresh(services: Pick<Services, 'log' | 'providers' | 'sessions'>): RefreshTokens {
  const { log, providers, sessions } = services
  const flying = new Map<SessionId, Promise<TokenRefresh>>()

  async function fly(session: LiveSession, cookie: string): Promise<TokenRefresh> {
    const provider = providers.get(session.record.provider)
    if (!provider || session.tokens.refreshToken === undefined) {
      return { kind: 'login-required', cause: 'the access token expired and there is no refresh token' }
    }
    const outcome = await provider.refresh(session.tokens, session.record.subject.sub)
    const event = { session: sessions.handleOf(session.id), provider: provider.name }
    if (outcome.kind === 'provider-unavailable') {
      log.warn({ event: 'provider_unavailable', reason: String(outcome.cause), ...event })
      return outcome
    }
    if (outcome.kind === 'login-required') {
      log.warn({ event: 'authn_token_refused', reason: String(outcome.cause), ...event })
      await sessions.end(session.id, 'refresh-rejected')
      return { kind: 'ended', cause: outcome.cause }
    }
    const next = await sessions.replaceTokens(session, cookie, outcome.tokens)
    return next
      ? { kind: 'refreshed', session: next }
      : { kind: 'ended', cause: 'the session ended during the refresh' }
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
