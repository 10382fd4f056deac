import { hash, randomBytes } from 'node:crypto'
import type { SessionId } from './store.ts'

/**
 * The claim ticket that the browser carries: `v1.<sid>.<generation>.<secret>`, opaque and meaningless anywhere else.
 * sid is 16 and secret 32 random bytes in base64url; generation counts the rotations, in base 10 from 1.
 */
export interface CookieValue {
  readonly id: SessionId
  readonly generation: number
  /** The base64url text of 32 random bytes. Half of the key to the session's tokens: never stored, never logged. */
  readonly secret: string
}

const prefix = 'v1.'
const idLength = 22
const secretLength = 43
const maxGenerationDigits = 9

/** @see ASVS 5.0 7.2.3: 256 bits of the system's CSPRNG, twice what is asked for. */
export function newCookieValue(): CookieValue {
  return { id: randomBytes(16).toString('base64url') as SessionId, generation: 1, secret: newSecret() }
}

export function newSecret(): string {
  return randomBytes(32).toString('base64url')
}

export function formatCookieValue(value: CookieValue): string {
  return `${prefix}${value.id}.${value.generation}.${value.secret}`
}

/** Undefined for anything that we can not have issued: it is never looked up, and never adopted. */
export function parseCookieValue(text: string): CookieValue | undefined {
  const idEnd = prefix.length + idLength
  const secretStart = text.length - secretLength
  const digits = secretStart - 1 - (idEnd + 1)
  if (digits < 1 || digits > maxGenerationDigits) return undefined
  if (!text.startsWith(prefix) || text.charCodeAt(idEnd) !== dot || text.charCodeAt(secretStart - 1) !== dot)
    return undefined
  let generation = 0
  for (let at = idEnd + 1; at < secretStart - 1; at++) {
    const digit = text.charCodeAt(at) - zero
    if (digit < 0 || digit > 9) return undefined
    generation = generation * 10 + digit
  }
  // One spelling only: a second one (leading zeros) would slip past anything that compares cookie values.
  if (text.charCodeAt(idEnd + 1) === zero) return undefined
  if (!isBase64url(text, prefix.length, idEnd) || !isBase64url(text, secretStart, text.length)) return undefined
  return { id: text.slice(prefix.length, idEnd) as SessionId, generation, secret: text.slice(secretStart) }
}

/** What the store keeps of the secret. 256 random bits need no salt and no slow hash. */
export function hashSecret(secret: string): Buffer {
  return hash('sha256', secret, 'buffer')
}

const dot = 0x2e
const zero = 0x30

const alphabet = new Uint8Array(128)
for (const char of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_') alphabet[char.charCodeAt(0)] = 1

function isBase64url(text: string, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (alphabet[text.charCodeAt(at)] !== 1) return false
  return true
}
