import type { Decision, Outcome, Respond, Streaming } from './decision.ts'
import type { Guard } from './guard.ts'

/**
 * The guard, with Strict-Transport-Security on whatever it answers itself: redirects, errors, endpoints. Files and the
 * answers of upstreams carry it already. @see ASVS 5.0 3.4.1 (all responses)
 */
export function withStrictTransport(guard: Guard, transport: readonly string[]): Guard {
  if (transport.length === 0) return guard
  const addTo = (decision: Outcome): Outcome => {
    if (decision.kind === 'respond') return addHeaders(decision, transport)
    if (decision.kind !== 'endpoint') return decision
    return { ...decision, run: async (body) => addHeaders(await decision.run(body), transport) }
  }
  const add = (decision: Decision): Decision =>
    decision.kind === 'look'
      ? { ...decision, decide: async (beginning) => addTo(await decision.decide(beginning)) }
      : addTo(decision)
  return {
    ...guard,
    decide(head) {
      const decision = guard.decide(head)
      return decision instanceof Promise ? decision.then(add) : add(decision)
    },
  }
}

export function addHeaders<Answer extends Respond | Streaming>(answer: Answer, headers: readonly string[]): Answer {
  return { ...answer, headers: [...answer.headers, ...headers] }
}
