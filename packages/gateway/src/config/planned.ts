import type { Path } from './review.ts'

/**
 * What the interface names and this version does not do yet. It is refused with its own words, never ignored: somebody
 * counts on it. An entry leaves this table when the feature arrives, and the schema takes the key over.
 */
export const plannedKeys = ['watch.audit', 'watch.webhook', 'watch.rules', 'session.binding'] as const

export const plannedValues: readonly {
  readonly at: string
  readonly is: (value: unknown) => boolean
  readonly instead: string
}[] = [{ at: 'store.kind', is: oneOf('redis', 'postgres', 'dynamodb'), instead: 'write lmdb or memory' }]

export interface Planned {
  readonly path: Path
  readonly message: string
  /** What the schema says at or below this place is beside the point. */
  readonly covers: Path
}

/** Everything in the configuration that is planned only. */
export function findPlanned(data: unknown): Planned[] {
  const keys = plannedKeys.flatMap((pattern) =>
    matches(data, pattern.split('.')).map(({ path }) => ({
      path,
      message: 'is planned, but not in this version; remove it',
      covers: path,
    })),
  )
  const values = plannedValues.flatMap(({ at, is, instead }) =>
    matches(data, at.split('.'))
      .filter(({ value }) => is(value))
      .map(({ path }) => ({
        path,
        message: `this value is planned, but not in this version; ${instead}`,
        // A kind decides which keys go with it.
        covers: at.endsWith('.kind') ? path.slice(0, -1) : path,
      })),
  )
  return [...keys, ...values]
}

/** The places that a pattern names: `*` is any key or index. */
function matches(data: unknown, pattern: readonly string[], path: Path = []): { path: Path; value: unknown }[] {
  const [first, ...rest] = pattern
  if (first === undefined) return [{ path, value: data }]
  if (Array.isArray(data)) return first === '*' ? data.flatMap((item, i) => matches(item, rest, [...path, i])) : []
  if (!isObject(data)) return []
  const keys = first === '*' ? Object.keys(data) : Object.hasOwn(data, first) ? [first] : []
  return keys.flatMap((key) => matches(data[key], rest, [...path, key]))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function oneOf(...names: readonly string[]): (value: unknown) => boolean {
  return (value) => typeof value === 'string' && names.includes(value)
}
