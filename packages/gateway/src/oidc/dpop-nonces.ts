/**
 * The newest DPoP nonce of each server. One memory for all sessions: a nonce belongs to the server, not to the key, and a
 * new session need not be sent back for one. @see RFC 9449 §8.2, §9
 */
export interface DpopNonces {
  get(origin: string): string | undefined
  /** Takes note of a `DPoP-Nonce` header. */
  learn(origin: string, nonce: string | null | undefined): void
}

/** Far more than a gateway speaks to; a discovery document may name others. */
const maxOrigins = 100
/** A nonce goes into every later proof, so a server can't make ours endless. @see RFC 9449 §8.1 for its characters */
const acceptable = /^[\x21\x23-\x5b\x5d-\x7e]{1,512}$/

export function createDpopNonces(): DpopNonces {
  const known = new Map<string, string>()
  return {
    get: (origin) => known.get(origin),
    learn(origin, nonce) {
      if (typeof nonce !== 'string' || !acceptable.test(nonce)) return
      if (known.size < maxOrigins || known.has(origin)) known.set(origin, nonce)
    },
  }
}
