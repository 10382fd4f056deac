import { createPrivateKey, hash, randomBytes, sign } from 'node:crypto'
import { type DpopKey, publicJwk } from '../oidc/dpop-key.ts'
import { createDpopNonces, type DpopNonces } from '../oidc/dpop-nonces.ts'

/** An access token and the key that it is bound to. */
export interface BoundToken {
  readonly accessToken: string
  readonly dpopKey: DpopKey
}

export function isBound(token: Partial<BoundToken>): token is BoundToken {
  return token.dpopKey !== undefined
}

export interface DpopProofs {
  /** What upstreams ask for, by their origin. */
  readonly nonces: DpopNonces
  /**
   * `Authorization` and `DPoP` (name, value, …) for one request to an upstream. `path` may have a query, which is not part
   * of the proof. @see RFC 9449 §4.2, §7.1
   */
  headers(token: BoundToken, request: { method: string; upstream: string; path: string }): string[]
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
  // Keyed by the object that holds the token: gone with it.
  const signers = new WeakMap<BoundToken, Signer>()

  function signerOf(token: BoundToken): Signer {
    const known = signers.get(token)
    if (known) return known
    const made = createSigner(token)
    signers.set(token, made)
    return made
  }

  return {
    nonces,
    headers(token, { method, upstream, path }) {
      const signer = signerOf(token)
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
      return ['Authorization', `DPoP ${token.accessToken}`, 'DPoP', `${input}.${signer.sign(input)}`]
    },
  }
}

function createSigner({ accessToken, dpopKey }: BoundToken): Signer {
  const jwk = publicJwk(dpopKey)
  const key = createPrivateKey({ key: { ...jwk, d: dpopKey }, format: 'jwk' })
  return {
    header: `${encode({ alg: 'ES256', typ: 'dpop+jwt', jwk })}.`,
    ath: hash('sha256', accessToken, 'base64url'),
    sign: (input) => sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url'),
  }
}

const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
