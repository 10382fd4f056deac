import * as oauth from 'oauth4webapi'
import type { ExchangeConfig } from '../config/schema.ts'
import type { Tokens } from '../session/record.ts'
import { bindingOf, bindsTokens, withProof } from './dpop-binding.ts'
import { newDpopKey } from './dpop-key.ts'
import { isProviderBroken } from './faults.ts'
import type { ProviderLink } from './provider-link.ts'
import { lifetime } from './token-requests.ts'
import { unquoted } from './unquoted.ts'

/** A token for one upstream. */
export interface ExchangedToken {
  readonly accessToken: string
  /** Milliseconds since the epoch, both. */
  readonly obtainedAt: number
  readonly expiresAt?: number
  /** The private key that it is bound to; absent for a bearer token. */
  readonly dpopKey?: string
}

export type Exchanged =
  | { readonly kind: 'usable'; readonly token: ExchangedToken }
  /** This user may not have it. */
  | { readonly kind: 'denied'; readonly cause: unknown }
  /** What it says of the request may be meant for the access token, so a newer one may help. */
  | { readonly kind: 'subject-refused'; readonly cause: unknown }
  /** Nobody gets it: another target, another scope, another client, or an answer that can't be trusted. */
  | { readonly kind: 'refused'; readonly cause: unknown }
  | { readonly kind: 'provider-unavailable'; readonly cause: unknown }
  /** The provider of the session is not there any more. */
  | { readonly kind: 'login-required'; readonly cause: unknown }

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'

/**
 * Asks the provider for a token of the same user that works at one upstream only.
 * @see RFC 8693 §2 · RFC 8707 §2
 */
export async function exchange(
  link: ProviderLink,
  tokens: Tokens,
  { audience, resource, scope }: ExchangeConfig,
): Promise<Exchanged> {
  const { authentication, metadata, now } = link
  const parameters = {
    subject_token: tokens.accessToken,
    subject_token_type: accessTokenType,
    requested_token_type: accessTokenType,
    ...(audience !== undefined && { audience }),
    ...(resource !== undefined && { resource }),
    ...(scope !== undefined && { scope }),
  }
  try {
    const server = await metadata.get()
    const client = link.client()
    // The key that the access token is bound to, where it is: whoever shows that token proves that it is theirs.
    const key = tokens.dpopKey ?? (bindsTokens(link, server) ? newDpopKey() : undefined)
    const answer = await withProof(link, key, async (http) => {
      const sent = [server, client, authentication, exchangeGrant, parameters] as const
      const response = await oauth.genericTokenEndpointRequest(...sent, http)
      return await oauth.processGenericTokenEndpointResponse(server, client, response)
    })
    checkExchanged(answer, tokens)
    checkScope(answer.scope, scope)
    const dpopKey = bindingOf(link, answer, key)
    const obtainedAt = now()
    const token = {
      accessToken: answer.access_token,
      obtainedAt,
      ...(answer.expires_in !== undefined && { expiresAt: obtainedAt + lifetime(answer.expires_in) }),
      ...(dpopKey !== undefined && { dpopKey }),
    }
    return { kind: 'usable', token }
  } catch (cause) {
    return { kind: kindOf(cause), cause: unquoted(cause, [tokens.accessToken, tokens.idToken, tokens.refreshToken]) }
  }
}

/** @throws Error for an answer that is not what was asked for */
function checkExchanged(answer: oauth.TokenEndpointResponse, { accessToken, idToken, refreshToken }: Tokens): void {
  // An ID token or a refresh token in its place would make the upstream a client. @see RFC 8693 §2.2.1
  if (answer.issued_token_type !== accessTokenType) throw new Error('what was issued is not an access token')
  // A provider that ignores the audience and hands back what it got: the upstream would hold a token for all the others.
  if ([accessToken, idToken, refreshToken].includes(answer.access_token)) {
    throw new Error('what was issued is the token that was shown')
  }
}

/**
 * More than was asked for would let the upstream do with the user's rights what its route does not say. Less is allowed.
 * @throws Error
 * @see RFC 8693 §2.2.1
 */
function checkScope(granted: string | undefined, asked: string | undefined): void {
  if (granted === undefined || asked === undefined) return
  const allowed = new Set(asked.split(' '))
  const more = granted.split(' ').filter((scope) => scope !== '' && !allowed.has(scope))
  if (more.length > 0) throw new Error(`what was issued has scopes that were not asked for: ${more.join(' ')}`)
}

/** @see RFC 8693 §2.2.2: a subject token that is no good is `invalid_request`; others say `invalid_grant` or `invalid_token` */
function kindOf(error: unknown): Exclude<Exchanged['kind'], 'usable' | 'login-required'> {
  if (isProviderBroken(error)) return 'provider-unavailable'
  const code = error instanceof oauth.ResponseBodyError ? error.error : undefined
  if (code === 'access_denied') return 'denied'
  return code !== undefined && aboutSubject.has(code) ? 'subject-refused' : 'refused'
}

const aboutSubject: ReadonlySet<string> = new Set(['invalid_request', 'invalid_grant', 'invalid_token'])
