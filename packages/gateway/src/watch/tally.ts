import type { Outcome } from '../decision.ts'
import { type ErrorCode, errors } from '../errors.ts'

/** What is counted on the path of every request: plain numbers in fixed places, read when somebody asks for the metrics. */
export interface Tally {
  /** Requests, by what was decided of them. */
  readonly decisions: Record<Outcome['kind'], number>
  /** Refusals and faults, by the code that the client saw. */
  readonly refusals: Record<ErrorCode, number>
  /** Answers of upstreams, by the first digit of their status. */
  readonly answers: Float64Array
}

export function createTally(): Tally {
  return {
    decisions: { forward: 0, respond: 0, static: 0, endpoint: 0, tunnel: 0 },
    refusals: Object.fromEntries(Object.keys(errors).map((code) => [code, 0])) as Record<ErrorCode, number>,
    answers: new Float64Array(10),
  }
}
