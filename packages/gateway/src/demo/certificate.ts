import { createHash, X509Certificate } from 'node:crypto'

export interface Certificate {
  /** PEM. */
  readonly cert: string
  /** PEM. */
  readonly key: string
  /** SHA-256 of the certificate, as browsers show it. */
  readonly fingerprint: string
  /** SHA-256 of the public key in base64, as Chromium's `--ignore-certificate-errors-spki-list` takes it. */
  readonly spki: string
}

/**
 * A certificate for localhost, signed by nobody: browsers warn once. It lives for 30 days and in memory.
 * @throws Error when the optional package `selfsigned` is not installed
 */
export async function createCertificate(now: Date = new Date()): Promise<Certificate> {
  const { generate } = await loadSelfsigned()
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now.getTime() - 60_000),
    notAfterDate: new Date(now.getTime() + 30 * 86_400_000),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  const { fingerprint256, publicKey } = new X509Certificate(made.cert)
  const spki = createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('base64')
  return { cert: made.cert, key: made.private, fingerprint: fingerprint256, spki }
}

async function loadSelfsigned(): Promise<typeof import('selfsigned')> {
  try {
    return await import('selfsigned')
  } catch (cause) {
    throw new Error('--https needs the package selfsigned: npm install selfsigned', { cause })
  }
}
