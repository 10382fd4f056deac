import type { AdminRequest } from '../admin-endpoint.ts'
import type { Config } from '../config/schema.ts'
import type { Respond } from '../decision.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import { json } from '../protocol/json-response.ts'
import { createNote, guarded, invalid, readLimit, readParameters } from './admin-parameters.ts'
import { type AllSessions, describeSession, type Selection } from './all-sessions.ts'
import type { KeyRing } from './key-ring.ts'
import { seal, unseal } from './seal.ts'
import type { ListedSession } from './sessions.ts'

interface Parts {
  readonly all: AllSessions
  readonly config: Pick<Config, 'session' | 'roles' | 'rolesMatch'>
  readonly log: EventLog
  readonly ring: KeyRing
}

/** `/api/sessions` of the admin listener: everyone's sessions, to see and to end. What was done is logged. @see ASVS 5.0 7.4.5 */
export function createAdminSessions({ all, config, log, ring }: Parts) {
  const cursors = createCursors(ring)
  const note = createNote(log)

  /** `?user=SUB&iss=URL&limit=N&cursor=…` */
  async function list(request: AdminRequest): Promise<Respond> {
    const given = readParameters(request, ['user', 'iss', 'limit', 'cursor'])
    if (given.iss !== undefined && given.user === undefined) throw invalid('iss goes with user=SUB')
    const limit = readLimit(given.limit)
    const cursor = given.cursor === undefined ? undefined : cursors.open(given.cursor)
    const page =
      given.user === undefined
        ? await guarded(() => all.page(limit, cursor))
        : pageOf(await guarded(() => all.ofUser(given.user as string, given.iss)), limit, cursor)
    note(request, { action: 'sessions.list', ...given, cursor: undefined, shown: page.sessions.length })
    return json(200, {
      sessions: page.sessions.map((session) => describeSession(session, config)),
      ...(page.cursor !== undefined && { cursor: cursors.seal(page.cursor) }),
    })
  }

  /** `?user=SUB&iss=URL` or `?all=1` */
  async function endMany(request: AdminRequest): Promise<Respond> {
    const { user, iss, all: everyone } = readParameters(request, ['user', 'iss', 'all'])
    if (everyone !== undefined && everyone !== '1') throw invalid('all=1 ends everyone’s sessions')
    if ((user === undefined) === (everyone === undefined) || (iss !== undefined && user === undefined)) {
      throw invalid('say whose sessions: user=SUB (and iss=URL), or all=1, or /api/sessions/{id} for one')
    }
    const selection: Selection = user === undefined ? { all: true } : { user, ...(iss !== undefined && { iss }) }
    return json(200, { ended: await end(request, selection) })
  }

  async function endOne(request: AdminRequest): Promise<Respond> {
    readParameters(request, [])
    const ended = await end(request, { handle: request.name })
    if (ended === 0) throw new Refusal('not_found', { cause: 'no such session' })
    return json(200, { ended })
  }

  async function end(request: AdminRequest, selection: Selection): Promise<number> {
    const ended = await guarded(() => all.end(selection))
    const which = 'handle' in selection ? { session: selection.handle } : selection
    note(request, { action: 'sessions.revoke', ...which, ended })
    return ended
  }

  return { list, endMany, endOne }
}

/** A user's sessions are few, and known at once; their handles give them an order that outlives changes. */
function pageOf(found: readonly ListedSession[], limit: number, after = '') {
  const sorted = found.filter(({ handle }) => handle > after).sort((a, b) => (a.handle < b.handle ? -1 : 1))
  const sessions = sorted.slice(0, limit)
  const last = sessions.at(-1)
  return { sessions, ...(sorted.length > limit && last && { cursor: last.handle }) }
}

/** Sealed: a store's cursor may be a session's id, and those are shown to nobody. */
function createCursors(ring: KeyRing) {
  const key = ring.derive(ring.current, 'admin-cursor') as Buffer
  const context = 'cursor of /api/sessions'
  return {
    seal: (cursor: string) => seal(key, Buffer.from(cursor), context).toString('base64url'),
    open(text: string): string {
      const cursor = unseal(key, Buffer.from(text, 'base64url'), context)
      if (!cursor) throw invalid('cursor is not one of ours; begin again without')
      return cursor.toString()
    },
  }
}
