import type { StreamEnd } from '../decision.ts'

/** What a client hears whose stream had not begun when it had to end. */
export type StreamFailure =
  | 'session_expired'
  | 'access_denied'
  | 'step_up_required'
  | 'store_unavailable'
  | 'upstream_unavailable'

export const failureOf: Record<StreamEnd['kind'], StreamFailure> = {
  'session-ended': 'session_expired',
  'access-denied': 'access_denied',
  'step-up-required': 'step_up_required',
  'store-unavailable': 'store_unavailable',
  'going-away': 'upstream_unavailable',
}
