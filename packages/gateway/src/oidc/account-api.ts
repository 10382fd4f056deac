import { isJsonObject } from '../protocol/strict-json.ts'
import { kindOf } from '../providers/kinds.ts'
import { createBoundedFetch } from './bounded-fetch.ts'
import { withCircuitBreaker } from './circuit-breaker.ts'
import { ProviderFault } from './provider-fault.ts'
import type { ProviderLink } from './provider-link.ts'
import type { Send } from './send.ts'

export type AccountOperation = 'ChangePassword' | 'GetUser' | 'GlobalSignOut' | 'UpdateUserAttributes'

export type AccountAnswer =
  | { readonly kind: 'done'; readonly result: Readonly<Record<string, unknown>> }
  /** `type` is the API's name for it; the message is the pool's text, which may quote what was sent. */
  | { readonly kind: 'refused'; readonly type: string; readonly message: string }
  | { readonly kind: 'unavailable'; readonly cause: unknown }

/** The API by which users manage their own account, with their access token. */
export interface AccountApi {
  /** That the access token needs. */
  readonly scope: string
  /** Never rejects. */
  call(operation: AccountOperation, input: Readonly<Record<string, unknown>>): Promise<AccountAnswer>
}

/**
 * A user pool's JSON API; undefined where the kind of provider has none. Its circuit breaker is its own: where only this
 * API is down, sign-ins go on.
 */
export function createAccountApi({ config }: ProviderLink, send: Send | undefined): AccountApi | undefined {
  const service = kindOf(config).account?.(config)
  if (!service) return undefined
  const fetch = withCircuitBreaker(createBoundedFetch({ timeout: 10_000, maxBytes: 256 * 1024 }, send))

  async function ask(operation: AccountOperation, input: object, { endpoint }: { endpoint: string }) {
    const response = await fetch(endpoint, {
      method: 'POST',
      headers: {
        'content-type': 'application/x-amz-json-1.1',
        'x-amz-target': `AWSCognitoIdentityProviderService.${operation}`,
      },
      body: JSON.stringify(input),
    })
    const document: unknown = await response.json().catch(() => undefined)
    if (!isJsonObject(document) || response.status >= 500) {
      throw new ProviderFault(`${operation}: an answer of status ${response.status} that says nothing`)
    }
    return { document, ok: response.ok }
  }

  return {
    scope: service.scope,
    async call(operation, input) {
      try {
        const { document, ok } = await ask(operation, input, service)
        if (ok) return { kind: 'done', result: document }
        // `com.amazonaws…#NotAuthorizedException` is one way to write it.
        const type = /(?:^|#)([A-Za-z]{1,60})$/.exec(String(document.__type))?.[1] ?? 'unknown'
        return { kind: 'refused', type, message: typeof document.message === 'string' ? document.message : '' }
      } catch (cause) {
        return { kind: 'unavailable', cause }
      }
    },
  }
}
