/**
 * Finds what looks like a token in any text. Used by every attempt of the attacker's view.
 * The order matters: what one rule has claimed is blanked out for the next, so a token counts once.
 */

const JWT = /\beyJ[\w-]{8,}(?:\.[\w-]*){2,4}/g
const NAMED =
  /\b((?:access|refresh|id|auth|bearer|session)[-_]?token|client[-_]?secret|secretAccessKey)["']?\s*[:=]\s*["']?([\w.~+/%-]{16,}=*)/gi
const BEARER = /\bBearer\s+([\w.~+/-]{16,}=*)/g
const CODE = /[?&#]code=([\w.~-]{16,})/g
const AWS_KEY = /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g
const RUN = /(?<![\w-])[\w-]{32,}(?![\w-])/g

const JWK = /\{[^{}]*"kty"\s*:[^{}]*\}/g

/** The numbers of a public key are for everybody, and open nothing. Those of a private key stay: that would be a find. */
function withoutPublicParts(jwk) {
  if (/"[dk]"\s*:/.test(jwk)) return jwk
  return jwk.replace(/"(?:x|y|n)"\s*:\s*"[\w-]+"/g, ' ')
}

/**
 * @param {string} text
 * @returns {{ kind: string, value: string }[]} each distinct value once
 */
export function findTokens(text) {
  let rest = text.replace(/data:[\w/+.-]+;base64,[\w+/=]+/g, ' ').replace(JWK, withoutPublicParts)
  const found = new Map()

  /** Notes every match that `accept` confirms, and blanks it. `accept` answers the kind and the value, or nothing. */
  const take = (pattern, accept) => {
    rest = rest.replace(pattern, (...match) => {
      const hit = accept(...match)
      if (hit === undefined) return match[0]
      if (!found.has(hit.value)) found.set(hit.value, hit)
      return ' '
    })
  }

  take(NAMED, (_, name, value) => (hasLettersAndDigits(value) ? { kind: nameOf(name), value } : undefined))
  take(CODE, (_, value) => (hasLettersAndDigits(value) ? { kind: 'authorization code', value } : undefined))
  take(JWT, (value) => (isJoseHeader(value) ? { kind: jwtKind(value), value } : undefined))
  take(BEARER, (_, value) => (hasLettersAndDigits(value) ? { kind: 'bearer token', value } : undefined))
  take(AWS_KEY, (value) => ({ kind: 'AWS access key', value }))
  take(RUN, (value) => (looksRandom(value) ? { kind: 'random value', value } : undefined))
  return [...found.values()]
}

/** Enough to recognise a value again, too little to use it. */
export function shorten(value) {
  return value.length < 24 ? `${value.slice(0, 4)}…` : `${value.slice(0, 8)}…${value.slice(-4)} ${value.length} chars`
}

/**
 * A run of base64url letters that no person wrote: the three classes of characters alternate often and few repeat.
 * File names, slugs, identifiers and hexadecimal ids fail one of the two tests.
 */
export function looksRandom(run) {
  if (/^sha(256|384|512)-/.test(run)) return false // an integrity hash is public
  if (!/[a-z]/.test(run) || !/[A-Z]/.test(run) || !/\d/.test(run)) return false
  const words = run.split(/[-_]+/) // a slug's words change their class of letters once, at most
  return words.reduce((sum, word) => sum + switches(word), 0) / run.length > 0.38 && entropy(run) > 4.2
}

function isJoseHeader(value) {
  try {
    const header = value.slice(0, value.indexOf('.')).replaceAll('-', '+').replaceAll('_', '/')
    return typeof JSON.parse(atob(header)).alg === 'string'
  } catch {
    return false
  }
}

const jwtKind = (value) => (value.split('.').length === 5 ? 'encrypted JWT' : 'JWT')
const nameOf = (name) =>
  name
    .replace(/([a-z])([A-Z])/g, '$1 $2')
    .replace(/[-_]/g, ' ')
    .toLowerCase()
    .replace(/^id /, 'ID ')
const hasLettersAndDigits = (value) => /[a-z]/i.test(value) && /\d/.test(value)

function switches(run) {
  const classOf = (letter) => (/\d/.test(letter) ? 'digit' : /[a-z]/.test(letter) ? 'lower' : 'upper')
  return [...run].filter((letter, i) => i > 0 && classOf(letter) !== classOf(run[i - 1])).length
}

/** Shannon entropy in bits per character. */
function entropy(run) {
  const counts = new Map()
  for (const letter of run) counts.set(letter, (counts.get(letter) ?? 0) + 1)
  return [...counts.values()].reduce((sum, n) => sum - (n / run.length) * Math.log2(n / run.length), 0)
}
