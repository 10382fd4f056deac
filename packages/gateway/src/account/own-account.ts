import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import type { AccountAnswer, AccountApi, AccountOperation } from '../oidc/account-api.ts'
import { retryAfter } from '../oidc/faults.ts'
import { providerOf } from '../oidc/provider-of.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from '../session/open-or-refuse.ts'
import type { LiveSession } from '../session/record.ts'
import { createFreshTokens } from '../upstream/fresh-tokens.ts'
import { demandRecent } from './recent.ts'

/** The account of the signed-in user at their provider, and the way to it. */
export interface OwnAccount {
  readonly session: LiveSession
  /** What the API makes of an operation; outages are refusals already. @throws Refusal */
  call(operation: AccountOperation, input?: Readonly<Record<string, unknown>>): Promise<Settled>
}

export type Settled = Exclude<AccountAnswer, { kind: 'unavailable' }>

/**
 * Opens the account behind a request. Order: session → provider and scope → `may` → how recently the user signed in →
 * a good access token. Nobody is sent to sign in again for what they will not get.
 */
export function createOwnAccount(services: Services) {
  const { providers } = services
  const tokens = createFreshTokens({}, services)

  return async (request: EndpointRequest, may?: (session: LiveSession) => void): Promise<OwnAccount> => {
    const opened = await openOrRefuse(services, request, 'refuse')
    if (opened?.kind !== 'live') throw new Refusal(opened?.kind === 'ended' ? 'session_expired' : 'login_required')
    const { session } = opened
    const api = accountOf(providers, session)
    may?.(session)
    demandRecent(services, request, session)
    services.sessions.touch(session)
    const fresh = (await tokens.renew(request, session)) ?? session
    return {
      session: fresh,
      call: (operation, input = {}) => ask(api, operation, { AccessToken: fresh.tokens.accessToken, ...input }),
    }
  }
}

function accountOf(providers: Services['providers'], { record }: LiveSession): AccountApi {
  const api = providerOf(providers, record)?.account
  if (!api) throw denied('the provider of this session has no API for accounts')
  if (!record.scopes?.includes(api.scope)) throw denied(`the session lacks the scope ${api.scope}`)
  return api
}

async function ask(api: AccountApi, operation: AccountOperation, input: Readonly<Record<string, unknown>>) {
  const answer = await api.call(operation, input)
  if (answer.kind === 'unavailable') {
    throw new Refusal('provider_unavailable', {
      cause: answer.cause,
      headers: ['Retry-After', String(retryAfter(answer.cause))],
    })
  }
  if (answer.kind === 'refused' && slowDown.has(answer.type)) {
    throw new Refusal('too_many_requests', { cause: answer.type, headers: ['Retry-After', '60'] })
  }
  return answer
}

const slowDown: ReadonlySet<string> = new Set(['LimitExceededException', 'TooManyRequestsException'])

/**
 * The API says `NotAuthorizedException` both of a token that it takes no more and of what it will not do. A second question,
 * that nothing but the token decides, tells which; the words of its message are nobody's promise. Without an answer to it,
 * the first one stands.
 * @throws Refusal `login_required` where it is the token
 */
export async function demandLiveToken({ call }: OwnAccount): Promise<void> {
  const answer = await call('GetUser').catch(() => undefined)
  if (answer?.kind === 'refused' && answer.type === 'NotAuthorizedException') {
    throw new Refusal('login_required', { cause: 'the user pool takes the access token no more' })
  }
}

export function denied(cause: string): Refusal {
  return new Refusal('access_denied', { cause })
}
