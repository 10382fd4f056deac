import { mayPass } from '../../config/aws-schema.ts'

/**
 * What of a client's head reaches AWS: what says how to read or answer the request, and what the route adds. Not its
 * Authorization or `x-amz-*`, which could make the request somebody else's or another one (x-amz-copy-source, x-amz-acl); no
 * cookies, and nothing of where the request came from.
 */
export function createForwardedHeaders(further: readonly string[]): (forward: readonly string[]) => string[] {
  const passed = new Set([...usual, ...further.map((name) => name.toLowerCase())])
  return (forward) => {
    const kept: string[] = []
    for (let i = 0; i < forward.length; i += 2) {
      const name = (forward[i] as string).toLowerCase()
      if (passed.has(name) && mayPass(name)) kept.push(name, forward[i + 1] as string)
    }
    return kept
  }
}

const usual =
  'accept accept-encoding accept-language cache-control content-disposition content-encoding content-language content-length content-md5 content-type expires idempotency-key if-match if-modified-since if-none-match if-range if-unmodified-since range user-agent x-api-key'.split(
    ' ',
  )
