import type { core } from 'zod'
import type { Answer, Surroundings } from './surroundings.ts'

/** Marks an issue of the schema as a warning: see `Surroundings.warn`. */
export const warning = { warning: true } as const

/** Turns an answer of the surroundings into a value, reporting what is wrong with it to the schema. */
export function settle<T>(answer: Answer<T>, around: Surroundings, ctx: core.$RefinementCtx<unknown>): T {
  for (const { message, at } of answer.problems ?? []) {
    ctx.addIssue({ code: 'custom', message, path: at === undefined ? [] : [at] })
  }
  if (around.warn) {
    for (const { message, at } of answer.warnings ?? []) {
      ctx.addIssue({ code: 'custom', message, path: at === undefined ? [] : [at], params: warning })
    }
  }
  return answer.value
}
