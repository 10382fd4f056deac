import * as oauth from 'oauth4webapi'
import { Refusal } from '../errors.ts'
import { ProviderFault } from './provider-fault.ts'

/**
 * Sorts what can go wrong between us and a provider into the two answers that a person can act on: the provider refused
 * (or sent what can't be trusted), or the provider is broken. The cause is for the log.
 */
export function asRefusal(error: unknown): Refusal {
  if (error instanceof Refusal) return error
  if (!isProviderBroken(error)) return new Refusal('login_failed', { cause: error })
  return new Refusal('provider_unavailable', { cause: error, headers: ['Retry-After', String(retryAfter(error))] })
}

/** Seconds after which an unavailable provider is worth another try. */
export function retryAfter(error: unknown): number {
  return (error instanceof ProviderFault ? error.retryAfter : undefined) ?? 5
}

export function isProviderBroken(error: unknown): boolean {
  if (error instanceof ProviderFault) return true
  if (error instanceof oauth.ResponseBodyError) return error.status >= 500 || error.status === 429
  // RFC 6749 §4.1.2.1: the provider says itself that it is out of order.
  if (error instanceof oauth.AuthorizationResponseError) {
    return error.error === 'server_error' || error.error === 'temporarily_unavailable'
  }
  return error instanceof oauth.OperationProcessingError && error.code !== undefined && ofBrokenProvider.has(error.code)
}

/** Answers that no working provider sends, and a discovery document whose endpoints are missing or no addresses. */
const ofBrokenProvider: ReadonlySet<string> = new Set([
  oauth.RESPONSE_IS_NOT_JSON,
  oauth.RESPONSE_IS_NOT_CONFORM,
  oauth.PARSE_ERROR,
  oauth.MISSING_SERVER_METADATA,
  oauth.INVALID_SERVER_METADATA,
  oauth.HTTP_REQUEST_FORBIDDEN,
  oauth.REQUEST_PROTOCOL_FORBIDDEN,
])

/**
 * What the log says of it: the error that the provider named, and what lies under an outage. Never the text of a parser's
 * error, and no `cause` of the library's: they hold pieces of answers, and so of tokens.
 */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  if (error instanceof oauth.AuthorizationResponseError || error instanceof oauth.ResponseBodyError) {
    const description = error.error_description === undefined ? '' : ` (${error.error_description})`
    return `${error.name}: the provider answered ${error.error}${description}`
  }
  if (error instanceof oauth.WWWAuthenticateChallengeError) {
    return `${error.name}: the provider answered ${error.status} ${error.cause[0]?.parameters.error ?? ''}`.trimEnd()
  }
  const under = error instanceof ProviderFault && error.cause instanceof Error ? `; ${reasonOf(error.cause)}` : ''
  return `${error.name}: ${error.message}${under}`
}

/**
 * Whether a failed refresh ends the session: the refresh token was taken back (`invalid_grant`, RFC 6749 §5.2), or the answer
 * can't be trusted. An outage or a wrong configuration of ours (`invalid_client`) signs nobody out.
 */
export function endsSession(error: unknown): boolean {
  if (error instanceof oauth.ResponseBodyError) return error.error === 'invalid_grant'
  return !isProviderBroken(error) && !(error instanceof oauth.WWWAuthenticateChallengeError)
}
