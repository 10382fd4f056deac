import type { Config } from '../config/schema.ts'
import { createAllUsers, type Sought } from '../identity/all-users.ts'
import { type DescribedUser, describeUser } from '../identity/user-record.ts'
import type { Known } from '../identity/user-rows.ts'
import { openAdmin } from './admin-client.ts'
import { openStoreAtHand } from './open-store.ts'

/** Where the command finds users. */
export interface UsersAccess extends AsyncDisposable {
  pages(sought: Sought | undefined): AsyncIterable<readonly DescribedUser[]>
  /** How many sessions ended with it; undefined where there is no such user. */
  disable(id: string, reason: string | undefined): Promise<number | undefined>
  enable(id: string): Promise<number | undefined>
  forget(id: string): Promise<number | undefined>
}

/** Over the admin listener of the running gateway, where one answers; else in the store itself. */
export async function openUsers(config: Config): Promise<UsersAccess> {
  const ask = await openAdmin(config)
  if (!ask) return await onStore(config)
  const endedBy = async (method: string, path: string) => {
    const { ended } = await ask(method, `/api/users/${path}`)
    return typeof ended === 'number' ? ended : undefined
  }
  const name = encodeURIComponent
  return {
    async *pages(sought) {
      const query = new URLSearchParams(sought ? { ...sought } : { limit: '500' })
      for (;;) {
        const { users, cursor } = await ask('GET', `/api/users?${query}`)
        yield users as DescribedUser[]
        if (typeof cursor !== 'string') return
        query.set('cursor', cursor)
      }
    },
    disable: (id, reason) =>
      endedBy('POST', `${name(id)}/disable${reason === undefined ? '' : `?${new URLSearchParams({ reason })}`}`),
    enable: (id) => endedBy('POST', `${name(id)}/enable`),
    forget: (id) => endedBy('DELETE', name(id)),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function onStore(config: Config): Promise<UsersAccess> {
  const { store, ring, sessions, ...opened } = await openStoreAtHand(config, 'users')
  const quiet = () => {}
  const log = { debug: quiet, info: quiet, warn: quiet, error: quiet }
  const all = createAllUsers({ config, users: store.users, ring, sessions, log, now: Date.now })
  const described = (users: readonly Known[]) => users.map(({ id, record }) => describeUser(id, record))
  return {
    async *pages(sought) {
      if (sought) return yield described(await all.find(sought))
      let cursor: string | undefined
      do {
        const page = await all.page(500, cursor)
        yield described(page.users)
        cursor = page.cursor
      } while (cursor !== undefined)
    },
    disable: async (id, reason) => (await all.disable(id, reason))?.ended,
    enable: async (id) => (await all.enable(id))?.ended,
    async forget(id) {
      const done = await all.forget(id)
      if (done === 'disabled')
        throw new Error('is disabled, and could sign in again once forgotten; enable the user first')
      return done?.ended
    },
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  }
}
