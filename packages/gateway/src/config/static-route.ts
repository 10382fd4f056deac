import type { core } from 'zod'

/** What says nothing about files: accepted and without effect, somebody would count on it. */
const ofUpstreams = {
  timeout: 'files are read at once',
  maxBody: 'requests for files have no body',
  allowSetCookie: 'files set no cookies',
  connections: 'there is no upstream',
  maxWaiting: 'there is no upstream',
  timeouts: 'there is no upstream',
  health: 'there is no upstream',
  tls: 'there is no upstream',
} as const

/** Refuses on a `static` route what only means something for an upstream. Runs before defaults are filled in. */
export function refuseForStatic(route: object, ctx: core.$RefinementCtx<unknown>): void {
  const keys: Readonly<Record<string, unknown>> = { ...route }
  if (keys.static === undefined) return
  for (const [key, why] of Object.entries(ofUpstreams)) {
    if (keys[key] !== undefined)
      ctx.addIssue({ code: 'custom', message: `is for routes with upstream (${why}); remove it`, path: [key] })
  }
}
