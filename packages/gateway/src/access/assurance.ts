import type { Demand } from '../config/schema.ts'
import type { SessionRecord } from '../session/record.ts'

/** What a session lacks for a route. */
export interface Shortfall {
  /** Any of these would do; the first is asked for. */
  readonly acr?: string
  /** Seconds. */
  readonly maxAge?: number
}

/** How strongly and how recently the user must have signed in. @see ASVS 5.0 6.8.4 · RFC 9470 */
export function createAssurance({ acr, maxAge }: Pick<Demand, 'acr' | 'maxAge'>) {
  const demand: Shortfall = {
    ...(acr?.[0] !== undefined && { acr: acr[0] }),
    ...(maxAge !== undefined && { maxAge: Math.floor(maxAge / 1000) }),
  }
  return (record: SessionRecord, now: number): Shortfall | undefined => {
    const strong = acr === undefined || (record.acr !== undefined && acr.includes(record.acr))
    const recent = maxAge === undefined || now - record.authenticatedAt <= maxAge
    return strong && recent ? undefined : demand
  }
}

/** The local address at which the user can make up for it. */
export function stepUpUrl(basePath: string, returnTo: string, { acr, maxAge }: Shortfall): string {
  const demand = `${acr === undefined ? '' : `&acr=${encodeURIComponent(acr)}`}${maxAge === undefined ? '' : `&max_age=${maxAge}`}`
  return `${basePath}/step-up?return_to=${encodeURIComponent(returnTo)}${demand}`
}

/** @see RFC 9470 §3 */
export function stepUpChallenge({ acr, maxAge }: Shortfall): string {
  const parts = [
    'error="insufficient_user_authentication"',
    'error_description="A stronger or more recent sign-in is needed"',
  ]
  if (acr !== undefined) parts.push(`acr_values="${acr}"`)
  if (maxAge !== undefined) parts.push(`max_age="${maxAge}"`)
  return `Bearer ${parts.join(', ')}`
}
