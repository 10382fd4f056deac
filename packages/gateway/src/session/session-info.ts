import type { Respond } from '../decision.ts'
import type { EndpointRequest } from '../endpoint.ts'
import { json } from '../protocol/json-response.ts'
import type { Services } from '../services.ts'
import { openOrRefuse } from './open-or-refuse.ts'
import type { LiveSession } from './record.ts'
import { withRotation } from './rotate-cookie.ts'

/** `GET /auth/session` says who is signed in; `POST` extends the session first, `?passive=1` does not extend it. */
export function createSessionInfo(services: Services) {
  const { config, formTokens, sessions } = services
  // A page is told of nothing that no route asks for.
  const hasForms = config.routes.some(({ csrf }) => csrf === 'token')

  return async (request: EndpointRequest): Promise<Respond> => {
    const opened = await openOrRefuse(services, request, 'refuse')
    if (opened?.kind !== 'live') return json(200, { authenticated: false })
    const { session, rotationDue } = opened
    // A page that only polls whether it is still signed in must not keep the session alive by asking.
    const passive = request.head.method !== 'POST' && request.parameters.get('passive') === '1'
    if (!passive) sessions.touch(session)
    const answer = json(200, describe(session))
    return rotationDue ? await withRotation(services, request, session, answer) : answer
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
      ...(hasForms && { csrfToken: formTokens.issue(session.id) }),
    }
  }
}
