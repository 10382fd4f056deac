import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { rolesOf } from '../access/roles.ts'
import type { Config } from '../config/schema.ts'
import type { JsonObject } from '../session/json.ts'
import { openKeyFile } from '../session/key-file.ts'
import type { KeyRing } from '../session/key-ring.ts'
import { createSessions, type Sessions } from '../session/sessions.ts'
import type { SessionStore } from '../session/store.ts'
import { openStore } from '../stores/open.ts'

export interface StoreAtHand extends AsyncDisposable {
  readonly store: SessionStore
  readonly ring: KeyRing
  readonly sessions: Sessions
}

/**
 * The store itself, where no admin listener answers. A gateway that runs on the same store sees every change at once; what
 * only it knows (the tokens to revoke at the provider) is beyond reach from here.
 * @param what is looked for, for the message where it is in another process's memory
 * @throws Error where it is, or the key ring is not there
 */
export async function openStoreAtHand(config: Config, what: string): Promise<StoreAtHand> {
  const { store: where } = config
  if (where.kind === 'memory') {
    throw new Error(
      `no admin listener answers, and ${what} in memory are known to their gateway alone; start it, with admin: { port, token } in its configuration`,
    )
  }
  // Opening would make an empty store and a new key ring, and hide a wrong path.
  if (!existsSync(join(where.path, 'data.mdb'))) throw new Error(`there is no session store at ${where.path} yet`)
  if (!existsSync(config.keys.file))
    throw new Error(`${config.keys.file}: there is no key ring, so nothing in it opens`)
  const now = Date.now
  const store = await openStore(where, { now })
  try {
    const ring = openKeyFile(config.keys.file, now)
    const quiet = () => {}
    const roles = (attributes: JsonObject) => rolesOf(config, attributes)
    const parts = { store, ring, timeouts: config.session, now, rolesOf: roles }
    const sessions = createSessions({ ...parts, onEvent: quiet, onFault: quiet })
    return { store, ring, sessions, [Symbol.asyncDispose]: () => store.close() }
  } catch (error) {
    await store.close()
    throw error
  }
}
