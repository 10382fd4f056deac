import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '../event-log.ts'
import type { LiveSession, Tokens } from '../session/record.ts'
import type { EndReason, SessionId } from '../session/store.ts'
import type { ProviderClient } from './provider-client.ts'
import type { Revoked } from './revocation.ts'
import type { Revocable, RevocationQueue, WaitingRevocation } from './revocation-queue.ts'

/** Tells providers that tokens are over. */
export interface TokenRevocation {
  /** The refresh token, or the access token where there is none. Nobody waits for it, and it never fails: what can't be told now is queued. */
  revoke(ended: { readonly provider: string; readonly tokens: Tokens; readonly id?: SessionId }): void
  /** The hook of the sessions: one ended that this process had opened. */
  ended(session: LiveSession, reason: EndReason): void
  /** Looks into the queue now and then. */
  start(): void
  /** Gives what is under way `graceMs` to end; the rest is queued. */
  close(graceMs: number): Promise<void>
}

/** Requests at once, for all providers together: a thousand sign-outs are no stampede. */
const atOnce = 8
/** As many wait their turn in memory; what is beyond goes to the queue. */
const maxWaiting = 256
/** How often the queue is looked into, in milliseconds. */
const glance = 2_000

/** Ends whose tokens are dead already, unknown, or another's care (see replaced-tokens.ts). */
const nothingToRevoke: ReadonlySet<EndReason> = new Set(['refresh-rejected', 'unreadable', 'replaced'])

export function createTokenRevocation(options: {
  /** Asked anew each time: providers may change meanwhile. */
  providers: { get(name: string): Pick<ProviderClient, 'revoke'> | undefined }
  queue: RevocationQueue
  log: EventLog
  handleOf: (id: SessionId) => string
}): TokenRevocation {
  const { providers, queue, log, handleOf } = options
  const running = new Set<Revocable>()
  const waiting: Revocable[] = []
  const writing = new Set<Promise<void>>()
  let closed = false
  let draining: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined

  function revoke({ id, tokens, provider }: Parameters<TokenRevocation['revoke']>[0]): void {
    const about = { provider, ...(id !== undefined && { session: handleOf(id) }) }
    for (const token of tokensToRevoke(tokens)) submit({ ...token, ...about })
  }

  function submit(revocable: Revocable): void {
    if (closed || waiting.length >= maxWaiting) void enqueue(revocable, 'too many at once', 'now')
    else if (running.size >= atOnce) waiting.push(revocable)
    else void attempt(revocable)
  }

  async function attempt(revocable: Revocable): Promise<void> {
    running.add(revocable)
    const outcome = await ask(revocable)
    // `close` may have queued it meanwhile.
    if (!running.delete(revocable)) return
    if (outcome.kind === 'unavailable') await enqueue(revocable, outcome.reason, outcome.retryAfter)
    else report(revocable, outcome, 1)
    const next = closed ? undefined : waiting.shift()
    if (next) void attempt(next)
  }

  async function ask(revocable: Revocable): Promise<Revoked> {
    const provider = providers.get(revocable.provider)
    if (!provider) return { kind: 'unavailable', reason: 'the provider is configured no more' }
    return await provider.revoke(revocable)
  }

  async function enqueue(revocable: Revocable, reason: string, retryAfter: number | 'now' | undefined): Promise<void> {
    const written = write(revocable, reason, retryAfter)
    writing.add(written)
    await written
    writing.delete(written)
  }

  async function write(revocable: Revocable, reason: string, retryAfter: number | 'now' | undefined): Promise<void> {
    try {
      await queue.add(revocable, retryAfter)
      log.warn({ event: 'authn_token_revocation_queued', ...describe(revocable), reason })
    } catch (err) {
      log.error({ event: 'authn_token_revocation_abandoned', ...describe(revocable), reason: 'not queued', err })
    }
  }

  function report(revocable: Revocable, outcome: Revoked, attempts: number): void {
    const fields = { ...describe(revocable), attempts }
    if (outcome.kind === 'done') log.info({ event: 'authn_token_revoked', ...fields })
    if (outcome.kind !== 'refused') return
    log.warn({ event: 'authn_token_revocation_refused', ...fields, reason: outcome.reason })
  }

  async function drain(): Promise<void> {
    while (!closed) {
      const batch = await queue.take(atOnce)
      await Promise.all(batch.map(workOff))
      if (batch.length < atOnce) return
    }
  }

  async function workOff(entry: WaitingRevocation): Promise<void> {
    const { revocable, attempts } = entry
    if (entry.hopeless) return await abandon(entry)
    // Another gateway of the store may have a newer key ring than this one: the entry is left to it.
    if (!revocable) return void (await entry.retry(undefined))
    const outcome = await ask(revocable)
    if (closed) return // the lease runs out, and another looks after it
    if (outcome.kind === 'unavailable') {
      await entry.retry(outcome.retryAfter)
      log.debug({ event: 'authn_token_revocation_failed', ...describe(revocable), reason: outcome.reason, attempts })
    } else if (await entry.done()) report(revocable, outcome, attempts + 1)
  }

  async function abandon(entry: WaitingRevocation): Promise<void> {
    const { revocable, attempts } = entry
    if (!(await entry.done())) return
    const reason = revocable ? 'the provider was not reached for a day' : 'no gateway had the key to open it for a day'
    log.error({
      event: 'authn_token_revocation_abandoned',
      ...(revocable && describe(revocable)),
      attempts,
      reason,
    })
  }

  return {
    revoke,

    ended(session, reason) {
      if (nothingToRevoke.has(reason)) return
      revoke({ id: session.id, tokens: session.tokens, provider: session.record.provider })
    },

    start() {
      timer = setInterval(() => {
        draining ??= drain()
          .catch((err: unknown) => {
            if (!closed) log.error({ event: 'store_unavailable', err }, 'the revocation queue could not be read')
          })
          .finally(() => {
            draining = undefined
          })
      }, glance)
      timer.unref()
    },

    async close(graceMs) {
      clearInterval(timer)
      const giveUpAt = performance.now() + graceMs
      while ((running.size > 0 || waiting.length > 0) && performance.now() < giveUpAt) await sleep(20)
      closed = true
      const left = [...running, ...waiting.splice(0)]
      running.clear()
      await Promise.all(left.map((revocable) => enqueue(revocable, 'the gateway stops', 'now')))
      await Promise.all(writing)
      await Promise.race([draining, sleep(graceMs, undefined, { ref: false })])
    },
  }
}

/** A refresh token takes its access tokens with it (RFC 7009 §2.1); those that were inherited are the same user's. */
function tokensToRevoke({ refreshToken, accessToken, inherited = [] }: Tokens) {
  const own = refreshToken ?? accessToken
  const type = refreshToken === undefined ? 'access_token' : 'refresh_token'
  return [{ token: own, type } as const, ...inherited.map((token) => ({ token, type: 'refresh_token' }) as const)]
}

function describe({ provider, session, type }: Revocable) {
  return { provider, session, type }
}
