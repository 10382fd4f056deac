import { createPrivateKey, hash, randomBytes, sign } from 'node:crypto'
import { type DpopKey, publicJwk } from '../oidc/dpop-key.ts'
import { createDpopNonces, type DpopNonces } from '../oidc/dpop-nonces.ts'
import type { Tokens } from '../session/record.ts'

/** An access token and the key that it is bound to. */
export type BoundTokens = Tokens & { readonly dpopKey: DpopKey }

export interface DpopProofs {
  /** What upstreams ask for, by their origin. */
  readonly nonces: DpopNonces
  /**
   * `Authorization` and `DPoP` (name, value, …) for one request to an upstream. `path` may have a query, which is not part
   * of the proof. @see RFC 9449 §4.2, §7.1
   */
  headers(tokens: BoundTokens, request: { method: string; upstream: string; path: string }): string[]
}

/** Everything of a proof that is the same for all requests with one token. */
interface Signer {
  /** The header of the JWS, encoded, with its dot. */
  readonly header: string
  readonly ath: string
  sign(input: string): string
}

/** Proofs for upstreams: made at once, without a promise, since every request needs its own. */
export function createDpopProofs(now: () => number): DpopProofs {
  const nonces = createDpopNonces()
  // Keyed by the token set itself: gone with it.
  const signers = new WeakMap<BoundTokens, Signer>()

  function signerOf(tokens: BoundTokens): Signer {
    const known = signers.get(tokens)
    if (known) return known
    const made = createSigner(tokens)
    signers.set(tokens, made)
    return made
  }

  return {
    nonces,
    headers(tokens, { method, upstream, path }) {
      const signer = signerOf(tokens)
      const nonce = nonces.get(upstream)
      const claims = {
        // One use: an upstream that sees it again refuses it.
        jti: randomBytes(16).toString('base64url'),
        htm: method,
        htu: upstream + path.split('?', 1)[0],
        iat: Math.floor(now() / 1000),
        ath: signer.ath,
        ...(nonce !== undefined && { nonce }),
      }
      const input = signer.header + encode(claims)
      return ['Authorization', `DPoP ${tokens.accessToken}`, 'DPoP', `${input}.${signer.sign(input)}`]
    },
  }
}

function createSigner({ accessToken, dpopKey }: BoundTokens): Signer {
  const jwk = publicJwk(dpopKey)
  const key = createPrivateKey({ key: { ...jwk, d: dpopKey }, format: 'jwk' })
  return {
    header: `${encode({ alg: 'ES256', typ: 'dpop+jwt', jwk })}.`,
    ath: hash('sha256', accessToken, 'base64url'),
    sign: (input) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
