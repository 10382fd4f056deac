/** Allows `burst` at once and then one every `interval` milliseconds. */
export function createTokenBucket(burst: number, interval: number, now: () => number): () => boolean {
  let tokens = burst
  let filledAt = now()
  return () => {
    const at = now()
    tokens = Math.min(burst, tokens + (at - filledAt) / interval)
    filledAt = at
    if (tokens < 1) return false
    tokens -= 1
    return true
  }
}
