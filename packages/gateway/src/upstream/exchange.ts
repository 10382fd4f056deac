import type { ExchangeConfig } from '../config/schema.ts'
import { reasonOf } from '../oidc/faults.ts'
import { providerOf } from '../oidc/provider-of.ts'
import type { Exchanged, ExchangedToken } from '../oidc/token-exchange.ts'
import { printable } from '../protocol/printable.ts'
import type { Services } from '../services.ts'
import type { LiveSession, Tokens } from '../session/record.ts'
import { aboutToExpire, leadOf } from './fresh-tokens.ts'
import { createTrials, type Trials } from './trials.ts'

/** The tokens of one audience. */
export interface ExchangedTokens {
  /** One that is good for this request, if there is one; a new one is fetched ahead of its end. */
  at(session: LiveSession): ExchangedToken | undefined
  /** The last one, be it good or not. */
  last(session: LiveSession): ExchangedToken | undefined
  /** Asks the provider: once, however many ask at the same time. Never rejects. */
  fetch(session: LiveSession): Promise<Exchanged>
  /** Which access tokens were renewed because the provider would not exchange them. */
  readonly trials: Trials
}

export interface Exchanges {
  /** Routes that say the same share their tokens. */
  tokensOf(exchange: ExchangeConfig): ExchangedTokens
}

/** A refusal stands for so long: a client that tries again and again must not make the provider lock us out. Milliseconds. */
const refusalStands = 10_000

interface Held {
  readonly token?: ExchangedToken
  readonly refusal?: { readonly answer: Exchanged; readonly until: number }
  readonly flight?: Promise<Exchanged>
}

/**
 * Tokens from the provider, each for one upstream. They are held in memory only, by the token set of the opened session that
 * they were made of: an entry can't be found by any other user, and is gone with the session, and with its access token, since
 * a refresh may have told other rights.
 */
export function createExchanges(services: Pick<Services, 'log' | 'now' | 'providers' | 'sessions'>): Exchanges {
  const { log, now, providers, sessions } = services
  const shared = new Map<string, ExchangedTokens>()

  async function ask({ id, record, tokens }: LiveSession, what: ExchangeConfig): Promise<Exchanged> {
    const provider = providerOf(providers, record)
    if (!provider) return { kind: 'login-required', cause: 'the provider of the session is not configured any more' }
    const outcome = await provider.exchange(tokens, what)
    const event = outcome.kind === 'usable' ? 'authn_token_exchanged' : 'authn_token_exchange_failed'
    const { audience, resource } = what
    const fields = { event, session: sessions.handleOf(id), provider: provider.name, audience, resource }
    if (outcome.kind === 'usable') log.info(fields)
    else log.warn({ ...fields, outcome: outcome.kind, reason: printable(reasonOf(outcome.cause)) })
    return outcome
  }

  function createTokens(what: ExchangeConfig): ExchangedTokens {
    const held = new WeakMap<Tokens, Held>()

    function fetch(session: LiveSession): Promise<Exchanged> {
      const { tokens } = session
      const before = held.get(tokens)
      if (before?.flight) return before.flight
      if (before?.refusal !== undefined && now() < before.refusal.until) return Promise.resolve(before.refusal.answer)
      const flight = ask(session, what).then((answer) => {
        held.set(tokens, {
          ...(answer.kind === 'usable' ? { token: answer.token } : before?.token && { token: before.token }),
          ...(isRefusal(answer) && { refusal: { answer, until: now() + refusalStands } }),
        })
        return answer
      })
      held.set(tokens, { ...before, flight })
      return flight
    }

    return {
      at(session) {
        const token = held.get(session.tokens)?.token
        if (token?.expiresAt === undefined) return token
        const left = token.expiresAt - now()
        const lead = leadOf(token, token.expiresAt)
        if (left > lead) return token
        if (left <= Math.min(lead, aboutToExpire)) return undefined
        // Still good for this request: the next ones find a new one, and nobody waits.
        void fetch(session)
        return token
      },
      last: ({ tokens }) => held.get(tokens)?.token,
      fetch,
      trials: createTrials(now),
    }
  }

  return {
    tokensOf(what) {
      const name = JSON.stringify([what.audience, what.resource, what.scope])
      const tokens = shared.get(name) ?? createTokens(what)
      shared.set(name, tokens)
      return tokens
    },
  }
}

function isRefusal({ kind }: Exchanged): boolean {
  return kind !== 'usable' && kind !== 'provider-unavailable'
}
