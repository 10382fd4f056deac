import { Refusal } from '../errors.ts'
import type { Services } from '../services.ts'
import type { Subject } from './record.ts'
import type { SessionId } from './store.ts'

/**
 * Keeps a user below the limit of sessions. Called before a new session is made; `replaced` ends with the sign-in anyway
 * and doesn't count. @see ASVS 5.0 7.1.2
 * @throws Refusal `session_limit` where the operator chose to refuse
 */
export async function makeRoom(
  { config, sessions }: Pick<Services, 'config' | 'sessions'>,
  subject: Subject,
  replaced: ReadonlySet<SessionId>,
): Promise<void> {
  const { max, action } = config.session.perUser
  try {
    const others = (await sessions.ofUser(subject)).filter(({ id }) => !replaced.has(id))
    if (others.length < max) return
    if (action === 'refuse') throw new Refusal('session_limit', { cause: `${others.length} sessions` })
    // Last used first: what is beyond the limit, counting the new one, was unused for longest.
    for (const { id } of others.slice(max - 1)) await sessions.end(id, 'limit')
  } catch (cause) {
    throw cause instanceof Refusal ? cause : new Refusal('store_unavailable', { cause })
  }
}
