import type { AdminRequest } from '../admin-endpoint.ts'
import type { Respond } from '../decision.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import { json } from '../protocol/json-response.ts'
import { createNote, guarded, invalid, readLimit, readParameters } from '../session/admin-parameters.ts'
import { type AllUsers, type Changed, isUserId, type Sought } from './all-users.ts'
import { describeUser } from './user-record.ts'

/** `/api/users` of the admin listener: who has signed in, and who may not any more. What was done is logged. */
export function createAdminUsers({ all, log }: { all: AllUsers; log: EventLog }) {
  const note = createNote(log)

  /** `?user=SUB&iss=URL` or `?email=ADDRESS`, else everyone: `?limit=N&cursor=…` */
  async function list(request: AdminRequest): Promise<Respond> {
    const given = readParameters(request, ['user', 'iss', 'email', 'limit', 'cursor'])
    const sought = soughtIn(given)
    if (sought !== undefined && (given.limit ?? given.cursor) !== undefined) {
      throw invalid('limit and cursor go with everyone; one user’s answer is whole')
    }
    if (given.cursor !== undefined && !isUserId(given.cursor)) {
      throw invalid('cursor is not one of ours; begin again without')
    }
    const limit = readLimit(given.limit)
    const page = await guarded(async () =>
      sought === undefined ? await all.page(limit, given.cursor) : { users: await all.find(sought) },
    )
    // An address is nobody's name in a log.
    const by = given.email === undefined ? { user: given.user, iss: given.iss } : { by: 'email' }
    note(request, { action: 'users.list', ...by, shown: page.users.length })
    return json(200, {
      users: page.users.map(({ id, record }) => describeUser(id, record)),
      ...('cursor' in page && { cursor: page.cursor }),
    })
  }

  async function show(request: AdminRequest): Promise<Respond> {
    readParameters(request, [])
    const user = await guarded(() => all.get(request.name))
    note(request, { action: 'users.show', user: request.name })
    if (user === undefined) throw unknown()
    return json(200, describeUser(user.id, user.record))
  }

  /** `?reason=TEXT`: for whoever reads the directory later. */
  async function disable(request: AdminRequest): Promise<Respond> {
    const { reason } = readParameters(request, ['reason'])
    if (reason !== undefined && reason.length > 200) throw invalid('reason is at most 200 characters')
    return await changed(request, 'users.disable', () => all.disable(request.name, reason))
  }

  async function enable(request: AdminRequest): Promise<Respond> {
    readParameters(request, [])
    return await changed(request, 'users.enable', () => all.enable(request.name))
  }

  async function changed(
    request: AdminRequest,
    action: string,
    work: () => Promise<Changed | undefined>,
  ): Promise<Respond> {
    const done = await guarded(work)
    note(request, { action, user: request.name, ended: done?.ended })
    if (done === undefined) throw unknown()
    return json(200, { user: describeUser(done.user.id, done.user.record), ended: done.ended })
  }

  async function forget(request: AdminRequest): Promise<Respond> {
    readParameters(request, [])
    const done = await guarded(() => all.forget(request.name))
    note(request, { action: 'users.forget', user: request.name, done: typeof done === 'object' })
    if (done === undefined) throw unknown()
    if (done === 'disabled') throw invalid('is disabled, and could sign in again once forgotten; enable the user first')
    return json(200, done)
  }

  return { list, show, disable, enable, forget }
}

function soughtIn({ user, iss, email }: { user?: string; iss?: string; email?: string }): Sought | undefined {
  if (iss !== undefined && user === undefined) throw invalid('iss goes with user=SUB')
  if (user !== undefined && email !== undefined) throw invalid('write user or email, not both')
  if (email !== undefined) return { email }
  return user === undefined ? undefined : { user, ...(iss !== undefined && { iss }) }
}

function unknown(): Refusal {
  return new Refusal('not_found', { cause: 'no such user' })
}
