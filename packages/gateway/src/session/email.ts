import { domainToASCII } from 'node:url'
import type { JsonObject } from './json.ts'

/**
 * An address in the one spelling under which it is compared; undefined where it is none. The domain is compared as DNS does:
 * in lower case, international names in their ASCII form. So is the local part, though RFC 5321 §2.4 lets a mail server tell
 * `Ada` from `ada`: none gives the two to two people, and a sign-out that misses its user over a capital letter is worse
 * than one too many. Only A–Z is folded (Unicode has more than one way to fold the rest), and dots and `+tags` stay.
 * @see RFC 9493 §3.2.2.1
 */
export function normaliseEmail(address: string): string | undefined {
  const at = address.lastIndexOf('@')
  const local = address.slice(0, at)
  if (address.length > 320 || at < 1 || !/^[^\s\p{C}@"]+$/u.test(local)) return undefined
  const domain = /^[^\s\p{C}/?#:%[\]\\]+$/u.test(address.slice(at + 1)) ? domainToASCII(address.slice(at + 1)) : ''
  if (domain === '' || domain.endsWith('.')) return undefined
  return `${local.normalize('NFC').replace(/[A-Z]/g, (letter) => letter.toLowerCase())}@${domain}`
}

/**
 * The address of a user, if their provider says that it is theirs. An address that anybody may enter names nobody.
 * @see OpenID Connect Core §5.1; Cognito's UserInfo writes the boolean as text
 */
export function verifiedEmail({ email, email_verified: verified }: JsonObject): string | undefined {
  return typeof email === 'string' && (verified === true || verified === 'true') ? normaliseEmail(email) : undefined
}
