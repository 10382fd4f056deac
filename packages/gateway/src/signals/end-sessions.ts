import type { ListedSession, Sessions } from '../session/sessions.ts'
import type { EndReason, SessionId } from '../session/store.ts'

/** More often nobody looks again: someone who signs in without end must not hold the one who reports it. */
const rounds = 10

/**
 * Ends what `find` finds, and looks again until there is nothing more: a sign-in that completes meanwhile adds a session that
 * the first look did not see. One that can't be ended keeps none of the others alive; then it rejects, so that whoever
 * asked tries again. Resolves to how many ended.
 */
export async function endSessions(
  { end }: Pick<Sessions, 'end'>,
  find: () => Promise<readonly ListedSession[]>,
  reason: EndReason,
): Promise<number> {
  const tried = new Set<SessionId>()
  const faults: unknown[] = []
  let ended = 0
  for (let round = 0; round < rounds; round++) {
    const left = (await find()).filter(({ id }) => !tried.has(id))
    if (left.length === 0) break
    for (const { id } of left) {
      tried.add(id)
      await end(id, reason).then(
        (done) => {
          if (done) ended++
        },
        (fault: unknown) => faults.push(fault),
      )
    }
  }
  if (faults.length > 0) throw faults[0]
  return ended
}
