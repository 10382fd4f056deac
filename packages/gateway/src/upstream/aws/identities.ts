import { hash } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { createCache } from '../../session/cache.ts'
import type { KeyRing } from '../../session/key-ring.ts'
import { seal, unseal } from '../../session/seal.ts'
import type { Clock, SessionStore } from '../../session/store.ts'

/** Which identity of a pool a user has: asked for once, by one process, and known to all from then on. */
export interface Identities {
  /** `whose`: pool, issuer and subject as one text. Rejects with what `ask` rejects with. */
  idOf(whose: string, ask: () => Promise<string>): Promise<string>
  /** It is not there any more: the next one who asks gets another. */
  forget(whose: string): Promise<void>
}

const day = 86_400_000
/** A user who was not seen for so long is forgotten here; the pool would tell the same identity again. Milliseconds. */
const keptFor = 400 * day
const renewedAfter = 30 * day
/** How long one may take to ask, until another does; milliseconds. */
const patience = 6_000
const glance = 25

/**
 * In the store, sealed: an identity is no secret, but it is data about a person. User 2 can't get what was noted of user 1:
 * the key is a hash of pool, issuer and subject, and a note opens under its own key only.
 */
export function createIdentities(options: {
  store: Pick<SessionStore, 'notes' | 'claim' | 'release'>
  ring: KeyRing
  now: Clock
  sleep?: (ms: number) => Promise<unknown>
}): Identities {
  const { store, ring, now, sleep = (ms) => setTimeout(ms) } = options
  const known = createCache<string, Promise<string>>(65_536)

  async function noted(key: string): Promise<string | undefined> {
    const note = await store.notes.get(key)
    const id = note && opened(ring, key, note.bytes)
    if (id !== undefined && note && note.expiresAt - now() < keptFor - renewedAfter) await write(key, id)
    return id
  }

  async function write(key: string, id: string): Promise<void> {
    await store.notes.set(key, { bytes: sealed(ring, key, id), expiresAt: now() + keptFor })
  }

  async function find(whose: string, ask: () => Promise<string>): Promise<string> {
    const key = keyOf(whose)
    let mine = false
    for (let waited = 0; !mine && waited < patience; waited += glance) {
      const id = await noted(key)
      if (id !== undefined) return id
      // Two sign-ins of one user, at two processes: one asks, the other reads what it noted.
      mine = await store.claim(key, now() + patience)
      if (!mine) await sleep(glance)
    }
    try {
      // It may have been noted between the look and the claim.
      const meanwhile = await noted(key)
      if (meanwhile !== undefined) return meanwhile
      const id = await ask()
      await write(key, id)
      return id
    } finally {
      if (mine) await store.release(key)
    }
  }

  return {
    idOf(whose, ask) {
      const asked = known.get(whose)
      if (asked !== undefined) return asked
      const finding = find(whose, ask)
      known.set(whose, finding)
      finding.catch(() => known.delete(whose))
      return finding
    },
    async forget(whose) {
      known.delete(whose)
      await store.notes.remove(keyOf(whose))
    },
  }
}

function keyOf(whose: string): string {
  return `aws-identity ${hash('sha256', whose, 'base64url')}`
}

/** length of key id (1) ‖ key id ‖ sealed */
function sealed(ring: KeyRing, key: string, id: string): Buffer {
  const keyId = ring.current
  const name = Buffer.from(keyId, 'latin1')
  const body = seal(ring.derive(keyId, 'identity-note') as Buffer, Buffer.from(id), key)
  return Buffer.concat([Buffer.from([name.length]), name, body])
}

/** Undefined too where it can't be read any more, as under a key that has left the ring: then it is asked for again. */
function opened(ring: KeyRing, key: string, bytes: Uint8Array): string | undefined {
  const view = Buffer.from(bytes)
  const end = 1 + (view[0] ?? 0)
  const secret = ring.derive(view.toString('latin1', 1, end), 'identity-note')
  return secret && unseal(secret, view.subarray(end), key)?.toString()
}
