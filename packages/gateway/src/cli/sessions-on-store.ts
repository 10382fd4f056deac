import type { Config } from '../config/schema.ts'
import { createAllSessions, describeSession } from '../session/all-sessions.ts'
import { openStoreAtHand } from './open-store.ts'
import type { SessionsAccess } from './sessions-over-admin.ts'

/** Sessions in the store itself: see open-store.ts. */
export async function openOnStore(config: Config): Promise<SessionsAccess> {
  const opened = await openStoreAtHand(config, 'sessions')
  const all = createAllSessions({ config, now: Date.now, ...opened })
  return {
    async *pages(of) {
      if (of) return yield (await all.ofUser(of.user, of.iss)).map((one) => describeSession(one, config))
      let cursor: string | undefined
      do {
        const page = await all.page(500, cursor)
        yield page.sessions.map((one) => describeSession(one, config))
        cursor = page.cursor
      } while (cursor !== undefined)
    },
    end: all.end,
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}
