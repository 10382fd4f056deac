import { isJsonObject } from '../protocol/strict-json.ts'
import { normaliseEmail } from '../session/email.ts'

/** Who is meant, in one of the formats that we can look up. @see RFC 9493 §3.2 */
export type Identifier =
  | { readonly format: 'email'; readonly email: string }
  | { readonly format: 'iss_sub'; readonly iss: string; readonly sub: string }
  | { readonly format: 'opaque'; readonly id: string }

/** Whose sessions are meant. A complex subject means those that fit all of its members. @see SSF 1.0 §3 */
export interface Subject {
  /** A simple subject: a user or, being opaque, a session as well. */
  readonly simple?: Identifier
  readonly user?: Identifier
  readonly session?: Identifier
  /** Members about which a session here says nothing (device, tenant, …), so that any value fits. */
  readonly others: readonly string[]
}

/** @throws Error that says what is wrong with it */
export function readSubject(value: unknown): Subject {
  if (!isJsonObject(value)) throw new Error('sub_id is missing, or not an object')
  if (value.format !== 'complex') return { simple: readIdentifier('sub_id', value), others: [] }
  const { format: _, user, session, ...others } = value
  const names = Object.keys(others)
  for (const name of names) {
    if (!isJsonObject(others[name])) throw new Error('a member of the complex subject is not an object')
  }
  const subject = {
    ...(user !== undefined && { user: readIdentifier('user', user) }),
    ...(session !== undefined && { session: readSession(session) }),
    others: names,
  }
  if (user === undefined && session === undefined && names.length === 0) throw new Error('the complex subject is empty')
  return subject
}

export function readIdentifier(name: string, value: unknown): Identifier {
  if (!isJsonObject(value) || typeof value.format !== 'string') throw new Error(`${name} has no format`)
  const text = (member: string): string => {
    const found = value[member]
    if (typeof found !== 'string' || found === '') throw new Error(`${name} has no ${member}`)
    return found
  }
  switch (value.format) {
    case 'email': {
      const email = normaliseEmail(text('email'))
      if (email === undefined) throw new Error(`the email of ${name} is no address`)
      return { format: 'email', email }
    }
    case 'iss_sub':
      return { format: 'iss_sub', iss: text('iss'), sub: text('sub') }
    case 'opaque':
      return { format: 'opaque', id: text('id') }
    default:
      throw new Error(`the format of ${name} is not one of email, iss_sub, opaque`)
  }
}

function readSession(value: unknown): Identifier {
  const session = readIdentifier('session', value)
  if (session.format !== 'opaque') throw new Error('the format of session is not opaque')
  return session
}
