import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { rolesOf } from '../access/roles.ts'
import type { Config } from '../config/schema.ts'
import { createAllSessions, describeSession } from '../session/all-sessions.ts'
import type { JsonObject } from '../session/json.ts'
import { openKeyFile } from '../session/key-file.ts'
import { createSessions } from '../session/sessions.ts'
import { openStore } from '../stores/open.ts'
import type { SessionsAccess } from './sessions-over-admin.ts'

/**
 * The store itself, where no admin listener answers. A gateway that runs on the same store sees every end at once; what
 * only it knows (the tokens to revoke at the provider) is beyond reach from here.
 * @throws Error where the sessions are in another process's memory, or the key ring is not there
 */
export async function openOnStore(config: Config): Promise<SessionsAccess> {
  const { store: where } = config
  if (where.kind === 'memory') {
    throw new Error(
      'no admin listener answers, and sessions in memory are known to their gateway alone; start it, with admin: { port, token } in its configuration',
    )
  }
  // Opening would make an empty store and a new key ring, and hide a wrong path.
  if (!existsSync(join(where.path, 'data.mdb'))) throw new Error(`there is no session store at ${where.path} yet`)
  if (!existsSync(config.keys.file)) throw new Error(`${config.keys.file}: there is no key ring, so no session opens`)
  const now = Date.now
  const store = await openStore(where, { now })
  try {
    const ring = openKeyFile(config.keys.file, now)
    const quiet = () => {}
    const roles = (attributes: JsonObject) => rolesOf(config, attributes)
    const parts = { store, ring, timeouts: config.session, now, rolesOf: roles }
    const sessions = createSessions({ ...parts, onEvent: quiet, onFault: quiet })
    const all = createAllSessions({ config, now, ring, sessions, store })
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
      [Symbol.asyncDispose]: () => store.close(),
    }
  } catch (error) {
    await store.close()
    throw error
  }
}
