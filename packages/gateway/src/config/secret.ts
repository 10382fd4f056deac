import { z } from 'zod'
import { settle } from './settle.ts'
import type { Surroundings } from './surroundings.ts'

const expected = 'a secret does not stand in this file; write { env: NAME } or { file: path }'
const envName = /^[A-Za-z_][A-Za-z0-9_]*$/

/** A reference to a secret; the secret itself after parsing. No message repeats what was written: it may be the secret. */
export function secret(around: Surroundings) {
  return z
    .union([z.strictObject({ env: z.string().regex(envName) }), z.strictObject({ file: z.string().min(1) })], {
      error: expected,
    })
    .meta({ title: 'secret', examples: [{ env: 'CLIENT_SECRET' }, { file: 'client-secret.txt' }] })
    .transform((reference, ctx) => settle(around.secret(reference), around, ctx))
}
