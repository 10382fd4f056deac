import { decoded, strictlyEncoded } from './uri.ts'

/** A request-target in the form in which it is signed, and the one in which it is sent: no reader may take them for two. */
export type SignableTarget =
  | {
      readonly kind: 'target'
      /** What goes out: path and query. */
      readonly wire: string
      readonly canonicalPath: string
      readonly canonicalQuery: string
    }
  | { readonly kind: 'refused'; readonly reason: string }

/** S3 signs the path encoded once; everybody else signs the path on the wire encoded once more. */
export type PathStyle = 's3' | 'encoded-twice'

/**
 * `path` without and `query` with its `?`, as received. AWS decodes before it compares, so what it could decode in another
 * way than we do is refused, not repaired.
 * @see AWS Signature Version 4, "Create a canonical request"
 */
export function signableTarget(path: string, query: string, style: PathStyle): SignableTarget {
  // Another key, or another resource, to a server that resolves them, and none to one that doesn't.
  if (/\/\/|%2f|%5c/i.test(path)) return refused('// or an encoded slash in the path of a signed request')
  const asked = readQuery(query)
  if (typeof asked === 'string') return refused(asked)
  const sent = style === 's3' ? reencoded(path) : path
  if (sent === undefined) return refused('percent escapes that are not UTF-8')
  return {
    kind: 'target',
    wire: sent + asked.wire,
    canonicalPath: style === 's3' ? sent : encodedOnceMore(sent),
    canonicalQuery: asked.canonical,
  }
}

/** S3 decodes the path to the key and encodes that: a spelling of our own would be signed, and another one compared. */
function reencoded(path: string): string | undefined {
  const segments = path.split('/').map((segment) => {
    const text = decoded(segment)
    return text === undefined ? undefined : strictlyEncoded(text)
  })
  return segments.includes(undefined) ? undefined : segments.join('/')
}

function encodedOnceMore(path: string): string {
  return plainPath.test(path) ? path : path.split('/').map(strictlyEncoded).join('/')
}

const plainPath = /^[A-Za-z0-9\-._~/]*$/

/** What goes out and what is signed of a query; a reason if it is refused. */
function readQuery(query: string): { readonly wire: string; readonly canonical: string } | string {
  if (query === '' || query === '?') return { wire: '', canonical: '' }
  // A plus is a plus to some readers and a space to others; %20 is a space to all.
  const text = query.slice(1).replaceAll('+', '%20')
  const pairs: [name: string, value: string][] = []
  for (const pair of text.split('&')) {
    if (pair === '') return 'an empty parameter in the query of a signed request'
    const equals = pair.indexOf('=')
    const name = decoded(equals === -1 ? pair : pair.slice(0, equals))
    const value = decoded(equals === -1 ? '' : pair.slice(equals + 1))
    if (name === undefined || value === undefined) return 'percent escapes in the query that are not UTF-8'
    // A second signature, or another session token, of somebody else's: the service may believe the query and not the head.
    if (/^x-amz-/i.test(name)) return 'an X-Amz- parameter of the client'
    pairs.push([strictlyEncoded(name), strictlyEncoded(value)])
  }
  // Repeated names stay, in the order of their values; on the wire they stay in the client's order.
  if (pairs.length > 1) pairs.sort(([a, x], [b, y]) => order(a, b) || order(x, y))
  return { wire: `?${text}`, canonical: pairs.map(([name, value]) => `${name}=${value}`).join('&') }
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function refused(reason: string): SignableTarget {
  return { kind: 'refused', reason }
}
