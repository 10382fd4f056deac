/**
 * Forward-auth: a proxy holds a request and asks what becomes of it. Its question is a request of its own, which names the
 * original in `X-Forwarded-Method`, `-Uri`, `-Host` and `-Proto`, and brings the original's other headers along.
 */
export interface Question {
  /** The head of the original request, as if it had come here itself. */
  readonly method: string
  readonly target: string
  readonly rawHeaders: readonly string[]
  /** The answer may carry a token: `Sec-Coatcheck-Forward: 1`, which no script in a browser can send. */
  readonly credential: boolean
}

const parts = ['x-forwarded-method', 'x-forwarded-uri', 'x-forwarded-host', 'x-forwarded-proto'] as const
type Part = (typeof parts)[number]

/** Headers whose names begin with `Sec-` belong to the browser: fetch() refuses to set them. @see Fetch §2.2.2 */
const marker = 'sec-coatcheck-forward'

/**
 * Reads a question, or says why it can't be believed. Each part stands there exactly once: a proxy that adds its own
 * beside the client's leaves two, and believing the wrong one opens every route (GHSA-7x63-xv5r-3p2x). The same holds for
 * a look-alike (`X_Forwarded_Uri`) that some proxies fold into the real name (GHSA-vjrc-mh2v-45x6).
 * @param origin of the application: scheme, host and port
 */
export function readQuestion(rawHeaders: readonly string[], origin: URL): Question | string {
  const found = new Map<string, string>()
  const others: string[] = []
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = (rawHeaders[at] as string).toLowerCase()
    const value = rawHeaders[at + 1] as string
    const folded = name.replace(/[^a-z0-9]/g, '-')
    if ((parts as readonly string[]).includes(folded) || folded === marker) {
      if (name !== folded) return `a look-alike of ${folded}`
      if (found.has(name)) return `more than one ${name}`
      found.set(name, value)
    } else if (name !== 'host') {
      others.push(name, value)
    }
  }
  const missing = parts.find((part) => !found.has(part))
  if (missing !== undefined) return `no ${missing}`
  const part = (name: Part) => found.get(name) as string
  if (part('x-forwarded-host').toLowerCase() !== origin.host) return 'x-forwarded-host is not the host of the origin'
  if (part('x-forwarded-proto') !== origin.protocol.slice(0, -1)) return 'x-forwarded-proto is not that of the origin'
  if (!/^[A-Z][A-Z-]{0,31}$/.test(part('x-forwarded-method'))) return 'x-forwarded-method is not a method'
  if (!part('x-forwarded-uri').startsWith('/')) return 'x-forwarded-uri does not begin with /'
  return {
    method: part('x-forwarded-method'),
    target: part('x-forwarded-uri'),
    rawHeaders: ['host', origin.host, ...others],
    credential: found.get(marker) === '1',
  }
}
