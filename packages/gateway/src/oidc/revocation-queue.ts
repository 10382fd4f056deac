import { randomBytes } from 'node:crypto'
import type { KeyRing } from '../session/key-ring.ts'
import type { Outbox, OutboxEntry } from '../session/outbox.ts'
import { seal, unseal } from '../session/seal.ts'
import type { Clock } from '../session/store.ts'
import type { RevocableToken } from './revocation.ts'

/*
 * Tokens whose provider could not be told yet. This is the one place where a token lies in the store without the browser's
 * cookie: sealed under a key of the ring for this purpose alone, so store and ring together open it. That is the price of
 * not forgetting it, and it is paid only while the provider can't be reached, for a day at most.
 */

/** A token to revoke, and what the log may say of it. */
export interface Revocable extends RevocableToken {
  readonly provider: string
  /** The handle of the session that it was of. */
  readonly session?: string
}

export interface WaitingRevocation {
  /** Undefined where it can't be opened: the ring lost its key, or the bytes were changed. */
  readonly revocable: Revocable | undefined
  /** How often the provider was asked already. */
  readonly attempts: number
  /** Asked for a day, and never heard. */
  readonly hopeless: boolean
  done(): Promise<boolean>
  /** Later, and later each time. `retryAfter`: seconds, as the provider wants it. */
  retry(retryAfter: number | undefined): Promise<boolean>
}

export interface RevocationQueue {
  /** `retryAfter`: seconds, as the provider wants it; `now`: as soon as a worker is free. */
  add(revocable: Revocable, retryAfter: number | 'now' | undefined): Promise<void>
  /** What is due now: at most `limit`, leased to the caller. */
  take(limit: number): Promise<WaitingRevocation[]>
}

/** Milliseconds. The lease is longer than two answers of a provider may take. */
const lease = 60_000
const firstPause = 10_000
const longestPause = 60 * 60_000
const giveUpAfter = 24 * 60 * 60_000

export function createRevocationQueue(options: {
  outbox: Outbox
  ring: KeyRing
  now: Clock
  random: () => number
}): RevocationQueue {
  const { outbox, ring, now, random } = options

  /** Half of the pause is by chance: what failed together does not come back together. */
  function dueAfter(attempts: number, retryAfter: number | undefined): number {
    const pause = Math.min(longestPause, firstPause * 2 ** attempts) * (0.5 + random() / 2)
    return Math.max((retryAfter ?? 0) * 1000, pause)
  }

  function open({ id, bytes }: OutboxEntry): Revocable | undefined {
    const keyIdEnd = 1 + (bytes[0] ?? 0)
    const keyId = Buffer.from(bytes.subarray(1, keyIdEnd)).toString('latin1')
    const key = ring.derive(keyId, 'token-revocation')
    const plaintext = key && unseal(key, bytes.subarray(keyIdEnd), context(id, keyId))
    return plaintext && (JSON.parse(plaintext.toString()) as Revocable)
  }

  return {
    async add({ provider, session, token, type }, retryAfter) {
      const id = randomBytes(16).toString('base64url')
      const keyId = ring.current
      const key = ring.derive(keyId, 'token-revocation') as Buffer
      const sealed = seal(key, Buffer.from(JSON.stringify({ provider, session, token, type })), context(id, keyId))
      const bytes = Buffer.concat([Buffer.of(keyId.length), Buffer.from(keyId, 'latin1'), sealed])
      await outbox.add({ id, bytes, dueAt: now() + (retryAfter === 'now' ? 0 : dueAfter(0, retryAfter)) })
    },

    async take(limit) {
      const entries = await outbox.take(limit, now() + lease)
      return entries.map((entry) => ({
        revocable: open(entry),
        attempts: entry.attempts,
        hopeless: now() >= entry.addedAt + giveUpAfter,
        done: () => outbox.remove(entry),
        retry(retryAfter) {
          // Due once more at the end of its day, to be given up with a word in the log.
          const next = now() + dueAfter(entry.attempts, retryAfter)
          return outbox.postpone(entry, Math.min(next, Math.max(now(), entry.addedAt + giveUpAfter)))
        },
      }))
    },
  }
}

const context = (id: string, keyId: string) => `token revocation ${id} ${keyId}`
