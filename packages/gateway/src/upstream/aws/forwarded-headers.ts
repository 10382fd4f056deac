/**
 * What of the head for an upstream reaches AWS: of the client's, what says how to read or answer the request, and what the
 * route adds. Not its Authorization or `x-amz-*`, which could make the request somebody else's or another one
 * (x-amz-copy-source, x-amz-acl); no cookies, and nothing of where the request came from. Of the gateway's own, what finds a
 * request again in the log: AWS knows the user by the role's session.
 */
export function createForwardedHeaders(further: readonly string[]): (forward: readonly string[]) => string[] {
  // The configuration has refused what may not be among them.
  const passed = new Set([...usual, ...further.map((name) => name.toLowerCase())])
  return (forward) => {
    const kept: string[] = []
    for (let i = 0; i < forward.length; i += 2) {
      const name = forward[i] as string
      if (own.has(name) || passed.has(name.toLowerCase())) kept.push(name, forward[i + 1] as string)
    }
    return kept
  }
}

const own = new Set(['X-Request-Id', 'traceparent', 'tracestate'])
const usual =
  'accept accept-encoding accept-language cache-control content-disposition content-encoding content-language content-length content-md5 content-type expires idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since range user-agent x-api-key'.split(
    ' ',
  )
