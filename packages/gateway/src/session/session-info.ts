import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { Refusal } from '../errors.ts'
import { json } from '../protocol/json-response.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from './record.ts'

/** `GET /auth/session` says who is signed in; `POST` extends the session first, `?passive=1` does not extend it. */
export function createSessionInfo({ sessions }: Pick<Services, 'sessions'>) {
  return async (request: EndpointRequest): Promise<Respond> => {
    const session = request.cookie === undefined ? undefined : await live(request.cookie)
    if (!session) return json(200, { authenticated: false })
    // A page that only polls whether it is still signed in must not keep the session alive by asking.
    const passive = request.head.method !== 'POST' && request.parameters.get('passive') === '1'
    if (!passive) sessions.touch(session)
    return json(200, describe(session))
  }

  async function live(cookie: string): Promise<LiveSession | undefined> {
    try {
      const opened = await sessions.open(cookie)
      return opened.kind === 'live' ? opened.session : undefined
    } catch (cause) {
      throw new Refusal('store_unavailable', { cause })
    }
  }

  function describe(session: LiveSession) {
    const { record } = session
    const { idleExpiresAt, expiresAt } = sessions.expiry(session)
    return {
      authenticated: true,
      user: { ...record.claims, sub: record.subject.sub, iss: record.subject.iss },
      roles: record.roles,
      provider: record.provider,
      idleExpiresAt: new Date(idleExpiresAt).toISOString(),
      expiresAt: new Date(expiresAt).toISOString(),
      authTime: new Date(record.authenticatedAt).toISOString(),
    }
  }
}
