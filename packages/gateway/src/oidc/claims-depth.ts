import { Refusal } from '../errors.ts'
import type { JsonObject } from '../session/json.ts'

/** What people are told apart by is flat, or nearly. */
const deepest = 32

/**
 * A parser reads thousands of brackets within brackets; what writes them again, for the session's record, runs out of stack.
 * That is the provider's doing, so the sign-in is refused and no fault of ours.
 */
export function refuseDeep(claims: JsonObject): void {
  let level: unknown[] = [claims]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > deepest) throw new Refusal('login_failed', { cause: `claims of more than ${deepest} levels` })
    level = level.flatMap((value) => (typeof value === 'object' && value !== null ? Object.values(value) : []))
  }
}
