import * as oauth from 'oauth4webapi'
import type { JsonObject } from '../session/json.ts'
import type { DpopKey } from './dpop-key.ts'
import type { ProviderLink } from './provider-link.ts'
import { userInfo } from './user-info.ts'

/** What a refresh tells of the user. */
export interface ClaimsNow {
  readonly claims: JsonObject
  /** The provider was asked for everything: a claim that is missing is gone, as when the last group was taken away. */
  readonly complete: boolean
  /** Why it is not, where that is worth a word in the log. */
  readonly fault?: unknown
}

/**
 * The claims of the user after a refresh, so that a change of groups counts while the session lives. UserInfo is asked where
 * the ID token of the answer lacks one of `wanted`; one that doesn't answer leaves things as they were.
 * @throws where UserInfo speaks of somebody else: the answer is worth nothing. @see OpenID Connect Core §5.3.2
 */
export async function claimsNow(
  link: ProviderLink,
  answer: { idClaims: oauth.IDToken | undefined; accessToken: string; dpopKey: DpopKey | undefined; sub: string },
  wanted: readonly string[],
): Promise<ClaimsNow | undefined> {
  const { idClaims, sub } = answer
  const told = (idClaims ?? {}) as unknown as JsonObject
  if (wanted.every((claim) => told[claim] !== undefined)) {
    return idClaims && { claims: told, complete: true }
  }
  try {
    return { claims: { ...(await userInfo(link, answer, sub)), ...told }, complete: true }
  } catch (cause) {
    if (cause instanceof oauth.OperationProcessingError && cause.code === oauth.JSON_ATTRIBUTE_COMPARISON) throw cause
    return { claims: told, complete: false }
  }
}
