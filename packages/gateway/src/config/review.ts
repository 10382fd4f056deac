import type { core } from 'zod'
import { warning } from './settle.ts'

export type Path = readonly (string | number)[]

/** What a rule may ask and say. It also runs on a configuration with faults elsewhere, so it asks first what is sound. */
export interface Review {
  /** True if the schema found nothing wrong at, above or below any of these keys. */
  sound(at: Path, ...keys: readonly string[]): boolean
  /** `other`: a second place that the message is about; its line is added. */
  problem(path: Path, message: string, other?: Path): void
  warn(path: Path, message: string): void
}

export function createReview(ctx: core.$RefinementCtx<unknown>, warnings: boolean): Review {
  const faults = ctx.issues.filter((issue) => issue.code !== 'unrecognized_keys').map((issue) => issue.path ?? [])
  const touches = (fault: readonly PropertyKey[], path: Path) =>
    fault.every((key, i) => i >= path.length || key === path[i])
  return {
    sound: (at, ...keys) => keys.every((key) => !faults.some((fault) => touches(fault, [...at, key]))),
    problem: (path, message, other) => {
      ctx.addIssue({ code: 'custom', message, path: [...path], ...(other && { params: { other } }) })
    },
    warn: (path, message) => {
      if (warnings) ctx.addIssue({ code: 'custom', message, path: [...path], params: warning })
    },
  }
}
