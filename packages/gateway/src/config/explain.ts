import leven from 'leven'
import { type core, z } from 'zod'
import type { Path } from './review.ts'

/** One thing that the schema has to say, in the words of the person who writes the file. */
export interface Remark {
  readonly path: Path
  readonly message: string
  /** A second place that the message is about. */
  readonly other?: Path
  readonly warning: boolean
}

/** What the types themselves don't word: handed to the schema as its error map. */
export function word(issue: core.$ZodRawIssue): string | undefined {
  switch (issue.code) {
    case 'invalid_type':
      return {
        string: 'write text (put it in quotes if it is a number)',
        number: 'write a number',
        boolean: 'write true or false',
        object: 'write keys and values here',
        record: 'write keys and values here',
        array: 'write a list, such as [a, b]',
      }[issue.expected as string]
    case 'invalid_value':
      return `write ${issue.values.map(String).join(' or ')}`
    default:
      return undefined
  }
}

/** The issues of a schema as remarks. `data` is what was parsed; `schema` tells which keys are known. */
export function explain(issues: readonly core.$ZodIssue[], data: unknown, schema: z.core.$ZodType): Remark[] {
  const remarks = issues.flatMap((issue) => explainIssue(issue, data, schema))
  // `acess: …; did you mean access?` says it all; that `access` is missing adds nothing.
  const meant = new Set(remarks.flatMap(({ meant }) => (meant === undefined ? [] : [meant])))
  return remarks.filter(({ path, missing }) => !(missing && meant.has(JSON.stringify(path))))
}

interface Draft extends Remark {
  readonly missing?: boolean
  /** The path, as JSON, of the key that was probably meant. */
  readonly meant?: string
}

function explainIssue(issue: core.$ZodIssue, data: unknown, schema: z.core.$ZodType): Draft[] {
  const path = issue.path as Path
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(schema, path)
    return issue.keys.map((key) => {
      const near = nearest(key, known)
      const hint = near === undefined ? `known here: ${known.join(', ')}` : `did you mean ${near}?`
      const meant = near === undefined ? {} : { meant: JSON.stringify([...path, near]) }
      return { path: [...path, key], message: `unknown key; ${hint}`, warning: false, ...meant }
    })
  }
  if (issue.code === 'invalid_key') {
    return [{ path, message: issue.issues[0]?.message ?? issue.message, warning: false }]
  }
  if (issue.code === 'invalid_union') {
    // Where the value has the shape of just one of the alternatives, that one knows better what is wrong.
    const [meant, ...more] = issue.errors.filter((option) => option.length > 0 && option.every(isInside))
    if (meant && more.length === 0) {
      return meant.flatMap((inner) => explainIssue({ ...inner, path: [...issue.path, ...inner.path] }, data, schema))
    }
  }
  const params = issue.code === 'custom' ? (issue.params ?? {}) : {}
  const other = Array.isArray(params.other) ? { other: params.other as Path } : {}
  const found = lookUp(data, path)
  const missing = found === undefined
  const said = issue.code !== 'custom' && (missing || found === null)
  const message = said ? `is ${missing ? 'missing' : 'empty'}; ${issue.message}` : issue.message
  return [{ path, message, warning: params.warning === true, missing, ...other }]
}

/** Not about the value as a whole. */
function isInside(issue: core.$ZodIssue): boolean {
  return issue.path.length > 0 || issue.code === 'unrecognized_keys'
}

function lookUp(data: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? value[key as keyof typeof value]
        : undefined,
    data,
  )
}

/** The known name that a mistyped one is closest to, if it is close at all. */
export function nearest(name: string, known: readonly string[]): string | undefined {
  const limit = Math.max(2, Math.floor(name.length / 3))
  return known
    .map((candidate) => ({
      candidate,
      distance: leven(name.toLowerCase(), candidate.toLowerCase(), { maxDistance: limit + 1 }),
    }))
    .filter(({ candidate, distance }) => distance <= limit && distance < candidate.length)
    .sort((a, b) => a.distance - b.distance)[0]?.candidate
}

/** The keys that the schema knows at a path. */
export function keysAt(schema: z.core.$ZodType, path: Path): string[] {
  const [first, ...rest] = path
  if (schema instanceof z.ZodPipe) return keysAt(schema.in, path)
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return keysAt(schema.unwrap(), path)
  }
  if (schema instanceof z.ZodUnion) return [...new Set(schema.options.flatMap((option) => keysAt(option, path)))]
  if (schema instanceof z.ZodArray) return first === undefined ? [] : keysAt(schema.element, rest)
  if (schema instanceof z.ZodRecord) return first === undefined ? [] : keysAt(schema.valueType, rest)
  if (!(schema instanceof z.ZodObject)) return []
  if (first === undefined) return Object.keys(schema.shape)
  const next = schema.shape[first]
  return next === undefined ? [] : keysAt(next, rest)
}
