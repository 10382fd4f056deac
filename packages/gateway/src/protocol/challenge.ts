/** What an upstream asks of the user's sign-in. */
export interface StepUpChallenge {
  /** The first of `acr_values`: the one that the upstream prefers. */
  readonly acr?: string
  /** Seconds. */
  readonly maxAge?: number
}

/**
 * Reads the head of a 401 (name, value, …) as an OAuth step-up challenge. Undefined for whatever is not exactly that: two
 * challenges, a parameter twice, a value that the step-up endpoint would not take. What is guessed here would send people
 * to their provider for nothing.
 * @see RFC 9470 §3 · RFC 9110 §11.6.1
 */
export function readStepUpChallenge(headers: readonly string[]): StepUpChallenge | undefined {
  let challenge: string | undefined
  for (let i = 0; i < headers.length; i += 2) {
    if (headers[i]?.toLowerCase() !== 'www-authenticate') continue
    if (challenge !== undefined) return undefined
    challenge = headers[i + 1]
  }
  if (challenge === undefined || challenge.length > MAX_LENGTH || !CHALLENGE.test(challenge)) return undefined
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, bare] of challenge.slice(challenge.indexOf(' ')).matchAll(PARAMETER)) {
    if (parameters.has(name.toLowerCase())) return undefined
    parameters.set(name.toLowerCase(), quoted ?? bare ?? '')
  }
  if (parameters.get('error') !== 'insufficient_user_authentication') return undefined
  const acrValues = parameters.get('acr_values')
  const maxAge = parameters.get('max_age')
  if (acrValues !== undefined && !ACR_VALUES.test(acrValues)) return undefined
  if (maxAge !== undefined && !/^\d{1,7}$/.test(maxAge)) return undefined
  return {
    ...(acrValues !== undefined && { acr: acrValues.split(' ', 1)[0] as string }),
    ...(maxAge !== undefined && { maxAge: Number(maxAge) }),
  }
}

const MAX_LENGTH = 2048
const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
/** Without backslashes: an escape would be one more way to read a value. */
const VALUE = `(?:"[\\t \\x21\\x23-\\x5b\\x5d-\\x7e]*"|${TOKEN})`
const CHALLENGE = new RegExp(`^(?:Bearer|DPoP) +${TOKEN}=${VALUE}(?: *, *${TOKEN}=${VALUE})*$`, 'i')
const PARAMETER = new RegExp(`(${TOKEN})=(?:"([^"]*)"|(${TOKEN}))`, 'g')
/** As the step-up endpoint takes them. */
const ACR_VALUES = /^[\w:./-]{1,200}(?: [\w:./-]{1,200})*$/
