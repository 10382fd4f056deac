import type { Forward, Respond, ServeStatic } from '../decision.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { LiveSession } from './record.ts'

type Answer = Forward | Respond | ServeStatic

/**
 * Gives the browser a new value of its session cookie with this answer. One of the requests that find a rotation due
 * makes it; the others are answered as they are. When the store can't take it now, a later request will.
 */
export async function withRotation<Given extends Answer>(
  { cookies, log, sessions }: Services,
  request: Pick<GatewayRequest, 'cookie' | 'requestId'>,
  session: LiveSession,
  answer: Given,
): Promise<Given> {
  try {
    const rotated = request.cookie === undefined ? undefined : await sessions.rotate(session, request.cookie)
    return rotated ? carrying(answer, cookies.session(rotated.cookie), rotated.delivered) : answer
  } catch (err) {
    log.error({ event: 'store_unavailable', requestId: request.requestId, err }, 'a rotation was put off')
    return answer
  }
}

function carrying<Given extends Answer>(answer: Given, cookie: string, sent: () => void): Given {
  if (answer.kind !== 'forward') return { ...answer, headers: [...answer.headers, 'Set-Cookie', cookie], sent }
  // An answer with a cookie must not be kept by any cache, whatever the route allows.
  const response = { ...answer.response, noStore: true, add: [...answer.response.add, 'Set-Cookie', cookie] }
  return { ...answer, response, sent }
}
