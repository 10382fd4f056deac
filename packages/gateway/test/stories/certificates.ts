import { X509Certificate } from 'node:crypto'
import selfsigned from 'selfsigned'

export interface Pair {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
}

type Use = 'server' | 'client' | 'authority'

/** A certificate on P-256, made in this process; signed by `authority`, or by itself. */
export async function certificate(name: string, use: Use, authority?: Pair): Promise<Pair> {
  const ends = use !== 'authority'
  const made = await selfsigned.generate([{ name: 'commonName', value: name }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(Date.now() - 60_000),
    notAfterDate: new Date(Date.now() + 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: !ends, critical: true },
      { name: 'keyUsage', digitalSignature: ends, keyCertSign: !ends, critical: true },
      ...(ends ? [{ name: 'extKeyUsage' as const, serverAuth: use === 'server', clientAuth: use === 'client' }] : []),
      ...(use === 'server'
        ? [
            {
              name: 'subjectAltName' as const,
              altNames: [
                { type: 2 as const, value: 'localhost' },
                { type: 7 as const, ip: '127.0.0.1' },
              ],
            },
          ]
        : []),
    ],
    ...(authority && { ca: authority }),
  })
  return { cert: made.cert, key: made.private }
}

/** The public key and the certificate as a client registers them for self_signed_tls_client_auth. @see RFC 8705 §2.2.2 */
export function registeredKey({ cert }: Pair): object {
  const parsed = new X509Certificate(cert)
  return { ...parsed.publicKey.export({ format: 'jwk' }), x5c: [parsed.raw.toString('base64')] }
}
