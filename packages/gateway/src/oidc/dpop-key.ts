import { createECDH, generateKeyPairSync, hash } from 'node:crypto'

/**
 * The key that a session's tokens are bound to (RFC 9449): an ES256 key, kept as the 43 characters of its private half.
 * The public half follows from it, and the login cookie and the sealed tokens stay small. As secret as a token.
 */
export type DpopKey = string

/** A new one for each sign-in: nothing links two sessions by their key. */
export function newDpopKey(): DpopKey {
  const { d } = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  return d as string
}

/** With its members in the order of RFC 7638, so that its JSON is what the thumbprint hashes. */
export interface DpopJwk {
  readonly crv: 'P-256'
  readonly kty: 'EC'
  readonly x: string
  readonly y: string
}

export function publicJwk(key: DpopKey): DpopJwk {
  const curve = createECDH('prime256v1')
  curve.setPrivateKey(Buffer.from(key, 'base64url'))
  // 04 ‖ x ‖ y
  const point = curve.getPublicKey()
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString('base64url'))
  return { crv: 'P-256', kty: 'EC', x: x as string, y: y as string }
}

/** How an authorization code is bound to the key. @see RFC 7638 §3 · RFC 9449 §10 */
export function thumbprint(key: DpopKey): string {
  return hash('sha256', JSON.stringify(publicJwk(key)), 'base64url')
}
