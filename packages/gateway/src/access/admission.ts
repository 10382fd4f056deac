import type { RouteConfig } from '../config/schema.ts'
import type { StreamEnd } from '../decision.ts'
import type { SessionRecord } from '../session/record.ts'
import { createAssurance, type Shortfall } from './assurance.ts'

/** Whom a route lets in. */
export interface Admission {
  allows(roles: readonly string[]): boolean
  /** What the sign-in of this session lacks for the route, if anything. */
  lacks(record: SessionRecord, now: number): Shortfall | undefined
}

export function createAdmission(access: RouteConfig['access']): Admission {
  const needed = typeof access === 'object' ? access.roles : undefined
  return {
    allows: (roles) => needed === undefined || needed.some((role) => roles.includes(role)),
    lacks: createAssurance(access),
  }
}

/**
 * Whether a stream may go on: as long as a new request would be let in. An answer that ends by itself is held to the roles
 * only: it was admitted by a sign-in that was recent enough when it began.
 */
export function createStay({ allows, lacks }: Admission) {
  return (record: SessionRecord, now: number, endless: boolean): StreamEnd['kind'] | undefined => {
    if (!allows(record.roles)) return 'access-denied'
    return endless && lacks(record, now) !== undefined ? 'step-up-required' : undefined
  }
}
