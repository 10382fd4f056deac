import { z } from 'zod'
import { settle } from './settle.ts'
import type { SecretReference, Surroundings } from './surroundings.ts'

const expected = 'a secret does not stand in this file; write { env: NAME } or { file: path }'
const envName = '^[A-Za-z_][A-Za-z0-9_]*$'

/** For editors; the parser below says the same, in one message that repeats nothing. */
const forEditors = {
  title: 'secret',
  examples: [{ env: 'CLIENT_SECRET' }, { file: 'client-secret.txt' }],
  oneOf: [only('env', { type: 'string', pattern: envName }), only('file', { type: 'string', minLength: 1 })],
}

/**
 * A reference to a secret; the secret itself after parsing. Not a union of the schema library: its messages would name
 * keys and values that were written here by mistake, and those may be the secret.
 */
export function secret(around: Surroundings) {
  return z
    .unknown()
    .meta(forEditors)
    .transform((written, ctx): string => {
      const reference = readReference(written)
      if (reference) return settle(around.secret(reference), around, ctx)
      ctx.issues.push({ code: 'invalid_type', expected: 'object', input: written, message: expected })
      return z.NEVER
    })
}

function readReference(written: unknown): SecretReference | undefined {
  if (typeof written !== 'object' || written === null) return undefined
  const [[key, value] = [], ...more] = Object.entries(written)
  if (more.length > 0 || typeof value !== 'string') return undefined
  if (key === 'env') return new RegExp(envName).test(value) ? { env: value } : undefined
  return key === 'file' && value !== '' ? { file: value } : undefined
}

function only(key: string, value: object) {
  return { type: 'object', properties: { [key]: value }, required: [key], additionalProperties: false }
}
