/**
 * The trace that a request belongs to: the caller's if it is well-formed, else a new one.
 * @see https://www.w3.org/TR/trace-context/#traceparent-header
 */
export function traceparent(received: string | undefined, fresh: () => string): string {
  return received !== undefined && wellFormed.test(received) ? received : fresh()
}

const wellFormed = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/
