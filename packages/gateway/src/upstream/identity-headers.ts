import type { LiveSession } from '../session/record.ts'

/**
 * What an upstream is told of the user: `X-Coatcheck-User` (sub), `-Issuer` (iss) and `-Roles` (comma-separated). Made
 * once per opened session; a client's own headers of these names were dropped before.
 */
export function identityHeaders(session: LiveSession): readonly string[] {
  const known = made.get(session)
  if (known) return known
  const { subject, roles } = session.record
  const headers = [
    'X-Coatcheck-User',
    headerText(subject.sub),
    'X-Coatcheck-Issuer',
    headerText(subject.iss),
    'X-Coatcheck-Roles',
    roles.map(headerText).join(','),
  ]
  made.set(session, headers)
  return headers
}

/** Keyed by the session object itself: gone with it, and renewed with every change of the record. */
const made = new WeakMap<LiveSession, readonly string[]>()

/**
 * A claim is text from elsewhere: what isn't visible ASCII is percent-encoded, and `%` with it, so that no subject can
 * break out of its header or be read as another one.
 */
function headerText(value: string): string {
  return value.replace(/[^\x21-\x24\x26-\x7e]/gu, (char) => encodeURIComponent(char.isWellFormed() ? char : '\ufffd'))
}
