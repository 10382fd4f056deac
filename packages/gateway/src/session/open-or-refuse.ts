import { Refusal } from '../errors.ts'
import type { GatewayRequest } from '../request.ts'
import type { Services } from '../services.ts'
import type { Opened } from './record.ts'

/**
 * Who is behind the cookie of a request to one of our own endpoints; undefined without a cookie. A store that can't be read
 * is an outage, never "not signed in".
 * `throttled`: what becomes of a cookie of no session, once there were too many from its network. `admit` where that one
 * must not be kept from signing in or out by a neighbour who guesses; it is counted all the same.
 * @throws Refusal `store_unavailable`, `too_many_requests`
 */
export async function openOrRefuse(
  { limits, sessions }: Pick<Services, 'limits' | 'sessions'>,
  request: GatewayRequest,
  throttled: 'admit' | 'refuse' = 'admit',
): Promise<Opened | undefined> {
  if (request.cookie === undefined) return undefined
  const opened = await open(sessions, request.cookie)
  if (opened.kind === 'live') request.session = opened.session
  else if (opened.kind === 'unknown') limits.missed(request, throttled === 'refuse')
  return opened
}

async function open(sessions: Services['sessions'], cookie: string): Promise<Opened> {
  try {
    return await sessions.open(cookie)
  } catch (cause) {
    throw new Refusal('store_unavailable', { cause })
  }
}
