import type { ExchangeConfig } from '../config/schema.ts'
import { Refusal } from '../errors.ts'
import type { Exchanged, ExchangedToken } from '../oidc/token-exchange.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from '../session/record.ts'
import type { Credential, CredentialOf, Refreshed } from './credential.ts'
import { isBound } from './dpop-proofs.ts'
import { type FreshTokens, unavailable } from './fresh-tokens.ts'

/**
 * A token that the provider issues for this upstream, made of an access token that is good: one that ran out is renewed
 * first, and one that the provider won't exchange once more after that, for it may have taken it back.
 */
export function createExchangeCredential(
  what: ExchangeConfig,
  fresh: FreshTokens,
  { exchanges }: Pick<Services, 'exchanges'>,
): CredentialOf {
  const { at, last, fetch, trials } = exchanges.tokensOf(what)

  async function obtained(request: GatewayRequest, session: LiveSession): Promise<Refreshed> {
    const token = at(session)
    if (token) return { credential: given(token), session }
    const first = await fetch(session)
    if (first.kind === 'usable') return { credential: given(first.token), session }
    if (first.kind !== 'subject-refused') return without(request, session, first)
    if (session.tokens.refreshToken === undefined || !trials.worthIt(session)) throw refusalFor(first)
    const next = await fresh.replace(request, session)
    if (next === undefined) throw refusalFor(first)
    trials.begin(next)
    const second = await fetch(next)
    if (second.kind === 'usable') return { credential: given(second.token), session: next }
    if (second.kind === 'subject-refused') trials.inVain(next)
    return without(request, next, second)
  }

  /** While the provider is down, the last token may do for reading; see `session.offline`. */
  function without(request: GatewayRequest, session: LiveSession, answer: NotUsable): Refreshed {
    const token = answer.kind === 'provider-unavailable' ? last(session) : undefined
    if (token?.expiresAt === undefined || !fresh.mayReadOffline(request, session, token.expiresAt))
      throw refusalFor(answer)
    return { credential: given(token), session }
  }

  return (request, session) => {
    const renewed = fresh.renew(request, session)
    if (renewed !== undefined) return renewed.then((next) => obtained(request, next))
    const token = at(session)
    return token === undefined ? obtained(request, session) : given(token)
  }
}

type NotUsable = Exclude<Exchanged, { kind: 'usable' }>

function given(token: ExchangedToken): Credential {
  return isBound(token) ? token : `Bearer ${token.accessToken}`
}

function refusalFor({ kind, cause }: NotUsable): Refusal {
  if (kind === 'provider-unavailable') return unavailable(cause)
  if (kind === 'login-required') return new Refusal('login_required', { cause })
  return new Refusal(kind === 'denied' ? 'access_denied' : 'token_refused', { cause })
}
