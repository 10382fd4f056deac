import type { Exchange } from './transport.ts'

export interface Leak {
  readonly token: string
  /** `GET http://… body`, for the message of a failing test. */
  readonly where: string
}

/** Shorter texts stand in random values by chance: `..` is `Li4` in base64, once in some 262,144 places. */
const shortestCanary = 8

/**
 * Where any of the tokens, whole or in a recognisable form, came to the browser: in an address, a header or a body.
 *
 * @throws RangeError for a token that is too short to be told from chance.
 */
export function findLeaks(seen: readonly Exchange[], tokens: Iterable<string>): Leak[] {
  const needles = [...tokens].map((token) => ({ token, forms: formsOf(token) }))
  return seen.flatMap((exchange) =>
    placesOf(exchange).flatMap(([place, text]) =>
      needles
        .filter(({ forms }) => forms.some((form) => text.includes(form)))
        .map(({ token }) => ({ token, where: `${exchange.method} ${exchange.url} ${place}` })),
    ),
  )
}

function placesOf({ url, rawHeaders, body }: Exchange): Array<[place: string, text: string]> {
  return [
    ['address', url],
    ['headers', rawHeaders.join('\n')],
    ['body', body.toString('latin1')],
  ]
}

/**
 * The token, percent-encoded, in base64 and base64url, and of a JWT its claims and its signature on their own.
 *
 * @throws RangeError for a token that is too short to be told from chance.
 */
export function formsOf(token: string): string[] {
  if (!isCanary(token)) throw new RangeError(`'${token}' is too short to be looked for: chance alone writes it.`)
  const bytes = Buffer.from(token)
  const [, claims, signature] = token.startsWith('eyJ') ? token.split('.') : []
  const forms = [
    token,
    encodeURIComponent(token),
    bytes.toString('base64url'),
    bytes.toString('base64').replace(/=+$/, ''),
  ]
  if (claims) forms.push(claims)
  if (signature) forms.push(signature)
  return [...new Set(forms)].filter(isCanary)
}

/** Whether a text is long enough that finding it is a leak and not chance. */
export const isCanary = (text: string): boolean => text.length >= shortestCanary
