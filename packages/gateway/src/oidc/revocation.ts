import * as oauth from 'oauth4webapi'
import { createBoundedFetch } from './bounded-fetch.ts'
import { withCircuitBreaker } from './circuit-breaker.ts'
import { reasonOf } from './faults.ts'
import { ProviderFault } from './provider-fault.ts'
import type { ProviderLink } from './provider-link.ts'
import type { Send } from './send.ts'

export interface RevocableToken {
  readonly token: string
  readonly type: 'refresh_token' | 'access_token'
}

/** What a provider made of a revocation. Reasons are for the log: they hold no token. */
export type Revoked =
  | { readonly kind: 'done' }
  /** The provider has no revocation endpoint, or the operator wants none used. */
  | { readonly kind: 'unsupported' }
  /** It will not, and asking again changes nothing. */
  | { readonly kind: 'refused'; readonly reason: string }
  /** Not now. `retryAfter`: seconds, where the provider says when. */
  | { readonly kind: 'unavailable'; readonly reason: string; readonly retryAfter?: number }

export type Revoke = (token: RevocableToken) => Promise<Revoked>

/** An hour: whoever asks for more is asked again all the same, before the token is given up. Seconds. */
const longestRetryAfter = 3600

/**
 * Revocation at one provider. It has a circuit breaker of its own: where only this endpoint is broken, sign-ins go on.
 * @see RFC 7009
 */
export function createRevocation(link: ProviderLink, send: Send | undefined): Revoke {
  const { authentication, config, metadata, now } = link
  const bounded = createBoundedFetch({ timeout: 10_000, maxBytes: 64 * 1024 }, send)
  const http = { ...link.http, [oauth.customFetch]: withCircuitBreaker(bounded) as never }
  let quietUntil = 0

  return async ({ token, type }) => {
    try {
      if (!config.logout.revoke) return { kind: 'unsupported' }
      // It asked for quiet: that holds for all tokens, not just the one that heard it.
      const quiet = Math.ceil((quietUntil - now()) / 1000)
      if (quiet > 0) return { kind: 'unavailable', reason: 'the provider asked for quiet', retryAfter: quiet }
      const server = await metadata.get()
      if (server.revocation_endpoint === undefined) return { kind: 'unsupported' }
      const additionalParameters = { token_type_hint: type }
      const request = { ...http, additionalParameters }
      const outcome = await read(await oauth.revocationRequest(server, link.client(), authentication, token, request))
      if (outcome.kind === 'unavailable') quietUntil = now() + (outcome.retryAfter ?? 0) * 1000
      return outcome
    } catch (error) {
      if (!(error instanceof ProviderFault)) return { kind: 'refused', reason: reasonOf(error) }
      const { retryAfter } = error
      return { kind: 'unavailable', reason: reasonOf(error), ...(retryAfter !== undefined && { retryAfter }) }
    }
  }
}

async function read(response: Response): Promise<Revoked> {
  const { status } = response
  if (response.ok) return { kind: 'done' }
  const error = await errorOf(response)
  const reason = `the revocation endpoint answered ${status}${error === undefined ? '' : ` ${error}`}`
  // RFC 7009 §2.2.1: 503 may come with Retry-After. 429 is its newer cousin.
  if (status >= 500 || status === 429) {
    const retryAfter = secondsOf(response.headers.get('retry-after'))
    return { kind: 'unavailable', reason, ...(retryAfter !== undefined && { retryAfter }) }
  }
  // A token that is not good any more is what was wanted. §2.2 answers it with 200; not everybody does.
  if (error === 'invalid_token' || error === 'invalid_grant') return { kind: 'done' }
  // A wrong secret of ours may be put right before the token is given up.
  if (status === 401 || error === 'invalid_client') return { kind: 'unavailable', reason }
  return { kind: 'refused', reason }
}

/** The error code, if it is one: whatever else a provider sends may repeat the token. @see RFC 6749 §5.2 */
async function errorOf(response: Response): Promise<string | undefined> {
  const document = (await response.json().catch(() => undefined)) as { error?: unknown } | null | undefined
  const error = document?.error
  return typeof error === 'string' && /^[a-z_]{1,40}$/.test(error) ? error : undefined
}

/** @see RFC 9110 §10.2.3: seconds, or a date */
function secondsOf(value: string | null): number | undefined {
  if (value === null) return undefined
  const seconds = /^\d{1,9}$/.test(value) ? Number(value) : Math.ceil((Date.parse(value) - Date.now()) / 1000)
  return seconds >= 0 ? Math.min(seconds, longestRetryAfter) : undefined
}
