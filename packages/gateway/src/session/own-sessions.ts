import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { json, noContent } from '../protocol/json-response.ts'
import type { Services } from '../services.ts'
import { deviceName } from './device-name.ts'
import { openOrRefuse } from './open-or-refuse.ts'
import type { LiveSession } from './record.ts'
import type { ListedSession } from './sessions.ts'

/** The signed-in user's own sessions: to see them, to end one, to end all others. @see ASVS 5.0 7.5.2 */
export function createOwnSessions(services: Pick<Services, 'limits' | 'placeOf' | 'sessions'>) {
  const { placeOf, sessions } = services

  async function current(request: EndpointRequest): Promise<LiveSession> {
    const opened = await openOrRefuse(services, request, 'refuse')
    if (opened?.kind === 'live') return opened.session
    throw new Refusal(opened?.kind === 'ended' ? 'session_expired' : 'login_required')
  }

  async function list(request: EndpointRequest): Promise<Respond> {
    const session = await current(request)
    sessions.touch(session)
    const own = await guarded(() => sessions.ofUser(session.record.subject))
    return json(200, {
      sessions: own.map((listed) => ({ ...describe(listed, session), place: placeOf(listed.record.address) ?? null })),
    })
  }

  /** Only among the user's own: a handle of somebody else's session is as unknown as any other text. */
  async function endOne(request: EndpointRequest): Promise<Respond> {
    const session = await current(request)
    const own = await guarded(() => sessions.ofUser(session.record.subject))
    const chosen = own.find((listed) => listed.handle === request.name)
    if (!chosen) throw new Refusal('not_found')
    await guarded(() => sessions.end(chosen.id, 'revoked'))
    return noContent()
  }

  async function endOthers(request: EndpointRequest): Promise<Respond> {
    const session = await current(request)
    if (request.parameters.get('others') !== '1') {
      throw new Refusal('bad_request', { cause: 'DELETE of all sessions needs ?others=1; to end this one, sign out' })
    }
    for (const { id } of await guarded(() => sessions.ofUser(session.record.subject))) {
      if (id !== session.id) await guarded(() => sessions.end(id, 'revoked'))
    }
    return noContent()
  }

  return { list, endOne, endOthers }
}

function describe({ id, handle, record }: ListedSession, current: LiveSession) {
  return {
    id: handle,
    current: id === current.id,
    createdAt: new Date(record.createdAt).toISOString(),
    lastSeenAt: new Date(record.lastSeenAt).toISOString(),
    device: deviceName(record.userAgent),
    address: record.address,
  }
}

/** A store that can't be read or written is an outage, never an empty list. */
async function guarded<Value>(work: () => Value | Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (cause) {
    throw new Refusal('store_unavailable', { cause })
  }
}
