import type { RouteConfig } from '../config/schema.ts'
import type { StreamEnd } from '../decision.ts'
import type { SessionRecord } from '../session/record.ts'
import { createPolicy } from './policy.ts'

/**
 * Whether a stream may go on: as long as a new request would be let in. An answer that ends by itself is not held to the age
 * and strength of the sign-in: it was admitted by one that was good enough when it began.
 */
export function createStay(access: RouteConfig['access']) {
  const { check } = createPolicy(access)
  return (record: SessionRecord, now: number, endless: boolean): StreamEnd['kind'] | undefined => {
    const objection = check(record, now)
    if (objection?.kind === 'denied') return 'access-denied'
    return objection !== undefined && endless ? 'step-up-required' : undefined
  }
}
