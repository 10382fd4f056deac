import type { Config } from '../config/schema.ts'
import type { Clock, SessionStore } from '../session/store.ts'
import { createMemoryStore } from './memory.ts'

/**
 * Opens the configured store. A driver is loaded only where it is asked for.
 * @throws Error saying what is wrong with the path, the permissions or the data found there
 */
export async function openStore(store: Config['store'], options: { now: Clock }): Promise<SessionStore> {
  switch (store.kind) {
    case 'memory':
      return createMemoryStore(options)
    case 'lmdb': {
      const { createLmdbStore } = await import('./lmdb.ts')
      return createLmdbStore({ path: store.path, now: options.now })
    }
  }
}
