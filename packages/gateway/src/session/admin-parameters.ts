import type { AdminRequest } from '../admin-endpoint.ts'
import { Refusal } from '../errors.ts'
import type { EventLog } from '../event-log.ts'
import { printable } from '../protocol/printable.ts'

const defaultLimit = 100
const maxLimit = 1000

/** A misspelt parameter must not widen what is ended: what isn't known is refused. */
export function readParameters<const Name extends string>(
  { parameters }: AdminRequest,
  names: readonly Name[],
): { readonly [N in Name]?: string } {
  const given: Record<string, string> = {}
  for (const [name, value] of parameters) {
    if (!(names as readonly string[]).includes(name)) {
      throw invalid(`unknown parameter ${printable(name, 40)}; known: ${names.join(', ') || 'none'}`)
    }
    if (Object.hasOwn(given, name)) throw invalid(`${name} was given twice`)
    if (value === '') throw invalid(`${name} is empty`)
    given[name] = value
  }
  return given as { readonly [N in Name]?: string }
}

export function readLimit(text: string | undefined): number {
  if (text === undefined) return defaultLimit
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > maxLimit) throw invalid(`limit is a number from 1 to ${maxLimit}`)
  return limit
}

/** Who did what over the admin listener, for the log. @see ASVS 5.0 7.4.5 */
export function createNote(log: EventLog) {
  return (request: AdminRequest, done: Readonly<Record<string, unknown>>): void => {
    const fields = Object.entries(done).map(([key, value]) => [
      key,
      typeof value === 'string' ? printable(value) : value,
    ])
    log.info({
      event: 'authz_admin',
      ...Object.fromEntries(fields),
      address: request.address,
      requestId: request.requestId,
    })
  }
}

export function invalid(reason: string): Refusal {
  return new Refusal('invalid_parameter', { cause: reason, members: { reason } })
}

/** A store that can't be asked is an outage, and never an empty list. */
export async function guarded<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work()
  } catch (cause) {
    throw new Refusal('store_unavailable', { cause })
  }
}
