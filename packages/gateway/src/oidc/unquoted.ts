import { ResponseBodyError } from 'oauth4webapi'
import { reasonOf } from './faults.ts'

/**
 * The cause as it is, or without the provider's words where they repeat one of these secrets: what is said of a cause goes to
 * the log, and a provider may quote what it was sent. It is still the same kind of fault.
 */
export function unquoted(cause: unknown, secrets: readonly (string | null | undefined)[]): unknown {
  const said = reasonOf(cause)
  const pieces = secrets.flatMap((secret) => secret?.split('.') ?? [])
  if (!pieces.some((piece) => piece.length >= leastPiece && said.includes(piece))) return cause
  if (!(cause instanceof ResponseBodyError)) return new Error('what the provider says repeats a secret')
  const error = /^[a-z_]{1,40}$/.test(cause.error) ? cause.error : 'an error'
  return Object.assign(cause, { error, error_description: 'what it says of it repeats a secret' })
}

/** Shorter ones are found in other words. */
const leastPiece = 12
