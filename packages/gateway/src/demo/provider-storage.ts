import type { Adapter, AdapterFactory, AdapterPayload } from 'oidc-provider'

/** How many milliseconds an entry outlives its own expiry, so that late use is answered precisely. */
const grace = 60_000

interface Entry {
  readonly payload: AdapterPayload
  readonly expiresAt: number
}

/**
 * Where the development provider keeps its sessions, codes and tokens: a Map, forgotten with the process.
 * One storage can serve several oidc-provider instances in turn, which is how signing keys are rotated.
 */
export function createProviderStorage(): AdapterFactory {
  const entries = new Map<string, Entry>()
  let writes = 0

  function live(key: string): AdapterPayload | undefined {
    const entry = entries.get(key)
    return entry && entry.expiresAt > Date.now() ? entry.payload : undefined
  }

  function sweep(): void {
    const now = Date.now()
    for (const [key, entry] of entries) if (entry.expiresAt <= now) entries.delete(key)
  }

  function findWhere(kind: string, member: 'uid' | 'userCode', value: string): AdapterPayload | undefined {
    for (const [key, entry] of entries) {
      if (key.startsWith(`${kind}:`) && entry.payload[member] === value) return live(key)
    }
    return undefined
  }

  return (kind): Adapter => ({
    async upsert(id, payload, expiresIn) {
      const expiresAt = expiresIn === undefined ? Number.POSITIVE_INFINITY : Date.now() + expiresIn * 1000 + grace
      entries.set(`${kind}:${id}`, { payload, expiresAt })
      if (++writes % 1000 === 0) sweep()
    },
    async find(id) {
      return live(`${kind}:${id}`)
    },
    async findByUid(uid) {
      return findWhere(kind, 'uid', uid)
    },
    async findByUserCode(userCode) {
      return findWhere(kind, 'userCode', userCode)
    },
    async consume(id) {
      const payload = live(`${kind}:${id}`)
      if (payload) payload.consumed = Math.floor(Date.now() / 1000)
    },
    async destroy(id) {
      entries.delete(`${kind}:${id}`)
    },
    async revokeByGrantId(grantId) {
      for (const [key, entry] of entries) {
        if (key.startsWith(`${kind}:`) && entry.payload.grantId === grantId) entries.delete(key)
      }
    },
  })
}
