import { randomBytes, randomFillSync } from 'node:crypto'

/** Ids that are unique across processes and restarts, and cheap. They name a request in logs; they are no secret. */
export function createRequestIds(): () => string {
  // A command line takes what begins with a dash for an option: `coatcheck explain --request ID`.
  const prefix = randomBytes(9).toString('base64url').replace(/^-/, '_')
  let count = 0
  return () => `${prefix}-${(++count).toString(36)}`
}

/**
 * `traceparent` values that begin a trace. Marked as sampled: an upstream whose sampler follows its parent would record
 * nothing otherwise.
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function createTraceparents(): () => string {
  // 24 bytes for each; filled 256 at a time, because a call to the random source costs more than all the rest.
  const pool = Buffer.allocUnsafeSlow(24 * 256)
  let hex = ''
  let offset = 0
  return () => {
    if (offset === hex.length) {
      hex = randomFillSync(pool).toString('hex')
      offset = 0
    }
    const start = offset
    offset += 48
    return `00-${hex.slice(start, start + 32)}-${hex.slice(start + 32, offset)}-01`
  }
}
