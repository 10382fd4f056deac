import { createCache } from '../session/cache.ts'
import type { LiveSession } from '../session/record.ts'
import type { Clock } from '../session/store.ts'

/** Which token sets were fetched because an upstream had refused the one before, and what came of it. */
export interface Trials {
  /** Is it likely that a new token helps? */
  worthIt(session: LiveSession): boolean
  /** The request goes out again, with the tokens of this session. */
  begin(session: LiveSession): void
  /** Those were refused as well. */
  inVain(session: LiveSession): void
}

interface Trial {
  readonly tokensVersion: number
  /** Milliseconds since the epoch. */
  readonly at: number
  /** New tokens that were refused in a row, before this one and with it. */
  readonly before: number
  vain: number
}

/**
 * An upstream that answers 401 to everything must not make a token request of each call: the provider would lock the client
 * out. Each token set is redeemed once in any case; after a new one that was refused at once, the next is fetched a minute
 * later, then two, and so on.
 */
export function createTrials(now: Clock): Trials {
  const trials = createCache<LiveSession['id'], Trial>(4096)

  return {
    worthIt({ id, record }) {
      const trial = trials.get(id)
      if (trial === undefined || trial.vain === 0 || trial.tokensVersion !== record.tokensVersion) return true
      return now() - trial.at >= Math.min(firstWait * 2 ** (trial.vain - 1), longestWait)
    },
    begin({ id, record: { tokensVersion } }) {
      const trial = trials.get(id)
      if (trial?.tokensVersion === tokensVersion) return
      trials.set(id, { tokensVersion, at: now(), before: trial?.vain ?? 0, vain: 0 })
    },
    inVain({ id, record }) {
      const trial = trials.get(id)
      if (trial?.tokensVersion === record.tokensVersion) trial.vain = trial.before + 1
    },
  }
}

/** Milliseconds. */
const firstWait = 60_000
const longestWait = 3_600_000
